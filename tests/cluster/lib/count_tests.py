#!/usr/bin/env python3
"""Prints "PASSED FAILED SKIPPED" of one suite's report.

  count_tests.py meson TESTLOG.json GTEST_DIRECTORY   meson's log, with the tests inside GoogleTest programs
  count_tests.py junit REPORT.xml                     pytest's report
  count_tests.py summary LOG                          a log whose last such line is "N passed, N failed[, N skipped]"

A report that is missing or broken counts nothing: whoever calls counts the failure.
"""

import json
import pathlib
import re
import sys
import xml.etree.ElementTree


def gtest(report):
    cases = [case for suite in report["testsuites"] for case in suite["testsuite"]]
    failed = sum(1 for case in cases if case.get("failures"))
    skipped = sum(1 for case in cases if case["status"] == "NOTRUN" or case["result"] in ("SKIPPED", "SUPPRESSED"))
    return len(cases) - failed - skipped, failed, skipped


def meson(log, directory):
    totals = [0, 0, 0]
    for line in pathlib.Path(log).read_text().splitlines():
        test = json.loads(line)
        good, skipped = test["result"] in ("OK", "EXPECTEDFAIL"), test["result"] == "SKIP"
        report = pathlib.Path(directory) / (pathlib.Path(test["command"][0]).name + ".json")
        counts = (int(good), int(not good and not skipped), int(skipped))
        if report.exists():
            counts = gtest(json.loads(report.read_text()))
            if not good and not skipped and counts[1] == 0:  # all tests passed, and then it crashed
                counts = (counts[0], 1, counts[2])
        totals = [total + more for total, more in zip(totals, counts)]
    return totals


def junit(report):
    totals = [0, 0, 0]
    for suite in xml.etree.ElementTree.parse(report).getroot().iter("testsuite"):
        tests, failures, errors, skipped = (int(suite.get(k, 0)) for k in ("tests", "failures", "errors", "skipped"))
        totals = [totals[0] + tests - failures - errors - skipped, totals[1] + failures + errors, totals[2] + skipped]
    return totals


def summary(log):
    found = re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", pathlib.Path(log).read_text(), re.MULTILINE)
    return [int(number or 0) for number in found[-1]] if found else [0, 0, 0]


try:
    counts = {"meson": meson, "junit": junit, "summary": summary}[sys.argv[1]](*sys.argv[2:])
except (OSError, ValueError, xml.etree.ElementTree.ParseError) as error:
    print(f"no report: {error}", file=sys.stderr)
    counts = (0, 0, 0)
print(*counts)
