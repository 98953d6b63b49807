"""Pull secrets as the kubelet would use them, with a real registry that has accounts."""

import json

import pytest
from harness import manifests, programs
from harness.kubectl import load
from harness.processes import ROOT, wait_for
from test_admission import STAMP

WRONG = "not the password"


def secret(kubectl, ns, name, registry, password=None):
    """A docker configuration for `registry`, with its own password or another; replaces what is there."""
    config = json.loads(json.dumps(registry.docker_config))
    if password:
        config["auths"][registry.address]["password"] = password
    kubectl.apply({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
                   "metadata": {"name": name, "namespace": ns}, "stringData": {".dockerconfigjson": json.dumps(config)}})


def spec_of(registry, name, *secrets):
    return manifests.pod_spec(f"{registry.address}/{name}", imagePullSecrets=[{"name": s} for s in secrets])


def test_several_credentials_for_one_registry_are_tried_in_order(kubectl, ns, private_registry, sweeper):
    secret(kubectl, ns, "wrong", private_registry, WRONG)
    secret(kubectl, ns, "right", private_registry)
    digest = private_registry.push(f"{ns}/app:1", "first")
    spec = spec_of(private_registry, f"{ns}/app:1", "wrong", "right")
    kubectl.apply(manifests.deployment("web", ns, spec, {"tidemark.dev/sweep": "roll"}))
    assert kubectl.stamps("deployment", "web", ns)[STAMP].endswith(f"@{digest}"), kubectl.warnings

    moved = private_registry.push(f"{ns}/app:1", "second")
    sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns)[STAMP].endswith(f"@{moved}")


def test_wrong_credentials_alone_are_told(kubectl, ns, private_registry):
    secret(kubectl, ns, "wrong", private_registry, WRONG)
    private_registry.push(f"{ns}/app:1", "first")
    kubectl.apply(manifests.deployment("web", ns, spec_of(private_registry, f"{ns}/app:1", "wrong")))
    assert any(f"{ns}/app:1" in warning for warning in kubectl.warnings), kubectl.warnings
    assert not any(WRONG in warning for warning in kubectl.warnings)
    assert kubectl.stamps("deployment", "web", ns) == {}


@pytest.fixture
def rotating(private_registry):
    before = private_registry.account
    yield private_registry
    private_registry.set_account(*before)


def test_a_rotated_password_is_known_at_the_next_admission(kubectl, ns, rotating, webhook):
    secret(kubectl, ns, "pull", rotating)
    first, second = (rotating.push(f"{ns}/{name}:1", name) for name in ("one", "two"))
    kubectl.apply(manifests.deployment("one", ns, spec_of(rotating, f"{ns}/one:1", "pull")))
    assert kubectl.stamps("deployment", "one", ns)[STAMP].endswith(f"@{first}"), kubectl.warnings

    # The webhook has the old Secret in memory, and 30 s to go with it.
    rotating.set_account(rotating.account[0], "another password")
    secret(kubectl, ns, "pull", rotating)
    kubectl.apply(manifests.deployment("two", ns, spec_of(rotating, f"{ns}/two:1", "pull")))
    assert kubectl.stamps("deployment", "two", ns)[STAMP].endswith(f"@{second}"), kubectl.warnings


@pytest.fixture
def without_secrets(cluster, kubectl, tmp, webhook, more_registries):
    """A webhook that serves the cluster with --no-secrets, and with no right to Secrets but its own."""
    role = next(d for d in load((ROOT / "deploy/install.yaml").read_text())
                if d["kind"] == "ClusterRole" and d["metadata"]["name"] == "tidemark-webhook")
    lesser = json.loads(json.dumps(role))
    for rule in lesser["rules"]:
        rule["resources"] = [r for r in rule["resources"] if r not in ("secrets", "serviceaccounts")]
    account = f"--as=system:serviceaccount:{programs.NAMESPACE}:tidemark-webhook"

    def may_read(resource):
        return kubectl("auth", "can-i", "get", resource, "-n", "default", account, check=False).strip() == "yes"

    kubectl.apply(lesser)
    other = None
    try:
        wait_for("the rights are gone", lambda: not may_read("secrets") and not may_read("serviceaccounts"))
        other = programs.Webhook(cluster, tmp, name="no-secrets", flags=["--no-secrets"], registries=more_registries)
        yield other.wait_ready().serve_cluster()
    finally:
        kubectl.apply(role)
        wait_for("the rights are back", lambda: may_read("secrets") and may_read("serviceaccounts"))
        webhook.serve_cluster()
        if other:
            assert other.process.stop() == 0


def test_without_rights_to_secrets_public_images_are_stamped(kubectl, ns, registry, private_registry, without_secrets):
    public = registry.push(f"{ns}/app:1", "first")
    private_registry.push(f"{ns}/app:1", "first")
    before = len(without_secrets.process.text())
    spec = spec_of(registry, f"{ns}/app:1", "pull")  # names a secret, which nobody reads
    kubectl.apply(manifests.deployment("public", ns, spec))
    assert kubectl.stamps("deployment", "public", ns)[STAMP].endswith(f"@{public}"), kubectl.warnings
    kubectl.apply(manifests.deployment("private", ns, spec_of(private_registry, f"{ns}/app:1", "pull")))
    assert any(f"{ns}/app:1" in warning for warning in kubectl.warnings), kubectl.warnings
    assert kubectl.stamps("deployment", "private", ns) == {}

    lines = [json.loads(line) for line in without_secrets.process.text()[before:].splitlines()]
    assert any("public" in json.dumps(line) for line in lines), "the admissions are in the log"
    assert [line for line in lines if line["level"] in ("error", "critical")] == []
    assert "forbidden" not in json.dumps(lines).lower()
