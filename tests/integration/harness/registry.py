"""Real registries (docker-registry, distribution 3, crane's) and the small images that tests push to them with crane."""

import io
import json
import os
import subprocess
import tarfile
import urllib.request

from .processes import Process, free_port, listens, wait_for

ENV = os.environ | {"NO_PROXY": "*", "no_proxy": "*"}


class Registry:
    """One registry's address, and what tests do with it."""

    def __init__(self, address, crane, tmp, username=None, password=None):
        self.address = address
        self.crane_program = str(crane)
        self.tmp = tmp
        self.env = dict(ENV)
        if username:
            self.log_in(username, password)

    def log_in(self, username, password):
        """Who crane is from now on; docker_config is what a pull secret holds."""
        config = self.tmp / f"docker-{self.address.replace(':', '-')}"
        config.mkdir(parents=True, exist_ok=True)
        self.docker_config = {"auths": {self.address: {"username": username, "password": password}}}
        (config / "config.json").write_text(json.dumps(self.docker_config))
        self.env["DOCKER_CONFIG"] = str(config)

    def crane(self, *arguments):
        done = subprocess.run([self.crane_program, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                              env=self.env)
        assert done.returncode == 0, f"crane {arguments}: {done.stderr}"
        return done.stdout.strip()

    def push(self, name, content):
        """Pushes an image whose one layer holds `content`; the same content has the same digest. Returns the digest."""
        layer = self.tmp / "layer.tar"
        data = content.encode()
        with tarfile.open(layer, "w") as tar:
            entry = tarfile.TarInfo("content")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        reference = f"{self.address}/{name}"
        self.crane("append", "--insecure", "--oci-empty-base", "--new_layer", layer, "--new_tag", reference)
        return self.digest(name)

    def push_index(self, name, contents):
        """Pushes a multi-arch index with one child for each {platform: content}. Returns the index digest."""
        children = []
        for platform, content in contents.items():
            child = f"{name.split(':')[0]}:child-{platform.replace('/', '-')}"
            self.push(child, content)
            self.crane("mutate", "--insecure", "--set-platform", platform, "--tag", f"{self.address}/{child}",
                       f"{self.address}/{child}")
            children += ["--manifest", f"{self.address}/{child}"]
        self.crane("index", "append", "--insecure", "--tag", f"{self.address}/{name}", *children)
        return self.digest(name)

    def digest(self, name):
        return self.crane("digest", "--insecure", f"{self.address}/{name}")


class Image:
    """A tag of one test's own; `digest` is what it names now."""

    def __init__(self, registry, name, address=None):
        self.registry, self.name = registry, name
        self.ref = f"{address or registry.address}/{name}"
        self.move("first")

    def move(self, content):
        """The same content has the same digest."""
        self.digest = self.registry.push(self.name, f"{self.name} {content}")
        return self.digest

    @property
    def stamp(self):
        return f"{self.ref}@{self.digest}"


class PrivateRegistry(Registry):
    """A docker-registry of the test's own, with htpasswd accounts where asked."""

    def __init__(self, host, crane, tmp, username=None, password=None, access_log=False, port=None, more_config="",
                 inside=(), program="docker-registry"):
        port = port or free_port(host)
        super().__init__(f"{host}:{port}", crane, tmp, username, password)
        self.place = place = tmp / f"registry-{port}"
        place.mkdir(parents=True, exist_ok=True)
        config = (f"version: 0.1\nlog: {{level: warn, accesslog: {{disabled: {str(not access_log).lower()}}}}}\n"
                  f"storage: {{filesystem: {{rootdirectory: {place}/data}}, delete: {{enabled: true}}}}\n"
                  f"http: {{addr: '{host}:{port}'}}\n" + more_config)
        if username:
            self.set_account(username, password)
            config += f"auth: {{htpasswd: {{realm: test, path: {place}/htpasswd}}}}\n"
        (place / "config.yaml").write_text(config)
        self.process = Process(f"registry-{port}", [*inside, program, "serve", place / "config.yaml"], tmp,
                               os.environ | {"OTEL_TRACES_EXPORTER": "none"})  # of distribution 3
        wait_for("the private registry listens", lambda: listens(host, port))

    def set_account(self, username, password):
        """From now on this account is the only one. (The registry reads a changed file at the next request.)"""
        line = subprocess.run(["htpasswd", "-nbB", username, password], check=True, capture_output=True, text=True)
        (self.place / "htpasswd").write_text(line.stdout)
        self.account = (username, password)
        self.log_in(username, password)

    def stop(self):
        self.process.kill()


class CraneRegistry(Registry):
    """`crane registry serve`, which logs every request."""

    def __init__(self, host, crane, tmp, port):
        super().__init__(f"{host}:{port}", crane, tmp)
        self.process = Process(f"registry-{port}", [crane, "registry", "serve", "--address", self.address], tmp)
        wait_for("crane's registry listens", lambda: listens(host, port))

    def stop(self):
        self.process.kill()


def notifications(url, token, backoff="1s"):
    """A docker-registry's configuration that has every push posted there."""
    endpoint = {"name": "tidemark", "url": url, "timeout": "1s", "threshold": 3, "backoff": backoff,
                "headers": {"Authorization": [f"Bearer {token}"]}}
    return "notifications: " + json.dumps({"endpoints": [endpoint]}) + "\n"  # JSON is YAML


def http_status(url):
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
