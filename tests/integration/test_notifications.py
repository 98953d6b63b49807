"""What a sweep did, told outside the cluster: to sinks that are down at first, refuse, hang, or never come."""

import contextlib
import http.client
import http.server
import json
import threading
import time

import pytest

from harness import manifests, metrics, programs
from harness.processes import Process, free_port, wait_for
from harness.registry import Image, http_status

ROLL = {"tidemark.dev/sweep": "roll"}
SECRET = "T000-B000-secret-of-the-hook"
TOKEN = "token-of-the-bus"


class Sink:
    """An HTTP server on loopback. `statuses` are answered first, then 200; `posts` is what came, refused or not."""

    def __init__(self, statuses=(), port=0):
        self.statuses, self.posts, self.gate = list(statuses), [], threading.Event()
        self.gate.set()
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                sink.gate.wait(60)
                status = sink.statuses.pop(0) if sink.statuses else 200
                sink.posts.append((status, self.path, dict(self.headers), json.loads(body)))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path="/in"):
        return f"http://127.0.0.1:{self.port}{path}"

    def taken(self):
        return [body for status, _, _, body in list(self.posts) if status == 200]

    def stop(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def sinks():
    """sinks(...) makes a Sink that ends with the test."""
    with contextlib.ExitStack() as stack:
        def make(*arguments, **options):
            sink = Sink(*arguments, **options)
            stack.callback(sink.stop)
            return sink
        yield make


class Told:
    """A sweeper that sweeps every second and tells the sinks of its configuration."""

    def __init__(self, cluster, tmp, ns, sinks, flags=()):
        self.tmp = tmp / f"notify-{ns}"
        self.tmp.mkdir(exist_ok=True)
        self.sweeper = programs.Sweeper(cluster, self.tmp, notifications={"clusterName": "it", "sinks": sinks})
        self.ops_port = free_port()
        self.process = Process(f"sweeper-{ns}", self.sweeper.command(
            "run", "--interval", "1s", "-n", ns, "--ops-listen", f"127.0.0.1:{self.ops_port}", *flags), self.tmp)

    def metric(self, text):
        return metrics.total(self.ops_port, text)

    def outcome(self, sink, outcome):
        return self.metric(f'tidemark_notifications_total{{outcome="{outcome}",sink="{sink}"}}')


@pytest.fixture
def told(cluster, tmp, ns):
    with contextlib.ExitStack() as stack:
        def start(*sinks, **options):
            running = Told(cluster, tmp, ns, list(sinks), **options)
            stack.callback(lambda: running.process.running() and running.process.stop())
            wait_for("the first sweep", lambda: "sweep done" in running.process.text(), 30)
            return running
        yield start


def secret(tmp, ns, name, text):
    path = tmp / f"{name}-{ns}"
    path.write_text(text + "\n")
    return str(path)


def apply(kubectl, ns, image, name="web", annotations=None):
    kubectl.apply(manifests.deployment(name, ns, manifests.pod_spec(image.ref), annotations or ROLL))


def rolled(kubectl, ns, image, name="web"):
    return kubectl.stamps("deployment", name, ns).get("digest.tidemark.dev/app") == image.stamp


def test_each_format_tells_of_a_roll(kubectl, tmp, ns, image, sinks, told):
    hook, chat, bus = sinks(), sinks(), sinks()
    apply(kubectl, ns, image)
    before = image.digest
    told({"name": "hook", "format": "webhook", "url": hook.url(), "template": "{workload} in {namespace} of {cluster}"},
         {"name": "chat", "format": "slack", "urlFile": secret(tmp, ns, "chat", chat.url(f"/services/{SECRET}"))},
         {"name": "bus", "format": "cloudevents", "url": bus.url(),
          "authorizationFile": secret(tmp, ns, "bus", f"Bearer {TOKEN}")})
    image.move("second")
    for sink in (hook, chat, bus):
        wait_for("a notification", sink.taken, 20)
    assert rolled(kubectl, ns, image)

    body, = hook.taken()
    uid = kubectl.get("deployment", "web", ns)["metadata"]["uid"]
    assert body == {"id": body["id"], "time": body["time"], "cluster": "it", "reason": "Rolled", "warning": False,
                    "apiVersion": "apps/v1", "kind": "Deployment", "namespace": ns, "workload": "web", "uid": uid,
                    "text": f"web in {ns} of it",
                    "slots": [{"slot": "app", "image": image.ref, "from": before, "to": image.digest}]}

    _, path, headers, body = chat.posts[0]
    assert path == f"/services/{SECRET}" and headers["Content-Type"] == "application/json"
    assert body["text"].startswith(f"[it] *Rolled* Deployment {ns}/web: app moved ")

    _, _, headers, event = bus.posts[0]
    assert headers["Content-Type"] == "application/cloudevents+json" and headers["Authorization"] == f"Bearer {TOKEN}"
    assert event["specversion"] == "1.0" and event["type"] == "dev.tidemark.rolled.v1"
    assert event["source"] == "/tidemark/sweeper/it" and event["subject"] == f"{ns}/Deployment/web"
    assert event["id"] == event["data"]["id"] == hook.taken()[0]["id"]


def test_a_sink_that_fails_at_first_gets_all_in_order(kubectl, ns, image, sinks, told):
    hook = sinks([503, 500, 429])
    apply(kubectl, ns, image)
    running = told({"name": "hook", "format": "webhook", "url": hook.url()})
    for content in ("second", "third", "fourth"):
        image.move(content)
        wait_for("the roll", lambda: rolled(kubectl, ns, image), 20)
    wait_for("all three", lambda: len(hook.taken()) == 3, 30)
    ids = [body["id"] for _, _, _, body in hook.posts]
    assert ids[0] == ids[1] == ids[2] == ids[3], "the first is sent until it is taken, under one id"
    tos = [body["slots"][0]["to"] for body in hook.taken()]
    assert tos[-1] == image.digest and len(set(tos)) == 3
    assert running.outcome("hook", "sent") == 3 and running.outcome("hook", "retried") == 3


def test_a_sink_that_is_down_delays_no_roll_and_loses_nothing(kubectl, ns, registry, sinks, told):
    port, slow = free_port(), sinks()
    slow.gate.clear()  # it accepts, and does not answer
    images = [Image(registry, f"{ns}/app-{index}:1") for index in range(5)]
    for index, image in enumerate(images):
        apply(kubectl, ns, image, f"web-{index}")
    running = told({"name": "down", "format": "webhook", "url": f"http://127.0.0.1:{port}/{SECRET}"},
                   {"name": "slow", "format": "slack", "url": slow.url()})
    for image in images:
        image.move("second")
    begin = time.monotonic()
    wait_for("all rolls", lambda: all(rolled(kubectl, ns, image, f"web-{i}") for i, image in enumerate(images)), 20)
    assert time.monotonic() - begin < 10
    wait_for("five wait", lambda: running.metric('tidemark_notifications_queued{sink="down"}') == 5, 10)
    assert running.metric('tidemark_notifications_queued{sink="slow"}') == 5
    assert http_status(f"http://127.0.0.1:{running.ops_port}/readyz") == 200

    down = sinks(port=port)
    slow.gate.set()
    wait_for("all five", lambda: len(down.taken()) == 5, 60)
    assert {body["workload"] for body in down.taken()} == {f"web-{index}" for index in range(5)}
    wait_for("all lines", lambda: "".join(body["text"] for body in slow.taken()).count("*Rolled*") >= 5, 30)
    assert SECRET not in running.process.text(), "the log holds the sink's path"


def test_what_stands_is_told_once_and_only_who_wants_it_is_told(kubectl, ns, image, sinks, told):
    default, moved, elsewhere = sinks(), sinks(), sinks()
    apply(kubectl, ns, image, annotations=ROLL | {"tidemark.dev/hold": "true"})
    running = told({"name": "default", "format": "webhook", "url": default.url()},
                   {"name": "moved", "format": "webhook", "url": moved.url(), "events": ["Moved"]},
                   {"name": "elsewhere", "format": "webhook", "url": elsewhere.url(), "events": ["Moved"],
                    "namespaces": ["some-other"]})
    image.move("second")
    wait_for("it is told", moved.taken, 20)
    sweeps = running.process.text().count("sweep done")
    wait_for("three more sweeps", lambda: running.process.text().count("sweep done") >= sweeps + 3, 20)
    body, = moved.taken()
    assert body["reason"] == "Moved" and "not rolled: held" in body["text"]
    assert not default.posts and not elsewhere.posts


def test_what_is_refused_for_good_is_dropped_and_logged_once(kubectl, tmp, ns, image, sinks, told):
    hook = sinks([404, 404])
    apply(kubectl, ns, image)
    running = told({"name": "hook", "format": "webhook",
                    "urlFile": secret(tmp, ns, "hook", hook.url(f"/services/{SECRET}?key={TOKEN}"))})
    for content in ("second", "third", "fourth"):
        image.move(content)
        wait_for("the roll", lambda: rolled(kubectl, ns, image), 20)
    wait_for("the third is taken", hook.taken, 20)
    assert [status for status, *_ in hook.posts] == [404, 404, 200]
    assert running.outcome("hook", "refused") == 2
    log = running.process.text()
    assert log.count("refused for good") == 1
    assert SECRET not in log and TOKEN not in log, "a secret is in the log"


def test_the_end_of_the_sweeper_waits_for_what_is_queued(kubectl, ns, image, sinks, told):
    hook = sinks()
    hook.gate.clear()
    apply(kubectl, ns, image)
    running = told({"name": "hook", "format": "webhook", "url": hook.url()})
    image.move("second")
    wait_for("the roll", lambda: rolled(kubectl, ns, image), 20)
    threading.Timer(1, hook.gate.set).start()
    assert running.process.stop() == 0
    assert len(hook.taken()) == 1

    # And not for one that never answers.
    hook.gate.clear()
    running = told({"name": "hook", "format": "webhook", "url": hook.url()})
    image.move("third")
    wait_for("the roll", lambda: rolled(kubectl, ns, image), 20)
    begin = time.monotonic()
    assert running.process.stop() == 0
    assert time.monotonic() - begin < 10
    assert "notifications are lost" in running.process.text()


def test_a_single_sweep_tells_before_it_ends(cluster, kubectl, tmp, ns, image, sinks):
    hook = sinks([500])
    apply(kubectl, ns, image)
    image.move("second")
    folder = tmp / f"once-{ns}"
    folder.mkdir()
    sweeper = programs.Sweeper(cluster, folder, notifications={
        "sinks": [{"name": "hook", "format": "webhook", "url": hook.url()}]})
    sweeper.once("-n", ns, "--dry-run")
    assert not hook.posts
    sweeper.once("-n", ns)
    assert [body["reason"] for body in hook.taken()] == ["Rolled"]
    assert len(hook.posts) == 2


def test_a_file_that_cannot_be_read_is_told_at_the_start(cluster, tmp, ns):
    folder = tmp / f"bad-{ns}"
    folder.mkdir()
    sweeper = programs.Sweeper(cluster, folder, notifications={
        "sinks": [{"name": "chat", "format": "slack", "urlFile": str(folder / "missing")}]})
    done = sweeper.once("-n", ns, check=False)
    assert done.returncode == 2 and "notification sink chat" in done.stderr and "missing" in done.stderr
