"""Pull secrets as the kubelet would use them, with a real registry that has accounts."""

import json

import pytest
from harness import manifests
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
