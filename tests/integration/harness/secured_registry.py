"""Debian's docker-registry as people secure it: its own TLS, client certificates, accounts, a token server."""

import base64
import hashlib
import http.server
import json
import ssl
import subprocess
import threading
import time
import urllib.parse
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


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenServer:
    """Distribution's token specification: JWTs that the registry verifies by this server's certificate. Only the account
    gets any; `asked` are the scopes of what it was asked for."""

    SERVICE, ISSUER = "the registry", "the token server"

    def __init__(self, tmp, account):
        self.key, self.certificate = tmp / "token.key", tmp / "token.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tokens",
                        "-keyout", self.key, "-out", self.certificate], check=True, capture_output=True)
        self.asked, wanted = [], "Basic " + base64.b64encode(":".join(account).encode()).decode()
        issue = self.issue

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(handler.path).query)
                self.asked += query.get("scope", [])
                known = handler.headers.get("Authorization") == wanted
                body = json.dumps({"token": issue(query["scope"][0]), "expires_in": 300} if known else
                                  {"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]}).encode()
                handler.send_response(200 if known else 401)
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                handler.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.realm = f"http://127.0.0.1:{self.server.server_port}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def issue(self, scope):
        kind, name, actions = scope.rsplit(":", 2)
        now = int(time.time())
        der = ssl.PEM_cert_to_DER_cert(self.certificate.read_text())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        claims = {"iss": self.ISSUER, "sub": "puller", "aud": self.SERVICE, "nbf": now - 60, "iat": now, "exp": now + 300,
                  "jti": str(now), "access": [{"type": kind, "name": name, "actions": actions.split(",")}]}
        signed = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=signed.encode(), check=True,
                                   capture_output=True).stdout
        return f"{signed}.{encoded(signature)}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class LoopbackRegistry:
    """docker-registry on 127.0.0.1; with an authority, over TLS to clients that show a certificate of it."""

    def __init__(self, tmp, authority=None, account=None, tokens=None):
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
        self.tokens = tokens
        if tokens:
            config["auth"] = {"token": {"realm": tokens.realm, "service": tokens.SERVICE, "issuer": tokens.ISSUER,
                                        "rootcertbundle": str(tokens.certificate)}}
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
        if self.tokens:
            request.add_header("Authorization", "Bearer " + self.tokens.issue(f"repository:{repository}:pull,push"))
        with self.opener.open(request, timeout=10):
            return "sha256:" + hashlib.sha256(index).hexdigest()

    def stop(self):
        self.process.kill()
