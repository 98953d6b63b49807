"""./dev bench registry: a check of 2,000 references at a registry that takes 20 ms for an answer.

Prints what it measured and then the goals, each met or not. Exit code 1: a goal was missed. Bounded: every run has its own
limit. No root, no cluster; everything listens on loopback.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

from goals import print_goals

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TIDEMARK_BUILD", ROOT / "build-bench"))

REFERENCES = 2000   # 40 repositories, a scope each, of 50 tags
LATENCY = 20        # ms, of every answer
RATE = 250          # requests a second of the registry's entry; without it there are nearly 400
ROUNDS = 3          # of what is compared, in turn; the median counts
LATE = 1.02         # a request that the machine held up stands closer to those after it


def measured(latency=LATENCY, rate=0, hanging=0):
    done = subprocess.run([BUILD / "tests/bench/registry_round", *map(str, (REFERENCES, latency, rate, hanging))],
                          stdout=subprocess.PIPE, text=True, timeout=200, check=True)
    seen = json.loads(done.stdout)
    assert seen["manifests"] == REFERENCES and seen["asked"] == REFERENCES + hanging and seen["failed"] == hanging, seen
    return seen


def row(name, runs):
    middle = sorted(runs, key=lambda seen: seen["seconds"])[len(runs) // 2]
    print(f"| {name} | {middle['seconds']:.2f} | {middle['whole']:.2f} | {middle['manifests']} | {middle['refused']} "
          f"| {middle['scopes']} x {middle['tokens_of_a_scope']} | {middle['in_a_second']} | {middle['hanging_asked']} |", flush=True)
    return middle


def main():
    begin = time.monotonic()
    alone, beside = [], []
    for _ in range(ROUNDS):
        alone.append(measured())
        beside.append(measured(hanging=REFERENCES))
    print("| of 2,000 references | its last answer, s | the check, s | manifests | 401 | tokens | most in a second | asked of the other |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    row("no latency: client and servers alone", [measured(latency=0)])
    well = row("20 ms", alone)
    other = row("20 ms, beside as many of one that hangs", beside)
    paced = row(f"20 ms, {RATE} requests/s", [measured(rate=RATE)])
    least = REFERENCES * LATENCY / 1000 / well["concurrency"]
    part = statistics.median(seen["seconds"] for seen in alone) / least
    change = other["seconds"] / well["seconds"]
    tokens = max(seen["tokens_of_a_scope"] for seen in (*alone, *beside, paced))
    scopes = {seen["scopes"] for seen in (*alone, *beside, paced)}
    goals = [(f"1.2 x references x latency / concurrency ({least:.1f} s: {well['concurrency']} at once)", f"{part:.2f} x", part <= 1.2),
             ("one token request a scope", f"{tokens} for each of {max(scopes)}", tokens == 1 and len(scopes) == 1),
             (f"no more than {RATE} requests in any second, tokens and all", f"{paced['in_a_second']}",
              paced["in_a_second"] <= RATE * LATE + 1),
             ("beside one that hangs: within 10 %", f"{change - 1:+.1%}", abs(change - 1) <= 0.1)]
    return print_goals(goals, begin)


if __name__ == "__main__":
    sys.exit(main())
