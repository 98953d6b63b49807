"""Our programs as a test runs them: on the host, as the service accounts of the manifests and with no more rights."""

import contextlib
import json
import os
import pathlib
import re
import subprocess

import yaml

from . import metrics
from .kubectl import load
from .processes import ROOT, Process, free_port, wait_for
from .registry import http_status

NAMESPACE = "tidemark-system"
BUILD = pathlib.Path(os.environ.get("TIDEMARK_BUILD", ROOT / "build"))
WEBHOOK = BUILD / "webhook/tidemark-webhook"
SWEEPER = BUILD / "sweeper/tidemark-sweeper"
# How the image tunes the allocator; without it a program is another one under load.
IMAGE_ENV = dict(re.findall(r"^ENV (GLIBC_TUNABLES)=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))


UNPACED = {"waves": False, "maxRollouts": 1000, "maxRolloutsPerNamespace": 1000, "maxRolloutsPerImage": 1000}


def write_config(path, cluster, **sections):
    """The configuration of both programs. The test registries speak plain HTTP on addresses of the host's own."""
    registries = [{"host": cluster.registry.address, "plainHTTP": True}]
    registries += sections.pop("registries", [])
    config = {"logLevel": "debug", "registries": registries, "cache": {"ttl": "1s", "negativeTTL": "1s"}} | sections
    path.write_text(yaml.safe_dump(config))
    return path


def install(cluster):
    """All of deploy/install.yaml but the Deployments; the Service leads to the host instead of to pods."""
    documents = load((ROOT / "deploy/install.yaml").read_text())
    documents = [d for d in documents if d["kind"] not in ("Deployment", "PodDisruptionBudget")]
    for document in documents:
        if document["kind"] == "Service":
            document["spec"].pop("selector")
            document["spec"]["ports"] = [{"name": "https", "port": 443, "targetPort": 8443}]
    cluster.kubectl.apply(documents)


def route_service(cluster, endpoints):
    """Points the webhook's Service at [(address, port)]."""
    slices = [{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
               "metadata": {"name": f"tidemark-webhook-{index}", "namespace": NAMESPACE,
                            "labels": {"kubernetes.io/service-name": "tidemark-webhook"}},
               "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
               "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}
              for index, (address, port) in enumerate(endpoints)]
    cluster.kubectl.apply(slices)
    kept = {f"endpointslice.discovery.k8s.io/{made['metadata']['name']}" for made in slices}
    label = ("-n", NAMESPACE, "-l", "kubernetes.io/service-name=tidemark-webhook")
    for surplus in set(cluster.kubectl("get", "endpointslices", *label, "-o", "name").split()) - kept:
        cluster.kubectl("delete", surplus, "-n", NAMESPACE)


SELF_SIGNED = ("--self-signed", "--service", f"{NAMESPACE}/tidemark-webhook", "--webhook-configuration", "tidemark-webhook")


class Webhook:
    def __init__(self, cluster, tmp, name="webhook", flags=(), certificate=SELF_SIGNED, env=None, **config):
        self.cluster = cluster
        self.port = free_port(cluster.host_address)
        self.ops_port = free_port()
        self.tmp, self.name, self.flags, self.config = tmp, name, (*certificate, *flags), config
        self.env = os.environ | IMAGE_ENV | (env or {})
        self.process = self._start(config)

    def _start(self, config):
        return Process(self.name, [
            WEBHOOK, "serve", "--config", write_config(self.tmp / f"{self.name}.yaml", self.cluster, **config),
            "--listen", f"{self.cluster.host_address}:{self.port}", "--ops-listen", f"127.0.0.1:{self.ops_port}",
            "--kubeconfig", self.cluster.kubeconfig_of("tidemark-webhook", NAMESPACE),
            *self.flags], self.tmp, self.env)

    def restart(self, **config):
        """The same webhook with this added to its configuration. Its connections end with it: the API server keeps idle ones,
        and goes on calling through them whatever the Service says."""
        assert self.process.running(), f"the webhook ended:\n{self.process.text()[-3000:]}"
        self.process.kill()
        self.process = self._start(self.config | config)
        return self.wait_ready()

    @contextlib.contextmanager
    def away(self):
        """It does not run within the block, and serves the cluster again after it."""
        self.process.kill()
        try:
            yield
        finally:
            self.process = self._start(self.config)
            self.wait_ready().serve_cluster()

    def ready(self):
        assert self.process.running(), f"the webhook ended:\n{self.process.text()[-3000:]}"
        return http_status(f"http://127.0.0.1:{self.ops_port}/readyz") == 200

    def wait_ready(self):
        wait_for("the webhook is ready", self.ready)
        return self

    def serve_cluster(self):
        """The API server calls this webhook from here on."""
        route_service(self.cluster, [(self.cluster.host_address, self.port)])

        def published():
            webhooks = self.cluster.kubectl.json("get", "mutatingwebhookconfiguration", "tidemark-webhook")["webhooks"]
            return all(w["clientConfig"].get("caBundle") for w in webhooks)
        wait_for("caBundle is published", published)
        return self

    def metrics(self):
        return metrics.text(self.ops_port)


class Sweeper:
    """Runs of `tidemark-sweeper` as its service account."""

    def __init__(self, cluster, tmp, **config):
        self.cluster = cluster
        self.tmp = tmp
        # No kubelet here: no rollout ever ends, and the second workload of an image would wait for the first.
        self.sections = {"sweeper": UNPACED} | config
        self.config = self.configured("sweeper")
        self.kubeconfig = cluster.kubeconfig_of("tidemark-sweeper", NAMESPACE)

    def configured(self, name, **sections):
        """Its configuration with these sections in it, for `config` of the calls below."""
        return write_config(self.tmp / f"{name}.yaml", self.cluster, **self.sections | sections)

    def command(self, *arguments, kubeconfig=None, config=None):
        return [str(part) for part in
                (SWEEPER, *arguments, "--config", config or self.config, "--kubeconfig", kubeconfig or self.kubeconfig)]

    def once(self, *flags, check=True, **options):
        done = subprocess.run(self.command("once", *flags, **options), capture_output=True, text=True, timeout=120)
        if check:
            assert done.returncode == 0, f"once exited {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    def order(self, *arguments, check=True):
        """`hold` and `resume`, as a person with a right to patch calls them."""
        done = subprocess.run(self.command(*arguments, kubeconfig=self.cluster.kubeconfig), capture_output=True, text=True, timeout=60)
        if check:
            assert done.returncode == 0, f"{arguments} exited {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def plan(self, *flags):
        return json.loads(self.once("--dry-run", "-o", "json", *flags).stdout)
