"""./dev bench sweep: 200 to 10,000 Deployments on a real API server, swept by `once` and `run`.

Prints a table for each size and then the goals, each met or not. Exit code 1: a goal was missed. Bounded: every wait has
its own limit. Cluster and registry are its own, and gone when it ends.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import http.client
import json
import math
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import yaml

from goals import print_goals

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

from harness import programs  # noqa: E402
from harness.certificates import Api  # noqa: E402
from harness.cluster import SCRIPT, Cluster, binary  # noqa: E402
from harness.kubectl import load  # noqa: E402
from harness.processes import Process, free_port, wait_for  # noqa: E402
from harness.registry import PrivateRegistry  # noqa: E402

MEASURED = programs.BUILD / "tests/bench/measured"
USER = f"system:serviceaccount:{programs.NAMESPACE}:tidemark-sweeper"

SIZES = ((200, 50), (1000, 50), (1000, 200), (10000, 2000))  # Deployments, tags
PAGE = 500            # objects of a LIST page
ROUNDS = 5            # of what changes nothing, in turn; the median counts
MOVES = 3             # how often 1 % of the tags moves
INTERVAL = 2          # seconds between the sweeps of `run`
SWEEPS = 4            # of `run`, in steady state
PODS_UP_TO = 1000     # Deployments with a replica; those beyond have none
NAMESPACES = [f"bench-{n}" for n in range(20)]
NODES = 4
REPOSITORIES = 20
THREADS = 8           # that fill API server and registry

# Of others, as they were measured elsewhere with 1,000 workloads and 50 images: seconds, MiB, the goal's part of the seconds.
RECORDED = (("imago, dry run", 0.57, 44, 4), ("kube-autorollout", 24.8, None, 100), ("figwasp", 254, None, 1000))
NOT_MEASURED = {"imago": "github.com/philpep/imago", "figwasp": "github.com/figwasp/figwasp"}

# imago's program, if there is one: its dry run is measured beside ours, at this size.
IMAGO = os.environ.get("TIDEMARK_IMAGO")
IMAGO_SIZE, IMAGO_PART = (1000, 50), 4


def spread(work, items, connect):
    """work(connection, item) for all items, in threads with a connection each."""
    def run(part):
        connection = connect()
        for item in part:
            work(connection, item)
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, [items[n::THREADS] for n in range(THREADS)]))


class Tail:
    """What a log file gains."""

    def __init__(self, path):
        self.path, self.offset = pathlib.Path(path), 0

    def take(self):
        """What came since the last call, once nothing more comes."""
        end = -1
        while end != self.path.stat().st_size:
            end = self.path.stat().st_size
            time.sleep(0.1)
        with self.path.open() as file:
            file.seek(self.offset)
            text = file.read(end - self.offset)
        self.offset = end
        return text


class Images:
    """Tags in a docker-registry, of one content: another annotation in its manifest is another digest."""

    def __init__(self, host, crane, tmp):
        self.registry = PrivateRegistry(host, crane, tmp, access_log=True)
        self.address = self.registry.address
        self.log = Tail(self.registry.process.log)
        self.digests = {}
        self.registry.push("bench/app0:base", "bench")
        for n in range(1, REPOSITORIES):
            self.registry.crane("copy", "--insecure", f"{self.address}/bench/app0:base", f"{self.address}/bench/app{n}:base")
        self.kind = "application/vnd.oci.image.manifest.v1+json"
        request = urllib.request.Request(f"http://{self.address}/v2/bench/app0/manifests/base", headers={"Accept": self.kind})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            self.manifest = json.loads(answer.read())

    def reference(self, number):
        return f"{self.address}/bench/app{number % REPOSITORIES}:t{number}"

    def put(self, numbers, content):
        """From now on these tags are images of this content."""
        body = json.dumps(self.manifest | {"annotations": {"content": content}}).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"

        def put(connection, number):
            path = f"/v2/bench/app{number % REPOSITORIES}/manifests/t{number}"
            connection.request("PUT", path, body, {"Content-Type": self.kind})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 201 and answer.headers["Docker-Content-Digest"] == digest, text
            self.digests[number] = digest
        spread(put, list(numbers), lambda: http.client.HTTPConnection(self.address, timeout=10))

    def asked(self, agent="tidemark"):
        """Counts by method of what a program (the sweeper) asked since the last call."""
        return collections.Counter(re.findall(rf'"([A-Z]+) \S+ HTTP/[\d.]+" \d+ \d+ "[^"]*" "[^"]*{agent}', self.log.take()))


def deployment(number, image, digest):
    """As a chart might have made it; its template already carries the stamp."""
    labels = {"app.kubernetes.io/name": "app", "app.kubernetes.io/instance": f"app-{number}",
              "app.kubernetes.io/version": "1.4.2", "app.kubernetes.io/managed-by": "Helm"}
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10}
    container = {
        "name": "app", "image": image, "imagePullPolicy": "Always", "args": ["--listen=:8080", "--log-format=json"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": name, "value": f"value-of-{name.lower()}"} for name in ("REGION", "STAGE", "TEAM", "LOG_LEVEL")],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": probe, "livenessProbe": probe, "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}
    return {"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": f"app-{number}", "namespace": namespace_of(number), "labels": labels},
            "spec": {"replicas": int(number < PODS_UP_TO),
                     "selector": {"matchLabels": {"app.kubernetes.io/instance": f"app-{number}"}},
                     "template": {"metadata": {"labels": labels, "annotations": {"digest.tidemark.dev/app": f"{image}@{digest}"}},
                                  "spec": {"nodeName": f"kwok-{number % NODES}", "containers": [container],
                                           "volumes": [{"name": "tmp", "emptyDir": {}}]}}}}


def namespace_of(number):
    return NAMESPACES[number % len(NAMESPACES)]


def is_settled(item):
    spec, status = item["spec"], item.get("status", {})
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    return status.get("observedGeneration") == item["metadata"]["generation"] and counts == [spec["replicas"]] * 3


class Workloads:
    """The Deployments, their namespaces, and the nodes that kwok plays for their pods."""

    def __init__(self, api, images):
        self.api, self.images, self.tags = api, images, []
        for name in NAMESPACES:
            self.must("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for n in range(NODES):
            self.must("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {
                "name": f"kwok-{n}", "annotations": {"kwok.x-k8s.io/node": "fake"}}})

    def must(self, method, path, body=None, api=None):
        status, answer = (api or self.api)(method, path, body)
        assert status < 300, f"{method} {path}: {status} {answer}"
        return answer

    def shape(self, count, tags, settled=lambda item: True):
        """So many Deployments over so many tags: makes those that are missing, changes those whose tag is another. Returns when
        those are available of which `settled(item)` is true."""
        self.images.put(range(len(self.images.digests), tags), "first")

        def write(api, number):
            tag = number % tags
            item = deployment(number, self.images.reference(tag), self.images.digests[tag])
            path = f"/apis/apps/v1/namespaces/{namespace_of(number)}/deployments"
            if number < len(self.tags):
                self.must("PUT", f"{path}/app-{number}", item, api)
            else:
                self.must("POST", path, item, api)
        known = dict(enumerate(self.tags))
        spread(write, [n for n in range(count) if known.get(n) != n % tags], self.api.another)
        self.tags = [n % tags for n in range(count)]
        self.settle(settled)

    def settle(self, which=lambda item: True):
        def settled():
            items = self.must("GET", "/apis/apps/v1/deployments?resourceVersion=0")["items"]
            assert len(items) == len(self.tags), f"{len(items)} of {len(self.tags)}"
            left = sum(not is_settled(item) for item in items if which(item))
            assert left == 0, f"{left} of {len(items)} are not available yet"
            return True
        wait_for("all Deployments are available", settled, 600, len(self.tags) / 500)

    def users_of(self, tags):
        return sum(tag in tags for tag in self.tags)


class Lists:
    """What the API server alone needs: the same pages over one connection, read and thrown away."""

    def __init__(self, api, kubeconfig):
        self.host, self.port = api.host.split(":")
        config = yaml.safe_load(pathlib.Path(kubeconfig).read_text())
        self.token = config["users"][0]["user"]["token"]
        self.context = api.context
        self.buffer = bytearray(1 << 20)

    def page(self, connection, path):
        """(bytes, the next page's token)"""
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.token}\r\n"
                           f"Accept: application/json\r\n\r\n".encode())
        head, size, view = b"", 0, memoryview(self.buffer)
        while True:
            got = connection.recv_into(view)
            assert got, "the API server hung up"
            size += got
            if len(head) < 4096:
                head += view[:got]
            length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
            done = (size == head.index(b"\r\n\r\n") + 4 + int(length.group(1)) if length
                    else bytes(view[max(got - 7, 0):got]).endswith(b"\r\n0\r\n\r\n"))
            if done:
                assert head.startswith(b"HTTP/1.1 200 "), head
                found = re.search(rb'"continue":"([^"]+)"', head)
                return size, found.group(1).decode() if found else ""

    def read(self, paths):
        """All pages of these lists: seconds and bytes."""
        begin, total = time.monotonic(), 0
        plain = socket.create_connection((self.host, int(self.port)), timeout=30)
        with self.context.wrap_socket(plain, server_hostname=self.host) as connection:
            for path in paths:
                token = ""
                while True:
                    size, token = self.page(connection, path + (f"&continue={token}" if token else ""))
                    total += size
                    if not token:
                        break
        return {"wall": time.monotonic() - begin, "bytes": total}


@dataclasses.dataclass
class Bench:
    tmp: pathlib.Path
    sweeper: programs.Sweeper
    images: Images
    audit: Tail

    def requests(self):
        """What the sweeper asked of the API server since the last call: {(verb, resource): count}, and its first pages."""
        counts, paths = collections.Counter(), []
        for line in self.audit.take().splitlines():
            event = json.loads(line)
            if (event["verb"] == "watch") != (event["stage"] == "ResponseStarted"):
                continue  # a watch counts when it begins, all others when they end
            counts[event["verb"], event.get("objectRef", {}).get("resource", event["requestURI"])] += 1
            if event["verb"] == "list" and "continue=" not in event["requestURI"]:
                paths.append(event["requestURI"])
        return counts, paths

    def once(self, *flags):
        return self.measured("tidemark", self.sweeper.command("once", "-A", *flags))

    def imago(self):
        """Its dry run: what it does if it is not told to update or restart anything."""
        settings = self.tmp / ".config/containers/registries.conf"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(f'[[registry]]\nlocation = "{self.images.address}"\ninsecure = true\n')
        result = self.measured("containers/", [IMAGO, "--kubeconfig", self.sweeper.kubeconfig, "-A"], HOME=self.tmp)
        assert "unable to get digest" not in result["output"], result["output"][:2000]
        return result

    def measured(self, agent, command, **environment):
        """What a program costs that ends by itself, and what it asks, of the registry under the name of `agent`."""
        output, cost = self.tmp / "once.txt", self.tmp / "cost.json"
        with output.open("wb") as file:
            started = subprocess.Popen([MEASURED, cost, *command], stdout=file, stderr=subprocess.STDOUT,
                                       env=os.environ | programs.IMAGE_ENV | {"NO_PROXY": "*"} | environment, start_new_session=True)
        try:
            code = started.wait(120)
        except BaseException:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
            raise
        assert code == 0, output.read_text()[-2000:]
        api, paths = self.requests()
        return json.loads(cost.read_text()) | {"api": api, "paths": paths, "registry": self.images.asked(agent),
                                               "output": output.read_text()}

    def steady(self):
        """`run`, once it knows everything: what a sweep costs, and what is asked from one to the next."""
        process = Process("run", self.sweeper.command("run", "--interval", f"{INTERVAL}s", "--no-leader-elect", "--ops-listen",
                                                      f"127.0.0.1:{free_port()}"), self.tmp, os.environ | programs.IMAGE_ENV | {"NO_PROXY": "*"})

        def sweeps():
            assert process.running(), process.text()[-2000:]
            return [json.loads(line) for line in process.text().splitlines() if '"sweep done"' in line]
        try:
            seen = len(wait_for("the first two sweeps", lambda: len(sweeps()) >= 2 and sweeps(), 60))
            self.requests(), self.images.asked()
            cpu = cpu_seconds(process.popen.pid)
            done = wait_for("more sweeps", lambda: len(sweeps()) >= seen + SWEEPS and sweeps(), 120)
            cpu = cpu_seconds(process.popen.pid) - cpu
            api, _ = self.requests()
            status = pathlib.Path(f"/proc/{process.popen.pid}/status").read_text()
            rss = int(re.search(r"VmHWM:\s+(\d+)", status).group(1))
            count = len(done) - seen
            walls = [sweep["milliseconds"] / 1000 for sweep in done[seen:]]
            asked = collections.Counter({method: n / count for method, n in self.images.asked().items()})
            return {"wall": statistics.median(walls), "cpu": cpu / count, "rss": rss, "api": api, "registry": asked}
        finally:
            process.stop()
            process.log.unlink()


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def median_of(runs):
    """The last run's, with the medians of what is timed and the highest peak."""
    return runs[-1] | {key: statistics.median(run[key] for run in runs) for key in ("wall", "cpu")} | {
        "rss": max(run["rss"] for run in runs)}


def told(api):
    """Requests to the API server in a few words."""
    verbs = collections.Counter()
    for (verb, _), count in api.items():
        verbs[verb] += count
    return ", ".join(f"{count} {verb}" for verb, count in sorted(verbs.items())) or "0"


def print_head():
    print(f"| Deployments | tags | {'program':20} | wall s | CPU s | RSS MiB | {'API requests':24} | registry |")
    print(f"|--:|--:|{'-' * 22}|--:|--:|--:|{'-' * 26}|--:|", flush=True)


def print_row(size, program, wall, cpu="", rss="", api="", asked=""):
    print(f"| {size[0]:11,} | {size[1]:4} | {program:20} | {wall:6.3f} | {cpu:5} | {rss:7} | {api:24} | {asked:>8} |", flush=True)


def measure(size, bench, workloads, lists):
    """All that is measured of one size; prints its rows."""
    count, tags = size
    workloads.shape(count, tags)
    first = bench.once()
    odd = [line for line in first["output"].splitlines()[1:] if not line.endswith(" ok")]
    assert not odd and first["output"].count("\n") == count + 1, odd[:3]
    rounds = collections.defaultdict(list)
    for _ in range(ROUNDS):
        rounds["lists"].append(lists.read(first["paths"]))
        bench.requests()
        rounds["dry"].append(bench.once("--dry-run"))
        rounds["once"].append(bench.once())
        if IMAGO and size == IMAGO_SIZE:
            rounds["imago"].append(bench.imago())
    result = {name: median_of(rounds[name]) for name in ("dry", "once", "imago") if name in rounds} | {
        "lists": statistics.median(run["wall"] for run in rounds["lists"]), "run": bench.steady()}

    moved = range(tags - math.ceil(tags / 100), tags)
    users = workloads.users_of(moved)
    for n in range(MOVES):
        bench.images.put(moved, f"{size} {n}")
        for name, flags, told_so in (("moved dry", ["--dry-run"], "has to be updated to"), ("moved", [], " updated to ")):
            rounds[name].append(bench.once(*flags))
            assert rounds[name][-1]["output"].count(told_so) == users, rounds[name][-1]["output"]
        workloads.settle()
    result |= {name: median_of(rounds[name]) for name in ("moved dry", "moved")}

    print_row(size, f"LISTs of {rounds['lists'][0]['bytes'] / 1e6:.1f} MB alone", result["lists"], api=told(
        {key: count for key, count in first["api"].items() if key[0] == "list"}))
    for key, program in (("dry", "once --dry-run"), ("once", "once"), ("imago", "imago, dry run"), ("run", "run, a sweep"),
                         ("moved dry", f"{users} moved, --dry-run"), ("moved", f"{users} moved, once")):
        if key not in result:
            continue
        r = result[key]
        print_row(size, program, r["wall"], f"{r['cpu']:.3f}", f"{r['rss'] / 1024:.1f}", told(r["api"]),
                  f"{r['registry'].total():.0f}")
    return result


def goals(results):
    """(goal, measured, met)."""
    rows = []
    for (count, tags), result in results.items():
        once, run, size = result["once"], result["run"], f"{count:,} over {tags}"
        pages = max(1, math.ceil(count / PAGE))
        kinds = {what: n for (verb, what), n in once["api"].items() if verb == "list"}
        rows.append((f"once, {size}: at most {pages} LISTs of a kind", str(max(kinds.values())), max(kinds.values()) <= pages))
        forbidden = sum(once["api"][verb, what] for verb in ("get", "list", "watch") for what in ("pods", "replicasets")
                        ) + once["api"]["list", "secrets"]
        rows.append((f"once, {size}: no pod, ReplicaSet or Secret listing", str(forbidden), forbidden == 0))
        asked = once["registry"]
        rows.append((f"once, {size}: a HEAD for each tag, a token for each scope", told({(k, ""): n for k, n in asked.items()}),
                     asked["HEAD"] == tags and asked.total() <= tags + REPOSITORIES))
        reads = sum(n for (verb, _), n in run["api"].items() if verb != "watch")
        rows.append((f"run, {size}: no API read between sweeps", str(reads), reads == 0))
        rows.append((f"run, {size}: at most a HEAD for each tag and sweep", f"{run['registry'].total():.0f}",
                     run["registry"].total() <= tags))
    small, mid, big = results[1000, 50], results[1000, 200], results[10000, 2000]
    ratio = small["once"]["wall"] / small["lists"]
    rows.append(("once, 1,000 over 50: 1.5 x the LISTs alone", f"{ratio:.2f} x", ratio <= 1.5))
    for key, what in (("wall", "time"), ("rss", "memory")) if "imago" in small else ():
        part = small["imago"][key] / small["dry"][key]
        rows.append((f"once --dry-run, 1,000 over 50: 1/{IMAGO_PART} of the {what} of imago's", f"1/{part:.1f}", part >= IMAGO_PART))
    for key in ("wall", "cpu"):
        growth = big["once"][key] / mid["once"][key] / 10
        rows.append((f"once, 10,000 and 1,000: {key} a workload 1.15 x", f"{growth:.2f} x", growth <= 1.15))
    for key in ("once", "run"):
        rss = big[key]["rss"] / 1024
        rows.append((f"{key}, 10,000: RSS under 40 MiB", f"{rss:.1f} MiB", rss < 40))
    return rows


def print_recorded(once):
    print("\n| `once`, 1,000 over 50, beside figures recorded elsewhere | part wanted | part |\n|---|--:|--:|")
    for name, seconds, mib, part in RECORDED:
        print(f"| {name}: {seconds} s | 1/{part} | 1/{seconds / once['wall']:.0f} |")
        if mib:
            print(f"| {name}: {mib} MiB | 1/{part} | 1/{mib * 1024 / once['rss']:.1f} |")


def start(stack, tmp):
    """Everything that runs; the stack ends it."""
    policy, audit = tmp / "policy.yaml", tmp / "audit.log"
    policy.write_text(yaml.safe_dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
                                      "rules": [{"level": "Metadata", "users": [USER]}, {"level": "None"}]}))
    audit.touch()
    # Debian's etcd cannot stream a list as a watch; with the gate, kwok asks for one over and over instead of listing.
    os.environ["TIDEMARK_APISERVER_FLAGS"] = (
        f"--audit-policy-file={policy} --audit-log-path={audit} --feature-gates=WatchList=false")
    os.environ["TIDEMARK_CONTROLLER_FLAGS"] = (
        "--kube-api-qps=1000 --kube-api-burst=2000 --concurrent-deployment-syncs=20 --concurrent-replicaset-syncs=20")
    name = os.environ.get("TIDEMARK_TEST_CLUSTER", f"bench-{os.getpid()}")
    stack.callback(subprocess.run, [SCRIPT, "--name", name, "down"], check=True)
    cluster = Cluster(name, tmp)
    rights = ("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    cluster.kubectl.apply([d for d in load((ROOT / "deploy/install.yaml").read_text()) if d["kind"] in rights])
    images = Images(cluster.host_address, binary("crane"), tmp)
    stack.callback(images.registry.stop)
    workloads = Workloads(Api(cluster.kubectl), images)
    nodes = Process("kwok", [binary("kwok"), "--kubeconfig", cluster.kubeconfig, "--manage-all-nodes=true",
                             "--node-lease-duration-seconds=40"], tmp)
    stack.callback(nodes.stop)
    sweeper = programs.Sweeper(cluster, tmp, registries=[{"host": images.address, "plainHTTP": True}], logLevel="info",
                               cache={"ttl": "0s"}, defaults={"sweep": "roll"})
    return Bench(tmp, sweeper, images, Tail(audit)), workloads, Lists(workloads.api, sweeper.kubeconfig)


def main():
    begin = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    with contextlib.ExitStack() as stack:
        tmp = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-bench-")))
        bench, workloads, lists = start(stack, tmp)
        print_head()
        results = {size: measure(size, bench, workloads, lists) for size in SIZES}
    for name, module in NOT_MEASURED.items():
        if name == "imago" and IMAGO:
            continue
        print(f"{name}: not measured, the Go module proxy refuses {module}")
    print_recorded(results[1000, 50]["once"])
    return print_goals(goals(results), begin)


if __name__ == "__main__":
    sys.exit(main())
