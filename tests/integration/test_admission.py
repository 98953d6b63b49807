"""What admission does to workloads that real clients write to a real API server."""

import copy
import json

import pytest
from harness import manifests
from harness.processes import free_port, stays_for, wait_for
from harness.proxies import Mute
from harness.rollouts import template_text

STAMP = "digest.tidemark.dev/app"


@pytest.mark.parametrize("kind", manifests.BUILDERS)
def test_create_stamps_every_slot(kubectl, ns, image, registry, kind):
    tool = registry.push(f"{ns}/tool:2", "tool")
    spec = manifests.pod_spec(image.ref)
    spec["initContainers"] = [
        {"name": "init", "image": f"{registry.address}/{ns}/tool:2"},
        {"name": "side", "image": image.ref, "restartPolicy": "Always"}]
    spec["containers"].append({"name": "pinned", "image": f"{image.ref}@{image.digest}"})
    kubectl.apply(manifests.BUILDERS[kind]("web", ns, spec))
    assert kubectl.stamps(kind, "web", ns) == {
        STAMP: image.stamp,
        "digest.tidemark.dev/init": f"{registry.address}/{ns}/tool:2@{tool}",
        "digest.tidemark.dev/side": image.stamp,
    }
    history = kubectl.history(kind, "web", ns)
    assert {(h["slot"], h["why"], h["to"]) for h in history} >= {("app", "created", image.stamp)}
    containers = kubectl.template(kind, "web", ns)["spec"]["containers"]
    assert containers[0]["image"] == image.ref, "annotate mode leaves the image as its owner wrote it"


def test_image_volumes_are_stamped(kubectl, ns, image):
    spec = manifests.pod_spec(image.ref)
    spec["volumes"] = [{"name": "data", "image": {"reference": image.ref}}]
    kubectl.apply(manifests.deployment("web", ns, spec))
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: image.stamp, "volume-digest.tidemark.dev/data": image.stamp}


def test_submitted_stamps_are_not_believed(kubectl, ns, image):
    forged = f"{image.ref}@sha256:{'0' * 64}"
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(image.ref), template_annotations={STAMP: forged},
                                       annotations={"tidemark.dev/history": '[{"why":"forged"}]'}))
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: image.stamp}
    assert [h["why"] for h in kubectl.history("deployment", "web", ns)] == ["created"]


@pytest.mark.parametrize("change", ["scale", "label", "annotate", "pause", "strategy", "status"])
def test_what_is_no_edit_changes_no_template(kubectl, ns, web, change):
    before = template_text(kubectl, "deployment", "web", ns)
    web.move("second")  # whoever resolved again would show it
    if change == "scale":
        kubectl("scale", "deployment", "web", "--replicas=3", "-n", ns)
    elif change == "label":
        kubectl("label", "deployment", "web", "team=a", "-n", ns)
    elif change == "annotate":
        kubectl("annotate", "deployment", "web", "note=b", "-n", ns)
    elif change == "pause":
        kubectl("rollout", "pause", "deployment", "web", "-n", ns)
        kubectl("rollout", "resume", "deployment", "web", "-n", ns)
    elif change == "strategy":
        kubectl("patch", "deployment", "web", "-n", ns, "-p", '{"spec":{"minReadySeconds":1,"revisionHistoryLimit":3}}')
    else:
        kubectl("patch", "deployment", "web", "-n", ns, "--subresource=status", "-p", '{"status":{"replicas":7}}')
    assert template_text(kubectl, "deployment", "web", ns) == before
    stays_for("no new ReplicaSet", lambda: len(kubectl.replica_sets("web", ns)) == 1, 1)


def test_the_same_manifest_applied_again_changes_nothing(kubectl, ns, web):
    before = template_text(kubectl, "deployment", "web", ns)
    web.move("second")
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(web.ref)))
    assert template_text(kubectl, "deployment", "web", ns) == before


@pytest.mark.parametrize("client", ["replace", "annotate-by-hand", "json-patch", "merge-patch", "server-side-apply"])
def test_a_client_that_strips_stamps_gets_them_back_without_a_rollout(kubectl, ns, web, client):
    before = template_text(kubectl, "deployment", "web", ns)
    web.move("second")
    bare = manifests.deployment("web", ns, manifests.pod_spec(web.ref))
    if client == "replace":
        kubectl.replace(bare)
    elif client == "server-side-apply":
        kubectl.apply(bare, "--server-side", "--force-conflicts")
    elif client == "json-patch":
        kubectl("patch", "deployment", "web", "-n", ns, "--type=json",
                "-p", '[{"op":"remove","path":"/spec/template/metadata/annotations"}]')
    elif client == "merge-patch":
        kubectl("patch", "deployment", "web", "-n", ns, "--type=merge",
                "-p", '{"spec":{"template":{"metadata":{"annotations":null}}}}')
    else:
        kubectl("patch", "deployment", "web", "-n", ns, "-p",
                json.dumps({"spec": {"template": {"metadata": {"annotations": {STAMP: f"{web.ref}@sha256:{'1' * 64}"}}}}}))
    assert template_text(kubectl, "deployment", "web", ns) == before
    stays_for("no new ReplicaSet", lambda: len(kubectl.replica_sets("web", ns)) == 1, 1)
    assert [h["why"] for h in kubectl.history("deployment", "web", ns)] == ["created"], "records survive too"


def test_a_put_that_drops_only_metadata_annotations_cannot_erase_history(kubectl, ns, web):
    found = kubectl.get("deployment", "web", ns)
    found["metadata"]["annotations"] = {"mine": "kept"}
    kubectl.replace(found)
    after = kubectl.get("deployment", "web", ns)["metadata"]["annotations"]
    assert after["mine"] == "kept"
    assert [h["why"] for h in json.loads(after["tidemark.dev/history"])] == ["created"]


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
def test_rollout_restart_refreshes_the_stamps(kubectl, ns, image, kind):
    kubectl.apply(manifests.BUILDERS[kind]("web", ns, manifests.pod_spec(image.ref)))
    first = image.digest
    second = image.move("second")
    wait_for("the cached digest expires", lambda: restart_and_stamp(kubectl, kind, ns).endswith(second), 15, 0.5)
    newest = kubectl.history(kind, "web", ns)[0]
    assert newest["why"] == "edited" and newest["from"].endswith(first) and newest["to"].endswith(second)


def restart_and_stamp(kubectl, kind, ns):
    kubectl("rollout", "restart", kind, "web", "-n", ns)
    return kubectl.stamps(kind, "web", ns)[STAMP]


def test_an_edit_to_another_tag_is_stamped_anew(kubectl, ns, web, registry):
    other = registry.push(f"{ns}/app:2", "other")
    kubectl("set", "image", "deployment/web", f"app={registry.address}/{ns}/app:2", "-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{registry.address}/{ns}/app:2@{other}"}
    wait_for("the second ReplicaSet", lambda: len(kubectl.replica_sets("web", ns)) == 2)


def test_a_container_that_is_removed_takes_its_stamp_along(kubectl, ns, image):
    spec = manifests.pod_spec(image.ref)
    two = copy.deepcopy(spec)
    two["containers"].append({"name": "side", "image": image.ref, "imagePullPolicy": "Always"})
    kubectl.apply(manifests.deployment("web", ns, two))
    assert set(kubectl.stamps("deployment", "web", ns)) == {STAMP, "digest.tidemark.dev/side"}
    kubectl.apply(manifests.deployment("web", ns, spec))
    assert set(kubectl.stamps("deployment", "web", ns)) == {STAMP}


def test_a_multi_arch_tag_is_stamped_with_the_index_digest(kubectl, ns, registry):
    index = registry.push_index(f"{ns}/multi:1", {"linux/amd64": "a", "linux/arm64": "b"})
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(f"{registry.address}/{ns}/multi:1")))
    assert kubectl.stamps("deployment", "web", ns)[STAMP].endswith(f"@{index}")


@pytest.mark.parametrize("holder", ["pod", "serviceaccount"])
def test_a_private_image_is_resolved_with_the_pull_secret(kubectl, ns, private_registry, holder):
    digest = private_registry.push(f"{ns}/secret:1", "secret")
    give_pull_secret(kubectl, ns, private_registry)
    spec = manifests.pod_spec(f"{private_registry.address}/{ns}/secret:1")
    if holder == "pod":
        spec["imagePullSecrets"] = [{"name": "pull"}]
    else:
        give_to_service_account(kubectl, ns)
    kubectl.apply(manifests.deployment("web", ns, spec))
    assert kubectl.stamps("deployment", "web", ns)[STAMP].endswith(f"@{digest}"), kubectl.warnings


def give_pull_secret(kubectl, ns, private_registry):
    kubectl.create({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
                    "metadata": {"name": "pull", "namespace": ns},
                    "stringData": {".dockerconfigjson": json.dumps(private_registry.docker_config)}})


def give_to_service_account(kubectl, ns):
    wait_for("the default service account", lambda: kubectl("get", "serviceaccount", "default", "-n", ns, check=False))
    kubectl("patch", "serviceaccount", "default", "-n", ns, "-p", '{"imagePullSecrets":[{"name":"pull"}]}')


def test_a_private_image_without_a_secret_is_admitted_with_the_reason(kubectl, ns, private_registry):
    private_registry.push(f"{ns}/secret:1", "secret")
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(f"{private_registry.address}/{ns}/secret:1")))
    assert any('"app"' in w and f"{ns}/secret:1" in w for w in kubectl.warnings), kubectl.warnings
    assert kubectl.stamps("deployment", "web", ns) == {}


@pytest.mark.parametrize("registry_is", ["down", "hanging"])
def test_a_dead_registry_never_blocks_admission(kubectl, ns, cluster, registry_is):
    mute = Mute(cluster.host_address) if registry_is == "hanging" else None
    address = mute.address if mute else f"{cluster.host_address}:{free_port(cluster.host_address)}"
    reference = f"{address}/team/app:1"
    try:
        kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(reference)))
    finally:
        if mute:
            mute.stop()
    assert any('"app"' in w and reference in w for w in kubectl.warnings), kubectl.warnings
    found = kubectl.get("deployment", "web", ns)
    assert kubectl.stamps("deployment", "web", ns) == {}
    assert "app" in json.loads(found["metadata"]["annotations"]["tidemark.dev/unstamped"])


def test_a_tag_that_does_not_exist_is_admitted_with_a_warning(kubectl, ns, image):
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(f"{image.ref}-nope")))
    said = f'tidemark: container "app": {image.ref}-nope not stamped: the registry has no such tag: '
    assert any(w.startswith(said) for w in kubectl.warnings), kubectl.warnings
    assert kubectl.stamps("deployment", "web", ns) == {}


def test_a_pull_policy_that_may_keep_an_older_image_is_warned_of(kubectl, ns, image):
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(image.ref, policy="IfNotPresent")))
    assert kubectl.warnings == ['tidemark: container "app": imagePullPolicy is IfNotPresent: '
                                "a node may run an older image than the one stamped"]
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: image.stamp}


@pytest.mark.parametrize("mode, warned", [("pin", True), ("annotate", False)])
def test_the_tag_latest_is_warned_of_in_pin_mode(kubectl, ns, registry, mode, warned):
    registry.push(f"{ns}/app:latest", "newest")
    image = f"{registry.address}/{ns}/app"
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(image), {"tidemark.dev/mode": mode}))
    said = (f'tidemark: container "app": {image} is pinned by the tag latest: '
            "name a version, so that the manifest says what runs")
    assert kubectl.warnings == ([said] if warned else [])


def test_an_unparsable_image_is_admitted_with_a_warning_that_names_it(kubectl, ns):
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec("UPPER/Case:tag:tag")))
    assert any("UPPER/Case:tag:tag" in w for w in kubectl.warnings), kubectl.warnings


def test_pods_and_replica_sets_of_a_controller_are_not_touched(kubectl, ns, web):
    wait_for("the pod", lambda: kubectl.json("get", "pods", "-n", ns)["items"], 20)
    owned = kubectl.replica_sets("web", ns)[0]
    # The Deployment controller copies the Deployment's annotations to its ReplicaSets: the records, not new ones.
    assert json.loads(owned["metadata"]["annotations"]["tidemark.dev/history"]) == kubectl.history("deployment", "web", ns)
    pod = kubectl.json("get", "pods", "-n", ns)["items"][0]
    assert pod["metadata"]["annotations"] == {STAMP: web.stamp}, "the template's stamp comes down to the pod, nothing else"


def test_a_dry_run_answers_alike_and_writes_nothing(kubectl, ns, image):
    manifest = manifests.deployment("web", ns, manifests.pod_spec(image.ref))
    answered = json.loads(kubectl.apply(manifest, "--dry-run=server", "-o", "json"))
    assert answered["spec"]["template"]["metadata"]["annotations"] == {STAMP: image.stamp}
    assert kubectl("get", "deployment", "web", "-n", ns, "--ignore-not-found") == ""


def test_the_namespaces_that_are_excluded_are_not_touched(kubectl, image, webhook):
    for ns in ("kube-system", "tidemark-system"):
        kubectl.apply(manifests.deployment("not-ours", ns, manifests.pod_spec(image.ref)))
        assert kubectl.stamps("deployment", "not-ours", ns) == {}
        kubectl("delete", "deployment", "not-ours", "-n", ns)
