"""The main job on a real node: what its pods really run, before and after a tag moves."""

import json
import os
import pathlib
import signal
import subprocess

import pytest

from harness.processes import wait_for
from node import HERE, PATIENCE, ROLL, STAMP, SYSTEM, Api, stamps_of
from harness import manifests

LIMIT_BYTES = 8_000_000


def test_both_programs_are_ready_and_restricted(node):
    for name, replicas in (("tidemark-webhook", 2), ("tidemark-sweeper", 1)):
        status = node.kubectl.get("deployment", name, SYSTEM)["status"]
        assert status["readyReplicas"] == status["replicas"] == replicas
    labels = node.kubectl.json("get", "namespace", SYSTEM)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_it_was_installed_without_a_way_out(node, cluster):
    """What deploy/README.md says under "Without the internet": all came from the cluster's own registry."""
    route = subprocess.run([HERE / "cluster", "--name", cluster.name, "exec", "ip", "route", "get", "192.0.2.1"],
                           capture_output=True, text=True, timeout=20)
    assert route.returncode != 0 and "No route to host" in route.stderr, route.stdout
    pods = node.kubectl.json("get", "pods", "-n", SYSTEM)["items"]
    images = {container["image"] for pod in pods for container in pod["spec"]["containers"]}
    assert images and all(image.startswith(f"{node.registry}/") for image in images), images


@pytest.mark.parametrize("program, count", [(b"/tidemark-webhook\0", 2), (b"/tidemark-sweeper\0", 1)])
def test_the_processes_have_no_rights(node, program, count):
    for pid in node.wait_processes(program, count):
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert status["Uid"].split() == ["65532"] * 4 and status["Gid"].split() == ["65532"] * 4
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2", "a filter is set"


def test_the_image_is_small(tidemark_image):
    print(tidemark_image.told)
    assert tidemark_image.compressed < LIMIT_BYTES, tidemark_image.told


@pytest.fixture
def web(node, ns):
    """A Deployment of one pod that runs version 1 of registry/NS/app:latest."""
    web = Web(node, ns)
    web.first = web.push(1)
    node.deploy(ns, web.reference)
    assert node.kubectl.stamps("deployment", "web", ns) == {STAMP: f"{web.reference}@{web.first}"}, node.kubectl.warnings
    node.wait_running(ns, web.first)
    return web


class Web:
    def __init__(self, node, ns):
        self.node, self.ns = node, ns
        self.name = f"{ns}/app:latest"
        self.reference = f"{node.registry}/{self.name}"

    def push(self, version):
        return self.node.push(self.name, f"{self.ns} {version}")

    def roll_to_second(self):
        """The tag moves and the sweeper in its pod rolls it; the new digest."""
        second = self.push(2)
        # A container that starts again on a busy node pulls the second one before any roll.
        wait_for("the sweeper rolls it", lambda: self.stamp() == f"{self.reference}@{second}", PATIENCE, 0.2)
        self.node.wait_running(self.ns, second)
        return second

    def replica_sets(self):
        return len(self.node.kubectl.replica_sets("web", self.ns))

    def stamp(self):
        return self.node.kubectl.stamps("deployment", "web", self.ns)[STAMP]


def test_a_moved_tag_is_rolled_once_and_the_pod_runs_it(node, ns, web):
    second = web.roll_to_second()
    assert web.stamp() == f"{web.reference}@{second}"
    assert node.image_of(ns) == web.reference, "the image stays as its owner wrote it"
    newest, oldest = node.kubectl.history("deployment", "web", ns)
    assert (newest["why"], oldest["why"]) == ("moved", "created")
    assert newest["from"].endswith(web.first) and newest["to"].endswith(second) and newest["by"] == "tidemark-sweeper"
    told = node.kubectl("rollout", "history", "deployment", "web", "-n", ns)
    assert "tidemark: app moved" in told, told

    node.after_sweeps(3, lambda: web.replica_sets() == 2)
    assert node.running_digests(ns) == {second}
    assert node.reasons(ns) == ["moved", "created"]


def test_the_running_sweeper_answers_status_and_only_to_its_key(node, ns, web):
    lease = node.kubectl.get("lease", "tidemark-sweeper", SYSTEM)
    port, key = lease["metadata"]["annotations"]["tidemark.dev/status"].split("/")
    pod = f"/api/v1/namespaces/{SYSTEM}/pods/http:{lease['spec']['holderIdentity']}:{port}/proxy"

    def row():
        slots = json.loads(node.kubectl("get", "--raw", f"{pod}/v1/status/{key}?namespace={ns}"))["slots"]
        assert [slot["state"] for slot in slots] == ["up-to-date"], slots
        return slots[0]
    told = wait_for("it has asked the registry", row, PATIENCE, 0.5)
    assert told["workload"] == "deployment/web" and told["digest"] == web.first
    assert told["running"] == [{"digest": web.first, "pods": 1}], "as its watch of the pods has it"
    refused = node.kubectl("get", "--raw", f"{pod}/v1/status/{'0' * len(key)}", check=False)
    assert refused == ""


def test_undo_really_restores_the_old_bits_until_the_tag_moves_on(node, ns, web):
    second = web.roll_to_second()

    node.kubectl("rollout", "undo", "deployment", "web", "-n", ns)

    node.wait_running(ns, web.first)
    assert node.image_of(ns) == f"{web.reference}@{web.first}", "pinned"
    assert [entry["digest"] for entry in node.annotation(ns, "tidemark.dev/held")["app"]] == [second]
    assert node.reasons(ns) == ["rolled-back", "moved", "created"]
    replica_sets = web.replica_sets()
    node.after_sweeps(3, lambda: node.running_digests(ns) == {web.first} and web.replica_sets() == replica_sets)
    assert node.reasons(ns) == ["rolled-back", "moved", "created"]

    # A restart replaces the pods, and must not bring back what was left.
    node.kubectl("rollout", "restart", "deployment", "web", "-n", ns)
    node.wait_available("web", ns)
    node.wait_running(ns, web.first)

    third = web.push(3)
    node.wait_running(ns, third)
    assert node.image_of(ns) == web.reference, "the pin is taken back"
    assert web.stamp() == f"{web.reference}@{third}"
    assert not node.annotation(ns, "tidemark.dev/held"), "the hold is over"
    assert node.reasons(ns)[0] == "moved"
    node.after_sweeps(2, lambda: node.running_digests(ns) == {third})


@pytest.mark.parametrize("pull", ["Always", "IfNotPresent"])
def test_a_newer_tag_is_followed_and_an_undo_goes_back_to_the_former(node, ns, pull):
    repository = f"{node.registry}/{ns}/versions"
    old, new = (node.push(f"{ns}/versions:{tag}", f"{ns} {tag}") for tag in ("1.2.0", "1.10.0"))

    def apply():
        node.deploy(ns, f"{repository}:1.2.0", policy=pull, annotations={"policy.tidemark.dev/app": "semver: ^1.2"})

    apply()
    node.wait_running(ns, new)
    assert node.image_of(ns) == f"{repository}:1.10.0"
    assert node.reasons(ns) == ["policy", "created"]
    told = node.kubectl("rollout", "history", "deployment", "web", "-n", ns)
    assert "app moved 1.2.0@" in told, told

    # The owner's file again, as a GitOps tool applies it.
    sets = len(node.kubectl.replica_sets("web", ns))
    apply()
    node.after_sweeps(2, lambda: node.running_digests(ns) == {new} and len(node.kubectl.replica_sets("web", ns)) == sets)

    node.kubectl("rollout", "undo", "deployment", "web", "-n", ns)
    node.wait_running(ns, old)
    assert node.image_of(ns) == f"{repository}:1.2.0"
    node.after_sweeps(3, lambda: node.running_digests(ns) == {old})
    assert node.reasons(ns) == ["rolled-back", "policy", "created"]


def test_what_the_node_would_not_pull_is_stamped_with_a_warning_and_not_rolled(node, ns):
    web = Web(node, ns)
    first = web.push(1)
    node.deploy(ns, web.reference, policy="IfNotPresent")
    assert any("imagePullPolicy" in warning and '"app"' in warning for warning in node.kubectl.warnings), node.kubectl.warnings
    assert web.stamp() == f"{web.reference}@{first}"
    node.wait_running(ns, first)

    web.push(2)

    wait_for("the sweeper reports it", lambda: node.slots("not-always") == 1, PATIENCE, 0.3)
    node.after_sweeps(2, lambda: node.slots("not-always") == 1)
    assert node.running_digests(ns) == {first}
    assert web.stamp() == f"{web.reference}@{first}" and web.replica_sets() == 1
    assert node.reasons(ns) == ["created"]


def test_a_sweeper_killed_between_two_rolls_has_lost_and_repeated_none(node, ns, cluster, tmp):
    """SIGKILL once the first of many has been rolled and before the last: the kubelet starts it again."""
    count = 24
    names = [f"web-{index:02}" for index in range(count)]
    api = Api(cluster, tmp)
    web = Web(node, ns)
    first = web.push(1)
    # No pods are needed for this: the objects tell.
    node.kubectl.apply([manifests.deployment(name, ns, manifests.pod_spec(web.reference), ROLL, 0) for name in names])

    def stamps():
        items = api("GET", f"/apis/apps/v1/namespaces/{ns}/deployments")[1]["items"]
        return [stamps_of(item)[STAMP].split("@")[-1] for item in items]

    def replica_sets():
        return len(node.kubectl.json("get", "replicasets", "-n", ns)["items"])

    assert stamps() == [first] * count
    wait_for("the first ReplicaSets", lambda: replica_sets() == count, PATIENCE)
    pid, = node.wait_processes(b"/tidemark-sweeper\0", 1)
    watch = subprocess.Popen([node.kubectl.program, "get", "deployments", "-n", ns, "--watch", "-o",
                              f"jsonpath={{.spec.template.metadata.annotations.{STAMP.replace('.', chr(92) + '.')}}}{{'\\n'}}"],
                             env=node.env, stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(count):
            assert first in watch.stdout.readline()
        second = web.push(2)
        while second not in watch.stdout.readline():
            pass
        os.kill(pid, signal.SIGKILL)
        wait_for("it is dead", lambda: pid not in node.processes(), 10, 0.01)
        done = stamps().count(second)
    finally:
        watch.kill()
        watch.wait(10)
        watch.stdout.close()
    assert 0 < done < count, f"{done} of {count} were rolled when it died: that was not amid the rolls"

    wait_for("all are rolled", lambda: stamps() == [second] * count, PATIENCE, 0.3)
    node.after_sweeps(2)
    wait_for("a second ReplicaSet each", lambda: replica_sets() == 2 * count, PATIENCE)
    for item in api("GET", f"/apis/apps/v1/namespaces/{ns}/deployments")[1]["items"]:
        history = json.loads(item["metadata"]["annotations"]["tidemark.dev/history"])
        assert [entry["why"] for entry in history] == ["moved", "created"], item["metadata"]["name"]
        assert item["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
