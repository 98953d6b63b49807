"""What goes wrong during the soak. Every fault ends, and ends what it did."""

import contextlib
import os
import pathlib
import random
import signal
import threading
import time

from harness.kubectl import Kubectl, KubectlError
from harness.processes import listens, wait_for
from proxy import MODES

NAMESPACE = "tidemark-system"
SECRET = "tidemark-webhook-tls"
QUIET = (1.5, 5)       # seconds between two faults
TWICE = 0.25           # how often another one comes along
LEASE = (18, 24)       # longer than a Lease lives: the other sweeper leads


class Component:
    """A process of the cluster's namespaces: nsenter, which stops and goes on with its child, and that child."""

    def __init__(self, state, name):
        self.pids = pathlib.Path(state) / "pids" / name

    def send(self, number):
        parent = self.pids.read_text().split()[0]
        children = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for pid in (*children, parent):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), number)


class Faults:
    """One fault after another, now and then two at once, from a generator of its own."""

    def __init__(self, seed, world):
        self.random, self.world = random.Random(f"{seed} faults"), world
        self.kubectl = Kubectl(world.kubectl.program, world.kubectl.kubeconfig)
        self.done, self.now, self.problems = [], [], []
        self.stopped = threading.Event()
        components = {name: Component(world.cluster.node_folder.parent, name) for name in ("kube-apiserver", "etcd")}
        self.components = components
        self.kinds = []
        for name in ("webhook-1", "sweeper-1", "registry"):
            self.kinds += [(f"kill {name}", name, self.kill)] * 2
        for name in ("webhook-0", "webhook-1", "sweeper-0", "sweeper-1", "registry"):
            self.kinds.append((f"stop {name}", name, self.stop))
        for name, component in components.items():
            self.kinds.append((f"stop {name}", component, self.stop_component))
        self.kinds.append(("stop both webhooks", "webhooks", self.stop_webhooks))
        for name in ("sweeper-0", "sweeper-1"):
            self.kinds.append((f"stop {name} for longer than its Lease", name, self.outlive_lease))
        self.kinds += [(f"registry: {mode}", mode, self.spoil) for mode in MODES]
        self.kinds.append(("delete the certificate", "", self.delete_certificate))
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()

    def end(self):
        """Returns when the last fault is over."""
        self.stopped.set()
        self.thread.join(60)
        assert not self.thread.is_alive(), f"a fault does not end: {self.now}"

    def _run(self):
        while not self.stopped.wait(self.random.uniform(*QUIET)):
            chosen = [self.random.choice(self.kinds)]
            if self.random.random() < TWICE:
                chosen.append(self.random.choice([kind for kind in self.kinds if kind[1] != chosen[0][1]]))
            threads = [threading.Thread(target=self._one, args=(kind, self.random.random())) for kind in chosen]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _one(self, kind, extent):
        name, target, work = kind
        record = {"name": name, "begin": time.time()}
        self.now.append(name)
        try:
            work(target, extent)
        except (AssertionError, OSError) as error:
            self.problems.append(f"{name}: {error!r}"[:600])
        record["end"] = time.time()
        self.now.remove(name)
        self.done.append(record)

    def rest(self, least, most, extent):
        time.sleep(least + (most - least) * extent)

    def kill(self, name, extent):
        program = self.world.programs[name]
        program.kill()
        try:
            self.rest(0.2, 5, extent)
        finally:
            program.start()
        if name == "registry":
            host, port = self.world.registry.address.split(":")
            wait_for("the registry listens again", lambda: listens(host, int(port)))

    def stop(self, name, extent, between=(1, 10)):
        program = self.world.programs[name]
        program.send(signal.SIGSTOP)
        try:
            self.rest(*between, extent)
        finally:
            program.send(signal.SIGCONT)

    def stop_webhooks(self, _target, extent):
        """Admission goes on without them: failurePolicy Ignore."""
        self.world.programs["webhook-1"].send(signal.SIGSTOP)
        try:
            self.stop("webhook-0", extent, (5, 10))
        finally:
            self.world.programs["webhook-1"].send(signal.SIGCONT)

    def outlive_lease(self, name, extent):
        self.stop(name, extent, LEASE)

    def stop_component(self, component, extent):
        component.send(signal.SIGSTOP)
        try:
            self.rest(1, 10, extent)
        finally:
            component.send(signal.SIGCONT)

    def spoil(self, mode, extent):
        self.world.proxy.mode = mode
        try:
            self.rest(2, 12, extent)
        finally:
            self.world.proxy.mode = ""

    def delete_certificate(self, _target, _extent):
        with contextlib.suppress(KubectlError):
            self.kubectl("delete", "secret", SECRET, "-n", NAMESPACE, "--request-timeout=20s", "--ignore-not-found")

    def heal(self):
        """Also what a fault that broke off left."""
        self.world.proxy.mode = ""
        for component in self.components.values():
            component.send(signal.SIGCONT)
        for program in self.world.programs.values():
            program.send(signal.SIGCONT)
