"""Waves, budgets and failed digests, with the real controllers; pods are made available by hand, as a kubelet would."""

import pytest
from harness import manifests, programs
from harness.processes import stays_for, wait_for
from harness.registry import Image
from harness.rollouts import mark_running

from test_admission import STAMP
from test_sweeper import ROLL

COUNT = 12


@pytest.fixture(scope="module")
def pacer(cluster, tmp, more_registries):
    """A sweeper as it is installed: waves, and its own budgets."""
    folder = tmp / "pacer"
    folder.mkdir()
    return programs.Sweeper(cluster, folder, registries=more_registries, sweeper={})


class Fleet:
    """Workloads of one image."""

    def __init__(self, kubectl, registry, ns, count=COUNT, annotations=None, **spec):
        self.kubectl, self.ns = kubectl, ns
        self.image = Image(registry, f"{ns}/app:1")
        self.names = [f"web-{index}" for index in range(count)]
        documents = []
        for name in self.names:
            document = manifests.deployment(name, ns, manifests.pod_spec(self.image.ref), ROLL | (annotations or {}))
            document["spec"] |= spec
            document["spec"]["selector"] = {"matchLabels": {"app": name}}
            document["spec"]["template"]["metadata"]["labels"] = {"app": name}
            documents.append(document)
        kubectl.apply(documents)
        self.make_available(self.names)

    def deployments(self):
        return {item["metadata"]["name"]: item for item in self.kubectl.json("get", "deployments", "-n", self.ns)["items"]}

    def rolled(self):
        return {name for name, found in self.deployments().items()
                if found["spec"]["template"]["metadata"]["annotations"][STAMP] == self.image.stamp}

    def wait_failed(self, name):
        def failed():
            conditions = self.deployments()[name]["status"]["conditions"]
            return any(c.get("reason") == "ProgressDeadlineExceeded" for c in conditions)
        wait_for("the rollout fails", failed)

    def make_available(self, names):
        """Plays the kubelet for all pods until these workloads are rolled out."""
        def done():
            for pod in self.kubectl.json("get", "pods", "-n", self.ns)["items"]:
                if pod["metadata"]["labels"]["app"] in names and pod["status"]["phase"] == "Pending":
                    mark_running(self.kubectl, self.ns, pod["metadata"]["name"], check=False)
            found = self.deployments()
            return all(found[name]["status"].get("observedGeneration") == found[name]["metadata"]["generation"] and
                       found[name]["status"].get("updatedReplicas") == found[name]["status"].get("availableReplicas") ==
                       found[name]["status"].get("replicas") == 1 for name in names)
        wait_for("the pods are available", done, 60, 0.3)


def verdicts(sweeper, ns):
    workloads = sweeper.plan("-n", ns)["workloads"]
    return {w["name"]: (w["slots"][0]["verdict"], w["slots"][0].get("reason", "")) for w in workloads}


def test_one_goes_first_then_a_tenth_then_the_rest(kubectl, ns, registry, pacer):
    fleet = Fleet(kubectl, registry, ns)
    fleet.image.move("second")
    pacer.once("-n", ns)
    first = fleet.rolled()
    assert len(first) == 1
    for _ in range(2):
        pacer.once("-n", ns)
    assert fleet.rolled() == first, "its pods are not available yet"
    waiting = verdicts(pacer, ns)
    assert all(waiting[name] == ("paced", f"it waits for {ns} deployment/{min(first)}")
               for name in fleet.names if name not in first), waiting

    last = max(set(fleet.names) - first)
    told = pacer.order("explain", f"deployment/{last}", "-n", ns)
    assert "paced" in told and min(first) in told, told

    fleet.make_available(first)
    pacer.once("-n", ns)
    second = fleet.rolled()
    assert len(second) == 2, "a tenth of twelve is two"
    pacer.once("-n", ns)
    assert fleet.rolled() == second

    fleet.make_available(second)
    pacer.once("-n", ns)
    assert len(fleet.rolled()) == COUNT, "ten more: as many as may be under way"
    fleet.make_available(fleet.names)
    pacer.once("-n", ns)
    for name in fleet.names:
        assert [entry["why"] for entry in kubectl.history("deployment", name, ns)] == ["moved", "created"]


def test_a_digest_whose_rollout_fails_is_rolled_nowhere_else(kubectl, ns, registry, pacer):
    fleet = Fleet(kubectl, registry, ns, count=4, progressDeadlineSeconds=2)
    fleet.image.move("bad")
    pacer.once("-n", ns)
    (first,) = fleet.rolled()
    fleet.wait_failed(first)
    pacer.once("-n", ns)
    assert fleet.rolled() == {first}
    told = verdicts(pacer, ns)
    assert all(told[name] == ("held", f"the rollout of {ns} deployment/{first} to this digest failed")
               for name in fleet.names if name != first), told
    events = kubectl.json("get", "events.events.k8s.io", "-n", ns)["items"]
    assert any("failed" in event.get("note", "") for event in events)

    # The mended image goes to the others first: what is broken proves nothing.
    fleet.image.move("mended")
    pacer.once("-n", ns)
    (second,) = fleet.rolled()
    assert second != first
    fleet.make_available({second})
    pacer.once("-n", ns)
    assert len(fleet.rolled()) == 4
    fleet.make_available(fleet.names)


def test_budgets_bound_what_is_under_way(kubectl, ns, registry, cluster, tmp, more_registries):
    folder = tmp / f"budget-{ns}"
    folder.mkdir()
    sweeper = programs.Sweeper(cluster, folder, registries=more_registries,
                               sweeper={"waves": False, "maxRolloutsPerNamespace": 3})
    fleet = Fleet(kubectl, registry, ns, count=5)
    fleet.image.move("second")
    sweeper.once("-n", ns)
    begun = fleet.rolled()
    assert len(begun) == 3
    sweeper.once("-n", ns)
    stays_for("no more than three", lambda: fleet.rolled() == begun, 0.5)
    fleet.make_available(begun)
    sweeper.once("-n", ns)
    assert len(fleet.rolled()) == 5


def test_a_failed_rollout_is_taken_back_where_asked_and_rolled_nowhere_else(kubectl, ns, registry, pacer):
    fleet = Fleet(kubectl, registry, ns, count=4, annotations={"tidemark.dev/on-failure": "undo"}, progressDeadlineSeconds=2)
    good = fleet.image.digest
    fleet.image.move("bad")
    pacer.once("-n", ns)
    (first,) = fleet.rolled()
    fleet.wait_failed(first)
    for _ in range(3):
        pacer.once("-n", ns)
    assert fleet.rolled() == set()
    template = kubectl.template("deployment", first, ns)
    assert template["metadata"]["annotations"][STAMP] == f"{fleet.image.ref}@{good}"
    assert template["spec"]["containers"][0]["image"] == f"{fleet.image.ref}@{good}", "pinned: the tag still leads to what failed"
    assert [entry["why"] for entry in kubectl.history("deployment", first, ns)] == ["rolled-back", "moved", "created"]
    told = verdicts(pacer, ns)
    assert told.pop(first) == ("held", "its rollout to this digest failed")
    assert set(told.values()) == {("held", f"the rollout of {ns} deployment/{first} to this digest failed")}, told
    events = kubectl.json("get", "events.events.k8s.io", "-n", ns)["items"]
    assert any(event["reason"] == "RolledBack" and event["type"] == "Warning" for event in events)

    # An edit of the one that failed keeps the hold; the tag that moves on ends it.
    kubectl("set", "env", f"deployment/{first}", "-n", ns, "A=b")
    assert kubectl.stamps("deployment", first, ns)[STAMP] == f"{fleet.image.ref}@{good}"
    fleet.image.move("mended")
    fleet.make_available(fleet.names)
    pacer.once("-n", ns)
    assert len(fleet.rolled()) == 1, "one goes first again"
