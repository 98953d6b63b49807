"""A control plane of the test run's own: etcd, kube-apiserver, kube-controller-manager and a registry."""

import base64
import json
import os
import pathlib
import re
import shlex
import subprocess

import yaml

from .kubectl import Kubectl
from .processes import ROOT
from .registry import Registry

SCRIPT = ROOT / "tests/cluster/cluster"


def binary(name):
    done = subprocess.run([str(ROOT / "tests/cluster/binaries"), name], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(done.stdout.strip().splitlines()[-1])


def go():
    """A Go that builds tests/cluster/tools."""
    found = subprocess.run(["bash", "-c", f"source {ROOT}/tests/cluster/lib/common.sh; source {ROOT}/tests/cluster/lib/go.sh; find_go"],
                           stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(found.stdout.strip())


def module(name, path):
    """The folder of a Go module that tests/cluster/tools/NAME requires, fetched at the first call."""
    tools = ROOT / "tests/cluster/tools" / name
    done = subprocess.run([go(), "mod", "download", "-json", path], cwd=tools, stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(json.loads(done.stdout)["Dir"])


class Cluster:
    def __init__(self, name, tmp, control_plane_only=True):
        self.name = name
        self.tmp = tmp
        flags = ["--control-plane-only"] if control_plane_only else []
        self._script("up", *flags)
        self.env = dict(re.findall(r"^export (\w+)=(.*)$", self._script("env"), re.MULTILINE))
        self.env = {key: shlex.split(value)[0] for key, value in self.env.items() if key != "PATH"}
        self.kubeconfig = pathlib.Path(self.env["KUBECONFIG"])
        self.host_address = self.env["TIDEMARK_HOST_ADDRESS"]
        self.node_folder = pathlib.Path(self.env["TIDEMARK_CLUSTER_STATE"]) / "node"
        self.kubectl = Kubectl(binary("kubectl"), self.kubeconfig)
        self.registry = Registry(self.env["TIDEMARK_REGISTRY"], binary("crane"), tmp)

    def _script(self, *arguments):
        done = subprocess.run([str(SCRIPT), "--name", self.name, *arguments], stdout=subprocess.PIPE, text=True)
        assert done.returncode == 0, f"tests/cluster/cluster {' '.join(arguments)} exited {done.returncode}"
        return done.stdout

    def down(self):
        if not os.environ.get("TIDEMARK_KEEP"):
            self._script("down")

    def kubeconfig_of(self, service_account, ns, server=None):
        """A kubeconfig that is nobody but this service account: what RBAC grants is what the program has."""
        token = self.kubectl("create", "token", service_account, "-n", ns, "--duration=2h").strip()
        admin = yaml.safe_load(self.kubeconfig.read_text())
        cluster = dict(admin["clusters"][0]["cluster"])
        if "certificate-authority" in cluster:
            path = pathlib.Path(cluster.pop("certificate-authority"))
            path = path if path.is_absolute() else self.kubeconfig.parent / path
            cluster["certificate-authority-data"] = base64.b64encode(path.read_bytes()).decode()
        if server:
            cluster = {"server": server}
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "c",
                  "clusters": [{"name": "c", "cluster": cluster}],
                  "users": [{"name": "u", "user": {"token": token}}],
                  "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}
        suffix = "-proxied" if server else ""
        path = self.tmp / f"{service_account}-{ns}{suffix}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        return path
