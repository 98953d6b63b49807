"""Tidemark on the real node: what the tests of this suite ask it, its pods and its processes."""

import base64
import http.client
import json
import os
import pathlib
import re
import ssl
import subprocess
import time

import yaml

from harness import manifests
from harness.processes import ROOT, wait_for

HERE = ROOT / "tests/cluster"
SYSTEM = "tidemark-system"
STAMP = "digest.tidemark.dev/app"
ROLL = {"tidemark.dev/sweep": "roll"}
# A pull, a start and a stop of a small pod, or a few sweeps, on a machine that is busy with other things.
PATIENCE = 90
# So short that "several sweeps later" is soon.
INTERVAL = "2s"


def script(*arguments, **options):
    """Runs a program of this folder; its standard output. What it tells goes to the test's own stderr."""
    done = subprocess.run([str(HERE / arguments[0]), *map(str, arguments[1:])], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, timeout=2400, **options)
    assert done.returncode == 0, f"{' '.join(map(str, arguments))} exited {done.returncode}:\n{done.stdout}"
    return done.stdout


class Node:
    """The cluster with Tidemark installed."""

    def __init__(self, cluster, image, *plain_http):
        self.cluster, self.image, self.plain_http = cluster, image, plain_http
        self.kubectl, self.registry = cluster.kubectl, cluster.registry.address
        self.env = os.environ | {"KUBECONFIG": str(cluster.kubeconfig), "NO_PROXY": "*", "no_proxy": "*"}

    def install(self):
        hosts = [part for host in (self.registry, *self.plain_http) for part in ("--plain-http", host)]
        script("install", self.image, "--interval", INTERVAL, *hosts, env=self.env)

    def push(self, name, version):
        """Pushes the small program under registry/name; its digest."""
        return script("image", "app", f"{self.registry}/{name}", version).strip()

    # What Kubernetes says.

    def pods(self, ns, label="app=web"):
        return self.kubectl.json("get", "pods", "-n", ns, "-l", label)["items"]

    def running_digests(self, ns):
        """The digest behind each ready pod's imageID, those not counted that are being stopped."""
        return {status["imageID"].split("@")[-1] for pod in self.pods(ns) if not pod["metadata"].get("deletionTimestamp")
                for status in pod["status"].get("containerStatuses", []) if status["ready"]}

    def wait_running(self, ns, digest):
        wait_for(f"the pods run {digest}", lambda: self.running_digests(ns) == {digest}, PATIENCE, 0.2)

    def deploy(self, ns, reference, policy="Always", name="web", replicas=1, annotations=None):
        self.kubectl.apply(manifests.deployment(name, ns, manifests.pod_spec(reference, policy=policy),
                                                ROLL | (annotations or {}), replicas))

    def annotation(self, ns, key, name="web"):
        """A record of the Deployment, decoded; None where there is none."""
        found = self.kubectl.get("deployment", name, ns)["metadata"].get("annotations", {})
        return json.loads(found[key]) if key in found else None

    def image_of(self, ns, name="web"):
        return self.kubectl.template("deployment", name, ns)["spec"]["containers"][0]["image"]

    def reasons(self, ns, name="web"):
        return [entry["why"] for entry in self.kubectl.history("deployment", name, ns)]

    # The sweeper, by its own metrics.

    def sweeper_metrics(self):
        pods = [pod["metadata"]["name"] for pod in self.pods(SYSTEM, "app.kubernetes.io/name=tidemark-sweeper")
                if not pod["metadata"].get("deletionTimestamp")]
        assert len(pods) == 1, f"one sweeper, not {pods}"
        text = self.kubectl("get", "--raw", f"/api/v1/namespaces/{SYSTEM}/pods/{pods[0]}:8080/proxy/metrics")
        return dict(re.findall(r"^(tidemark_\S+) (\S+)$", text, re.MULTILINE))

    def sweeps(self):
        return sum(float(value) for key, value in self.sweeper_metrics().items() if key.startswith("tidemark_sweeps_total{"))

    def after_sweeps(self, number, always=lambda: True):
        """Waits until `number` whole sweeps have begun and ended from here on; `always` must hold at every look."""
        # The one that is under way now does not count.
        goal = self.sweeps() + number + 1

        def swept():
            if not always():
                raise RuntimeError("it did not stay so over the next sweeps")
            return self.sweeps() >= goal
        wait_for(f"{number} sweeps", swept, PATIENCE, 0.3)

    def slots(self, verdict):
        return float(self.sweeper_metrics()[f'tidemark_sweep_slots{{verdict="{verdict}"}}'])

    # The webhook.

    def failure_policy(self, policy):
        self.kubectl("patch", "mutatingwebhookconfiguration", "tidemark-webhook", "--type=json", "-p", json.dumps(
            [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": policy}]))

    def webhook_pods(self):
        return self.pods(SYSTEM, "app.kubernetes.io/name=tidemark-webhook")

    def scale_webhook(self, replicas):
        self.kubectl("scale", "deployment", "tidemark-webhook", "-n", SYSTEM, f"--replicas={replicas}")
        if replicas == 0:
            wait_for("the webhook's pods are gone", lambda: not self.webhook_pods(), PATIENCE, 0.3)
        else:
            self.wait_available("tidemark-webhook")

    def wait_available(self, name, ns=SYSTEM):
        self.kubectl("rollout", "status", "deployment", name, "-n", ns, f"--timeout={PATIENCE}s")

    # Processes, as the machine sees them.

    def processes(self, command=b""):
        """Process ids in the pods of this node whose command line begins so."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                groups, line = (entry / "cgroup").read_text(), (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"/tidemark-{self.cluster.name}/" in groups and line.startswith(command):
                found.append(int(entry.name))
        return found

    def wait_processes(self, command, count):
        """The same, once there are `count`: pods that a rollout replaced drain for a while."""
        def all_of_them():
            found = self.processes(command)
            return found if len(found) == count else None
        return wait_for(f"{count} of {command}", all_of_them, PATIENCE, 0.3)


class Api:
    """One kept connection to the API server, as the administrator: quicker than a kubectl for each request."""

    def __init__(self, cluster, tmp, seconds=30):
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=decode(server["certificate-authority-data"]))
        pair = tmp / "administrator.pem"
        if not pair.exists():
            pair.touch(0o600)
            pair.write_text(decode(user["client-certificate-data"]) + decode(user["client-key-data"]))
        context.load_cert_chain(pair)
        host, port = server["server"].removeprefix("https://").split(":")
        self.connection = http.client.HTTPSConnection(host, int(port), timeout=seconds, context=context)

    def __call__(self, method, path, body=None):
        """(status, decoded body)"""
        self.connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def create_deployment(self, manifest, dry_run=False):
        """(status, object, seconds)"""
        ns = manifest["metadata"]["namespace"]
        begin = time.monotonic()
        status, found = self("POST", f"/apis/apps/v1/namespaces/{ns}/deployments{'?dryRun=All' if dry_run else ''}", manifest)
        return status, found, time.monotonic() - begin


def decode(text):
    return base64.b64decode(text).decode()


def stamps_of(deployment):
    annotations = deployment["spec"]["template"]["metadata"].get("annotations") or {}
    return {key: value for key, value in annotations.items() if "digest.tidemark.dev/" in key}
