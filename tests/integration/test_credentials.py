"""Pull secrets as the kubelet would use them, with a real registry that has accounts."""

import json
import os
import subprocess

import pytest
import yaml
from harness import manifests, metrics
from harness.processes import Process, free_port, wait_for
from harness.programs import NAMESPACE
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


# registry: CNCF distribution 2.8, accounts (htpasswd) | `secret`, `dockerConfigFile` or the pods' own | real
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
    told = subprocess.run(sweeper.command("explain", "deployment/web", "-n", ns), capture_output=True, text=True, timeout=60, check=True)
    assert f"credential: secret {ns}/right\n" in told.stdout, told.stdout


def test_wrong_credentials_alone_are_told(kubectl, ns, private_registry):
    secret(kubectl, ns, "wrong", private_registry, WRONG)
    private_registry.push(f"{ns}/app:1", "first")
    kubectl.apply(manifests.deployment("web", ns, spec_of(private_registry, f"{ns}/app:1", "wrong")))
    assert any(f"{ns}/app:1" in warning for warning in kubectl.warnings), kubectl.warnings
    assert not any(WRONG in warning for warning in kubectl.warnings)
    assert kubectl.stamps("deployment", "web", ns) == {}


SECRETS_ROLE = "tidemark-webhook"


@pytest.fixture
def without_secrets(kubectl, webhook, private_registry, tmp):
    """The webhook as deploy/README.md tells it for clusters that let it read no Secret; own(password) is its own file."""
    rules = kubectl.json("get", "clusterrole", SECRETS_ROLE)["rules"]

    def grant(rules):
        kubectl("patch", "clusterrole", SECRETS_ROLE, "--type=merge", "-p", json.dumps({"rules": rules}))

    fewer = [rule | {"resources": [r for r in rule["resources"] if r not in ("secrets", "serviceaccounts")]}
             for rule in rules]
    assert fewer != rules
    grant(fewer)
    file = tmp / "own.dockerconfigjson"

    def own(password=None):
        config = json.loads(json.dumps(private_registry.docker_config))
        if password:
            config["auths"][private_registry.address]["password"] = password
        file.write_text(json.dumps(config))

    own()
    webhook.restart(credentials={"readSecrets": False, "dockerConfigFile": str(file)})
    yield own
    grant(rules)
    webhook.restart()


def test_a_webhook_that_may_read_no_secret_uses_its_own_credentials(kubectl, ns, private_registry, image, without_secrets):
    secret(kubectl, ns, "wrong", private_registry, WRONG)  # named by the template, and never asked for
    digest = private_registry.push(f"{ns}/app:1", "first")
    kubectl.apply(manifests.deployment("web", ns, spec_of(private_registry, f"{ns}/app:1", "wrong")))
    assert kubectl.stamps("deployment", "web", ns)[STAMP].endswith(f"@{digest}"), kubectl.warnings
    kubectl.apply(manifests.deployment("public", ns, manifests.pod_spec(image.ref)))
    assert kubectl.stamps("deployment", "public", ns)[STAMP] == image.stamp


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
def own_secret(kubectl, private_registry):
    """Tidemark's own credentials, beside it; keep(password) changes them."""

    def keep(password=None):
        username, right = private_registry.account
        kubectl.apply({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                       "metadata": {"name": "private-registry", "namespace": NAMESPACE},
                       "stringData": {"username": username, "password": password or right}})
        return f"{NAMESPACE}/private-registry"

    yield keep
    kubectl("delete", "secret", "private-registry", "-n", NAMESPACE)


def with_secret(registries, registry, name):
    return [entry | ({"secret": name} if entry["host"] == registry.address else {}) for entry in registries]


# registry: CNCF distribution 2.8, accounts (htpasswd)
def test_a_secret_of_the_registrys_entry(kubectl, ns, private_registry, webhook, more_registries, own_secret):
    digests = [private_registry.push(f"{ns}/{name}:1", name) for name in ("one", "two")]
    secret = own_secret(WRONG)
    webhook.restart(registries=with_secret(more_registries, private_registry, secret))
    try:
        kubectl.apply(manifests.deployment("one", ns, spec_of(private_registry, f"{ns}/one:1")))
        assert any("401" in warning for warning in kubectl.warnings), kubectl.warnings
        assert not any(WRONG in warning for warning in kubectl.warnings)
        assert kubectl.stamps("deployment", "one", ns) == {}, "the password is wrong"
        own_secret()
        kubectl.apply(manifests.deployment("two", ns, spec_of(private_registry, f"{ns}/two:1")))
        assert kubectl.stamps("deployment", "two", ns)[STAMP].endswith(f"@{digests[1]}"), kubectl.warnings
    finally:
        webhook.restart()


def test_a_running_sweeper_takes_a_changed_configuration(kubectl, ns, private_registry, sweeper, own_secret, tmp):
    """The registry's entry gets its Secret while the sweeper runs; what it could not see then moves."""
    private_registry.push(f"{ns}/app:1", "first")
    secret(kubectl, ns, "pull", private_registry)
    spec = spec_of(private_registry, f"{ns}/app:1", "pull")
    kubectl.apply(manifests.deployment("web", ns, spec, {"tidemark.dev/sweep": "roll"}))
    kubectl("delete", "secret", "pull", "-n", ns)
    moved = private_registry.push(f"{ns}/app:1", "second")

    port = free_port()
    config = yaml.safe_load(sweeper.config.read_text())
    config["sweeper"] |= {"interval": "1s", "namespaces": [ns]}
    config["opsListen"] = f"127.0.0.1:{port}"
    file = tmp / "followed.yaml"
    file.write_text(yaml.safe_dump(config))
    running = Process("followed", sweeper.command("run", "--no-leader-elect", config=file), tmp, os.environ.copy())
    try:
        wait_for("a sweep without an answer", lambda: metrics.total(port, "tidemark_sweep_references{outcome=\"failed\"}") >= 1)
        config["registries"] = with_secret(config["registries"], private_registry, own_secret())
        config["sweeper"]["interval"] = "2s"
        new = tmp / "followed.new"
        new.write_text(yaml.safe_dump(config))
        new.rename(file)
        wait_for("the roll", lambda: kubectl.stamps("deployment", "web", ns)[STAMP].endswith(f"@{moved}"), 60)
        assert "restart needed for: sweeper.interval" in running.text()
        assert private_registry.account[1] not in running.text()
    finally:
        assert running.stop() == 0
