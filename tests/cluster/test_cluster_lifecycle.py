"""The cluster script itself: it starts, heals, stands beside others, and leaves nothing."""

import os
import pathlib
import re
import signal
import subprocess
import time

from conftest import HERE, Instance


def machine():
    """What an instance could leave on the machine: links, addresses, routes, mounts, cgroups, kernel settings."""
    def output(*command):
        return subprocess.run(command, text=True, capture_output=True, check=True).stdout

    links = set(re.findall(r"^\d+: ([^:@]+)", output("ip", "-o", "link"), re.MULTILINE))
    addresses = set(re.findall(r"inet (\S+)", output("ip", "-o", "addr")))
    mounts = {line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()}
    cgroups = set()
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[2] in ("cgroup", "cgroup2"):
            cgroups |= {str(path) for path in pathlib.Path(line.split()[1]).glob("tidemark-*")}
    settings = {name: pathlib.Path("/proc/sys", name).read_text() for name in (
        "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")}
    return {"links": links, "addresses": addresses, "mounts": mounts, "cgroups": cgroups, "settings": settings}


def processes(name):
    """Command lines of what runs for the instance: they all name its state directory."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"/{name}/" in line or line.rstrip().endswith(f"/{name}"):
            found.append(line)
    return found


def of(instance, snapshot):
    """The part of a snapshot that other instances on the machine do not touch meanwhile."""
    return {"mounts": snapshot["mounts"], "settings": snapshot["settings"],
            "cgroups": {path for path in snapshot["cgroups"] if path.endswith(f"/tidemark-{instance.name}")}}


def run_pod(instance):
    env = instance.env
    reference = f"{env['TIDEMARK_REGISTRY']}/app:latest"
    subprocess.run([str(HERE / "image"), "app", reference, "1"], check=True, stdout=subprocess.DEVNULL)
    instance.kubectl("create", "deployment", "app", f"--image={reference}")
    instance.kubectl("rollout", "status", "deployment/app", "--timeout=90s")


def test_down_leaves_nothing_of_a_node_with_a_running_pod(instance):
    before = machine()
    instance.ok("up")
    run_pod(instance)
    link = instance.link()
    state = pathlib.Path(instance.env["TIDEMARK_CLUSTER_STATE"])
    address = instance.env["TIDEMARK_HOST_ADDRESS"]
    assert processes(instance.name), "this test looks for processes in the wrong way"

    instance.ok("down")

    after = machine()
    assert of(instance, after) == of(instance, before)
    assert link not in after["links"]
    assert f"{address}/30" not in after["addresses"]
    assert processes(instance.name) == []
    assert not state.exists()


def test_up_heals_a_run_that_was_killed(instance):
    instance.ok("up")
    run_pod(instance)
    # As after the machine's out-of-memory killer, or a job runner that ends: nothing was told to stop.
    os.kill(instance.keeper(), signal.SIGKILL)
    assert instance.run("status").returncode == 1

    instance.ok("up")

    assert instance.kubectl("get", "node", "-o", "name") == "node/tidemark-node\n"
    run_pod(instance)
    assert len(subprocess.run(["pgrep", "-f", f"^tidemark-keeper .*/{instance.name}$"], capture_output=True,
                              text=True).stdout.split()) == 1


def test_down_leaves_another_instance_the_link_whose_name_was_its_own(instance):
    instance.ok("up", "--control-plane-only")
    link, address = instance.link(), instance.env["TIDEMARK_HOST_ADDRESS"]
    os.kill(instance.keeper(), signal.SIGKILL)
    deadline = time.monotonic() + 10
    while link in machine()["links"]:
        assert time.monotonic() < deadline, "the link outlives the namespace of its other end"
        time.sleep(0.05)
    # What another one does that starts at this moment: it takes the first name that is free.
    subprocess.run(["ip", "link", "add", link, "type", "veth", "peer", "name", "other-end"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", f"{address}/30", "dev", link], check=True)
        instance.ok("down")
        assert link in machine()["links"]
    finally:
        subprocess.run(["ip", "link", "delete", link], check=True)


def test_up_starts_again_what_died_and_keeps_the_objects(instance):
    instance.ok("up", "--control-plane-only")
    instance.kubectl("create", "configmap", "kept")
    pid = int(pathlib.Path(instance.env["TIDEMARK_CLUSTER_STATE"], "pids/etcd").read_text().split()[0])
    child = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=True).stdout.split()[0]
    os.kill(int(child), signal.SIGKILL)
    deadline = time.monotonic() + 10
    while instance.run("status").returncode == 0:
        assert time.monotonic() < deadline, "status does not see that etcd is dead"
    assert re.search(r"^etcd +dead", instance.run("status").stdout, re.MULTILINE)

    instance.ok("up", "--control-plane-only")

    assert instance.run("status").returncode == 0
    assert instance.kubectl("get", "configmap", "kept", "-o", "name") == "configmap/kept\n"


def test_up_again_changes_nothing(instance):
    instance.ok("up", "--control-plane-only")
    pids = {path.name: path.read_text()
            for path in pathlib.Path(instance.env["TIDEMARK_CLUSTER_STATE"], "pids").iterdir()}
    instance.ok("up", "--control-plane-only")
    assert pids == {path.name: path.read_text()
                    for path in pathlib.Path(instance.env["TIDEMARK_CLUSTER_STATE"], "pids").iterdir()}


def test_two_instances_stand_side_by_side(instance):
    other = Instance(f"{instance.name}-b")
    try:
        instance.ok("up", "--control-plane-only")
        other.ok("up", "--control-plane-only")
        assert instance.env["TIDEMARK_REGISTRY"] != other.env["TIDEMARK_REGISTRY"]
        instance.kubectl("create", "configmap", "mine")
        assert "mine" not in other.kubectl("get", "configmap", "-o", "name")
    finally:
        other.ok("down")
    assert instance.run("status").returncode == 0


def test_down_of_what_is_not_up_is_fine(instance):
    instance.ok("down")


def test_wrong_use_exits_2_and_names_it(instance):
    for arguments, named in ((("sideways",), "sideways"), (("up", "--fast"), "--fast"), ((), "no command")):
        done = instance.run(*arguments)
        assert done.returncode == 2 and named in done.stderr
    done = Instance("Not/A/Name").run("status")
    assert done.returncode == 2 and "Not/A/Name" in done.stderr
