"""The webhook restarted, hanging, gone, uninstalled, and the whole node started cold: nothing is blocked."""

import collections
import os
import pathlib
import signal
import threading
import time

import pytest

from harness import manifests
from harness.processes import ROOT, wait_for
from node import PATIENCE, STAMP, SYSTEM, Api, script, stamps_of

# timeoutSeconds of the MutatingWebhookConfiguration, and what a busy machine adds to a write.
ADMITTED_SECONDS = 3 + 4


@pytest.fixture
def app(node, ns):
    """An image in the registry."""
    node.push(f"{ns}/app:latest", "1")
    return f"{node.registry}/{ns}/app:latest"


@pytest.fixture
def failing(node):
    """failurePolicy Fail: an admission that the webhook does not answer is a failed request."""
    node.failure_policy("Fail")
    yield
    node.failure_policy("Ignore")


class Load:
    """Threads that create Deployments as dry runs, one after the other, until they are told to stop."""

    def __init__(self, node, ns, image, tmp, threads=3):
        self.outcomes = collections.Counter()
        self.stop = threading.Event()
        self.lock = threading.Lock()
        # Made here: they share a file.
        connections = [Api(node.cluster, tmp) for _ in range(threads)]
        self.threads = [threading.Thread(target=self.create, args=(api, ns, image, index))
                        for index, api in enumerate(connections)]
        for thread in self.threads:
            thread.start()

    def create(self, api, ns, image, index):
        manifest = manifests.deployment(f"load-{index}", ns, manifests.pod_spec(image))
        while not self.stop.is_set():
            try:
                status, found, _ = api.create_deployment(manifest, dry_run=True)
                outcome = "stamped" if status == 201 and STAMP in stamps_of(found) else (
                    "not stamped" if status == 201 else f"{status}: {found.get('message')}")
            except OSError as error:
                outcome = repr(error)
            with self.lock:
                self.outcomes[outcome] += 1

    def count(self):
        with self.lock:
            return self.outcomes.total()

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        return dict(self.outcomes)


def test_a_rolling_restart_of_the_webhook_fails_no_admission(node, ns, app, tmp, failing):
    before = {pod["metadata"]["uid"] for pod in node.webhook_pods()}
    load = Load(node, ns, app, tmp)
    try:
        wait_for("admissions", lambda: load.count() > 50, PATIENCE)
        node.kubectl("rollout", "restart", "deployment/tidemark-webhook", "-n", SYSTEM)
        node.wait_available("tidemark-webhook")
        # The old ones drain, and end.
        wait_for("the old pods are gone", lambda: not before & {p["metadata"]["uid"] for p in node.webhook_pods()}, PATIENCE)
        after = load.count() + 50
        wait_for("admissions after it", lambda: load.count() > after, PATIENCE)
    finally:
        outcomes = load.end()
    print(f"admissions during the restart: {outcomes}")
    assert set(outcomes) == {"stamped"}, outcomes


def test_the_webhook_is_not_in_its_own_way(node, failing):
    """With failurePolicy Fail and no webhook left, it still comes up: its namespace is not asked about."""
    node.scale_webhook(0)
    node.scale_webhook(2)
    assert node.kubectl.stamps("deployment", "tidemark-webhook", SYSTEM) == {}


@pytest.fixture
def no_webhook(node):
    node.scale_webhook(0)
    yield
    node.scale_webhook(2)


def test_without_the_webhook_workloads_are_admitted_unstamped(node, ns, app, no_webhook, cluster, tmp):
    status, found, seconds = Api(cluster, tmp).create_deployment(manifests.deployment("web", ns, manifests.pod_spec(app)))
    assert status == 201 and stamps_of(found) == {}
    assert seconds < ADMITTED_SECONDS
    node.wait_available("web", ns)
    node.kubectl("rollout", "restart", "deployment/web", "-n", ns)
    node.wait_available("web", ns)


def test_a_webhook_that_hangs_costs_its_timeout_and_no_more(node, ns, app, cluster, tmp):
    frozen = node.wait_processes(b"/tidemark-webhook\0", 2)
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        status, found, seconds = Api(cluster, tmp).create_deployment(manifests.deployment("web", ns, manifests.pod_spec(app)))
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert status == 201 and stamps_of(found) == {}
    assert seconds < ADMITTED_SECONDS
    node.wait_available("tidemark-webhook")


def test_the_whole_node_starts_cold_under_fail(node, ns, app, cluster, failing):
    """As after a power cut with failurePolicy Fail: nothing runs, and everything comes back by itself."""
    node.deploy(ns, app)
    node.wait_available("web", ns)
    stamps = node.kubectl.stamps("deployment", "web", ns)
    state = pathlib.Path(cluster.env["TIDEMARK_CLUSTER_STATE"])
    # Everything in the instance's namespaces but the process that keeps them and the registry (which is outside of a real one).
    keeper = int(script("cluster", "--name", cluster.name, "exec", "sh", "-c", "readlink /proc/self/ns/pid | tr -dc 0-9"))
    spared = {int((state / "pids/registry").read_text().split()[0])}
    for pid in ours(keeper) + node.processes():
        parent, name = parent_of(pid)
        if parent in spared or name in ("bash", "sleep"):
            continue
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    wait_for("no pod's process is left", lambda: not node.processes(), 30)
    wait_for("etcd is seen dead", lambda: not alive(state / "pids/etcd"), 30)

    begin = time.monotonic()
    script("cluster", "--name", cluster.name, "up")

    def stamped_again():
        found = node.kubectl("create", "-f", "-", "--dry-run=server", "-o", "jsonpath={.spec.template.metadata.annotations}",
                             stdin=manifests.deployment("later", ns, manifests.pod_spec(app)))
        return STAMP in found
    wait_for("admissions are stamped again", stamped_again, PATIENCE, 0.5)
    print(f"from nothing running to the first stamp: {time.monotonic() - begin:.1f} s")
    for name, where in (("tidemark-webhook", SYSTEM), ("tidemark-sweeper", SYSTEM), ("web", ns)):
        node.wait_available(name, where)
    assert node.kubectl.stamps("deployment", "web", ns) == stamps
    assert len(node.kubectl.replica_sets("web", ns)) == 1


def ours(pid_namespace):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "ns/pid") == f"pid:[{pid_namespace}]":
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def parent_of(pid):
    """(process id of its parent, its name); (0, "") where it has ended."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0, ""
    name, rest = text[text.index("(") + 1:].rsplit(") ", 1)
    return int(rest.split()[1]), name


def alive(record):
    pid = int(record.read_text().split()[0])
    return parent_of(pid)[0] != 0


def test_after_uninstalling_nothing_blocks(node, ns, app):
    node.deploy(ns, app)
    node.wait_available("web", ns)
    stamps = node.kubectl.stamps("deployment", "web", ns)
    assert STAMP in stamps
    try:
        node.kubectl("delete", "-f", ROOT / "deploy/install.yaml", "--timeout=100s")
        assert node.kubectl("get", "mutatingwebhookconfigurations", "-o", "name") == ""
        assert node.kubectl("get", "namespace", SYSTEM, "--ignore-not-found") == ""
        assert "tidemark" not in node.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name")

        node.kubectl("rollout", "restart", "deployment/web", "-n", ns)
        node.wait_available("web", ns)
        assert node.kubectl.stamps("deployment", "web", ns) == stamps, "harmless"
        node.deploy(ns, app, name="later")
        assert node.kubectl.stamps("deployment", "later", ns) == {}
    finally:
        node.install()
    node.deploy(ns, app, name="again")
    assert STAMP in node.kubectl.stamps("deployment", "again", ns)
