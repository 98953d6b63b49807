"""Certificates as openssl makes them, what is served and published, and admissions without pause."""

import base64
import copy
import http.client
import json
import os
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from . import manifests
from .programs import NAMESPACE

SECRET = "tidemark-webhook-tls"
CONFIGURATION = "tidemark-webhook"
SERVER_NAME = f"tidemark-webhook.{NAMESPACE}.svc"
NAMES = f"subjectAltName=DNS:{SERVER_NAME},DNS:tidemark-webhook.{NAMESPACE},DNS:{SERVER_NAME}.cluster.local"
KEYS = ("ca.crt", "ca.key", "tls.crt", "tls.key")


def clock(offset):
    """The environment of a program whose clock is off: faketime's syntax, "+2h". Timeouts stay right."""
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return {"LD_PRELOAD": str(library), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def _issue(folder, name, subject, ends, life, *more):
    """A certificate that ends in so many seconds, after `life` days; its key beside it."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    f"/CN={subject}", "-days", str(life), "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt",
                    *more], check=True, capture_output=True, env=os.environ | clock(f"{ends - life * 86400:+d}s"))


def issue(folder, ends, life=1, authority=None):
    """A Secret's four values: a serving certificate that ends in `ends` seconds. `authority` has the same values and signs
    it; without one a CA of the same life is made."""
    folder.mkdir(parents=True, exist_ok=True)
    if authority is None:
        _issue(folder, "ca", f"test-ca-{time.time_ns()}", ends, life)
    else:
        (folder / "ca.crt").write_text(authority["ca.crt"])
        (folder / "ca.key").write_text(authority["ca.key"])
    _issue(folder, "tls", "webhook", ends, life, "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-addext", NAMES,
           "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth")
    return {key: (folder / key).read_text() for key in KEYS}


def fingerprints(bundle):
    """Each certificate of a PEM text."""
    end = "-----END CERTIFICATE-----\n"
    return [ssl.PEM_cert_to_DER_cert(part + end) for part in bundle.split(end)[:-1]]


class Api:
    """The API server over one keep-alive connection, as its administrator: faster than a kubectl each time."""

    def __init__(self, kubectl):
        config = json.loads(kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.host = cluster["server"].removeprefix("https://")
        self.context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        pair = pathlib.Path(kubectl.kubeconfig).parent / "admin-pair.pem"
        pair.touch(0o600)
        pair.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
        self.context.load_cert_chain(pair)
        self.connection = None

    def another(self):
        """For another thread."""
        made = copy.copy(self)
        made.connection = None
        return made

    def __call__(self, method, path, body=None):
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(self.host, context=self.context, timeout=30)
        self.connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def published(self):
        """The bundle of the first webhook; "" for none."""
        status, found = self("GET", f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{CONFIGURATION}")
        assert status == 200, found
        return base64.b64decode(found["webhooks"][0]["clientConfig"].get("caBundle", "")).decode()

    def secret(self):
        """The certificate's Secret's values; {} while it is not there."""
        status, found = self("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/{SECRET}")
        assert status in (200, 404), found
        return {key: base64.b64decode(value).decode() for key, value in (found.get("data") or {}).items()}


def served(webhook, bundle=None):
    """The certificate (DER) that a webhook shows to a new connection; verified where a bundle is given."""
    context = ssl.create_default_context(cadata=bundle) if bundle else ssl._create_unverified_context()
    with socket.create_connection((webhook.cluster.host_address, webhook.port), timeout=5) as connection:
        with context.wrap_socket(connection, server_hostname=SERVER_NAME) as stream:
            return stream.getpeercert(binary_form=True)


def settled(api, webhooks):
    """All serve the Secret's certificate, and the published bundle verifies it. Gives that certificate."""
    bundle, secret = api.published(), api.secret()
    assert bundle and secret.get("tls.crt"), "nothing there yet"
    shown = {served(webhook, bundle) for webhook in webhooks}
    assert list(shown) == fingerprints(secret["tls.crt"])[:1], "another certificate than the Secret's is served"
    return shown.pop()


def verify(certificate, bundle):
    with tempfile.NamedTemporaryFile("w") as authorities:
        authorities.write(bundle)
        authorities.flush()
        done = subprocess.run(["openssl", "verify", "-CAfile", authorities.name], capture_output=True, text=True,
                              input=ssl.DER_cert_to_PEM_cert(certificate))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


# Between two steps of a thread: other tests run on the same processors.
PAUSE = 0.02


class Background:
    """Threads that call step() over and over until the block ends; what it raises is kept in `problems`."""

    def __init__(self, kubectl, threads):
        self.api = Api(kubectl)
        self.problems, self._stop = [], threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def _run(self):
        api = self.api.another()
        while not self._stop.is_set():
            try:
                self.step(api)
                self._stop.wait(PAUSE)
            except (AssertionError, OSError, http.client.HTTPException) as error:
                api.connection = None
                self.problems.append((time.monotonic(), f"{time.strftime('%T')} {error!r}"))
                self._stop.wait(0.1)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self.threads:
            thread.join()

    def goes_on(self, seconds):
        """Fails at the first problem, of before or within the time."""
        deadline = time.monotonic() + seconds
        while not self.problems and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not self.problems, f"{len(self.problems)} problems, the first: {self.problems[:3]}"

    def problems_since(self, moment):
        return [text for when, text in list(self.problems) if when >= moment]


class Load(Background):
    """Dry-run creates of a Deployment through the API server: each must come back, and with its stamp."""

    def __init__(self, kubectl, ns, image, threads=4):
        super().__init__(kubectl, threads)
        self.path = f"/apis/apps/v1/namespaces/{ns}/deployments?dryRun=All"
        self.body, self.stamp = manifests.deployment("load", ns, manifests.pod_spec(image.ref)), image.stamp
        self.count = 0

    def step(self, api):
        status, answer = api("POST", self.path, self.body)
        assert status == 201, f"{status}: {answer.get('message')}"
        stamps = answer["spec"]["template"]["metadata"].get("annotations", {})
        assert stamps.get("digest.tidemark.dev/app") == self.stamp, f"unstamped: {stamps}"
        self.count += 1


class Trust(Background):
    """What is published verifies what is served, by the bundle of before the handshake and by that of after it."""

    def __init__(self, kubectl, webhooks):
        super().__init__(kubectl, threads=1)
        self.webhooks = webhooks
        self.bundles, self.certificates, self.count = [], [], 0

    def step(self, api):
        before = api.published()
        shown = [served(webhook, before or None) for webhook in self.webhooks]
        after = api.published()
        assert before and after, "caBundle is empty"
        if after != before:
            for certificate in shown:
                verify(certificate, after)
        for bundle in (before, after):
            if bundle not in self.bundles[-1:]:
                self.bundles.append(bundle)
        self.certificates += [each for each in shown if each not in self.certificates]
        self.count += 1
        self._stop.wait(0.1)
