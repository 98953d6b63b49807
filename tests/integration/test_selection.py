"""Which workloads a sweep looks at: namespaces, selectors, opt-in and opt-out."""

import pytest
from harness import manifests, programs
from harness.processes import Process, stays_for, wait_for
from harness.registry import Image

from test_admission import STAMP
from test_sweeper import ROLL


@pytest.fixture
def configured(cluster, tmp, ns, more_registries):
    """configured(sweeper={...}, defaults={...}): a sweeper with that in its configuration file."""
    def make(sweeper=None, **sections):
        folder = tmp / f"{ns}-{len(list(tmp.glob(f'{ns}-*')))}"
        folder.mkdir()
        return programs.Sweeper(cluster, folder, registries=more_registries,
                                sweeper=programs.UNPACED | (sweeper or {}), **sections)
    return make


class Moved:
    """Deployments of one image, whose tag has moved since."""

    def __init__(self, kubectl, registry, where, annotations=ROLL, labels=None):
        """`where`: (namespace, name) of each."""
        self.kubectl, self.where = kubectl, list(where)
        self.image = Image(registry, f"{self.where[0][0]}/{self.where[0][1]}:1")
        for ns, name in self.where:
            document = manifests.deployment(name, ns, manifests.pod_spec(self.image.ref), annotations)
            document["metadata"]["labels"] = {"name": name} | (labels or {})
            kubectl.apply(document)
            assert kubectl.stamps("deployment", name, ns) == {STAMP: self.image.stamp}, kubectl.warnings
        self.image.move("second")

    def rolled(self):
        return {(ns, name) for ns, name in self.where
                if self.kubectl.stamps("deployment", name, ns) == {STAMP: self.image.stamp}}


def seen(sweeper, *flags):
    return {(each["namespace"], each["name"]) for each in sweeper.plan(*flags)["workloads"]}


def test_excluded_namespaces_are_not_looked_at(kubectl, ns, other_ns, registry, configured):
    moved = Moved(kubectl, registry, [(ns, "web"), (other_ns, "web")])
    plain = configured()
    assert (ns, "web") not in seen(plain, "-x", ns) and (other_ns, "web") in seen(plain, "-x", ns)
    plain.once("-n", f"{ns},{other_ns}", "--exclude-namespace", ns)
    assert moved.rolled() == {(other_ns, "web")}
    assert not seen(plain, "-n", ns, "-x", ns)

    excluding = configured({"excludeNamespaces": [ns]})
    assert (ns, "web") not in seen(excluding, "-A")
    told = excluding.order("explain", "deployment/web", "-n", ns)
    assert "a sweep does not look at it" in told, told
    assert moved.rolled() == {(other_ns, "web")}


def test_once_takes_the_selectors_of_kubectl_and_kubernetes_image_sync(kubectl, ns, registry, sweeper):
    moved = Moved(kubectl, registry, [(ns, "one"), (ns, "two"), (ns, "three")])
    sweeper.once("-n", ns, "-l", "name in (one)")
    assert moved.rolled() == {(ns, "one")}
    sweeper.once("-n", ns, "-field-selector", "metadata.name=two")
    assert moved.rolled() == {(ns, "one"), (ns, "two")}
    told = sweeper.once("-all-namespaces", "-dry-run", "-field-selector", f"metadata.namespace={ns}").stdout
    assert "deployment/three" in told and "has to be updated" in told, told
    assert len(moved.rolled()) == 2
    # The current namespace is the kubeconfig's, where nothing is named.
    bare = sweeper.command("once", "--dry-run", "-o", "json")
    bare = [part for part in bare if part not in ("--config", str(sweeper.config))]
    process = Process("bare-once", bare, sweeper.tmp)
    assert process.popen.wait(60) == 0 and ns not in process.text(), process.text()


@pytest.mark.parametrize("selector", ["spec.replicas=1", "metadata.name in (web)"])
def test_a_field_selector_that_kinds_do_not_have_is_one_problem(kubectl, ns, registry, sweeper, selector):
    moved = Moved(kubectl, registry, [(ns, "web")])
    report = sweeper.plan("-n", ns, "--field-selector", selector)
    (problem,) = report["problems"]
    assert problem["what"] == "deployments, statefulsets, daemonsets, cronjobs", problem
    assert selector.split()[0].split("=")[0] in problem["error"], problem
    done = sweeper.once("-n", ns, "--field-selector", selector, "--exit-code=failed", check=False)
    assert done.returncode == 1 and not moved.rolled()


def test_a_running_sweeper_looks_at_what_its_configuration_selects(kubectl, ns, other_ns, registry, configured, tmp):
    moved = Moved(kubectl, registry, [(ns, "web"), (ns, "api"), (other_ns, "web")])
    sweeper = configured({"labelSelector": "name=web", "fieldSelector": "metadata.name!=api", "excludeNamespaces": [other_ns]})
    process = Process(f"run-{ns}", sweeper.command("run", "--interval", "1s", "--ops-listen", "127.0.0.1:0"), tmp)
    try:
        wait_for("the roll", lambda: moved.rolled() == {(ns, "web")}, 30)
        moved.image.move("third")
        wait_for("the next roll", lambda: moved.rolled() == {(ns, "web")}, 30)
        stays_for("no other", lambda: moved.rolled() == {(ns, "web")}, 2)
    finally:
        assert process.stop() == 0, process.text()[-2000:]


def test_opt_out_rolls_what_does_not_refuse(kubectl, ns, registry, configured):
    moved = Moved(kubectl, registry, [(ns, "asks"), (ns, "silent"), (ns, "reports"), (ns, "refuses")], {})
    for name, value in (("asks", "roll"), ("reports", "report"), ("refuses", "off")):
        kubectl("annotate", "deployment", name, "-n", ns, f"tidemark.dev/sweep={value}")
    opt_in, opt_out = configured(), configured(defaults={"sweep": "roll"})
    opt_in.once("-n", ns)
    assert moved.rolled() == {(ns, "asks")}
    opt_out.once("-n", ns)
    assert moved.rolled() == {(ns, "asks"), (ns, "silent")}


def test_labels_of_other_programs_opt_in_where_that_is_asked(kubectl, ns, registry, configured):
    """deploy/migration.md: figwasp and kube-autorollout."""
    figwasp = Moved(kubectl, registry, [(ns, "figwasp")], annotations={}, labels={"figwasp/target": "true"})
    autorollout = Moved(kubectl, registry, [(ns, "autorollout")], annotations={},
                        labels={"kube-autorollout/enabled": "true"})
    silent = Moved(kubectl, registry, [(ns, "silent")], annotations={})
    configured().once("-n", ns)
    assert not figwasp.rolled() and not autorollout.rolled()
    configured(defaults={"peerLabels": True}).once("-n", ns)
    assert figwasp.rolled() == {(ns, "figwasp")} and autorollout.rolled() == {(ns, "autorollout")}
    assert not silent.rolled()
