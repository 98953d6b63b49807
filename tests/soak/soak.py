#!/usr/bin/python3
"""./dev soak [MINUTES] [--seed N]: Tidemark on a real control plane while tags move, users work and things fail.

Ends with "N passed, N failed" of the checks of checks.py; exit code 1 on a failure, 2 where the arguments are wrong. Bounded:
every wait has its own limit. Cluster, registry and programs are its own, and gone when it ends.
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

import checks  # noqa: E402
import report  # noqa: E402
from faults import Faults  # noqa: E402
from harness import programs  # noqa: E402
from harness.certificates import Api  # noqa: E402
from harness.cluster import SCRIPT, Cluster, binary  # noqa: E402
from harness.kubectl import KubectlError  # noqa: E402
from harness.processes import Process, free_port, wait_for  # noqa: E402
from harness.registry import PrivateRegistry  # noqa: E402
from harness.rollouts import UNSEEN  # noqa: E402
from proxy import FaultyProxy  # noqa: E402
from recording import (RESOURCES, Managed, Sampler, Watch, audit_policy, differs, hash_of, read_audit,  # noqa: E402
                       template_of, version_of)

NAMESPACES = ("soak-a", "soak-b", "soak-c")
KINDS = ("deployments",) * 12 + ("statefulsets",) * 5 + ("daemonsets",) * 4 + ("cronjobs",) * 3
IMAGES = 8
NODES = 4
INTERVAL = "2s"
MINUTES = (1, 240)
QUIET = 10             # seconds without a fault at the beginning: the baseline of descriptors and threads
STEADY = 12            # seconds without a changed template, and stamps that are true: settled
STUCK = 60             # seconds without one: nothing more will come
SETTLE = 240           # the longest that settling may take
CERTIFICATES = "3m"    # how long one serves: they are renewed all the time
DISK = "96m"           # of the registry
IDLE = 130             # connections of the API server are gone after that time
ACTIONS = {"push": 30, "scale": 14, "annotate": 14, "apply": 16, "restart": 14, "undo": 12}
REQUEST = "--request-timeout=20s"
KIND = "application/vnd.oci.image.manifest.v1+json"


class SoakCluster(Cluster):
    """Its accounts' tokens outlive the longest run."""

    def kubeconfig_of(self, service_account, ns, server=None):
        path = super().kubeconfig_of(service_account, ns, server)
        config = yaml.safe_load(path.read_text())
        config["users"][0]["user"]["token"] = self.kubectl("create", "token", service_account, "-n", ns, "--duration=8h").strip()
        path.write_text(yaml.safe_dump(config))
        return path


class Images:
    """Tags of one registry that move forward only. `pushes`: by image, [digest, begin, end]; end 0: its answer was lost."""

    def __init__(self, registry, address):
        self.registry, self.address = registry, address
        self.pushes = {number: [] for number in range(IMAGES)}
        self.lock = threading.Lock()
        registry.push("soak/app0:live", "soak")
        for number in range(1, IMAGES):
            registry.crane("copy", "--insecure", f"{registry.address}/soak/app0:live", f"{registry.address}/soak/app{number}:live")
        request = urllib.request.Request(f"http://{registry.address}/v2/soak/app0/manifests/live", headers={"Accept": KIND})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            self.manifest = json.loads(answer.read())

    def reference(self, number):
        return f"{self.address}/soak/app{number}:live"

    def push(self, number):
        """True where the registry said so; else it may have come about or not."""
        with self.lock:
            return self._push(number)

    def _push(self, number):
        body = json.dumps(self.manifest | {"annotations": {"content": f"{number} {len(self.pushes[number])}"}}).encode()
        entry = [f"sha256:{hashlib.sha256(body).hexdigest()}", time.time(), 0]
        self.pushes[number].append(entry)
        try:
            connection = http.client.HTTPConnection(self.registry.address, timeout=12)
            connection.request("PUT", f"/v2/soak/app{number}/manifests/live", body, {"Content-Type": KIND})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            if answer.status == 201:
                entry[2] = time.time()
        except (OSError, http.client.HTTPException):
            pass
        return entry[2] > 0

    def repair(self):
        """Pushes again what the registry has lost; true where it has everything."""
        lost = [number for number in range(IMAGES) if not self.has(number)]
        return all([self.push(number) for number in lost])

    def has(self, number):
        try:
            return self.registry.digest(f"soak/app{number}:live")
        except AssertionError:
            return None

    def truth(self):
        """{reference: digest} as the registry has it."""
        return {self.reference(n): self.registry.digest(f"soak/app{n}:live") for n in range(IMAGES)}


def manifest(index, images):
    """The workload of that number, as its user writes it."""
    resource, name = KINDS[index], f"w{index}"
    api_version, kind = RESOURCES[resource]
    slots = {"app": images.reference(index % IMAGES)} | (
        {"side": images.reference((index + 3) % IMAGES)} if index % 4 == 3 else {})
    pod = {"nodeName": f"kwok-{index % NODES}", "terminationGracePeriodSeconds": 0,
           "containers": [{"name": slot, "image": image, "imagePullPolicy": "Always"} for slot, image in slots.items()]}
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    spec = {"selector": {"matchLabels": {"app": name}}, "revisionHistoryLimit": 1000, "template": template}
    if resource == "cronjobs":
        pod["restartPolicy"] = "Never"
        spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}}
    elif resource != "daemonsets":
        spec["replicas"] = 1 + index % 3
    if resource == "statefulsets":
        spec |= {"serviceName": name, "podManagementPolicy": "Parallel"}
    return {"apiVersion": api_version, "kind": kind, "spec": spec,
            "metadata": {"name": name, "namespace": NAMESPACES[index % len(NAMESPACES)],
                         "annotations": {"tidemark.dev/sweep": "roll"}}}


class World:
    """Everything that runs, and what is written down of it; the stack ends it."""

    def __init__(self, stack, tmp):
        self.tmp = tmp
        self.copy_programs()
        self.audit = tmp / "audit.log"
        (tmp / "policy.yaml").write_text(yaml.safe_dump(audit_policy()))
        self.audit.touch()
        # Debian's etcd cannot stream a list as a watch; with the gate, kwok asks for one over and over instead of listing.
        os.environ["TIDEMARK_APISERVER_FLAGS"] = (
            f"--audit-policy-file={tmp}/policy.yaml --audit-log-path={self.audit} --audit-log-maxsize=100000 "
            "--feature-gates=WatchList=false")
        name = os.environ.get("TIDEMARK_TEST_CLUSTER", f"soak-{os.getpid()}")
        stack.callback(subprocess.run, [SCRIPT, "--name", name, "down"], check=True)
        self.versions, self.programs = {}, {}
        stack.callback(self.end_programs)
        self.cluster = SoakCluster(name, tmp)
        self.kubectl = self.cluster.kubectl
        self.api = Api(self.kubectl)
        programs.install(self.cluster)
        port = free_port(self.cluster.host_address)
        self.registry_disk = tmp / f"registry-{port}" / "data"
        self.mount_disk(stack)
        self.registry = PrivateRegistry(self.cluster.host_address, binary("crane"), tmp, port=port)
        self.manage("registry", self.registry.process, os.environ | {"OTEL_TRACES_EXPORTER": "none"})
        self.proxy = FaultyProxy(self.cluster.host_address, self.registry.address, os.environ["TIDEMARK_SOAK_SEED"])
        stack.callback(self.proxy.stop)
        self.images = Images(self.registry, self.proxy.address)
        self.start_nodes(stack)
        self.start_programs()

    def mount_disk(self, stack):
        """The registry's own, small enough to be filled."""
        self.registry_disk.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", self.registry_disk], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", self.registry_disk], check=True)

    def copy_programs(self):
        """A build beside the run does not take them away."""
        for name in ("WEBHOOK", "SWEEPER"):
            copied = self.tmp / getattr(programs, name).name
            shutil.copy2(getattr(programs, name), copied)
            setattr(programs, name, copied)

    def manage(self, name, process, env):
        def again(old, more_env):
            return Process(old.name, old.popen.args, self.tmp, env | more_env)
        self.programs[name] = Managed(name, process, again)

    def start_nodes(self, stack):
        for n in range(NODES):
            self.api("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {
                "name": f"kwok-{n}", "annotations": {"kwok.x-k8s.io/node": "fake"}}})
        nodes = Process("kwok", [binary("kwok"), "--kubeconfig", self.cluster.kubeconfig, "--manage-all-nodes=true",
                                 "--node-lease-duration-seconds=40"], self.tmp)
        stack.callback(nodes.kill)

    def start_programs(self):
        config = {"logLevel": "info", "registries": [{"host": self.proxy.address, "plainHTTP": True}]}
        webhooks = []
        for n in range(2):
            webhooks.append(programs.Webhook(self.cluster, self.tmp, name=f"webhook-{n}",
                                             flags=("--certificate-lifetime", CERTIFICATES), **config))
            self.manage(webhooks[n].name, webhooks[n].process, os.environ.copy())
        for webhook in webhooks:
            webhook.wait_ready()
        webhooks[0].serve_cluster()
        programs.route_service(self.cluster, [(self.cluster.host_address, webhook.port) for webhook in webhooks])
        sweeper = programs.Sweeper(self.cluster, self.tmp, sweeper={"maxRollouts": 20}, **config)
        for n in range(2):
            env = os.environ | {"POD_NAMESPACE": programs.NAMESPACE, "POD_NAME": f"soak-sweeper-{n}",
                                "NO_PROXY": "*", "no_proxy": "*"}
            command = sweeper.command("run", "--leader-elect", "--interval", INTERVAL, "--ops-listen",
                                      f"{self.cluster.host_address}:{free_port(self.cluster.host_address)}")
            self.manage(f"sweeper-{n}", Process(f"sweeper-{n}", command, self.tmp, env), env)

    def end_programs(self):
        for program in self.programs.values():
            program.end()

    def create_workloads(self):
        for name in NAMESPACES:
            self.kubectl.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self.watches = [Watch(self.api.another(), resource, self.versions) for resource in RESOURCES]
        for number in range(IMAGES):
            assert self.images.push(number), "the first push"
        time.sleep(2)  # longer than answers are remembered
        self.manifests = [manifest(index, self.images) for index in range(len(KINDS))]
        self.kubectl.apply(self.manifests)

        def swept():
            assert any("sweep done" in self.programs[f"sweeper-{n}"].process.text() for n in range(2))
            return True
        wait_for("the first sweep", swept, 60)

        def stamped():
            assert len(self.versions) == len(KINDS) and all(seen[-1]["stamps"] for seen in self.versions.values())
            return True
        wait_for("every workload is stamped", stamped, 60)

    def items(self, path):
        self.api.connection = None  # the API server closes idle ones
        status, answer = self.api("GET", path)
        assert status == 200, answer
        return answer["items"]

    def now(self):
        """{workload: its version of now}, asked for anew."""
        found = {}
        for resource, (group, _) in RESOURCES.items():
            for item in self.items(f"/apis/{group}/{resource}"):
                version = version_of(resource, item)
                found[version["workload"]] = version
        return found

    def revisions(self):
        """{workload: hashes of the templates of its ReplicaSets or ControllerRevisions}"""
        found = {}
        for resource in ("replicasets", "controllerrevisions"):
            for item in self.items(f"/apis/apps/v1/{resource}"):
                for owner in item["metadata"].get("ownerReferences", []):
                    workload = f"{item['metadata']['namespace']}/{owner['kind'].lower()}s/{owner['name']}"
                    template = template_of(item) if resource == "replicasets" else item["data"]["spec"]["template"]
                    found.setdefault(workload, []).append(hash_of(template))
        return found


class Users:
    """Pushes, and what the owners of workloads do, one after another."""

    def __init__(self, seed, world):
        self.random, self.world = random.Random(f"{seed} users"), world
        self.done = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()

    def end(self):
        self.stopped.set()
        self.thread.join(60)
        assert not self.thread.is_alive(), "an action of a user does not end"

    def _run(self):
        while not self.stopped.wait(self.random.uniform(0.2, 1.3)):
            what = self.random.choices(list(ACTIONS), ACTIONS.values())[0]
            index, value = self.random.randrange(len(KINDS)), self.random.randrange(1000)
            action = {"what": what, "begin": time.time(), "ok": True, "workload": ""}
            self.done.append(action)
            try:
                if what == "push":
                    action["image"] = index % IMAGES
                    action["ok"] = self.world.images.push(index % IMAGES)
                else:
                    self.act(what, index, value, action)
            except (KubectlError, subprocess.TimeoutExpired) as error:
                action |= {"ok": False, "error": str(getattr(error, "stderr", error))[-300:]}
            action["end"] = time.time()

    def act(self, what, index, value, action):
        resource, document = KINDS[index], self.world.manifests[index]
        if (what == "scale" and resource not in ("deployments", "statefulsets")) or (
                what in ("restart", "undo") and resource == "cronjobs"):
            what = action["what"] = "apply"
        name, ns = document["metadata"]["name"], document["metadata"]["namespace"]
        action["workload"] = f"{ns}/{resource}/{name}"
        at, kubectl = (f"{resource}/{name}", "-n", ns, REQUEST), self.world.kubectl
        if what == "scale":
            kubectl("scale", *at, f"--replicas={value % 4}")
        elif what == "annotate":
            kubectl("annotate", *at, "--overwrite", f"example.com/note={value}")
        elif what == "apply":
            kubectl.apply(document, REQUEST)
        else:
            kubectl("rollout", what, *at)


def sabotage(what, world):
    """A false state on purpose, to see that the checks find it: a stamp that is not true, or a template nobody accounts for."""
    target = ("deployment", "w0", "-n", NAMESPACES[0])
    for n in range(2):
        world.programs[f"sweeper-{n}"].kill()
    patch = {"stamp": {"digest.tidemark.dev/app": f"{world.images.reference(0)}@sha256:{'0' * 64}"},
             "template": {"soak": "extra"}}[what]
    world.kubectl("patch", *target, *UNSEEN, "-p", json.dumps({"spec": {"template": {"metadata": {"annotations": patch}}}}))
    time.sleep(3)


def play(seconds, seed, world, begin):
    """Users and faults for so long; told each ten seconds."""
    users, faults = Users(seed, world), Faults(seed, world)
    users.start()
    faults.start()
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            time.sleep(max(0, min(10, end - time.monotonic())))
            tell(world, users, faults, begin, seconds)
    finally:
        faults.stopped.set()
        users.stopped.set()
    faults.end()
    users.end()
    faults.heal()
    return users, faults


def tell(world, users, faults, begin, seconds):
    rolls = sum(entry["by"] == "tidemark-sweeper" for seen in list(world.versions.values()) for entry in seen[-1]["history"])
    used = world.sampler.latest()
    memory = " ".join(f"{name} {used[name]['rss'] / 1024:.1f}" for name in sorted(used))
    print(f"{time.time() - begin:5.0f} s of {seconds}: {sum(a['what'] == 'push' for a in users.done)} pushes, "
          f"{len(users.done)} actions, {len(faults.done)} faults, {rolls} rolls in histories; MiB: {memory}; "
          f"now: {', '.join(faults.now) or '-'}", flush=True)


def settle(world):
    """All tags stand still from here on; half of them have moved once more, which ends what an undo held. Seconds it took."""
    for number in range(0, IMAGES, 2):
        wait_for("the last push", lambda image=number: world.images.push(image), 60, 1)
    begin, since = time.monotonic(), time.time()
    while time.monotonic() - begin < SETTLE:
        time.sleep(2)
        newest = max(seen[-1]["when"] for seen in world.versions.values())
        if time.time() - newest < STEADY:
            continue
        writers, _ = read_audit(world.audit)
        left = checks.untrue(world.now(), world.images.truth(), world.versions, writers)
        if not left or time.time() - max(newest, since) > STUCK:
            break
    return time.monotonic() - begin


def cool_down(baseline, sampler):
    """Until descriptors and threads are back, or connections would have been closed."""
    deadline = time.monotonic() + IDLE
    while time.monotonic() < deadline:
        time.sleep(5)
        if not checks.above_baseline(baseline, sampler.samples, time.time() - 5):
            return


def run(arguments, stack, tmp):
    seconds, seed = round(arguments.minutes * 60), arguments.seed
    world = World(stack, tmp)
    world.create_workloads()
    world.sampler = sampler = Sampler([world.programs[name] for name in ("webhook-0", "webhook-1", "sweeper-0", "sweeper-1")])
    begin = time.time()
    time.sleep(QUIET)
    baseline = {"begin": begin, "end": time.time()}
    users, faults = play(seconds, seed, world, begin)
    ended = time.time()
    settled = settle(world)
    print(f"settled after {settled:.0f} s", flush=True)
    if arguments.sabotage:
        sabotage(arguments.sabotage, world)
    cool_down(baseline, sampler)
    sampler.stop()
    final, revisions, truth = world.now(), world.revisions(), world.images.truth()
    for watch in world.watches:
        watch.stop()
    time.sleep(0.5)
    for workload, version in final.items():
        if differs(world.versions[workload][-1], version):
            world.versions[workload].append(version | {"gap": True})  # the watch was behind
    writers, opened = read_audit(world.audit)
    return {"seed": seed, "seconds": seconds, "begin": begin, "ended": ended, "settled": settled, "baseline": baseline,
            "references": [world.images.reference(n) for n in range(IMAGES)], "truth": truth, "final": final,
            "versions": world.versions, "revisions": revisions, "writers": writers, "opened": opened,
            "pushes": {world.images.reference(n): pushes for n, pushes in world.images.pushes.items()},
            "actions": users.done, "faults": faults.done, "problems": faults.problems,
            "samples": sampler.samples, "gaps": [when for watch in world.watches for when in watch.gaps],
            "ended_by_itself": {name: program.ended for name, program in world.programs.items()},
            "log_lines": {name: world.programs[name].process.text().splitlines() for name in world.programs if name != "registry"}}


def bounded(text):
    value = float(text)
    if not MINUTES[0] <= value <= MINUTES[1]:
        raise argparse.ArgumentTypeError(f"{MINUTES[0]} to {MINUTES[1]} minutes")
    return value


def main():
    parser = argparse.ArgumentParser(prog="./dev soak", description="Tidemark under load and faults, and what it must not do.")
    parser.add_argument("minutes", nargs="?", type=bounded, default=15)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--sabotage", choices=("stamp", "template"), help="make a check fail at the end")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    os.environ["TIDEMARK_SOAK_SEED"] = str(arguments.seed)
    print(f"seed {arguments.seed}, {arguments.minutes:g} minutes", flush=True)
    with contextlib.ExitStack() as stack:
        tmp = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-soak-")))
        record = run(arguments, stack, tmp)
    return report.write(record, checks.judge(record), pathlib.Path(os.environ.get("TIDEMARK_SOAK_REPORT", ROOT / "soak-report")))


if __name__ == "__main__":
    sys.exit(main())
