"""A sweeper that leads and answers `status`: on the host, with a Pod object that has the host's address."""

import json
import os
import signal

from .processes import Process, free_port, wait_for
from .programs import NAMESPACE

POD = "tidemark-sweeper-0"


class LiveSweeper:
    """`run` as its service account, under the name of a pod that no kubelet knows: the API server's proxy finds it all the same."""

    def __init__(self, sweeper, tmp, *flags):
        self.sweeper, self.tmp, self.flags = sweeper, tmp, flags
        self.kubectl = sweeper.cluster.kubectl
        self.host = sweeper.cluster.host_address
        self.process = None

    def start(self, seconds=60):
        port = free_port(self.host)
        self.kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "namespace": NAMESPACE},
                            "spec": {"serviceAccountName": "tidemark-sweeper", "automountServiceAccountToken": False,
                                     "securityContext": {"runAsNonRoot": True, "runAsUser": 65532,
                                                         "seccompProfile": {"type": "RuntimeDefault"}},
                                     "containers": [{"name": "sweeper", "image": "registry.invalid/sweeper@sha256:" + "0" * 64,
                                                     "securityContext": {"allowPrivilegeEscalation": False,
                                                                         "capabilities": {"drop": ["ALL"]}}}]}})
        status = json.dumps({"status": {"phase": "Running", "podIP": self.host, "podIPs": [{"ip": self.host}]}})
        self.kubectl("patch", "pod", POD, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", status)
        # Nobody else's Lease, which would have to run out first.
        self.kubectl("delete", "lease", "tidemark-sweeper", "-n", NAMESPACE, "--ignore-not-found")
        self.process = Process("sweeper-live", self.sweeper.command(
            "run", *self.flags, "--ops-listen", f"{self.host}:{port}"), self.tmp,
            os.environ | {"POD_NAMESPACE": NAMESPACE, "POD_NAME": POD, "NO_PROXY": "*", "no_proxy": "*"})

        def swept():
            assert self.process.running(), self.process.text()[-2000:]
            return "sweep done" in self.process.text()
        wait_for("the first sweep", swept, seconds)

    def freeze(self):
        self.process.send(signal.SIGSTOP)

    def thaw(self):
        self.process.send(signal.SIGCONT)

    def stop(self):
        """Also twice."""
        if self.process:
            self.process.stop()
            self.process.log.unlink()  # the next one's first sweep is not this one's
        self.process = None
        self.kubectl("delete", "pod", POD, "-n", NAMESPACE, "--grace-period=0", "--force", "--ignore-not-found")
