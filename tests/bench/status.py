"""The part of ./dev bench push that asks for `status -A` over 10,000 workloads: the running sweeper, and the API server alone."""

import contextlib
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

import sweep
from harness.live import LiveSweeper

WORKLOADS, TAGS = 10_000, 2_000
ASKED = {"sweeper": 7, "api": 3}  # how often each; the median counts


def ask(bench, kubeconfig, source):
    """Seconds, and what was printed."""
    command = bench.sweeper.command("status", "-A", "--from", source, "-o", "json", kubeconfig=kubeconfig)
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, timeout=120, env=os.environ | {"NO_PROXY": "*", "no_proxy": "*"})
    seconds = time.monotonic() - begin
    assert done.returncode == 0, done.stderr
    return seconds, done.stdout


def measure():
    """Medians in seconds by source, the first answer of the sweeper, and the sweeper's highest RSS in MiB."""
    with contextlib.ExitStack() as stack:
        tmp = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-bench-")))
        bench, workloads, _ = sweep.start(stack, tmp)
        # Those without replicas have nothing that could change what is shown.
        workloads.shape(WORKLOADS, TAGS, lambda item: item["spec"]["replicas"] > 0)
        live = LiveSweeper(bench.sweeper, tmp)
        stack.callback(live.stop)
        live.start(seconds=120)
        took, printed = {}, {}
        for source, times in ASKED.items():
            runs = [ask(bench, bench.sweeper.cluster.kubeconfig, source) for _ in range(times)]
            took[source], printed[source] = [seconds for seconds, _ in runs], runs[-1][1]
        assert printed["sweeper"] == printed["api"], "both ways give the same rows"
        assert printed["sweeper"].count(b'"workload"') == WORKLOADS
        rss = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{live.process.popen.pid}/status").read_text()).group(1))
        return {source: statistics.median(seconds) for source, seconds in took.items()}, took["sweeper"][0], rss / 1024
