"""Real kubectl, with its warnings."""

import json
import os
import subprocess
import uuid

import yaml


class KubectlError(AssertionError):
    def __init__(self, arguments, done):
        super().__init__(f"kubectl {' '.join(arguments)} exited {done.returncode}:\n{done.stdout}{done.stderr}")
        self.stderr = done.stderr


class Kubectl:
    """kubectl against one cluster. `warnings` are those of the last command."""

    def __init__(self, program, kubeconfig):
        self.program = str(program)
        self.kubeconfig = str(kubeconfig)
        self.warnings = []

    def __call__(self, *arguments, stdin=None, check=True):
        arguments = [str(a) for a in arguments]
        if stdin is not None and not isinstance(stdin, str):
            documents = stdin if isinstance(stdin, list) else [stdin]
            stdin = "\n---\n".join(json.dumps(d) for d in documents)
        done = subprocess.run([self.program, f"--kubeconfig={self.kubeconfig}", *arguments], input=stdin,
                              capture_output=True, text=True, timeout=120,
                              env=os.environ | {"NO_PROXY": "*", "no_proxy": "*"})
        self.warnings = [line.removeprefix("Warning: ") for line in done.stderr.splitlines()
                         if line.startswith("Warning: ")]
        if check and done.returncode != 0:
            raise KubectlError(arguments, done)
        return done.stdout

    def json(self, *arguments):
        return json.loads(self(*arguments, "-o", "json"))

    def get(self, kind, name, ns):
        return self.json("get", kind, name, "-n", ns)

    def apply(self, manifest, *flags):
        return self("apply", "-f", "-", *flags, stdin=manifest)

    def create(self, manifest, *flags):
        return self("create", "-f", "-", *flags, stdin=manifest)

    def replace(self, manifest, *flags):
        return self("replace", "-f", "-", *flags, stdin=manifest)

    def namespace(self, labels=None, annotations=None):
        """A fresh namespace whose default service account is there."""
        name = f"t-{uuid.uuid4().hex[:8]}"
        self.create({"apiVersion": "v1", "kind": "Namespace",
                     "metadata": {"name": name, "labels": labels or {}, "annotations": annotations or {}}})
        return name

    def template(self, kind, name, ns):
        found = self.get(kind, name, ns)
        if kind.lower().startswith("cronjob"):
            return found["spec"]["jobTemplate"]["spec"]["template"]
        if kind.lower().startswith("pod"):
            return found
        return found["spec"]["template"]

    def stamps(self, kind, name, ns):
        annotations = self.template(kind, name, ns)["metadata"].get("annotations") or {}
        return {key: value for key, value in annotations.items() if "digest.tidemark.dev/" in key}

    def history(self, kind, name, ns):
        annotations = self.get(kind, name, ns)["metadata"].get("annotations") or {}
        return json.loads(annotations.get("tidemark.dev/history", "[]"))

    def replica_sets(self, name, ns):
        owned = self.json("get", "replicasets", "-n", ns)["items"]
        return [rs for rs in owned
                if any(o["kind"] == "Deployment" and o["name"] == name for o in rs["metadata"].get("ownerReferences", []))]


def load(text):
    return [document for document in yaml.safe_load_all(text) if document]
