"""Crew, a kind of these tests' own with a controller that runs one pod for each: what Tidemark knows of it is its configuration."""

import copy
import hashlib
import json
import subprocess
import threading

from harness import manifests, programs
from harness.processes import wait_for
from node import PATIENCE, SYSTEM, Api

GROUP, PLURAL = "tests.tidemark.dev", "crews"
KINDS = {f"{GROUP}/v1/Crew": {"template": "/spec/template"}}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{PLURAL}.{GROUP}"},
    "spec": {"group": GROUP, "scope": "Namespaced", "names": {"kind": "Crew", "plural": PLURAL, "singular": "crew"},
             "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {
                 "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}


def crew(name, ns, spec, annotations):
    return {"apiVersion": f"{GROUP}/v1", "kind": "Crew", "spec": {"template": manifests.template(spec)},
            "metadata": {"name": name, "namespace": ns, "annotations": annotations}}


class Controller(threading.Thread):
    """One pod for each Crew, made anew when the template changes; its status says how far that is."""

    def __init__(self, cluster, tmp):
        super().__init__(name="crews", daemon=True)
        self.api = Api(cluster, tmp)
        self.over = threading.Event()
        self.failure = None

    def run(self):
        try:
            while not self.over.wait(0.3):
                for crew in self.ask("GET", f"/apis/{GROUP}/v1/{PLURAL}")["items"]:
                    self.reconcile(crew)
        except Exception as error:  # noqa: BLE001 (told by stop(), on the thread of the test)
            self.failure = error

    def stop(self):
        self.over.set()
        self.join(30)
        assert self.failure is None and not self.is_alive(), self.failure

    def ask(self, method, path, body=None, allowed=(200, 201)):
        status, found = self.api(method, path, body)
        assert status in allowed, (method, path, found)
        return found

    def reconcile(self, crew):
        ns, name = crew["metadata"]["namespace"], crew["metadata"]["name"]
        template = crew["spec"]["template"]
        wanted = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        pods = [pod for pod in self.ask("GET", f"/api/v1/namespaces/{ns}/pods?labelSelector=crew={name}")["items"]
                if not pod["metadata"].get("deletionTimestamp")]
        current = [pod for pod in pods if pod["metadata"]["labels"]["template"] == wanted]
        for pod in pods:
            if pod not in current:
                self.ask("DELETE", f"/api/v1/namespaces/{ns}/pods/{pod['metadata']['name']}", allowed=(200, 202, 404))
        if not current and not pods:
            self.ask("POST", f"/api/v1/namespaces/{ns}/pods", self.pod(crew, template, wanted), allowed=(201, 409))
        ready = any(condition["type"] == "Ready" and condition["status"] == "True"
                    for pod in current for condition in pod["status"].get("conditions", []))
        status = {"observedGeneration": crew["metadata"]["generation"], "phase": "Healthy" if ready else "Progressing"}
        if crew.get("status") != status:  # 409: written meanwhile
            self.ask("PUT", f"/apis/{GROUP}/v1/namespaces/{ns}/{PLURAL}/{name}/status", crew | {"status": status},
                     allowed=(200, 404, 409))

    @staticmethod
    def pod(crew, template, wanted):
        metadata = copy.deepcopy(template.get("metadata", {}))
        metadata.setdefault("labels", {}).update(crew=crew["metadata"]["name"], template=wanted)
        metadata |= {"name": f"{crew['metadata']['name']}-{wanted}", "namespace": crew["metadata"]["namespace"],
                     "ownerReferences": [{"apiVersion": f"{GROUP}/v1", "kind": "Crew", "name": crew["metadata"]["name"],
                                          "uid": crew["metadata"]["uid"], "controller": True}]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def manifest(program, config):
    """What a program prints for the configuration."""
    return subprocess.run([program, "manifest", "--config", config], check=True, capture_output=True, text=True, timeout=30).stdout


def configure(node, tmp):
    """Tidemark learns of the kind as deploy/README.md says: a line of its configuration, then rules and rights by its programs."""
    node.kubectl.apply(DEFINITION)
    wait_for("crews are served", lambda: node.kubectl("get", PLURAL, "-A") is not None)
    config = node.kubectl.get("configmap", "tidemark", SYSTEM)["data"]["config.yaml"] + f"\nkinds: {json.dumps(KINDS)}\n"
    file = tmp / "crews.yaml"
    file.write_text(config)
    for program in (programs.WEBHOOK, programs.SWEEPER):
        node.kubectl.apply(manifest(program, file))
    node.kubectl("patch", "configmap", "tidemark", "-n", SYSTEM, "--type=merge",
                 "-p", json.dumps({"data": {"config.yaml": config}}))
    for name in ("tidemark-webhook", "tidemark-sweeper"):
        node.kubectl("rollout", "restart", "deployment", name, "-n", SYSTEM)
    for name in ("tidemark-webhook", "tidemark-sweeper"):
        node.kubectl("rollout", "status", "deployment", name, "-n", SYSTEM, f"--timeout={PATIENCE}s")
    # Those that were replaced drain for a while, and know nothing of crews.
    node.wait_processes(b"/tidemark-webhook\0", 2)
    node.wait_processes(b"/tidemark-sweeper\0", 1)


def forget(node, tmp):
    """The rights and the kind are gone; what else Tidemark knows of it goes with its next installation."""
    file = tmp / "crews.yaml"
    if file.exists():
        node.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=manifest(programs.SWEEPER, file))
    node.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=DEFINITION)
