"""What `registries:` says, with real registries and a webhook without a cluster."""

import json
import pathlib
import subprocess

import jsonschema
import pytest
import yaml
from harness.processes import ROOT, wait_for
from harness.programs import SWEEPER, WEBHOOK
from harness.secured_registry import Authority, LoopbackRegistry, TokenServer
from harness.standalone import IMAGES, Standalone, patch_of, review

ACCOUNT = ("puller", "canary-5d0e3c1f")
TAGS = ("t0", "t1", "t2")


@pytest.fixture
def stopping():
    """Everything that is added has stop(), and is stopped."""
    started = []
    yield lambda thing: started.append(thing) or thing
    for thing in reversed(started):
        thing.stop()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "pki")


def fill(registry, content="first", prefix=""):
    return {name: registry.push_index(f"{prefix}bench/{name}:{tag}", f"{name} {content}")
            for name, tag in zip(IMAGES, TAGS)}


def admit(webhook, address):
    """(stamped digests by container's image name, warnings) of a Deployment of IMAGES at the registry."""
    admissions = webhook.admissions()
    try:
        response = admissions.ask(review(address))
    finally:
        admissions.close()
    text = json.dumps(patch_of(response))
    found = {name for name in IMAGES if f"{address}/bench/{name}:" in text and "@sha256:" in text}
    return text, found, response.get("warnings", [])


def tls_entry(registry, authority, tmp_path, certificate):
    entry = {"host": registry.address, "caFile": str(authority.certificate)}
    if certificate:
        entry |= {"certFile": str(certificate[0]), "keyFile": str(certificate[1])}
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"auths": {registry.address: dict(zip(("username", "password"), ACCOUNT))}}))
    return entry | {"dockerConfigFile": str(own)}


def rewrite(tmp_path, name, **config):
    """As the kubelet swaps a ConfigMap: another file under the same name."""
    new = tmp_path / f"{name}.new"
    new.write_text(yaml.safe_dump({"logLevel": "info", "addresses": {"allowLoopback": True}} | config))
    new.rename(tmp_path / f"{name}.yaml")


def reloads(webhook, outcome):
    return webhook.metric(f'tidemark_config_reloads_total{{outcome="{outcome}"}}')


# registry: CNCF distribution 2.8, TLS of a private CA, client certificates | `caFile`, `certFile`, `keyFile` | real
def test_mutual_tls_accounts_and_a_reload(tmp_path, authority, stopping):
    """A registry of a private CA that asks for a certificate and a password: none of it, then all of it, without a restart."""
    registry = stopping(LoopbackRegistry(tmp_path, authority, ACCOUNT))
    digests = fill(registry)
    cache = {"ttl": "1s", "negativeTTL": "0s"}
    without = [tls_entry(registry, authority, tmp_path, None)]
    webhook = stopping(Standalone(tmp_path, registries=without, cache=cache, logLevel="info"))
    text, found, warnings = admit(webhook, registry.address)
    assert not found and len(warnings) >= 3, warnings

    client = authority.issue("tidemark", "clientAuth")
    whole = [tls_entry(registry, authority, tmp_path, client)]
    rewrite(tmp_path, "standalone", registries=whole, cache=cache)
    wait_for("the configuration is taken", lambda: reloads(webhook, "loaded") == 1, 30)
    text, found, warnings = admit(webhook, registry.address)
    assert all(digest in text for digest in digests.values()), (text, warnings)

    rewrite(tmp_path, "standalone", registries=[{"hots": "x"}], cache=cache)
    wait_for("the bad file is told", lambda: reloads(webhook, "refused") == 1, 30)
    assert 'unknown key \\"hots\\"' in webhook.process.text()
    second = fill(registry, "second")
    wait_for("the old configuration goes on", lambda: all(d in admit(webhook, registry.address)[0] for d in second.values()))

    # The client's certificate is replaced under its name: the next one is shown, or the registry would end the handshake.
    other = authority.issue("renewed", "clientAuth")
    for new, old in zip(other, client):
        pathlib.Path(new).rename(old)
    rewrite(tmp_path, "standalone", registries=whole, cache=cache)
    wait_for("the renewed certificate is taken", lambda: reloads(webhook, "loaded") == 2, 30)
    third = fill(registry, "third")
    wait_for("it is good", lambda: all(d in admit(webhook, registry.address)[0] for d in third.values()))

    rewrite(tmp_path, "standalone", registries=whole, cache=cache, opsListen=":1", webhook={"require": True})
    wait_for("what needs a restart is told", lambda: "restart needed for: opsListen" in webhook.process.text(), 30)
    assert "webhook.require" not in webhook.process.text().split("restart needed for:")[-1]
    assert ACCOUNT[1] not in webhook.process.text() and "PRIVATE KEY" not in webhook.process.text()


# registry: CNCF distribution 2.8, as a mirror | `mirrors` | real
def test_a_mirror_is_asked_before_its_registry(tmp_path, stopping):
    mirror, origin = (stopping(LoopbackRegistry(tmp_path)) for _ in range(2))
    cached, current = fill(mirror, "old", "cache/"), fill(origin, "new")
    both = [{"host": mirror.address, "plainHTTP": True},
            {"host": origin.address, "plainHTTP": True, "mirrors": [f"{mirror.address}/cache"]}]
    webhook = stopping(Standalone(tmp_path, registries=both, logLevel="info"))
    text, _, _ = admit(webhook, origin.address)
    assert all(digest in text for digest in cached.values()), text
    assert f"{origin.address}/bench/web:t0@" in text, "the stamp names the registry, as the pod does"
    wait_for("they are compared", lambda: webhook.metric("tidemark_mirror_comparisons_total") >= 1)
    assert "a mirror and its registry disagree" in webhook.process.text()

    mirror.stop()
    other = stopping(Standalone(tmp_path, "other", registries=both))
    text, _, _ = admit(other, origin.address)
    assert all(digest in text for digest in current.values()), "the registry is asked where the mirror is gone"


# registry: CNCF distribution 2.8 (Debian's docker-registry)
def test_paths_are_rewritten(tmp_path, stopping):
    registry = stopping(LoopbackRegistry(tmp_path))
    digests = fill(registry, prefix="docker-remote/")
    entry = {"host": registry.address, "plainHTTP": True, "rewrite": [{"from": "bench", "to": "docker-remote/bench"}]}
    webhook = stopping(Standalone(tmp_path, registries=[entry]))
    text, _, warnings = admit(webhook, registry.address)
    assert all(digest in text for digest in digests.values()), warnings


def test_none_sends_no_credentials(tmp_path, stopping):
    registry = stopping(LoopbackRegistry(tmp_path, account=ACCOUNT))
    fill(registry)
    own = tmp_path / "all.json"
    own.write_text(json.dumps({"auths": {registry.address: dict(zip(("username", "password"), ACCOUNT))}}))
    entry = {"host": registry.address, "plainHTTP": True, "credentials": "none"}
    webhook = stopping(Standalone(tmp_path, registries=[entry], credentials={"dockerConfigFile": str(own)}))
    _, found, warnings = admit(webhook, registry.address)
    assert not found and any("401" in line for line in warnings), warnings


# registry: CNCF distribution 2.8, tokens (JWTs that it verifies) | `secret`, `dockerConfigFile` or the pods' own | real; the token server is the test's
def test_tokens_of_a_token_server(tmp_path, stopping):
    """The registry verifies what the token server signs: one token for each repository, however often it is asked."""
    tokens = stopping(TokenServer(tmp_path, ACCOUNT))
    registry = stopping(LoopbackRegistry(tmp_path, tokens=tokens))
    digests = fill(registry)
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"auths": {registry.address: dict(zip(("username", "password"), ACCOUNT))}}))
    entry = {"host": registry.address, "plainHTTP": True, "dockerConfigFile": str(own)}
    webhook = stopping(Standalone(tmp_path, registries=[entry], cache={"ttl": "0s"}))
    for _ in range(3):
        text, _, warnings = admit(webhook, registry.address)
        assert all(digest in text for digest in digests.values()), warnings
    assert sorted(tokens.asked) == sorted(f"repository:bench/{name}:pull" for name in IMAGES)

    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"auths": {registry.address: {"username": "puller", "password": "another-canary"}}}))
    refused = stopping(Standalone(tmp_path, "refused", registries=[entry | {"dockerConfigFile": str(wrong)}]))
    _, found, warnings = admit(refused, registry.address)
    assert not found and any("401" in line for line in warnings), warnings
    assert not any("canary" in line for line in warnings)


@pytest.mark.parametrize("program", [WEBHOOK, SWEEPER])
def test_check_config(tmp_path, program):
    def check(text):
        file = tmp_path / "config.yaml"
        file.write_text(text)
        return subprocess.run([program, "check-config", file], capture_output=True, text=True, timeout=30)

    good = check("registries:\n- host: a.test\n  proxy: http://u:canary@p:1\n  requestsPerSecond: 2\n")
    assert good.returncode == 0 and "registries[0].requestsPerSecond: 2\n" in good.stdout, good
    assert "canary" not in good.stdout + good.stderr
    bad = check("logLevel: info\nregistries:\n- host: a.test\n  timeout: 9h\n")
    assert bad.returncode == 2 and "config.yaml:4: registries[0].timeout: must be from" in bad.stderr, bad
    ca = check("registries:\n- host: a.test\n  caPEM: '-----BEGIN CERTIFICATE-----'\n")
    assert ca.returncode == 2 and "a.test" in ca.stderr, ca


def test_the_schema_takes_what_the_programs_take():
    schema = json.loads((ROOT / "deploy/config.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    assert list(validator.iter_errors({"registries": [{"host": "a", "timeout": "5s", "maxConcurrency": "${N}"}]})) == []
    for bad in ({"registrys": []}, {"registries": [{}]}, {"registries": [{"host": "a", "timeout": "5 s"}]},
                {"registries": [{"host": "a", "maxConcurrency": 0}]}, {"logLevel": "loud"}, {"cache": {"ttl": 5}},
                {"sweeper": {"adopt": "yes"}}, {"kinds": {"a/v1/B": {"templat": "/x"}}}):
        assert list(validator.iter_errors(bad)), bad
