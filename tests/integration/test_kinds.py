"""Kinds of the configuration on a real API server: Argo Rollouts' own definition, and one that prunes stamps."""

import copy
import json
import subprocess
import time

import pytest
import yaml
from harness import manifests, programs
from harness.cluster import module
from harness.kubectl import load
from harness.processes import ROOT, wait_for
from harness.rollouts import reasons

from test_admission import STAMP
from test_sweeper import ROLL

ROLLOUT = "rollouts.argoproj.io"
FLEET = "fleets.tests.tidemark.dev"
KINDS = {"argoproj.io/v1alpha1/Rollout": {"template": "/spec/template"},
         "tests.tidemark.dev/v1/Fleet": {"template": "/spec/pods/template"},
         "tests.tidemark.dev/v1/Absent": {"template": "/spec/template"}}


def fleet_definition():
    """A definition as generators write it by default: the template's metadata is an object of nothing."""
    containers = {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    template = {"type": "object", "properties": {
        "metadata": {"type": "object"}, "spec": {"type": "object", "properties": {"containers": containers}}}}
    spec = {"type": "object", "properties": {
        "replicas": {"type": "integer"},
        "pods": {"type": "object", "properties": {"template": template}}}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": FLEET},
            "spec": {"group": "tests.tidemark.dev", "scope": "Namespaced", "names": {"kind": "Fleet", "plural": "fleets"},
                     "versions": [{"name": "v1", "served": True, "storage": True,
                                   "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}}


def fleet(ns, image, annotations=None, replicas=1):
    spec = {"containers": [{"name": "app", "image": image, "imagePullPolicy": "Always"}]}
    return {"apiVersion": "tests.tidemark.dev/v1", "kind": "Fleet",
            "metadata": {"name": "web", "namespace": ns, "annotations": annotations or {"note": "x"}},
            "spec": {"replicas": replicas, "pods": {"template": {"spec": spec}}}}


def rollout(ns, image, annotations=None):
    made = manifests.deployment("web", ns, manifests.pod_spec(image), annotations or {"note": "x"})
    made |= {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
    made["spec"]["strategy"] = {"canary": {}}
    return made


@pytest.fixture(scope="module")
def config(cluster, tmp, webhook, more_registries):
    return programs.write_config(tmp / "kinds.yaml", cluster, registries=more_registries, kinds=KINDS)


@pytest.fixture(scope="module")
def kinds(cluster, kubectl, webhook, config):
    """A webhook that knows the kinds, its rules and the sweeper's rights as the programs print them; failurePolicy Fail."""
    crds = module("argo-rollouts", "github.com/argoproj/argo-rollouts") / "manifests/crds"
    kubectl("create", "-f", crds / "rollout-crd.yaml")
    kubectl.create(fleet_definition())
    for name in (ROLLOUT, FLEET):
        wait_for(f"{name} is served", lambda: kubectl("get", name, "-A") is not None)
    before = kubectl.json("get", "mutatingwebhookconfiguration", "tidemark-webhook")
    printed = subprocess.run([programs.WEBHOOK, "manifest", "--config", config], capture_output=True, text=True, check=True)
    rights = subprocess.run([programs.SWEEPER, "manifest", "--config", config], capture_output=True, text=True, check=True)
    kubectl.apply(rights.stdout)
    configuration = yaml.safe_load(printed.stdout)
    configuration["webhooks"][0]["failurePolicy"] = "Fail"
    kubectl.apply(configuration)
    after = kubectl.json("get", "mutatingwebhookconfiguration", "tidemark-webhook")
    assert after["webhooks"][0]["clientConfig"]["caBundle"] == before["webhooks"][0]["clientConfig"]["caBundle"], \
        "an applied manifest without caBundle keeps the published one"
    assert len(after["webhooks"][0]["rules"]) > len(before["webhooks"][0]["rules"])
    webhook.restart(kinds=KINDS)

    def in_force():
        probe = rollout("default", f"{cluster.registry.address}/none/probe:1")
        kubectl.create(probe, "--dry-run=server")
        return kubectl.warnings  # that it is not stamped: the webhook was called for it
    wait_for("the new rules are in force", in_force)
    yield webhook
    webhook.restart()
    kubectl.apply([d for d in load((ROOT / "deploy/install.yaml").read_text())
                   if d["kind"] == "MutatingWebhookConfiguration"])
    kubectl("delete", "crd", ROLLOUT, FLEET)


@pytest.fixture
def web(kubectl, kinds, ns, image):
    """A stamped Rollout."""
    kubectl.apply(rollout(ns, image.ref, ROLL))
    assert kubectl.stamps(ROLLOUT, "web", ns) == {STAMP: image.stamp}, kubectl.warnings
    return image


def calls(kinds, kind):
    """How many admissions of a kind the webhook has seen."""
    lines = [l for l in kinds.metrics().splitlines() if l.startswith("tidemark_admissions_total{") and f'kind="{kind}"' in l]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_create_stamps_a_rollout(kubectl, ns, web):
    assert reasons(kubectl, ROLLOUT, "web", ns) == ["created"]


def test_an_unrelated_update_of_a_rollout_makes_no_call(kubectl, kinds, ns, web):
    before, count = kubectl.template(ROLLOUT, "web", ns), calls(kinds, "Rollout")
    kubectl("patch", ROLLOUT, "web", "-n", ns, "--type=merge", "-p", '{"spec":{"replicas":3}}')
    kubectl("label", ROLLOUT, "web", "-n", ns, "team=a")
    kubectl("patch", ROLLOUT, "web", "-n", ns, "--type=merge", "--subresource=status", "-p", '{"status":{"replicas":3}}')
    kubectl("patch", ROLLOUT, "web", "-n", ns, "--type=merge", "--subresource=scale", "-p", '{"spec":{"replicas":2}}')
    assert kubectl.template(ROLLOUT, "web", ns) == before
    assert calls(kinds, "Rollout") == count


def test_a_stripped_rollout_gets_its_stamps_back(kubectl, ns, web):
    stamp = web.stamp
    before = kubectl.template(ROLLOUT, "web", ns)
    web.move("second")
    stripped = kubectl.get(ROLLOUT, "web", ns)
    del stripped["spec"]["template"]["metadata"]["annotations"]
    kubectl.replace(stripped)
    assert kubectl.template(ROLLOUT, "web", ns) == before
    assert kubectl.stamps(ROLLOUT, "web", ns) == {STAMP: stamp}


def test_an_edit_of_a_rollout_resolves_again(kubectl, ns, web):
    web.move("second")
    wait_for("the cached digest expires", lambda: edit_rollout(kubectl, ns) == {STAMP: web.stamp}, 15, 0.5)
    assert reasons(kubectl, ROLLOUT, "web", ns) == ["edited", "created"]


def edit_rollout(kubectl, ns):
    edit = {"spec": {"template": {"metadata": {"annotations": {"restarted": str(time.monotonic())}}}}}
    kubectl("patch", ROLLOUT, "web", "-n", ns, "--type=merge", "-p", json.dumps(edit))
    return kubectl.stamps(ROLLOUT, "web", ns)


@pytest.mark.parametrize("spec", [{}, {"replicas": 1}, {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}}])
def test_missing_fields_are_never_an_error(kubectl, kinds, ns, spec):
    made = rollout(ns, "unused")
    del made["metadata"]["annotations"]
    kubectl.create(made | {"spec": spec})
    kubectl("label", ROLLOUT, "web", "-n", ns, "team=a")
    kubectl("patch", ROLLOUT, "web", "-n", ns, "--type=merge", "-p", '{"spec":{"paused":true}}')
    kubectl("patch", ROLLOUT, "web", "-n", ns, "--type=merge", "-p", json.dumps({"spec": {"template": made["spec"]["template"]}}))
    kubectl("patch", ROLLOUT, "web", "-n", ns, "--type=merge", "-p", '{"spec":{"template":null}}')
    assert kubectl.get(ROLLOUT, "web", ns)["spec"]["paused"]


def test_the_sweeper_rolls_a_rollout_exactly_once(kubectl, ns, web, sweeper, config):
    web.move("second")
    for _ in range(3):
        told = sweeper.once("-n", ns, config=config).stdout
    assert "rollout.argoproj.io/web" in told, told
    assert "absents.tests.tidemark.dev" in told and "not installed" in told, told
    assert kubectl.stamps(ROLLOUT, "web", ns) == {STAMP: web.stamp}
    assert reasons(kubectl, ROLLOUT, "web", ns) == ["moved", "created"]


def fleet_image(kubectl, ns):
    return kubectl.get(FLEET, "web", ns)["spec"]["pods"]["template"]["spec"]["containers"][0]["image"]


def test_a_kind_that_prunes_stamps_is_refused_in_annotate_mode(kubectl, kinds, ns, image):
    kubectl.apply(fleet(ns, image.ref))
    assert any(image.ref in w and "template annotations" in w for w in kubectl.warnings), kubectl.warnings
    stored = kubectl.get(FLEET, "web", ns)
    assert "metadata" not in stored["spec"]["pods"]["template"]
    assert fleet_image(kubectl, ns) == image.ref
    assert kubectl.history(FLEET, "web", ns) == []
    assert "app" in json.loads(stored["metadata"]["annotations"]["tidemark.dev/unstamped"])
    assert FLEET in kinds.process.text()


def test_a_kind_that_prunes_stamps_is_pinned_in_pin_mode(kubectl, kinds, ns, image):
    manifest = fleet(ns, image.ref, {"tidemark.dev/mode": "pin"})
    kubectl.apply(manifest)
    pinned = f"{image.ref}@{image.digest}"
    assert fleet_image(kubectl, ns) == pinned, kubectl.warnings
    assert reasons(kubectl, FLEET, "web", ns) == ["created"]
    image.move("second")
    # The bare tag again, with another number of replicas: nobody's template changed.
    kubectl.apply(fleet(ns, image.ref, {"tidemark.dev/mode": "pin"}, replicas=2))
    replaced = copy.deepcopy(kubectl.get(FLEET, "web", ns))
    replaced["spec"]["pods"]["template"]["spec"]["containers"][0]["image"] = image.ref
    kubectl.replace(replaced)
    assert fleet_image(kubectl, ns) == pinned
    # An edit asks again.
    wait_for("the cached digest expires", lambda: edit_fleet(kubectl, ns) == f"{image.ref}@{image.digest}", 15, 0.5)
    assert reasons(kubectl, FLEET, "web", ns) == ["edited", "created"]


def edit_fleet(kubectl, ns):
    edit = [{"op": "add", "path": "/spec/pods/template/spec/containers/0/env",
             "value": [{"name": "EDITED", "value": str(time.monotonic())}]}]
    kubectl("patch", FLEET, "web", "-n", ns, "--type=json", "-p", json.dumps(edit))
    return fleet_image(kubectl, ns)
