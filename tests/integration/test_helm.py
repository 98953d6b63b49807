"""Helm, the third and the fourth, as its users run it."""

import json
import os
import subprocess

import pytest
import yaml
from harness.cluster import binary
from harness.registry import Image
from harness.rollouts import reasons, settled, template_text

from test_admission import STAMP

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: app
          image: {{ .Values.image }}
          imagePullPolicy: Always
          env: [{name: X, value: {{ .Values.x | quote }}}]
"""
# How each of them says: replace the objects, do not patch them.
FORCE = {"helm3": ["--force"], "helm4": ["--force-replace", "--server-side=false"]}


class Helm:
    def __init__(self, version, kubectl, ns, tmp):
        self.program, self.kubectl, self.ns = str(binary(version)), kubectl, ns
        self.home = tmp / f"{version}-{ns}"
        self.chart = self.home / "chart"
        (self.chart / "templates").mkdir(parents=True)
        (self.chart / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "web", "version": "0.1.0"}))
        (self.chart / "templates/deployment.yaml").write_text(DEPLOYMENT)

    def __call__(self, command, *arguments):
        env = os.environ | {"HOME": str(self.home), "XDG_CACHE_HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home),
                            "XDG_DATA_HOME": str(self.home), "NO_PROXY": "*", "no_proxy": "*"}
        done = subprocess.run([self.program, command, "web", *arguments, "-n", self.ns,
                               "--kubeconfig", self.kubectl.kubeconfig], capture_output=True, text=True, timeout=120, env=env)
        assert done.returncode == 0, f"helm {command} {arguments}: {done.stdout}{done.stderr}"

    def values(self, image, x):
        return [str(self.chart), "--set-string", f"image={image.ref},x={x}"]


@pytest.mark.parametrize("version", FORCE)
def test_helm(kubectl, ns, registry, seen, tmp, version):
    at = ("deployment", "web", ns)
    image = Image(registry, f"{ns}/app:1")
    helm = Helm(version, kubectl, ns, tmp)

    def replica_sets():
        settled(kubectl, *at)
        return len(kubectl.replica_sets("web", ns))

    def env():
        return kubectl.template(*at)["spec"]["containers"][0]["env"][0]["value"]

    helm("install", *helm.values(image, 1))
    assert kubectl.stamps(*at) == {STAMP: image.stamp}
    assert replica_sets() == 1

    image.move("second")
    seen(image, ns)
    before = template_text(kubectl, *at)
    helm("upgrade", *helm.values(image, 1))
    assert template_text(kubectl, *at) == before, "an upgrade without a change rolls nothing"
    helm("upgrade", *helm.values(image, 1), *FORCE[version])
    assert template_text(kubectl, *at) == before, "nor does one that replaces"
    assert replica_sets() == 1
    assert reasons(kubectl, *at) == ["created"], "records survive the replacing"

    helm("upgrade", *helm.values(image, 2))
    assert kubectl.stamps(*at) == {STAMP: image.stamp}
    assert (replica_sets(), env()) == (2, "2")

    image.move("third")
    seen(image, ns)
    helm("rollback", "1")
    assert env() == "1"
    assert kubectl.stamps(*at) == {STAMP: image.stamp}, "helm's rollback is an edit: resolved anew"
    assert replica_sets() == 3
    assert reasons(kubectl, *at) == ["edited", "edited", "created"]
    assert "tidemark.dev/held" not in json.dumps(kubectl.get(*at))

    before = template_text(kubectl, *at)
    helm("upgrade", *helm.values(image, 1), *FORCE[version])
    assert template_text(kubectl, *at) == before
    assert replica_sets() == 3
