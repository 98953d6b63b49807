#!/usr/bin/env python3
"""Prints deploy/runbook.md with its tables of warnings, events and exit codes, made of the markers in the programs' code
(deploy/generate keeps it).

Above what tells somebody of something:

    // runbook: KIND: WHAT | CAUSE | REMEDY      KIND: warning, event or exit code; a marker may go on in the next line

Every warning of an admission, reason of an Event and exit code has one: what has none is an error.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "deploy/runbook.md"
BEGIN, END = "<!-- of the code, by deploy/generate -->\n", "<!-- end -->\n"
# Of each kind the code that tells, as far as its line begins with it.
TELLING = {
    "warning": re.compile(r"decision_\.warnings\.(?:push|emplace)_back\("),
    "event": re.compile(r'.*\b(?:add_note\(\w+|note_of\(plan|warning_of\(plan), "\w+"'),
    "exit code": re.compile(r"inline constexpr int kExit\w+ ="),
}
HEADS = {"warning": "warning in kubectl", "event": "Event", "exit code": "exit code"}
MARKER = re.compile(r"^ *// runbook: ((?:.*\n)(?: *// (?!runbook: ).*\n)*)", re.MULTILINE)


def markers(path):
    """(kind, what, cause, remedy) of each in this file; what tells and has none, or a marker over nothing that tells, is an error."""
    text, found, told = path.read_text(), [], set()
    for marker in MARKER.finditer(text):
        words = " ".join(line.strip().removeprefix("//").strip() for line in marker.group(1).splitlines())
        kind, _, rest = words.partition(": ")
        fields = [field.strip() for field in rest.split(" | ")]
        assert kind in TELLING and len(fields) == 3, f"{path}: a marker is KIND: WHAT | CAUSE | REMEDY: {words}"
        # A statement may be of two lines.
        below = [(at.start(), at.group().strip()) for at in list(re.finditer(r".*\n", text[marker.end():]))[:2]]
        hit = next((marker.end() + at for at, line in below if TELLING[kind].match(line)), None)
        assert hit is not None, f"{path}: nothing is told below the marker of {fields[0]}"
        told.add(hit)
        found.append((kind, *fields))
    for line in re.finditer(r".*\n", text):
        if any(pattern.match(line.group().strip()) for pattern in TELLING.values()) and line.start() not in told:
            raise AssertionError(f"{path}: has no marker for deploy/runbook.md: {line.group().strip()}")
    return found


def tables():
    rows = {kind: [] for kind in TELLING}
    for path in sorted(p for folder in ("webhook", "sweeper") for p in (ROOT / folder).iterdir() if p.suffix in (".cc", ".h")):
        for kind, *fields in markers(path):
            rows[kind].append("| " + " | ".join(fields) + " |\n")
    return "\n".join(f"| {HEADS[kind]} | cause | remedy |\n|---|---|---|\n" + "".join(rows[kind]) for kind in TELLING)


def document():
    before, rest = DOCUMENT.read_text().split(BEGIN)
    return before + BEGIN + tables() + END + rest.split(END)[1]


if __name__ == "__main__":
    sys.stdout.write(document())
