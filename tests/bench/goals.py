"""The end of a benchmark: its goals, each met or not."""

import os
import time


def print_goals(rows, begin):
    """`rows`: (goal, what was measured, met). `begin`: time.monotonic() of the run. The exit code: 1 where one is missed."""
    print("\n| goal | measured | |\n|---|---|---|")
    for goal, measured, met in rows:
        print(f"| {goal} | {measured} | {'met' if met else 'NOT MET'} |")
    print(f"\n{sum(met for *_, met in rows)} of {len(rows)} goals met, {time.monotonic() - begin:.0f} s, "
          f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    return 0 if all(met for *_, met in rows) else 1
