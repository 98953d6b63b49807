"""What goes wrong during the soak. Every fault ends, and ends what it did."""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import threading
import time

from harness.certificates import clock
from harness.kubectl import Kubectl, KubectlError
from harness.processes import listens, wait_for
from proxy import MODES

NAMESPACE = "tidemark-system"
SECRET = "tidemark-webhook-tls"
QUIET = (1.5, 5)       # seconds between two faults
TWICE = 0.25           # how often another one comes along
LEASE = (18, 24)       # longer than a Lease lives: the other sweeper leads
LOSS = "0.1"           # of packets, each way
CLOCKS = ("+2h", "-2h")


class Component:
    """A process of the cluster's namespaces: nsenter, which stops and goes on with its child, and that child."""

    def __init__(self, state, name):
        self.pids, self.log = pathlib.Path(state) / "pids" / name, pathlib.Path(state) / "logs" / f"{name}.log"
        self.again = None

    def processes(self):
        """nsenter's number and its child's."""
        parent = self.pids.read_text().split()[0]
        return parent, pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()

    def send(self, number):
        parent, children = self.processes()
        for pid in (*children, parent):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), number)

    def kill(self):
        """Returns what start() takes."""
        parent, _ = self.processes()
        command = pathlib.Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")[:-1]
        self.send(signal.SIGKILL)
        if self.again:
            self.again.wait(10)
        return command

    def start(self, command):
        """As tests/cluster/lib/sandbox.sh starts it, which finds it by what is written down here."""
        with self.log.open("ab") as log:
            self.again = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        born = pathlib.Path(f"/proc/{self.again.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        self.pids.write_text(f"{self.again.pid} {born}\n")

    def in_its_network(self, *command):
        _, children = self.processes()
        subprocess.run(["nsenter", "--target", children[0], "--net", *command], check=True, timeout=20, capture_output=True)


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
            self.kinds.append((f"kill {name}", component, self.kill_component))
        # The address of the API server, and all that is said to it and by it; to etcd it speaks within.
        self.kinds.append(("packet loss", components["kube-apiserver"], self.lose_packets))
        self.kinds.append(("stop both webhooks", "webhooks", self.stop_webhooks))
        for name in ("sweeper-0", "sweeper-1"):
            self.kinds.append((f"stop {name} for longer than its Lease", name, self.outlive_lease))
        self.kinds += [(f"registry: {mode}", mode, self.spoil) for mode in MODES]
        self.kinds.append(("registry: disk full", "registry", self.fill_disk))
        self.kinds += [(f"{name}: clock off", name, self.shift_clock) for name in ("webhook-1", "sweeper-1")]
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
        except (AssertionError, OSError, IndexError, subprocess.SubprocessError) as error:
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

    def kill_component(self, component, extent):
        command = component.kill()
        try:
            self.rest(0.2, 4, extent)
        finally:
            component.start(command)
        wait_for("the API server is ready again", self.api_answers, 60)

    def api_answers(self):
        try:
            return self.kubectl("get", "--raw", "/readyz", "--request-timeout=3s")
        except KubectlError as error:
            raise AssertionError(str(error)[-300:]) from error

    def lose_packets(self, component, extent):
        rules = [(chain, "!", way, "lo", "-m", "statistic", "--mode", "random", "--probability", LOSS, "-j", "DROP")
                 for chain, way in (("INPUT", "-i"), ("OUTPUT", "-o"))]
        with contextlib.ExitStack() as undo:
            for rule in rules:
                component.in_its_network("iptables", "-w", "-I", *rule)
                undo.callback(component.in_its_network, "iptables", "-w", "-D", *rule)
            self.rest(3, 12, extent)

    def shift_clock(self, name, extent):
        """The program begins anew with a clock that is off, and once more with the right one."""
        program = self.world.programs[name]
        program.kill()
        program.start(clock(CLOCKS[extent > 0.5]))
        try:
            self.rest(5, 15, extent)
        finally:
            program.kill()
            program.start()

    def fill_disk(self, _target, extent):
        """Pushes fail, some in the midst: a tag that has lost its manifest by it is pushed again."""
        filler = self.world.registry_disk / "filler"
        file = os.open(filler, os.O_CREAT | os.O_WRONLY)
        try:
            with contextlib.suppress(OSError):
                while os.write(file, bytes(1 << 16)):
                    pass
            self.rest(3, 12, extent)
        finally:
            os.close(file)
            filler.unlink()
        wait_for("every tag has a manifest again", self.world.images.repair, 60, 1)

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
