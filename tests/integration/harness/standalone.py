"""A webhook without a cluster: a certificate from files, nobody's credentials, spoken to as the API server does."""

import base64
import http.client
import json
import os
import ssl
import subprocess

import yaml

from . import metrics
from .processes import ROOT, Process, free_port, listens, wait_for
from .programs import IMAGE_ENV, WEBHOOK

REVIEW = ROOT / "tests/data/review-of-three-containers.json"
IMAGES = ("web", "worker", "proxy")  # of REVIEW: REGISTRY/bench/NAME:tN, N from 0 on


def make_certificate(folder):
    """A self-signed pair for 127.0.0.1; its own CA. Returns (certificate, key)."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    if not certificate.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def review(registry):
    return REVIEW.read_text().replace("REGISTRY", registry).encode()


class Admissions:
    """One keep-alive connection to /mutate."""

    def __init__(self, port, certificate, path="/mutate", timeout=10):
        self.path = path
        context = ssl.create_default_context(cafile=certificate)
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=timeout)
        self.connection.connect()  # now, so that many send at the same time

    def send(self, body):
        self.connection.request("POST", self.path, body, {"Content-Type": "application/json"})

    def receive(self):
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, f"{answer.status}: {text[:500]}"
        return json.loads(text)["response"]

    def ask(self, body):
        self.send(body)
        return self.receive()

    def close(self):
        self.connection.close()


class Standalone:
    def __init__(self, tmp, name="standalone", flags=(), **config):
        self.certificate, self.key = make_certificate(tmp)
        self.port, self.ops_port = free_port(), free_port()
        path = tmp / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"logLevel": "error", "addresses": {"allowLoopback": True}} | config))
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp), "NO_PROXY": "*"} | IMAGE_ENV
        self.process = Process(name, [
            WEBHOOK, "serve", "--config", path, "--listen", f"127.0.0.1:{self.port}", "--ops-listen",
            f"127.0.0.1:{self.ops_port}", "--tls-cert", self.certificate, "--tls-key", self.key, "--drain", "0s",
            *flags], tmp, env)
        wait_for("the webhook listens", lambda: listens("127.0.0.1", self.port))

    def admissions(self, **options):
        return Admissions(self.port, self.certificate, **options)

    def metric(self, name):
        """The sum of the series whose name (and labels, if given) begin so."""
        return metrics.total(self.ops_port, name)

    def stop(self):
        return self.process.stop()


def patch_of(response):
    return json.loads(base64.b64decode(response["patch"])) if "patch" in response else []
