"""Workloads that other programs looked after: told apart, opted in without a roll, and rolled from then on."""

import json
import os
import shutil
import subprocess

import pytest
from harness import manifests
from harness.processes import ROOT, wait_for
from harness.programs import SWEEPER
from harness.registry import Image
from harness.rollouts import images, reasons, template_text

from test_admission import STAMP

KEEL = {"keel.sh/policy": "force", "keel.sh/matchTag": "true", "keel.sh/trigger": "poll", "keel.sh/pollSchedule": "@every 5m"}
NAMES = ("imago", "image-sync", "wasp", "rollout", "keel")


class Fleet:
    """One Deployment for each program, as that program leaves it."""

    def __init__(self, kubectl, registry, ns, digester_ns, sweeper):
        self.kubectl, self.ns, self.digester_ns, self.sweeper = kubectl, ns, digester_ns, sweeper
        self.image = Image(registry, f"{ns}/app:1")
        self.apply("wasp", labels={"figwasp/target": "true"})
        self.apply("rollout", labels={"kube-autorollout/enabled": "true"})
        self.apply("keel", annotations=KEEL)
        self.apply("imago")
        self.apply("image-sync")
        record = {"containers": [{"name": "app", "image": self.image.ref}], "initContainers": []}
        self.pin("imago", {"imago-config-spec": json.dumps(record)})
        self.pin("image-sync")
        # As k8s-digester admits it: no record of what was written.
        kubectl.create(manifests.deployment("digested", digester_ns, manifests.pod_spec(self.pinned)))
        self.rest()

    @property
    def pinned(self):
        return f"{self.image.ref}@{self.image.digest}"

    def apply(self, name, labels=None, annotations=None):
        manifest = manifests.deployment(name, self.ns, manifests.pod_spec(self.image.ref), annotations)
        manifest["metadata"]["labels"] = labels or {}
        self.kubectl.apply(manifest)

    def pin(self, name, annotations=None):
        patch = {"metadata": {"annotations": annotations or {}},
                 "spec": {"template": {"spec": {"containers": [{"name": "app", "image": self.pinned}]}}}}
        self.kubectl("patch", "deployment", name, "-n", self.ns, "-p", json.dumps(patch))

    def all(self):
        found = [item for ns in (self.ns, self.digester_ns)
                 for item in self.kubectl.json("get", "deployments", "-n", ns)["items"]]
        return found + [self.kubectl.json("get", "namespace", self.digester_ns)]

    def versions(self):
        return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in self.all()}

    def replica_sets(self):
        return {item["metadata"]["name"]: len(self.kubectl.replica_sets(item["metadata"]["name"], item["metadata"]["namespace"]))
                for item in self.all() if item["kind"] == "Deployment"}

    def rest(self):
        """Waits until the controllers have written what they write."""
        def observed():
            return all(item["status"].get("observedGeneration") == item["metadata"]["generation"] and item["status"].get("conditions")
                       for item in self.all() if item["kind"] == "Deployment")
        wait_for("the controller has seen them", observed)
        seen = {}

        def quiet():
            before, now = dict(seen), self.versions()
            seen.update(now)
            return before == now
        wait_for("nothing is written any more", quiet, 60, 1)

    def migrate(self, *flags):
        command = self.sweeper.command("migrate", "-n", f"{self.ns},{self.digester_ns}", *flags,
                                       kubeconfig=self.sweeper.cluster.kubeconfig)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"migrate exited {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def report(self, *flags):
        return json.loads(self.migrate("-o", "json", *flags))

    def annotations(self, name):
        return self.kubectl.get("deployment", name, self.ns)["metadata"]["annotations"]

    def image_of(self, name):
        return images(self.kubectl.template("deployment", name, self.ns))["app"]


@pytest.fixture
def fleet(kubectl, registry, ns, sweeper):
    digester_ns = kubectl.namespace(labels={"digest-resolution": "enabled"})
    yield Fleet(kubectl, registry, ns, digester_ns, sweeper)
    kubectl("delete", "namespace", digester_ns, "--wait=false")


def written(report):
    return {(change["workload"].split("/")[1], change["annotation"], change["value"])
            for change in report["changes"] if change["action"] == "write"}


def test_each_program_is_translated_without_a_roll_and_then_rolled_by_tidemark(kubectl, fleet):
    before = fleet.versions()
    told = fleet.report()
    assert written(told) == {("wasp", "tidemark.dev/sweep", "roll"), ("rollout", "tidemark.dev/sweep", "roll"),
                             ("keel", "tidemark.dev/sweep", "roll"), ("imago", "tidemark.dev/sweep", "roll"),
                             ("imago", "tidemark.dev/mode", "pin"), (fleet.digester_ns, "tidemark.dev/mode", "pin")}
    pins = {(change["from"], change["workload"], change["value"]) for change in told["changes"] if change["action"] == "by-hand"}
    assert pins == {("imago", "deployment/imago", fleet.image.ref), ("imago", "deployment/image-sync", fleet.image.ref),
                    ("k8s-digester", "deployment/digested", fleet.image.ref)}
    assert any(change["key"] == "keel.sh/pollSchedule" and "no counterpart" in change["note"] for change in told["changes"])
    assert "--apply" in fleet.migrate()
    assert fleet.versions() == before, "it only tells"

    replica_sets = fleet.replica_sets()
    templates = {name: template_text(kubectl, "deployment", name, fleet.ns) for name in NAMES}
    applied = fleet.report("--apply")
    assert applied["left"] == 0 and written(applied) == written(told)
    assert fleet.annotations("keel") | KEEL == fleet.annotations("keel"), "the other program's keys stay"
    fleet.rest()
    assert fleet.replica_sets() == replica_sets, "nothing rolls for it"
    assert {name: template_text(kubectl, "deployment", name, fleet.ns) for name in NAMES} == templates

    assert "nothing is left to do" in fleet.migrate("--apply", "--from", "figwasp,kube-autorollout,keel")
    after = fleet.versions()
    again = fleet.report("--apply")
    assert written(again) == set() and again["left"] == 0 and again["pins"] == 3
    assert fleet.versions() == after

    fleet.image.move("second")
    fleet.sweeper.once("-n", fleet.ns)
    for name in ("wasp", "rollout", "keel"):
        assert kubectl.stamps("deployment", name, fleet.ns) == {STAMP: fleet.image.stamp}, name
        assert reasons(kubectl, "deployment", name, fleet.ns)[0] == "moved"
    assert fleet.image_of("imago") != fleet.pinned, "a pin of another program cannot move"


def test_unpinned_workloads_roll_once_and_then_follow_their_tag(kubectl, fleet, seen):
    fleet.image.move("second")
    seen(fleet.image, fleet.ns)
    replica_sets = fleet.replica_sets()
    told = fleet.migrate("--unpin", "--remove", "--from", "imago")
    assert "ROLLS" in told, told
    assert fleet.replica_sets() == replica_sets
    fleet.migrate("--unpin", "--remove", "--from", "imago", "--apply")
    assert fleet.image_of("imago") == fleet.pinned, "in pin mode, which imago's was, Tidemark pins it"
    assert fleet.image_of("image-sync") == fleet.image.ref
    assert "imago-config-spec" not in fleet.annotations("imago")
    for name in ("imago", "image-sync"):
        assert kubectl.stamps("deployment", name, fleet.ns) == {STAMP: fleet.image.stamp}, name
    wait_for("the one roll", lambda: all(fleet.replica_sets()[name] == replica_sets[name] + 1 for name in ("imago", "image-sync")))
    assert fleet.migrate("--unpin", "--remove", "--from", "imago", "--apply") == "nothing is left to do\n"
    fleet.image.move("third")
    fleet.sweeper.once("-n", fleet.ns)
    assert fleet.image_of("imago") == fleet.pinned
    assert kubectl.stamps("deployment", "imago", fleet.ns) == {STAMP: fleet.image.stamp}


def test_what_the_user_set_stands(kubectl, fleet):
    kubectl("annotate", "deployment/wasp", "tidemark.dev/sweep=off", "-n", fleet.ns)
    told = fleet.migrate("--apply", "--from", "figwasp")
    assert 'tidemark.dev/sweep: "off" is set, and stands' in told
    assert fleet.annotations("wasp")["tidemark.dev/sweep"] == "off"


@pytest.fixture
def on_path(tmp, cluster):
    """Our programs as a user has them on the PATH, with the cluster's kubeconfig."""
    place = tmp / "bin"
    if not place.exists():
        place.mkdir()
        for name in ("tidemark-sweeper", "kubectl-tidemark"):
            (place / name).symlink_to(SWEEPER)
        shutil.copy(ROOT / "sweeper/kubectl_complete-tidemark", place)
    return os.environ | {"PATH": f"{place}:{os.environ['PATH']}", "KUBECONFIG": str(cluster.kubeconfig), "NO_PROXY": "*"}


def test_kubectl_completes_the_plugins_commands_and_names(kubectl, ns, web, on_path):
    def offered(*words):
        done = subprocess.run([kubectl.program, "__complete", "tidemark", *words], capture_output=True, text=True, env=on_path,
                              timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()
    assert offered("mig") == ["migrate", ":4"]
    assert offered("explain", "-n", ns, "deployment/w") == ["deployment/web", ":4"]
    assert f"namespace/{ns}" in offered("hold", "namespace/t-")


def test_bash_completes_the_program(ns, web, on_path):
    script = f"""
        source <(tidemark-sweeper completion bash)
        COMP_WORDS=(tidemark-sweeper explain -n {ns} deploy/w) COMP_CWORD=4
        _tidemark_sweeper
        echo "${{COMPREPLY[@]}}"
        COMP_WORDS=(tidemark-sweeper status -o '') COMP_CWORD=3
        _tidemark_sweeper
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--noprofile", "--norc", "-euc", script], capture_output=True, text=True, env=on_path, timeout=60)
    assert (done.returncode, done.stdout) == (0, "deploy/web\ntable json yaml\n"), done.stderr
