"""What the sweeper does to workloads on a real API server when tags move in a real registry."""

import base64
import json
import threading
import urllib.request

import pytest
import yaml
from harness import manifests
from harness.processes import Process, stays_for, wait_for
from harness.programs import NAMESPACE
from harness.proxies import Proxy, api_tls
from harness.rollouts import reasons

from test_admission import STAMP, give_pull_secret, give_to_service_account

ROLL = {"tidemark.dev/sweep": "roll"}


def moved_app(kubectl, registry, ns, kind="deployment", annotations=None, content="first"):
    """A stamped workload whose tag has moved since. Returns (reference, first digest, second digest)."""
    name = f"{ns}/app:1"
    first = registry.push(name, f"{ns} {content}")
    reference = f"{registry.address}/{name}"
    kubectl.apply(manifests.BUILDERS[kind]("web", ns, manifests.pod_spec(reference), annotations or ROLL))
    assert kubectl.stamps(kind, "web", ns) == {STAMP: f"{reference}@{first}"}, kubectl.warnings
    if kind == "deployment":
        wait_for("the first ReplicaSet", lambda: len(kubectl.replica_sets("web", ns)) == 1)
    return reference, first, registry.push(name, f"{ns} second")


def push_again(registry, name):
    """The same index with one more annotation: another digest, the same images. Returns the digest."""
    repository, tag = name.rsplit(":", 1)
    url = f"http://{registry.address}/v2/{repository}/manifests/{tag}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    types = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
    with opener.open(urllib.request.Request(url, headers={"Accept": types}), timeout=10) as answer:
        media_type, index = answer.headers["Content-Type"], json.load(answer)
    index["annotations"] = {"org.opencontainers.image.created": "2026-01-31T08:15:00Z"}
    with opener.open(urllib.request.Request(url, data=json.dumps(index).encode(), method="PUT",
                                            headers={"Content-Type": media_type}), timeout=10):
        return registry.digest(name)


def test_an_index_with_the_same_images_has_moved_unless_platforms_are_compared(kubectl, ns, registry, sweeper, tmp):
    name = f"{ns}/multi:1"
    first = registry.push_index(name, {"linux/amd64": "a", "linux/arm64": "b"})
    reference = f"{registry.address}/{name}"
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(reference), ROLL))
    again = push_again(registry, name)
    assert again != first
    config = yaml.safe_load(sweeper.config.read_text())
    config["sweeper"]["compare"] = "platform"
    file = tmp / "compare.yaml"
    file.write_text(yaml.safe_dump(config))
    assert "another index of the same images" in sweeper.once("-n", ns, "--dry-run", "-o", "json", config=file).stdout
    sweeper.once("-n", ns, config=file)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{first}"}
    moved = registry.push_index(name, {"linux/amd64": "a", "linux/arm64": "c"})
    sweeper.once("-n", ns, config=file)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{moved}"}, "one image is another"
    again = push_again(registry, name)
    sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{again}"}


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset", "cronjob"])
def test_a_moved_tag_is_rolled_exactly_once(kubectl, ns, registry, sweeper, kind):
    reference, first, second = moved_app(kubectl, registry, ns, kind)
    for _ in range(3):
        sweeper.once("-n", ns)
    assert kubectl.stamps(kind, "web", ns) == {STAMP: f"{reference}@{second}"}
    assert reasons(kubectl, kind, "web", ns) == ["moved", "created"]
    newest = kubectl.history(kind, "web", ns)[0]
    assert newest["from"].endswith(first) and newest["to"].endswith(second)
    if kind == "deployment":
        wait_for("the second ReplicaSet", lambda: len(kubectl.replica_sets("web", ns)) == 2)
        stays_for("no third one", lambda: len(kubectl.replica_sets("web", ns)) == 2, 1)
        told = kubectl("rollout", "history", "deployment", "web", "-n", ns)
        assert "tidemark: app moved" in told, told


def test_nothing_moved_writes_nothing(kubectl, ns, registry, sweeper):
    registry.push(f"{ns}/app:1", "only")
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(f"{registry.address}/{ns}/app:1"), ROLL))
    before = kubectl.get("deployment", "web", ns)
    sweeper.once("-n", ns)
    after = kubectl.get("deployment", "web", ns)
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"] | {
        k: v for k, v in after["metadata"]["annotations"].items() if k.startswith("deployment.kubernetes.io/")}
    assert after["spec"] == before["spec"]


def test_a_moved_index_is_rolled_once(kubectl, ns, registry, sweeper):
    first = registry.push_index(f"{ns}/multi:1", {"linux/amd64": "a", "linux/arm64": "b"})
    reference = f"{registry.address}/{ns}/multi:1"
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(reference), ROLL))
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{first}"}
    second = registry.push_index(f"{ns}/multi:1", {"linux/amd64": "a2", "linux/arm64": "b"})
    for _ in range(2):
        sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{second}"}
    assert reasons(kubectl, "deployment", "web", ns) == ["moved", "created"]


def test_a_private_image_is_rolled_with_the_service_accounts_pull_secret(kubectl, ns, private_registry, sweeper):
    give_pull_secret(kubectl, ns, private_registry)
    give_to_service_account(kubectl, ns)
    reference, _, second = moved_app(kubectl, private_registry, ns)
    for _ in range(2):
        sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{second}"}
    assert reasons(kubectl, "deployment", "web", ns) == ["moved", "created"]


@pytest.mark.parametrize("setting", ["report", "off", "absent"])
def test_only_what_opted_in_is_rolled(kubectl, ns, registry, sweeper, setting):
    annotations = {} if setting == "absent" else {"tidemark.dev/sweep": setting}
    reference, first, _ = moved_app(kubectl, registry, ns, annotations=annotations or {"note": "none"})
    sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{first}"}
    assert reasons(kubectl, "deployment", "web", ns) == ["created"]


def test_a_namespace_can_opt_in(kubectl, ns, registry, sweeper):
    kubectl("label", "namespace", ns, "tidemark.dev/sweep=roll")
    reference, _, second = moved_app(kubectl, registry, ns, annotations={"note": "none"})
    sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{second}"}


def test_what_cannot_be_seen_is_not_rolled(kubectl, ns, registry, sweeper):
    reference, first, second = moved_app(kubectl, registry, ns)
    registry.crane("delete", "--insecure", f"{registry.address}/{ns}/app@{second}")
    assert sweeper.once("-n", ns, check=False).returncode == 0
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{first}"}


def test_one_odd_workload_does_not_end_the_pass(kubectl, ns, registry, sweeper):
    for name, image in (("aaa", "UPPER/Case:x:y"), ("bbb", f"{registry.address}/{ns}/missing:1"),
                        ("ccc", f"{registry.address}/{ns}/pinned@sha256:{'a' * 64}")):
        kubectl.apply(manifests.deployment(name, ns, manifests.pod_spec(image), ROLL))
    reference, _, second = moved_app(kubectl, registry, ns)
    sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{second}"}


def test_a_dry_run_prints_the_roll_and_writes_nothing(kubectl, ns, registry, sweeper):
    reference, first, second = moved_app(kubectl, registry, ns)
    before = kubectl.get("deployment", "web", ns)
    told = sweeper.once("-n", ns, "--dry-run").stdout
    assert "web" in told and second[7:19] in told, told
    assert kubectl.get("deployment", "web", ns)["spec"] == before["spec"]
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{first}"}
    assert sweeper.once("-n", ns, "--dry-run", "--exit-code", check=False).returncode == 1


def test_the_running_sweeper_rolls_by_itself(kubectl, ns, registry, sweeper, tmp):
    reference, _, second = moved_app(kubectl, registry, ns)
    process = Process("sweeper-run", sweeper.command("run", "--interval", "1s", "-n", ns, "--ops-listen", "127.0.0.1:0"),
                      tmp)
    try:
        wait_for("the roll", lambda: kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{second}"}, 30)
        stays_for("rolled once", lambda: reasons(kubectl, "deployment", "web", ns) == ["moved", "created"], 3)
    finally:
        assert process.stop() == 0, process.text()[-2000:]


@pytest.fixture
def killable(cluster, sweeper, tmp, registry_proxy):
    """The sweeper with a kill switch at every request that it makes, to the API server and to the registry."""
    kubeconfig = yaml.safe_load(sweeper.kubeconfig.read_text())["clusters"][0]["cluster"]
    host, port = kubeconfig["server"].removeprefix("https://").split(":")
    authority = base64.b64decode(kubeconfig["certificate-authority-data"]).decode()
    api = Proxy(registry_proxy.switch, host, int(port), tls=api_tls(authority))
    proxied = cluster.kubeconfig_of("tidemark-sweeper", NAMESPACE, server=f"http://{api.address}")
    yield Killable(registry_proxy.switch, registry_proxy.address, sweeper.command("once", kubeconfig=proxied), tmp)
    api.stop()


class Killable:
    def __init__(self, switch, registry_address, command, tmp):
        self.switch, self.registry_address, self.command, self.tmp = switch, registry_address, command, tmp

    def run(self, moment, *flags):
        """One pass that is killed at `moment` (None: not at all). True if the kill came before it was done."""
        started = threading.Event()

        def kill():
            started.wait(10)
            process.kill()

        self.switch.arm(moment, kill)
        process = Process(f"killed-{moment}", [*self.command, *flags], self.tmp)
        started.set()
        process.popen.wait(60)
        self.switch.disarm()
        assert self.switch.was_fired or process.popen.returncode == 0, process.text()[-2000:]
        return self.switch.was_fired


def test_killing_the_sweeper_between_any_two_requests_repeats_and_loses_nothing(kubectl, ns, webhook, registry, killable):
    moment = 0
    while True:
        name = f"{ns}/app{moment}"
        registry.push(f"{name}:1", f"{moment} first")
        reference = f"{killable.registry_address}/{name}:1"
        # Two workloads, so that there is a kill between two rolls as well.
        for workload in ("one", "two"):
            kubectl.apply(manifests.deployment(workload, ns, manifests.pod_spec(reference), ROLL))
            assert STAMP in kubectl.stamps("deployment", workload, ns), kubectl.warnings
        second = registry.push(f"{name}:1", f"{moment} second")
        fired = killable.run(moment, "-n", ns)
        killable.run(None, "-n", ns)
        for workload in ("one", "two"):
            assert kubectl.stamps("deployment", workload, ns) == {STAMP: f"{reference}@{second}"}, f"lost at {moment}"
            rolls = [h for h in kubectl.history("deployment", workload, ns) if h["to"] == f"{reference}@{second}"]
            assert [h["why"] for h in rolls] == ["moved"], f"repeated at {moment}"
            kubectl("delete", "deployment", workload, "-n", ns)
        if not fired:
            break
        moment += 1
        assert moment < 200, "the pass never ends"
    assert moment >= 10, f"only {moment} moments: the proxies did not see the sweeper's requests"


def test_a_pass_under_a_persons_own_account_rolls_too(kubectl, cluster, ns, registry, sweeper):
    reference, _, second = moved_app(kubectl, registry, ns)
    sweeper.once("-n", ns, kubeconfig=cluster.kubeconfig)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{second}"}
    assert reasons(kubectl, "deployment", "web", ns) == ["moved", "created"]


def test_a_roll_writes_restarted_at_where_it_is_asked_for(kubectl, ns, registry, sweeper):
    moved_app(kubectl, registry, ns, annotations=ROLL | {"tidemark.dev/restarted-at": "true"})
    for _ in range(2):
        sweeper.once("-n", ns)
    template = kubectl.template("deployment", "web", ns)["metadata"]["annotations"]
    newest = kubectl.history("deployment", "web", ns)[0]
    assert template["kubectl.kubernetes.io/restartedAt"] == newest["time"]
    assert reasons(kubectl, "deployment", "web", ns) == ["moved", "created"]
