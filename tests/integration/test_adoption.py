"""Workloads that run before Tidemark knows them: their baseline is what their pods say they run, and nothing rolls for it."""

import json

import pytest
from harness import manifests
from harness.processes import stays_for, wait_for
from harness.rollouts import annotations, images, mark_running, reasons, template_text

from test_admission import STAMP

BASELINE = "tidemark.dev/baseline"


class Workload:
    """A workload that was made without stamps; its pods run what `run` says."""

    def __init__(self, kubectl, registry, ns, kind="deployment", replicas=1, image=None, policy="Always"):
        self.kubectl, self.registry, self.ns, self.kind = kubectl, registry, ns, kind
        self.name = f"{ns}/app:1"
        self.reference = f"{registry.address}/{self.name}"
        if image is None:
            self.first = registry.push(self.name, f"{ns} first")
        manifest = manifests.BUILDERS[kind]("web", ns, manifests.pod_spec(self.reference, policy=policy),
                                            {"tidemark.dev/stamp": "off"})
        if kind != "cronjob":
            manifest["spec"]["replicas"] = replicas
        kubectl.apply(manifest)
        kubectl("annotate", kind, "web", "-n", ns, "tidemark.dev/stamp-")
        assert kubectl.stamps(kind, "web", ns) == {}

    def pods(self):
        return [pod for pod in self.kubectl.json("get", "pods", "-n", self.ns)["items"]
                if not pod["metadata"].get("deletionTimestamp")]

    def run(self, *digests):
        """Plays the kubelet: one pod for each digest runs it."""
        def all_there():
            pods = self.pods()
            return len(pods) == len(digests)
        wait_for("the pods", all_there)
        for pod, digest in zip(self.pods(), digests):
            self.mark_running(pod, f"elsewhere.test/x@{digest}")
        wait_for("the rollout is complete", self.complete)

    def mark_running(self, pod, image_id):
        mark_running(self.kubectl, self.ns, pod["metadata"]["name"], [{
            "name": "app", "image": self.reference, "imageID": image_id, "ready": True, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}])

    def complete(self):
        found = self.kubectl.get(self.kind, "web", self.ns)
        status = found["status"]
        return (status.get("observedGeneration") == found["metadata"]["generation"] and
                # Not merely equal: before the controller has counted any, none of them is there.
                status.get("availableReplicas") == status.get("updatedReplicas") == status.get("replicas") == found["spec"]["replicas"])

    def set_sweep(self, mode):
        self.kubectl("annotate", self.kind, "web", "-n", self.ns, f"tidemark.dev/sweep={mode}", "--overwrite")
        if self.kind != "cronjob":
            # A Deployment's generation rises with its annotations, and until its controller has seen that, its rollout is not complete.
            wait_for("the controller has seen it", self.seen)

    def seen(self):
        found = self.kubectl.get(self.kind, "web", self.ns)
        return found["status"].get("observedGeneration") == found["metadata"]["generation"]

    def baseline(self):
        return json.loads(annotations(self.kubectl, self.kind, "web", self.ns).get(BASELINE, "{}"))

    def stamp_of(self, digest):
        return f"{self.reference}@{digest}"


@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
def test_what_runs_the_current_image_is_adopted_and_never_rolled(kubectl, ns, registry, sweeper, kind):
    old = Workload(kubectl, registry, ns, kind)
    old.run(old.first)
    old.set_sweep("roll")
    before = template_text(kubectl, kind, "web", ns)
    sweeper.once("-n", ns)
    assert old.baseline() == {"app": old.stamp_of(old.first)}
    assert reasons(kubectl, kind, "web", ns) == ["adopted"]
    adopted = kubectl.get(kind, "web", ns)
    for _ in range(2):
        sweeper.once("-n", ns)
    assert kubectl.get(kind, "web", ns)["metadata"]["resourceVersion"] == adopted["metadata"]["resourceVersion"]
    assert template_text(kubectl, kind, "web", ns) == before, "nothing was rolled for it"


def test_installing_adopts_what_runs_and_only_reports_what_moved(kubectl, ns, registry, sweeper):
    old = Workload(kubectl, registry, ns)
    old.run(old.first)
    before = template_text(kubectl, "deployment", "web", ns)
    registry.push(old.name, f"{ns} second")
    assert sweeper.plan("-n", ns)["workloads"][0]["slots"][0]["verdict"] == "reported"
    assert old.baseline() == {}, "a dry run writes nothing"
    for _ in range(2):
        sweeper.once("-n", ns)
    assert old.baseline() == {"app": old.stamp_of(old.first)}
    assert template_text(kubectl, "deployment", "web", ns) == before
    assert len(kubectl.replica_sets("web", ns)) == 1


def test_what_moved_before_is_rolled_once_and_undo_goes_back_to_the_baseline(kubectl, ns, registry, sweeper):
    old = Workload(kubectl, registry, ns)
    old.run(old.first)
    second = registry.push(old.name, f"{ns} second")
    old.set_sweep("roll")
    for _ in range(3):
        sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: old.stamp_of(second)}
    assert reasons(kubectl, "deployment", "web", ns) == ["moved", "adopted"]
    assert old.baseline() == {"app": old.stamp_of(old.first)}
    wait_for("the second ReplicaSet", lambda: len(kubectl.replica_sets("web", ns)) == 2)
    stays_for("no third one", lambda: len(kubectl.replica_sets("web", ns)) == 2, 1)

    kubectl("rollout", "undo", "deployment", "web", "-n", ns)
    assert images(kubectl.template("deployment", "web", ns)) == {"app": old.stamp_of(old.first)}, "pinned to what ran before"
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: old.stamp_of(old.first)}
    for _ in range(2):
        sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: old.stamp_of(old.first)}, "held"

    third = registry.push(old.name, f"{ns} third")
    sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: old.stamp_of(third)}
    assert old.baseline() == {}, "it goes with the roll after the first"


def test_the_child_of_an_index_is_current(kubectl, ns, registry, sweeper):
    index = registry.push_index(f"{ns}/app:1", {"linux/amd64": "a", "linux/arm64": "b"})
    child = registry.digest(f"{ns}/app:child-linux-amd64")
    other = registry.digest(f"{ns}/app:child-linux-arm64")
    old = Workload(kubectl, registry, ns, replicas=3, image="index")
    old.run(child, other, index)
    old.set_sweep("roll")
    for _ in range(2):
        sweeper.once("-n", ns)
    assert old.baseline() == {"app": old.stamp_of(index)}
    assert kubectl.stamps("deployment", "web", ns) == {}

    registry.push_index(f"{ns}/app:1", {"linux/amd64": "c", "linux/arm64": "d"})
    sweeper.once("-n", ns)
    moved = kubectl.stamps("deployment", "web", ns)
    for _ in range(2):
        sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == moved != {}


def test_pods_that_restarted_by_themselves_are_not_rolled_again(kubectl, ns, registry, sweeper):
    old = Workload(kubectl, registry, ns)
    old.run(old.first)
    old.set_sweep("roll")
    sweeper.once("-n", ns)
    second = registry.push(old.name, f"{ns} second")
    kubectl("delete", "pods", "--all", "-n", ns, "--grace-period=0", "--force")
    old.run(second)
    sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {}
    assert old.baseline() == {"app": old.stamp_of(second)}


def test_pods_that_differ_are_told_and_rolled(kubectl, ns, registry, sweeper):
    old = Workload(kubectl, registry, ns, replicas=2)
    second = registry.push(old.name, f"{ns} second")
    old.run(old.first, second)
    told = sweeper.order("explain", "deployment/web", "-n", ns)
    assert "pods run different digests of app" in told, told
    old.set_sweep("roll")
    sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: old.stamp_of(second)}


def test_an_image_that_only_the_node_has_is_not_adopted(kubectl, ns, registry, sweeper):
    old = Workload(kubectl, registry, ns)
    wait_for("the pod", lambda: len(old.pods()) == 1)
    old.set_sweep("roll")
    old.mark_running(old.pods()[0], "sha256:" + "1" * 64)
    wait_for("the rollout is complete", old.complete)
    sweeper.once("-n", ns)
    assert old.baseline() == {} and kubectl.stamps("deployment", "web", ns) == {}
    assert "no digest of a registry" in sweeper.order("explain", "deployment/web", "-n", ns)


def test_a_cron_job_without_stamps_follows_its_tag(kubectl, ns, registry, sweeper):
    old = Workload(kubectl, registry, ns, "cronjob")
    old.set_sweep("roll")
    sweeper.once("-n", ns)
    assert old.baseline() == {"app": old.stamp_of(old.first)}
    second = registry.push(old.name, f"{ns} second")
    for _ in range(2):
        sweeper.once("-n", ns)
    assert kubectl.stamps("cronjob", "web", ns) == {STAMP: old.stamp_of(second)}
    assert reasons(kubectl, "cronjob", "web", ns) == ["moved", "adopted"]
