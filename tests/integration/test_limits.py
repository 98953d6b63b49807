"""At the edges: objects that are full, writes that are retried, dry runs, what the kubelet will not pull."""

import concurrent.futures
import json
import re

import pytest
from harness import manifests
from harness.processes import wait_for
from harness.rollouts import UNSEEN, annotations, reasons, settled

from test_admission import STAMP

MAX_ANNOTATIONS = 256 * 1024


def filler(leaving, key="mine"):
    """One annotation that leaves so many bytes of an object's bound."""
    return {key: "x" * (MAX_ANNOTATIONS - len(key) - leaving)}


def test_a_users_full_annotations_are_admitted_and_history_gives_way(kubectl, ns, image, seen):
    at = ("deployment", "web", ns)
    kubectl.create(manifests.deployment("web", ns, manifests.pod_spec(image.ref), filler(leaving=100)))
    assert any("annotations are full" in line for line in kubectl.warnings), kubectl.warnings
    assert kubectl.stamps(*at) == {STAMP: image.stamp}, "stamps are on the template, which has room"
    assert kubectl.history(*at) == []
    image.move("second")
    seen(image, ns)
    kubectl("rollout", "restart", "deployment/web", "-n", ns)
    assert kubectl.stamps(*at) == {STAMP: image.stamp}


def test_a_full_template_loses_its_stamp_with_a_warning(kubectl, ns, image):
    at = ("deployment", "web", ns)
    full = filler(leaving=100)
    kubectl.create(manifests.deployment("web", ns, manifests.pod_spec(image.ref), template_annotations=full))
    assert any("annotations are full" in line and '"app"' in line for line in kubectl.warnings), kubectl.warnings
    assert kubectl.stamps(*at) == {}
    assert "app" in json.loads(annotations(kubectl, *at)["tidemark.dev/unstamped"])
    assert kubectl.template(*at)["metadata"]["annotations"] == full


def test_the_oldest_history_gives_way_first(kubectl, ns, image, seen):
    at = ("deployment", "web", ns)
    kubectl.create(manifests.deployment("web", ns, manifests.pod_spec(image.ref)))
    for content in ("second", "third"):
        image.move(content)
        seen(image, ns)
        kubectl("rollout", "restart", "deployment/web", "-n", ns)
    newest = kubectl.history(*at)[0]
    assert len(kubectl.history(*at)) == 3
    settled(kubectl, *at)
    found = kubectl.get(*at)
    used = sum(len(k) + len(v) for k, v in found["metadata"]["annotations"].items())
    found["metadata"]["annotations"] |= filler(leaving=used - 50)
    # Only what changes the template reaches admission.
    found["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "X", "value": "1"}]
    kubectl.replace(found)
    assert any("annotations are full" in line for line in kubectl.warnings), kubectl.warnings
    assert kubectl.history(*at)[0] == newest and len(kubectl.history(*at)) == 2


def admissions(webhook):
    """What the webhook counted so far, of every kind, operation and outcome."""
    return sum(float(value) for value in re.findall(r"^tidemark_admissions_total\{.*\} (\S+)$", webhook.metrics(), re.M))


def test_a_large_object_that_is_written_many_times_at_once(kubectl, ns, image, seen, webhook):
    at = ("deployment", "web", ns)
    spec = manifests.pod_spec(image.ref)
    spec["containers"][0]["env"] = [{"name": f"PART{i}", "value": "x" * 100_000} for i in range(12)]
    kubectl.create(manifests.deployment("web", ns, spec, annotations={"note": "large"}))
    first = image.stamp
    image.move("second")
    seen(image, ns)
    called = admissions(webhook)

    def write(number):
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "env": [{"name": f"W{number}", "value": "1"}]}]}}}}
        kubectl("patch", "deployment", "web", "-n", ns, "-p", json.dumps(patch), check=False)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    done = {env["name"] for env in kubectl.template(*at)["spec"]["containers"][0]["env"]} - {f"PART{i}" for i in range(12)}
    assert done, "no write got through"
    assert admissions(webhook) - called > len(done), "the API server retried none of the writes: this proves nothing"
    history = kubectl.history(*at)
    assert [(h["why"], h["from"], h["to"]) for h in history[:-1]] == [("edited", first, image.stamp)]
    assert kubectl.stamps(*at) == {STAMP: image.stamp}


def test_a_dry_run_counts_nothing_and_writes_nothing(kubectl, ns, image, seen, webhook):
    at = ("deployment", "web", ns)
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(image.ref)))
    settled(kubectl, *at)
    image.move("second")
    seen(image, ns)
    kubectl("rollout", "restart", "deployment/web", "-n", ns)
    settled(kubectl, *at)
    before = kubectl.get(*at)
    called = admissions(webhook)
    dry = "--dry-run=server"
    other = manifests.deployment("other", ns, manifests.pod_spec(image.ref))
    answered = json.loads(kubectl.create(other, dry, "-o", "json"))
    assert answered["spec"]["template"]["metadata"]["annotations"] == {STAMP: image.stamp}
    kubectl("set", "env", "deployment/web", "X=1", "-n", ns, dry)
    kubectl("rollout", "undo", "deployment/web", "-n", ns, dry)
    assert any("rolled back" in line for line in kubectl.warnings), "answered alike"
    kubectl.replace(manifests.deployment("web", ns, manifests.pod_spec(image.ref)), dry)
    assert kubectl.get(*at) == before
    assert admissions(webhook) == called
    events = kubectl.json("get", "events.events.k8s.io", "-n", ns)["items"]
    assert [e for e in events if "tidemark" in e.get("reportingController", "")] == []


@pytest.mark.parametrize("policy", ["IfNotPresent", "Never"])
def test_a_pull_policy_other_than_always_is_warned_of(kubectl, ns, image, policy):
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(image.ref, policy=policy)))
    assert any('container "app"' in line and f"imagePullPolicy is {policy}" in line for line in kubectl.warnings), \
        kubectl.warnings
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: image.stamp}


def test_a_job_made_from_a_cronjob_has_its_stamps_and_so_have_the_pods(kubectl, ns, image, seen):
    kubectl.apply(manifests.cronjob("nightly", ns, manifests.pod_spec(image.ref)))
    stamped = {STAMP: image.stamp}
    image.move("second")  # whoever resolved again would show it
    seen(image, ns)
    kubectl("create", "job", "now", "--from=cronjob/nightly", "-n", ns)
    assert kubectl.stamps("job", "now", ns) == stamped
    assert kubectl.history("job", "now", ns) == []
    pods = wait_for("the Job's pod", lambda: kubectl.json("get", "pods", "-n", ns)["items"])
    assert pods[0]["metadata"]["annotations"][STAMP] == stamped[STAMP]
    assert "tidemark.dev/history" not in pods[0]["metadata"]["annotations"]
    assert reasons(kubectl, "cronjob", "nightly", ns) == ["created"]


def test_an_unstamped_job_template_is_not_stamped_in_the_pods_of_its_jobs(kubectl, ns, image):
    kubectl("apply", "-f", "-", *UNSEEN, stdin=manifests.cronjob("nightly", ns, manifests.pod_spec(image.ref)))
    kubectl("create", "job", "now", "--from=cronjob/nightly", "-n", ns)
    pods = wait_for("the Job's pod", lambda: kubectl.json("get", "pods", "-n", ns)["items"])
    assert STAMP not in pods[0]["metadata"].get("annotations", {})
