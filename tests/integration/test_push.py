"""Pushes that a registry or a build announces: rolled at once, for one question; nothing else comes of a post."""

import http.client
import json

import pytest

from harness import manifests, metrics, programs
from harness.processes import Process, free_port, stays_for, wait_for
from harness.registry import Image, PrivateRegistry, notifications

ROLL = {"tidemark.dev/sweep": "roll"}
STAMP = "digest.tidemark.dev/app"
TOKENS = {"registry": "token-of-the-registry", "build": "token-of-the-build"}


class Listening:
    """A sweeper that sweeps once an hour, with the receivers of TOKENS, and the registry that posts to it."""

    def __init__(self, cluster, tmp, ns, port):
        self.tmp = tmp / f"push-{ns}"
        self.tmp.mkdir()
        self.port = free_port()
        for name, token in TOKENS.items():
            (self.tmp / name).write_text(token + "\n")
        more = notifications(f"http://127.0.0.1:{self.port}/push/registry", TOKENS["registry"])
        self.registry = PrivateRegistry(cluster.host_address, cluster.registry.crane_program, self.tmp, access_log=True,
                                        port=port, more_config=more)
        self.sweeper = programs.Sweeper(
            cluster, self.tmp, registries=[{"host": self.registry.address, "plainHTTP": True}],
            receivers={"listen": f"127.0.0.1:{self.port}", "sources": [
                {"name": "registry", "format": "distribution", "secretFiles": [str(self.tmp / "registry")]},
                {"name": "build", "format": "generic", "secretFiles": [str(self.tmp / "build")]}]})
        self.ops_port = free_port()
        self.process = None
        self.ns = ns

    def start(self):
        self.process = Process("sweeper-listening", self.sweeper.command(
            "run", "--interval", "1h", "-n", self.ns, "--ops-listen", f"127.0.0.1:{self.ops_port}"), self.tmp)
        wait_for("the first sweep", lambda: "sweep done" in self.process.text(), 30)
        return self

    def stop(self):
        if self.process:
            assert self.process.stop() == 0, self.process.text()[-2000:]
        self.registry.stop()

    def post(self, body, path="/push/build", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", path, body, {"Authorization": f"Bearer {TOKENS['build']}"} | (headers or {}))
            return connection.getresponse().status
        finally:
            connection.close()

    def metric(self, name):
        return metrics.total(self.ops_port, name)

    def questions(self):
        """Of the sweeper, in the registry's access log."""
        return sum("tidemark-sweeper" in line for line in self.registry.process.text().splitlines())


@pytest.fixture
def listening(cluster, tmp, ns, spare_port):
    listening = Listening(cluster, tmp, ns, spare_port)
    yield listening
    listening.stop()


@pytest.fixture
def web(kubectl, ns, listening):
    image = Image(listening.registry, f"{ns}/app:1")
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(image.ref), ROLL))
    assert stamp(kubectl, ns) == image.stamp, kubectl.warnings
    return image


def stamp(kubectl, ns):
    return kubectl.stamps("deployment", "web", ns).get(STAMP)


def test_the_registrys_own_notification_rolls_what_uses_the_tag(kubectl, ns, listening, web):
    listening.start()
    before = listening.questions()
    web.move("second")
    wait_for("the roll", lambda: stamp(kubectl, ns) == web.stamp, 10, 0.05)
    assert listening.questions() - before <= 3, "the push itself, and what crane pushed beside it"
    assert listening.metric("tidemark_push_to_roll_seconds_count") == 1
    assert [entry["why"] for entry in kubectl.history("deployment", "web", ns)][0] == "moved"
    stays_for("rolled once", lambda: stamp(kubectl, ns) == web.stamp, 1)


def test_a_build_announces_its_push(kubectl, ns, listening, web):
    listening.start()
    web.move("second")
    assert listening.post(json.dumps({"image": web.ref})) == 200
    wait_for("the roll", lambda: stamp(kubectl, ns) == web.stamp, 10, 0.05)


def test_what_nobody_uses_asks_no_registry(ns, listening, web):
    listening.start()
    # What the registry could not deliver while nobody listened comes first.
    wait_for("the registry's own post", lambda: listening.metric("tidemark_push_posts_total") >= 1, 20, 0.1)
    stays_for("its question is over", lambda: True, 1)
    before = listening.questions()
    names = [f"{listening.registry.address}/{ns}/other-{index}:1" for index in range(500)]
    assert listening.post(json.dumps({"images": names + ["attacker.invalid/app:1"]})) == 200
    assert listening.metric('tidemark_push_references_total{known="unknown",source="build"}') == 501
    stays_for("nothing is asked", lambda: listening.questions() == before, 3)


@pytest.mark.parametrize("body, path, headers, status", [
    ('{"image":"a/b:1"}', "/push/build", {"Authorization": "Bearer wrong"}, 401),
    ('{"image":"a/b:1"}', "/push/build/token-of-the-build", {"Authorization": ""}, 200),
    ('{"image":"a/b:1"}', "/push/nobody", {}, 404),
    ('{"image":', "/push/build", {}, 400),
    ("[" * 5000 + "]" * 5000, "/push/build", {}, 400),
    (" " * (1 << 20) + "{}", "/push/build", {}, 413),
], ids=["forged", "token in the path", "no such source", "truncated", "deep", "oversized"])
def test_what_is_no_push_is_refused_and_leaks_nothing(listening, web, body, path, headers, status):
    listening.start()
    assert listening.post(body, path, headers) == status
    log = listening.process.text()
    assert not any(token in log for token in TOKENS.values()), "a secret is in the log"
    assert listening.process.running()
