"""A docker-registry behind its own TLS, with the certificate authority that signs for both of its sides."""

import hashlib
import json
import ssl
import subprocess
import urllib.request

from .processes import Process, free_port, listens, wait_for

INDEX = "application/vnd.oci.image.index.v1+json"


class Authority:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate = folder / "ca.crt"
        self._openssl("-subj", "/CN=Test CA", "-keyout", folder / "ca.key", "-out", self.certificate)

    def issue(self, name, usage):
        """(certificate, key) of 127.0.0.1; usage: serverAuth or clientAuth."""
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        self._openssl("-subj", f"/CN={name}", "-CA", self.certificate, "-CAkey", self.folder / "ca.key", "-addext",
                      "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE", "-addext",
                      f"extendedKeyUsage={usage}", "-keyout", key, "-out", certificate)
        return certificate, key

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", *arguments], check=True, capture_output=True)


class LoopbackRegistry:
    """docker-registry on 127.0.0.1; with an authority, over TLS to clients that show a certificate of it."""

    def __init__(self, tmp, authority=None, account=None):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        place = tmp / f"registry-{self.port}"
        place.mkdir(parents=True)
        config = {"version": "0.1", "log": {"level": "warn"}, "storage": {"filesystem": {"rootdirectory": str(place / "data")}},
                  "http": {"addr": self.address}}
        handlers = [urllib.request.ProxyHandler({})]
        self.scheme = "http"
        if authority:
            self.scheme = "https"
            certificate, key = authority.issue(f"registry-{self.port}", "serverAuth")
            config["http"]["tls"] = {"certificate": str(certificate), "key": str(key),
                                     "clientcas": [str(authority.certificate)]}
            context = ssl.create_default_context(cafile=authority.certificate)
            context.load_cert_chain(*authority.issue(f"pusher-{self.port}", "clientAuth"))
            handlers.append(urllib.request.HTTPSHandler(context=context))
        if account:
            line = subprocess.run(["htpasswd", "-nbB", *account], check=True, capture_output=True, text=True)
            (place / "htpasswd").write_text(line.stdout)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(place / "htpasswd")}}
            passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
            passwords.add_password(None, f"{self.scheme}://{self.address}/", *account)
            handlers.append(urllib.request.HTTPBasicAuthHandler(passwords))
        self.opener = urllib.request.build_opener(*handlers)
        (place / "config.yaml").write_text(json.dumps(config))
        self.process = Process(f"registry-{self.port}", ["docker-registry", "serve", place / "config.yaml"], tmp)
        wait_for("the registry listens", lambda: listens("127.0.0.1", self.port))

    def push_index(self, name, annotation):
        """An empty index, which every registry takes; another annotation is another digest. Returns the digest."""
        repository, tag = name.rsplit(":", 1)
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [],
                            "annotations": {"test": annotation}}).encode()
        request = urllib.request.Request(f"{self.scheme}://{self.address}/v2/{repository}/manifests/{tag}", data=index,
                                         method="PUT", headers={"Content-Type": INDEX})
        with self.opener.open(request, timeout=10):
            return "sha256:" + hashlib.sha256(index).hexdigest()

    def stop(self):
        self.process.kill()
