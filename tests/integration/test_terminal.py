"""What a person sees: real kubectl calls the plugin, on a terminal and off it."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
import threading
import time

import pytest
import yaml

from harness import manifests

ROLL = {"tidemark.dev/sweep": "roll"}


class Person:
    """Calls `kubectl tidemark` as the sweeper's account, the one that this suite gives the rights to."""

    def __init__(self, path, sweeper, ns):
        self.sweeper, self.ns = sweeper, ns
        self.env = os.environ | {"PATH": path, "KUBECONFIG": str(sweeper.kubeconfig), "NO_PROXY": "*", "no_proxy": "*"}

    def command(self, *arguments):
        return ["kubectl", "tidemark", *arguments, "-n", self.ns, "--config", str(self.sweeper.config)]

    def call(self, *arguments, check=True):
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60, env=self.env)
        assert not check or done.returncode == 0, done.stderr
        return done

    def on_terminal(self, *arguments, columns, piped=None, **env):
        """What a terminal of that width shows. `piped`: a list that gets what stdout was, which then is no terminal."""
        shown, of_program = pty.openpty()
        fcntl.ioctl(of_program, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        process = subprocess.Popen(self.command(*arguments), stdin=of_program, stderr=of_program,
                                   stdout=of_program if piped is None else subprocess.PIPE,
                                   env=self.env | {"TERM": "xterm", "NO_COLOR": ""} | env)
        os.close(of_program)
        if piped is not None:
            reader = threading.Thread(target=lambda: piped.append(process.stdout.read().decode()))
            reader.start()
        text = b""
        try:
            while part := os.read(shown, 4096):
                text += part
        except OSError:  # the other side is closed
            pass
        os.close(shown)
        assert process.wait(60) == 0, text
        if piped is not None:
            reader.join()
        return text.decode().replace("\r\n", "\n")


@pytest.fixture
def person(plugin_path, sweeper, ns):
    return Person(plugin_path, sweeper, ns)


def test_status_as_a_table_and_for_machines(person, two, ns):
    lines = person.call("status").stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["WORKLOAD", "deployment/moved", "deployment/quiet"]
    assert "held" in lines[1] and "freeze" in lines[1] and " ok " in lines[2]
    assert "\x1b" not in "".join(lines), "no terminal, no colours"
    for form, load in (("json", json.loads), ("yaml", yaml.safe_load)):
        slots = load(person.call("status", "-o", form).stdout)["slots"]
        assert [(slot["workload"], slot["state"]) for slot in slots] == [("deployment/moved", "held"), ("deployment/quiet", "up-to-date")]
        assert slots[0]["stamp"] != slots[0]["digest"] and slots[1]["stamp"] == slots[1]["digest"]


@pytest.mark.parametrize("columns", [60, 200])
def test_a_terminal_gets_lines_of_its_width_and_colours(person, two, columns):
    text = person.on_terminal("status", columns=columns)
    lines = [line.replace("\x1b[32m", "").replace("\x1b[33m", "").replace("\x1b[0m", "") for line in text.splitlines()]
    assert len(lines) == 3 and all(len(line) <= columns for line in lines), lines
    assert "\x1b[33m" in text and "\x1b[32m" in text
    assert ("STAMPED" in lines[0]) == (columns == 200)
    assert "STATE" in lines[0]


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_refused(person, two, env):
    assert "\x1b" not in person.on_terminal("status", columns=200, **env)


@pytest.fixture
def slow(kubectl, registry, registry_proxy, ns, monkeypatch):
    """Two workloads whose registry takes a second for each answer, to the sweeper alone."""
    for name in ("one", "other"):
        registry.push(f"{ns}/{name}:1", f"{ns} {name}")
        kubectl.apply(manifests.deployment(name, ns, manifests.pod_spec(f"{registry_proxy.address}/{ns}/{name}:1"), ROLL))

    def wait():
        time.sleep(0.5)  # before and after each request
        return False
    monkeypatch.setattr(registry_proxy.switch, "pass_moment", wait)


@pytest.mark.parametrize("columns", [60, 200])
@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_long_sweep_shows_how_far_it_is_and_leaves_nothing(person, slow, columns, no_color):
    piped = []
    shown = person.on_terminal("once", "--dry-run", columns=columns, piped=piped, NO_COLOR=no_color)
    assert "/2 references, " in shown and shown.endswith("\r\x1b[K"), shown
    lines = shown.split("\r\x1b[K")
    assert all(len(line.replace("\x1b[32m", "").replace("\x1b[0m", "")) < columns for line in lines), lines
    assert ("\x1b[32m" in shown) == (no_color == "")
    assert piped[0].count(" ok\n") == 2 and "\x1b" not in piped[0] and "\r" not in piped[0]


@pytest.mark.parametrize("flags, env", [(["-q"], {}), (["-o", "json"], {}), ([], {"TERM": "dumb"})])
def test_nobody_is_shown_a_bar_who_does_not_want_it(person, slow, flags, env):
    piped = []
    assert person.on_terminal("once", "--dry-run", *flags, columns=200, piped=piped, **env) == ""
    assert piped[0]


def test_no_terminal_no_bar(person, slow):
    assert person.call("once", "--dry-run").stderr == ""


def test_explain_says_the_same_on_a_terminal_of_any_width(person, two, ns):
    told = person.call("explain", "deployment/moved").stdout
    assert "freeze" in told and "credential: none" in told
    for columns in (60, 200):
        assert person.on_terminal("explain", "deployment/moved", columns=columns) == told


@pytest.mark.parametrize("arguments", [("status", "-w"), ("status", "-w", "--from", "api")])
def test_watch_ends_with_its_reader_in_one_line(person, two, arguments):
    """A closed pipe: `kubectl tidemark status -w | head -1`."""
    process = subprocess.Popen(person.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=person.env, text=True)
    assert process.stdout.readline().startswith("NAMESPACE")
    process.stdout.close()
    assert process.wait(20) == 1
    assert process.stderr.read() == "tidemark-sweeper: not all of the answer could be written: its reader is gone\n"


@pytest.mark.parametrize("arguments, code, named", [
    (("status", "--wtach"), 2, "--wtach"),
    (("explain", "deployment/missing"), 1, "missing"),
    (("explain", "deploment/web"), 2, "deploment"),
    (("stauts",), 2, "stauts"),
])
def test_a_mistake_is_one_clear_line(person, arguments, code, named):
    done = person.call(*arguments, check=False)
    assert done.returncode == code and named in done.stderr, done.stderr
