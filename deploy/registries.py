#!/usr/bin/env python3
"""Prints deploy/registries.md with its table of what was tested, made of the markers above the tests (deploy/generate keeps it).

At the end of the comment above a test, `//` or `#`:

    registry: NAME | ENTRY | AGAINST      a row: the configuration's keys, and what answered (real, scripted)
    registry: NAME                        another test of that row

A marker may go on in the next line; one test may have several.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "deploy/registries.md"
BEGIN, END = "<!-- of the tests, by deploy/generate -->\n", "<!-- end -->\n"
MARKER = re.compile(r"^(?://|#) registry: ", re.MULTILINE)
MARKED = re.compile(r"((?:^(?://|#) .*\n)+)(?:^@.*\n)*(?:TEST(?:_F)?\(\s*(\w+),\s*(\w+)\)|def (test_\w+)\()", re.MULTILINE)


def markers(path):
    """(fields of the marker, the test's name) of each in this file."""
    text, found = path.read_text(), []
    for comment, suite, name, function in MARKED.findall(text):
        for marker in MARKER.split(comment)[1:]:
            line = " ".join(part.removeprefix("//").removeprefix("#").strip() for part in marker.splitlines())
            found.append(([field.strip() for field in line.split("|")], function or f"{suite}.{name}"))
    assert len(found) == len(MARKER.findall(text)), f"{path}: a marker has no test below it"
    return found


def table():
    tests, about = {}, {}
    for path in sorted(p for p in (ROOT / "tests").rglob("*") if p.suffix in (".cc", ".py")):
        for (registry, *rest), test in markers(path):
            assert len(rest) in (0, 2), f"{path}: {test}: a marker is NAME | ENTRY | AGAINST"
            tests.setdefault(registry, []).append(f"`{test}`")
            assert not rest or about.setdefault(registry, rest) == rest, f"{path}: {registry} is told otherwise elsewhere"
    assert tests.keys() == about.keys(), f"no entry is told of {tests.keys() - about.keys()}"
    rows = sorted(tests, key=lambda registry: (not about[registry][1].startswith("real"), registry.lower()))
    lines = ["| registry | entry | tested against | by |", "|---|---|---|---|"]
    lines += [f"| {row} | {about[row][0]} | {about[row][1]} | {', '.join(tests[row])} |" for row in rows]
    return "\n".join(lines) + "\n"


def document():
    before, rest = DOCUMENT.read_text().split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    sys.stdout.write(document())
