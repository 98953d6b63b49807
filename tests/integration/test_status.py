"""`kubectl tidemark status` asked of the running sweeper, through the API server's pod proxy."""

import json
import os
import subprocess

import pytest

from harness import programs
from harness.live import LiveSweeper
from harness.processes import wait_for


@pytest.fixture
def live(sweeper, tmp, two, ns):
    live = LiveSweeper(sweeper, tmp, "-n", ns)
    live.start()
    yield live
    live.stop()


class Asked:
    """`status` as an account with no more rights than it is given."""

    def __init__(self, sweeper, kubeconfig):
        self.sweeper, self.kubeconfig = sweeper, kubeconfig

    def __call__(self, *flags, check=True):
        done = subprocess.run(self.sweeper.command("status", *flags, kubeconfig=self.kubeconfig), capture_output=True, text=True,
                              timeout=60, env=os.environ | {"NO_PROXY": "*", "no_proxy": "*"})
        assert not check or done.returncode == 0, done.stderr
        return done


@pytest.fixture
def asked(sweeper, cluster):
    return Asked(sweeper, cluster.kubeconfig)


def test_the_same_rows_from_both(asked, live, ns):
    for form in ("json", "yaml"):
        from_sweeper = asked("-n", ns, "-o", form, "--from", "sweeper").stdout
        assert from_sweeper == asked("-n", ns, "-o", form, "--from", "api").stdout
    slots = json.loads(asked("-n", ns, "-o", "json", "--from", "sweeper").stdout)["slots"]
    assert [(slot["workload"], slot["state"]) for slot in slots] == [("deployment/moved", "held"), ("deployment/quiet", "up-to-date")]
    assert "freeze" in slots[0]["reason"]


def test_real_kubectl_gets_it_through_the_plugin(sweeper, cluster, plugin_path, live, ns):
    env = os.environ | {"PATH": plugin_path, "KUBECONFIG": str(cluster.kubeconfig), "NO_PROXY": "*", "no_proxy": "*"}
    told = subprocess.run(["kubectl", "tidemark", "status", "-n", ns, "-v"], capture_output=True, text=True, timeout=60, env=env)
    assert told.stderr.startswith("answered by the running sweeper"), told.stderr
    assert [line.split()[1] for line in told.stdout.splitlines()] == ["WORKLOAD", "deployment/moved", "deployment/quiet"]


def test_a_hold_and_a_label_show_at_once(asked, live, kubectl, ns):
    kubectl("annotate", "deployment", "moved", "-n", ns, "tidemark.dev/hold-reason=later", "--overwrite")
    kubectl("label", "deployment", "moved", "-n", ns, "team=a")

    def rows(*flags):
        return asked("-n", ns, "--from", "sweeper", *flags).stdout.splitlines()[1:]
    wait_for("the reason", lambda: "later" in rows("-l", "team=a")[0])
    assert len(rows("-l", "team=a")) == 1 and len(rows("deployment/quiet")) == 1
    missing = asked("-n", ns, "--from", "sweeper", "deployment/none", check=False)
    assert missing.returncode == 1 and missing.stderr.count("\n") == 1 and "deployment/none" in missing.stderr


def test_who_may_not_use_the_proxy_is_answered_by_the_api_server(sweeper, live, ns):
    """The sweeper's own account may read all workloads, and has no right to pods/proxy."""
    own = Asked(sweeper, sweeper.kubeconfig)
    told = own("-n", ns, "-v")
    assert "deployment/moved" in told.stdout and "answered by the API server" in told.stderr and "forbidden" in told.stderr
    refused = own("-n", ns, "--from", "sweeper", check=False)
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1 and refused.stdout == ""


def test_the_documented_role_is_enough(asked, sweeper, live, cluster, kubectl, ns):
    kubectl("create", "serviceaccount", "reader", "-n", ns)
    rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["tidemark-sweeper"], "verbs": ["get"]},
             {"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]}]
    name = {"name": f"reader-{ns}", "namespace": programs.NAMESPACE}
    kubectl.apply([{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": name, "rules": rules},
                   {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": name,
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name["name"]},
                    "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": ns}]}])
    reader = Asked(sweeper, cluster.kubeconfig_of("reader", ns))
    assert reader("-n", ns, "-o", "json", "--from", "sweeper").stdout == asked("-n", ns, "-o", "json", "--from", "api").stdout


def test_a_sweeper_that_hangs_or_is_gone_costs_two_seconds_at_most(asked, live, ns):
    live.freeze()
    told = asked("-n", ns, "-v")
    assert "deployment/moved" in told.stdout and "answered by the API server" in told.stderr
    live.thaw()
    live.stop()
    told = asked("-n", ns, "-v")
    assert "deployment/moved" in told.stdout and "answered by the API server" in told.stderr
