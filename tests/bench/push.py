"""./dev bench push: from a registry's acknowledgement of a push to the new template, a flood of names that nobody uses, and
`status -A` of 10,000 workloads (status.py).

Prints what it measured and then the goals, each met or not. Exit code 1: a goal was missed. Bounded: every wait has its own
limit. Cluster and registry are its own, and gone when it ends.
"""

import http.client
import json
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time

from goals import print_goals

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

import status  # noqa: E402
from harness import manifests, programs  # noqa: E402
from harness.certificates import Api  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.processes import Process, free_port, wait_for  # noqa: E402
from harness.registry import PrivateRegistry, notifications  # noqa: E402

PUSHES = 50
FLOOD_SECONDS = 5
FLOOD_EVENTS = 100    # of one post
FLOOD_POSTS = 120     # a second: below what one source may send
TOKEN = "of-the-bench"
STAMP = "digest.tidemark.dev/app"


class Bench:
    def __init__(self, cluster, tmp):
        self.cluster, self.tmp = cluster, tmp
        self.port, self.ops_port = free_port(), free_port()
        (tmp / "token").write_text(TOKEN)
        self.registry = PrivateRegistry(cluster.host_address, cluster.registry.crane_program, tmp, access_log=True,
                                        more_config=notifications(f"http://127.0.0.1:{self.port}/push/registry", TOKEN, "100ms"))
        source = {"format": "distribution", "secretFiles": [str(tmp / "token")]}
        self.sweeper = programs.Sweeper(
            cluster, tmp, registries=[{"host": self.registry.address, "plainHTTP": True}], logLevel="info",
            receivers={"listen": f"127.0.0.1:{self.port}",
                       "sources": [source | {"name": "registry"}, source | {"name": "flood"}]})
        self.process = None

    def start(self, ns):
        # An hour between sweeps: what is rolled was pushed.
        self.process = Process("sweeper", self.sweeper.command("run", "--interval", "1h", "-n", ns, "--ops-listen",
                                                               f"127.0.0.1:{self.ops_port}"), self.tmp)
        wait_for("the first sweep", lambda: "sweep done" in self.process.text(), 30)

    def stop(self):
        if self.process:
            self.process.stop()
        self.registry.stop()

    def put(self, repository, content):
        """A tag moves; when the registry had acknowledged it, and the digest."""
        connection = http.client.HTTPConnection(self.registry.address, timeout=10)
        body = json.dumps(self.manifest | {"annotations": {"content": content}}).encode()
        connection.request("PUT", f"/v2/{repository}/manifests/1", body, {"Content-Type": self.kind})
        answer = connection.getresponse()
        answer.read()
        acknowledged = time.monotonic()
        assert answer.status == 201
        connection.close()
        return acknowledged, answer.headers["Docker-Content-Digest"]

    def prepare(self, repository):
        self.registry.push(f"{repository}:1", "bench")
        self.kind = "application/vnd.oci.image.manifest.v1+json"
        connection = http.client.HTTPConnection(self.registry.address, timeout=10)
        connection.request("GET", f"/v2/{repository}/manifests/1", headers={"Accept": self.kind})
        self.manifest = json.loads(connection.getresponse().read())
        connection.close()
        return self.put(repository, "first")[1]

    def questions(self):
        return sum("tidemark-sweeper" in line for line in self.registry.process.text().splitlines())


def pushes(bench, ns):
    """Seconds from each acknowledgement until the API server shows the new template."""
    repository = f"{ns}/app"
    reference = f"{bench.registry.address}/{repository}:1"
    digest = bench.prepare(repository)
    document = manifests.deployment("web", ns, manifests.pod_spec(reference), {"tidemark.dev/sweep": "roll"},
                                    template_annotations={STAMP: f"{reference}@{digest}"})
    bench.cluster.kubectl.apply(document)
    bench.start(ns)
    api = Api(bench.cluster.kubectl)
    took = []
    for number in range(PUSHES):
        acknowledged, digest = bench.put(repository, f"push {number}")
        limit = acknowledged + 20
        while True:
            template = api("GET", f"/apis/apps/v1/namespaces/{ns}/deployments/web")[1]["spec"]["template"]
            now = time.monotonic()
            if template["metadata"]["annotations"][STAMP].endswith(digest):
                break
            assert now < limit, f"push {number} was not rolled in 20 s"
            time.sleep(0.005)
        took.append(now - acknowledged)
        time.sleep(0.3)  # longer than equal names are joined
    return took


def flood(bench):
    """Events a second of names that nobody uses, all answered 200; how many there were, and the longest answer in seconds."""
    answers, stop = [], time.monotonic() + FLOOD_SECONDS
    lock = threading.Lock()

    def post_until_then(worker):
        connection = http.client.HTTPConnection("127.0.0.1", bench.port, timeout=10)
        number = 0
        while (begin := time.monotonic()) < stop:
            events = [{"id": f"{worker}-{number}-{n}", "action": "push",
                       "target": {"mediaType": "application/vnd.oci.image.manifest.v1+json",
                                  "repository": f"elsewhere/app{worker}-{number}-{n}", "tag": "1"},
                       "request": {"host": bench.registry.address}} for n in range(FLOOD_EVENTS)]
            connection.request("POST", "/push/flood", json.dumps({"events": events}), {"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            answer.read()
            with lock:
                answers.append((answer.status, time.monotonic() - begin))
            number += 1
            time.sleep(max(0, 2 / FLOOD_POSTS - (time.monotonic() - begin)))
    workers = [threading.Thread(target=post_until_then, args=(worker,)) for worker in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {status for status, _ in answers} == {200}, {status for status, _ in answers}
    return len(answers) * FLOOD_EVENTS / FLOOD_SECONDS, max(seconds for _, seconds in answers)


def main():
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        tmp = pathlib.Path(folder)
        cluster = Cluster(f"bench-{os.getpid()}", tmp)
        bench = None
        try:
            programs.install(cluster)
            cluster.kubectl("delete", "mutatingwebhookconfiguration", "tidemark-webhook")  # stamps are given here
            bench = Bench(cluster, tmp)
            took = sorted(pushes(bench, cluster.kubectl.namespace()))
            before = bench.questions()
            rate, longest = flood(bench)
            time.sleep(2)  # names that are looked up once more
            asked = bench.questions() - before
        finally:
            if bench:
                bench.stop()
            cluster.down()
    median, p95 = statistics.median(took), took[int(len(took) * 0.95)]
    print(f"{PUSHES} pushes, from the registry's acknowledgement to the new template: median {median * 1000:.0f} ms, "
          f"p95 {p95 * 1000:.0f} ms, longest {took[-1] * 1000:.0f} ms")
    print(f"{rate:.0f} events/s of names that nobody uses for {FLOOD_SECONDS} s: longest answer {longest * 1000:.0f} ms, "
          f"{asked} registry requests")
    seconds, first, rss = status.measure()
    print(f"status -A over {status.WORKLOADS:,} workloads: {seconds['sweeper']:.2f} s asked of the running sweeper (the first time "
          f"{first:.2f} s; its RSS {rss:.1f} MiB), {seconds['api']:.2f} s of the API server and the registries")
    goals = [("median under 1 s", f"{median * 1000:.0f} ms", median < 1),
             ("10,000 events/s of unknown names without a registry request", f"{rate:.0f}/s, {asked}",
              rate >= 10_000 and asked == 0),
             ("status -A over 10,000 workloads, asked of the running sweeper: under 1 s", f"{seconds['sweeper']:.2f} s",
              seconds["sweeper"] < 1)]
    return print_goals(goals, begin)


if __name__ == "__main__":
    sys.exit(main())
