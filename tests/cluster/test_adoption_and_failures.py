"""What ran before Tidemark came, rolls that fail, and images that a node keeps: what the pods of a real node really run."""

import json

import pytest

from harness import manifests
from harness.processes import wait_for
from node import PATIENCE, ROLL
from test_rolls import Web

BASELINE = "tidemark.dev/baseline"
# Of a Deployment: short enough for a test, long enough for a pull and a start.
DEADLINE = 20


@pytest.fixture
def unstamped(node, ns):
    """A Deployment that runs version 1, made while there was no webhook."""
    node.scale_webhook(0)
    web = Web(node, ns)
    web.first = web.push(1)
    node.deploy(ns, web.reference)
    node.wait_running(ns, web.first)
    node.scale_webhook(2)
    assert node.kubectl.stamps("deployment", "web", ns) == {}
    return web


def test_what_ran_before_is_adopted_rolled_once_it_moves_and_undone(node, ns, unstamped):
    pods = {pod["metadata"]["uid"] for pod in node.pods(ns)}
    wait_for("the baseline", lambda: node.annotation(ns, BASELINE), PATIENCE, 0.3)
    assert node.annotation(ns, BASELINE) == {"app": f"{unstamped.reference}@{unstamped.first}"}
    node.after_sweeps(2, lambda: unstamped.replica_sets() == 1)
    assert {pod["metadata"]["uid"] for pod in node.pods(ns)} == pods, "nothing was rolled for it"

    second = unstamped.push(2)
    node.wait_running(ns, second)
    assert unstamped.stamp() == f"{unstamped.reference}@{second}"
    node.after_sweeps(2, lambda: unstamped.replica_sets() == 2)
    assert node.reasons(ns) == ["moved", "adopted"]

    node.kubectl("rollout", "undo", "deployment", "web", "-n", ns)
    node.wait_running(ns, unstamped.first)
    node.after_sweeps(2, lambda: node.running_digests(ns) == {unstamped.first})
    assert node.reasons(ns) == ["rolled-back", "moved", "adopted"]


def test_a_crash_loop_is_stopped_after_the_first_and_taken_back(node, ns, cluster):
    web = Web(node, ns)
    first = web.push(1)
    names = [f"web-{index}" for index in range(4)]
    for name in names:
        document = manifests.deployment(name, ns, manifests.pod_spec(web.reference), ROLL | {"tidemark.dev/on-failure": "undo"})
        document["spec"]["progressDeadlineSeconds"] = DEADLINE
        document["spec"]["selector"] = {"matchLabels": {"name": name}}
        document["spec"]["template"]["metadata"]["labels"] = {"app": "web", "name": name}
        node.kubectl.apply(document)
    for name in names:
        node.wait_available(name, ns)

    # The same program, started in a way in which it ends at once.
    cluster.registry.crane("mutate", "--insecure", "--entrypoint", "/no-such-program", "--tag", web.reference, web.reference)
    bad = cluster.registry.digest(web.name)
    assert bad != first

    def taken_back():
        return [name for name in names if node.reasons(ns, name) == ["rolled-back", "moved", "created"]]
    wait_for("the failed rollout is taken back", taken_back, PATIENCE + DEADLINE, 0.5)
    (tried,) = taken_back()
    node.wait_available(tried, ns)
    node.wait_running(ns, first)
    assert node.image_of(ns, tried) == f"{web.reference}@{first}", "pinned"
    node.after_sweeps(3, lambda: node.running_digests(ns) == {first})
    assert all(node.reasons(ns, name) == ["created"] for name in names if name != tried), "nobody else was rolled to it"

    good = web.push(3)
    node.wait_running(ns, good)
    assert node.image_of(ns, tried) == web.reference, "the pin is taken back"


@pytest.mark.parametrize("kind", ["statefulset", "daemonset"])
def test_a_crash_loop_of_a_kind_without_a_deadline_is_taken_back_too(node, ns, cluster, kind):
    web = Web(node, ns)
    first = web.push(1)
    document = manifests.BUILDERS[kind]("web", ns, manifests.pod_spec(web.reference), ROLL | {"tidemark.dev/on-failure": "undo"})
    if kind == "statefulset":
        document["spec"]["podManagementPolicy"] = "Parallel"
    node.kubectl.apply(document)
    node.wait_running(ns, first)

    cluster.registry.crane("mutate", "--insecure", "--entrypoint", "/no-such-program", "--tag", web.reference, web.reference)
    bad = cluster.registry.digest(web.name)

    def reasons():
        return [entry["why"] for entry in node.kubectl.history(kind, "web", ns)]
    # Three restarts: the kubelet waits 10, 20 and 40 s between them.
    wait_for("the crash loop is taken back", lambda: reasons() == ["rolled-back", "moved", "created"], PATIENCE * 3, 0.5)
    wait_for("the old image runs", lambda: node.running_digests(ns) == {first}, PATIENCE * 2, 0.5)
    held = json.loads(node.kubectl.get(kind, "web", ns)["metadata"]["annotations"]["tidemark.dev/held"])
    assert [entry["digest"] for entry in held["app"]] == [bad]
    node.after_sweeps(2, lambda: reasons() == ["rolled-back", "moved", "created"])


def test_an_image_that_the_node_keeps_is_replaced_where_it_is_pinned(node, ns):
    web = Web(node, ns)
    first = web.push(1)
    node.kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(web.reference, policy="IfNotPresent"),
                                            ROLL | {"tidemark.dev/on-cached-policy": "pin"}))
    assert node.image_of(ns) == f"{web.reference}@{first}", "pinned at admission"
    node.wait_running(ns, first)
    second = web.push(2)
    node.wait_running(ns, second)
    assert node.image_of(ns) == f"{web.reference}@{second}"
    node.after_sweeps(2, lambda: web.replica_sets() == 2)
    assert node.reasons(ns) == ["moved", "created"]
