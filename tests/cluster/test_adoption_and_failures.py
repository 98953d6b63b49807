"""What ran before Tidemark came, rolls that fail, and images that a node keeps: what the pods of a real node really run."""

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
