"""Processes that a test started, and waiting without blind sleeps."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]


def wait_for(what, probe, seconds=30.0, interval=0.05):
    """Calls probe() until it gives something true and returns that; fails with `what` when time is up.

    An AssertionError of the probe counts as "not yet", and its text is told at the end.
    """
    deadline = time.monotonic() + seconds
    last = None
    while True:
        try:
            value = probe()
            if value:
                return value
            last = value
        except (AssertionError, OSError, KeyError, subprocess.CalledProcessError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s; last: {last!r}")
        time.sleep(interval)


def stays_for(what, probe, seconds):
    """Fails as soon as probe() is false within `seconds`: for what must not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert probe(), what
        time.sleep(0.1)


def free_port(address="127.0.0.1"):
    with contextlib.closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 0))
        return listener.getsockname()[1]


def listens(address, port):
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((address, port)) == 0


class Process:
    """One program with its log file. Ended by its own process id."""

    def __init__(self, name, command, log_dir, env=None):
        self.name = name
        self.log = pathlib.Path(log_dir) / f"{name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log, env=env or os.environ.copy())

    def running(self):
        return self.popen.poll() is None

    def text(self):
        return self.log.read_text(errors="replace")

    def send(self, number):
        if self.running():
            self.popen.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        self.popen.wait(10)

    def stop(self, seconds=30):
        """SIGTERM; the exit code. A process that does not end in time is killed, and that is a failure."""
        self.send(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {seconds} s of SIGTERM:\n{self.text()[-2000:]}")
