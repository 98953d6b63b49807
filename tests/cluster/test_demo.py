"""`./dev demo`: with a cluster of its own, with one that is there, and used wrongly."""

import os
import re
import subprocess

import pytest

from conftest import Instance
from harness.processes import ROOT

# "The second run starts in under a minute": it is done by then.
SECOND_RUN_SECONDS = 60


def demo(*arguments, env=None):
    return subprocess.run([str(ROOT / "dev"), "demo", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=600, env=os.environ | (env or {}))


def shown(done):
    """What a good run told: (seconds from push to pod, seconds in all, digests pushed, the last imageID)."""
    told = done.stderr
    assert done.returncode == 0, f"./dev demo exited {done.returncode}:\n{done.stdout}{told}"
    pushed = re.findall(r"pushed \S+, version \d: (sha256:\w{64})", told)
    assert len(pushed) == 2 and pushed[0] != pushed[1]
    assert f"@{pushed[0]}" in re.search(r"digest\.tidemark\.dev/app: (\S+)", told).group(1)
    assert re.search(r"the pod's imageID: (\S+)", told).group(1).endswith(f"@{pushed[1]}")
    assert re.search(r"^ *2 +tidemark: app moved", told, re.MULTILINE), "kubectl rollout history"
    assert '"why": "moved"' in told
    return (float(re.search(r"from push to the new pod running: (\S+) s", told).group(1)),
            float(re.search(r"the demo took (\S+) s", told).group(1)))


def test_the_demo_with_its_own_cluster_and_once_more():
    instance = Instance(f"demo-{os.getpid()}")
    try:
        first = shown(demo(env={"TIDEMARK_CLUSTER": instance.name}))
        second = shown(demo(env={"TIDEMARK_CLUSTER": instance.name}))
    finally:
        instance.run("down")
    print(f"(push to pod, whole demo) in seconds: first run {first}, second {second}")
    assert second[1] < SECOND_RUN_SECONDS


def test_the_demo_on_a_cluster_that_is_there(node, tidemark_image, tmp):
    # A context that is not the current one of the kubeconfig.
    config = tmp / "somebody.kubeconfig"
    config.write_text(node.cluster.kubeconfig.read_text())
    config.chmod(0o600)
    env = {"KUBECONFIG": str(config), "NO_PROXY": "*", "no_proxy": "*"}
    for change in (("rename-context", f"tidemark-{node.cluster.name}", "mine"), ("unset", "current-context")):
        subprocess.run([node.kubectl.program, "config", *change], check=True, env=os.environ | env, capture_output=True)
    try:
        seconds = shown(demo("--context", "mine", "--image", tidemark_image.reference, "--app", f"{node.registry}/demo/app",
                             "--plain-http", env=env))
        print(f"(push to pod, whole demo) in seconds: {seconds}")
    finally:
        node.kubectl("delete", "namespace", "tidemark-demo", "--ignore-not-found", "--wait=false")
        node.install()


@pytest.mark.parametrize("arguments, named", [
    (("--sideways",), "--sideways"),
    (("now",), "now"),
    (("--context",), "--context"),
    (("--context", "mine"), "--image"),
    (("--image", "tidemark"), "--context"),
    (("--app", "registry.example.com/app"), "--context"),
    (("--context", "mine", "--image", "tidemark", "--plain-http"), "--app"),
])
def test_wrong_use_exits_2_and_names_it(arguments, named):
    done = demo(*arguments)
    assert done.returncode == 2 and named in done.stderr, done.stderr


def test_a_context_that_is_not_there_is_named(tmp):
    done = demo("--context", "nowhere", "--image", "tidemark", env={"KUBECONFIG": str(tmp / "none")})
    assert done.returncode == 1 and "nowhere" in done.stderr
