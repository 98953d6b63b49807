"""The overlays of deploy/ as the API server takes them, and the CronJob's own command."""

import os
import subprocess

import pytest
from harness.kubectl import load
from harness.processes import ROOT, Process, free_port, stays_for, wait_for

from test_admission import STAMP
from test_sweeper import moved_app

OVERLAYS = sorted(each.parent.name for each in (ROOT / "deploy/overlays").glob("*/kustomization.yaml"))


def built(kubectl, overlay):
    return load(kubectl("kustomize", ROOT / "deploy/overlays" / overlay))


@pytest.mark.parametrize("overlay", [each for each in OVERLAYS if each != "namespaced"])  # whose namespace must be there
def test_an_overlay_is_taken_without_a_warning(kubectl, overlay):
    # cert-manager's kinds are installed by their own test alone (test_certificates.py).
    documents = [each for each in built(kubectl, overlay) if "cert-manager" not in each["apiVersion"]]
    kubectl.apply(documents, "--dry-run=server")
    assert not kubectl.warnings  # such as one of the namespace's Pod Security


def test_the_cronjob_replaces_the_running_sweeper(kubectl):
    made = {(each["kind"], each["metadata"]["name"]): each for each in built(kubectl, "cronjob")}
    for kind in ("Deployment", "Role", "RoleBinding"):
        assert (kind, "tidemark-sweeper") not in made and (kind, "tidemark-webhook") in made
    spec = made["CronJob", "tidemark-sweeper"]["spec"]
    job = spec["jobTemplate"]["spec"]
    assert (spec["concurrencyPolicy"], job["backoffLimit"], job["template"]["spec"]["restartPolicy"]) == ("Forbid", 0, "Never")
    images = {made[key]["spec"]["template"]["spec"]["containers"][0]["image"] for key in made if key[0] == "Deployment"}
    assert images == {job["template"]["spec"]["containers"][0]["image"]}


def in_namespace(kubectl, ns, tmp):
    """The namespaced overlay as somebody would copy it: with a namespace's name."""
    source = ROOT / "deploy/overlays/namespaced"
    folder = tmp / f"namespaced-{ns}"
    folder.mkdir()
    (folder / "rbac.yaml").write_text((source / "rbac.yaml").read_text())
    text = (source / "kustomization.yaml").read_text()
    # kustomize takes no absolute path.
    base = os.path.relpath(ROOT / "deploy/base", folder)
    (folder / "kustomization.yaml").write_text(text.replace("team-a", ns).replace("../../base", base))
    return load(kubectl("kustomize", folder))


def test_a_sweeper_with_rights_in_one_namespace_alone(kubectl, cluster, ns, other_ns, registry, sweeper, tmp):
    reference, _, second = moved_app(kubectl, registry, ns)
    elsewhere, first, _ = moved_app(kubectl, registry, other_ns)
    documents = in_namespace(kubectl, ns, tmp)
    assert {each["metadata"].get("namespace") for each in documents} == {ns}, "nothing is of the whole cluster, nor elsewhere"
    kubectl.apply(documents, "--dry-run=server")
    assert all(warning.startswith("tidemark: ") for warning in kubectl.warnings), "its image is in no registry here"
    (deployment,) = [each for each in documents if each["kind"] == "Deployment"]
    rules = {(each["kind"], each["metadata"]["name"]): each["rules"] for each in built(kubectl, "example") + documents if "rules" in each}
    assert rules["Role", "tidemark-sweeper-workloads"] == [
        rule | {"verbs": ["get"]} if rule["resources"] == ["namespaces"] else rule
        for rule in rules["ClusterRole", "tidemark-sweeper"]], "the base's, but that other namespaces are not to be seen"
    kubectl.apply([each for each in documents if each is not deployment])
    kubeconfig = cluster.kubeconfig_of("tidemark-sweeper", ns)
    arguments = [each.replace("$(POD_NAMESPACE)", ns).replace("/etc/tidemark/config.yaml", str(sweeper.config))
                 for each in deployment["spec"]["template"]["spec"]["containers"][0]["args"]]
    process = Process("namespaced", [sweeper.command()[0], *arguments, "--kubeconfig", kubeconfig, "--interval", "1s",
                                     "--ops-listen", f"127.0.0.1:{free_port()}"], tmp,
                      os.environ | {"POD_NAMESPACE": ns, "POD_NAME": "sweeper-0", "NO_PROXY": "*", "no_proxy": "*"})
    try:
        wait_for("its own workload is rolled", lambda: kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{second}"}, 60)
        kubectl("annotate", "namespace", ns, "tidemark.dev/hold=true")
        third = registry.push(f"{ns}/app:1", f"{ns} third")
        wait_for("the registry is asked again", lambda: process.text().count("sweep done") > 3, 60)
        stays_for("its namespace's hold is read", lambda: kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{second}"}, 3)
        kubectl("annotate", "namespace", ns, "tidemark.dev/hold-")
        wait_for("and its end", lambda: kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{third}"}, 60)
        assert '"level":"error"' not in process.text() and "forbidden" not in process.text(), process.text()[-3000:]
    finally:
        process.kill()
    assert kubectl.stamps("deployment", "web", other_ns) == {STAMP: f"{elsewhere}@{first}"}
    for verb, what in (("list", "deployments"), ("get", "secrets"), ("list", "namespaces")):
        assert kubectl("auth", "can-i", verb, what, "-n", other_ns, f"--as=system:serviceaccount:{ns}:tidemark-sweeper",
                       check=False).strip() == "no", (verb, what)


def test_the_cronjobs_command_rolls_what_asked_for_it(kubectl, ns, registry, sweeper):
    reference, _, second = moved_app(kubectl, registry, ns)
    (cronjob,) = [each for each in built(kubectl, "cronjob") if each["kind"] == "CronJob"]
    arguments = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"]
    mounted = [each.replace("/etc/tidemark/config.yaml", str(sweeper.config)) for each in arguments]
    assert mounted != arguments

    def sweep():
        command = [sweeper.command()[0], *mounted, "--kubeconfig", str(sweeper.kubeconfig)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)
    done = sweep()
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{second}"}
    rolled = [line for line in done.stdout.splitlines() if line.startswith(f"{ns} ")]
    assert len(rolled) == 1 and "updated to" in rolled[0], done.stdout + done.stderr


def test_the_exit_code_tells_what_moved_from_what_failed(kubectl, ns, registry, sweeper):
    def code(*flags):
        return sweeper.once("-n", ns, *flags, check=False).returncode
    reference, first, second = moved_app(kubectl, registry, ns)
    assert (code("--dry-run"), code("--dry-run", "--exit-code"), code("--dry-run", "--exit-code=failed")) == (0, 1, 0)
    assert code("--exit-code=failed") == 0, "a roll is no failure"
    assert code("--exit-code") == 0, "nothing is left that moved"
    registry.crane("delete", "--insecure", f"{registry.address}/{ns}/app@{second}")
    assert (code(), code("--exit-code"), code("--exit-code=failed")) == (0, 1, 1)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: f"{reference}@{second}"}
    assert code("--exit-code=sometimes") == 2
