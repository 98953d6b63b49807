"""What Tidemark tells in Kubernetes Events, as `kubectl events` shows it."""

import json
import threading

import pytest
from harness import manifests
from harness.processes import free_port, stays_for, wait_for
from harness.proxies import Mute

from test_admission import STAMP
from test_sweeper import ROLL, moved_app


def events(kubectl, ns, name="deployment/web"):
    """Tidemark's own events of one object."""
    found = json.loads(kubectl("events", "--for", name, "-n", ns, "-o", "json"))["items"]
    return [e for e in found if e["reportingComponent"].startswith("tidemark.dev/")]


def told(kubectl, ns, *reasons):
    """The events, once they have exactly these reasons; and no other comes after."""
    wait_for(f"events {reasons}", lambda: sorted(e["reason"] for e in events(kubectl, ns)) == sorted(reasons))
    stays_for("no more events", lambda: len(events(kubectl, ns)) == len(reasons), 1)
    return events(kubectl, ns)


@pytest.fixture
def dead(cluster):
    """The address of a registry that nobody serves."""
    return f"{cluster.host_address}:{free_port(cluster.host_address)}"


@pytest.fixture
def web(kubectl, ns, registry):
    registry.push(f"{ns}/app:1", "first")
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(f"{registry.address}/{ns}/app:1")))
    assert STAMP in kubectl.stamps("deployment", "web", ns), kubectl.warnings


def set_image(kubectl, ns, image, *flags):
    kubectl("set", "image", "deployment/web", f"app={image}", "-n", ns, *flags)


def test_a_deployment_of_a_dead_registry_has_one_warning_event(kubectl, ns, dead):
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(f"{dead}/team/app:1")))
    event, = told(kubectl, ns, "NotStamped")
    assert event["type"] == "Warning"
    assert f'container "app": {dead}/team/app:1 not stamped: ' in event["message"]


def test_an_update_is_told_of_the_object_itself(kubectl, ns, web, dead):
    set_image(kubectl, ns, f"{dead}/team/app:1")
    event, = told(kubectl, ns, "NotStamped")
    assert event["involvedObject"]["uid"] == kubectl.get("deployment", "web", ns)["metadata"]["uid"]
    assert "NotStamped" in kubectl("describe", "deployment", "web", "-n", ns)


def test_what_is_stamped_is_no_event(kubectl, ns, web):
    kubectl("rollout", "restart", "deployment/web", "-n", ns)
    told(kubectl, ns)


def test_a_dry_run_has_no_event(kubectl, ns, web, dead):
    set_image(kubectl, ns, f"{dead}/team/app:1", "--dry-run=server")
    assert kubectl.warnings
    told(kubectl, ns)


def test_a_write_that_conflicts_again_and_again_has_one_event(kubectl, cluster, ns, web, webhook):
    """Others write the object while admission waits for a registry that hangs: the API server tries anew."""
    mute = Mute(cluster.host_address)
    done = threading.Event()

    def disturb():
        count = 0
        while not done.is_set():
            count += 1
            kubectl("label", "deployment", "web", f"count={count}", "-n", ns, "--overwrite")

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        # A client of its own: the disturber's warnings are not this one's.
        type(kubectl)(kubectl.program, kubectl.kubeconfig)(
            "set", "image", "deployment/web", f"app={mute.address}/team/app:1", "-n", ns, check=False)
    finally:
        done.set()
        disturber.join()
        mute.stop()
    admissions = [line for line in webhook.process.text().splitlines()
                  if ns in line and '"outcome":"unstamped"' in line]
    assert len(admissions) >= 2, "no conflict was made"
    event, = told(kubectl, ns, "NotStamped")
    assert not event.get("series"), event


def test_an_undo_tells_what_is_held(kubectl, ns, web, registry):
    first = kubectl.stamps("deployment", "web", ns)[STAMP].split("@sha256:")[1]
    wait_for("the first ReplicaSet", lambda: len(kubectl.replica_sets("web", ns)) == 1)
    second = registry.push(f"{ns}/app:1", "second").removeprefix("sha256:")
    # Past the age of an answer that an edit takes from the cache.
    wait_for("the restart is stamped anew", lambda: restarted(kubectl, ns, second), 10, 0.5)
    wait_for("the second ReplicaSet", lambda: len(kubectl.replica_sets("web", ns)) >= 2)
    kubectl("rollout", "undo", "deployment/web", "-n", ns)
    event, = told(kubectl, ns, "RolledBack")
    assert event["type"] == "Normal"
    assert event["message"] == (f'container "app": rolled back to {first[:12]}.., '
                                f"{second[:12]}.. is held until the tag moves on")


def restarted(kubectl, ns, digest):
    kubectl("rollout", "restart", "deployment/web", "-n", ns)
    return kubectl.stamps("deployment", "web", ns)[STAMP].endswith(digest)


def test_a_roll_is_told(kubectl, ns, registry, sweeper):
    _, first, second = moved_app(kubectl, registry, ns)
    for _ in range(2):
        sweeper.once("-n", ns)
    event, = told(kubectl, ns, "Rolled")
    assert event["type"] == "Normal"
    assert event["message"] == f"app moved {first[7:19]} -> {second[7:19]}"


def test_a_move_that_is_only_reported_is_told_once(kubectl, ns, registry, sweeper):
    _, first, second = moved_app(kubectl, registry, ns, annotations=ROLL | {"tidemark.dev/sweep": "report"})
    for _ in range(3):
        sweeper.once("-n", ns)
    event, = told(kubectl, ns, "Moved")
    assert event["message"] == (f"app moved {first[7:19]} -> {second[7:19]}, not rolled: reported: "
                                "tidemark.dev/sweep is report")


def test_a_dry_run_of_the_sweeper_tells_nothing(kubectl, ns, registry, sweeper):
    moved_app(kubectl, registry, ns)
    sweeper.once("-n", ns, "--dry-run")
    told(kubectl, ns)
