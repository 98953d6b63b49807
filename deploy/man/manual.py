#!/usr/bin/env python3
"""Prints a manual page in mdoc(7): the text of its PAGE.in, with what the programs and the documents say in place of its lines that begin
with an @ (deploy/generate keeps the pages).

Usage: manual.py TEMPLATE WEBHOOK SWEEPER      (the paths of the two programs)

    @options PROGRAM             the program's own options, of its --help
    @commands PROGRAM NAME...    a subsection for each of these commands, of its --help
    @keys                        the configuration's keys, of the table in src/config/README.md
    @include FILE                another file of this folder, with the same lines in it

PROGRAM is webhook, sweeper, or kubectl (the sweeper under its other name).
"""

import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DATE = "November 29, 2026"  # when the templates last changed
NAMES = {"webhook": ("webhook", "tidemark-webhook"), "sweeper": ("sweeper", "tidemark-sweeper"),
         "kubectl": ("sweeper", "kubectl tidemark")}


def escaped(text):
    return text.replace("\\", "\\e").replace('"', "\\(dq")


def argument(text):
    """One argument of a macro: never a macro itself, nor a delimiter."""
    text = escaped(text)
    if not text or len(text) < 4 and not text.startswith("-"):
        text = "\\&" + text
    text = text.replace("-", "\\-")
    return f'"{text}"' if " " in text else text


def prose(text):
    """Lines of text; `code` becomes a literal."""
    parts = re.split(r"`([^`]+)`", text)
    lines, before = [], ""
    for i, part in enumerate(parts):
        if i % 2:
            opening = re.search(r"\S*$", before).group()
            lines.append(before[:len(before) - len(opening)])
            closing = re.match(r"\S*", parts[i + 1]).group()
            parts[i + 1] = parts[i + 1][len(closing):]
            macro = ".Ql"
            while opening.endswith(("(", "[")):
                macro, opening = f"{macro} {opening[-1]}", opening[:-1]
            if opening:
                macro = f".No {argument(opening)} Ns {macro[1:]}"
            macro += f" {argument(part)}"
            rest = closing.rstrip(".,:;)]?!")
            if rest:
                macro += f" Ns {argument(rest)}"
            lines.append(" ".join([macro, *closing[len(rest):]]))
            before = ""
        else:
            before = part
    lines.append(before)
    for line in lines:
        line = line.strip()
        if not line.startswith((".Ql ", ".No ")):
            # A sentence to a line, as mdoc wants it.
            line = re.sub(r"([.!?]) (?=[A-Z])", r"\1\n", escaped(line))
            line = re.sub(r"^([.'])", r"\\&\1", line, flags=re.MULTILINE)
        if line:
            yield from line.splitlines()


# Where the text of a --help begins in its line; below a heading that is longer, in the next one.
COLUMN = 30


def read_help(program, *command):
    """(description, usage, {section: [(heading, text)]}) of a --help."""
    text = subprocess.run([program, *command, "--help"], check=True, capture_output=True, text=True).stdout
    head, *rest = re.split(r"^(\w+):[ ]*$", text, flags=re.MULTILINE)
    sections = {}
    for name, body in zip(rest[::2], rest[1::2]):
        entries = []
        lines = list(filter(None, body.splitlines()))
        for line, below in zip(lines, [*lines[1:], ""]):
            if line.startswith(" " * COLUMN):
                entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}".strip())
            elif below.startswith(" " * COLUMN):
                entries.append((line.strip(), ""))
            else:
                entries.append((line[:COLUMN].strip(), line[COLUMN:]))
        sections[name.capitalize()] = entries
    description, usage = head.strip().split("\nUsage: ")
    return description.strip(), usage.strip(), sections


def option(heading, text):
    """One item of a list: "-n,--namespace TEXT ... Excludes: --all-namespaces"."""
    heading, *relations = re.split(r" (Excludes|Needs): ?", heading)
    names, _, value = heading.partition(" ")
    names, equals, default = names.partition("=")
    value, equals, default = value.partition("=") if not equals else (value, equals, default)
    repeated = value.endswith("...")
    value = value.removesuffix("...").replace("REQUIRED", "").strip()
    flags = [f"Fl {argument(name[1:])}" for name in names.split(",") if name.startswith("-")]
    if flags:
        item = " , ".join(flags)
        if value:
            item += f" Ar {argument('value' if value == 'TEXT' else value)}"
    else:
        item = f"Ar {argument(names)}"
    if repeated:
        item += " ..."
    yield f".It {item}"
    if not flags and value and value != "TEXT":
        text += f": {value}"
    yield from prose(sentence(text))
    if default:
        yield from prose(f"The default is `{default}`.")
    for what, others in zip(relations[::2], relations[1::2]):
        names = " or ".join(f"`{other}`" for other in others.split())
        yield from prose(f"Not together with {names}." if what == "Excludes" else f"Only together with {names}.")


def sentence(text):
    text = text.strip()
    return text if text.endswith((".", "?")) else f"{text}."


def option_list(sections):
    entries = [entry for name in ("Positionals", "Options") for entry in sections.get(name, []) if not entry[0].startswith("-h,--help")]
    if not entries:
        return
    yield ".Bl -tag -width Ds"
    for heading, text in entries:
        yield from option(heading, text)
    yield ".El"


def commands(program, shown, names):
    for name in names:
        description, usage, sections = read_help(program, name)
        yield f".Ss {name}"
        yield ".Bd -ragged -compact"
        yield f".Ic {shown} {name}"
        for word in usage.split()[2:]:
            yield f".Op Ar {argument(word[1:-1].lower())}" if word.startswith("[") else f".Ar {argument(word)}"
        yield ".Ed"
        yield ".Pp"
        yield from prose(sentence(description[0].upper() + description[1:]))
        yield from option_list(sections)


def schema_paths(schema, path=""):
    """Every key of the configuration, "registries[].host"."""
    for name, part in schema.get("properties", {}).items():
        below = f"{path}.{name}" if path else name
        yield below
        yield from schema_paths(part, below)
    for member, mark in (("items", "[]"), ("additionalProperties", "")):
        if isinstance(schema.get(member), dict):
            yield from schema_paths(schema[member], path + mark)


def keys(webhook):
    """The rows of the table; each key of the schema has one, or is told in the row of the list that it belongs to."""
    table = (ROOT / "src/config/README.md").read_text().split("| key | values (default) |\n|---|---|\n")[1].split("\n\n")[0]
    known = set(schema_paths(json.loads(subprocess.check_output([webhook, "schema"]))))
    told, parent = set(), ""
    yield ".Bl -tag -width Ds"
    for row in table.splitlines():
        first, text = [cell.strip() for cell in row.strip("|").split(" | ", 1)]
        names, before = [], ""
        for name in re.findall(r"`([^`]+)`", first):
            if name.startswith("."):
                # Beside the row's first key, or of the list above.
                name = (before.rpartition(".")[0] or parent) + name
            names.append(name)
            before = name
            assert name in known, f"src/config/README.md: {name} is no key"
        if not first.startswith("`.") and any(key.startswith(f"{names[0]}[].") for key in known):
            parent = f"{names[0]}[]"
        told |= set(names)
        told |= {key for name in names for key in known if key.startswith(name) and f"`{key.rpartition('.')[2]}`" in text}
        yield ".It " + " , ".join(f"Va {argument(name)}" for name in names)
        yield from prose(sentence(text))
    yield ".El"
    missing = {key for key in known - told if not any(other.startswith((f"{key}.", f"{key}[")) for other in known)}
    assert not missing, f"src/config/README.md: its table does not tell of {sorted(missing)}"


def page(text, programs):
    for line in text.splitlines():
        words = line.split()
        if not line.startswith("@"):
            yield line
        elif words[0] == "@include":
            yield from page((HERE / words[1]).read_text(), programs)
        elif words[0] == "@keys":
            yield from keys(programs["webhook"])
        else:
            which, shown = NAMES[words[1]]
            if words[0] == "@options":
                yield from option_list(read_help(programs[which])[2])
            else:
                assert words[0] == "@commands", line
                yield from commands(programs[which], shown, words[2:])


def main(template, webhook, sweeper):
    path = pathlib.Path(template)
    name, _, section = path.name.removesuffix(".in").rpartition(".")
    print(f'.\\" Generated by deploy/generate from {path.name}: change that, or what the programs say.')
    print(f".Dd {DATE}\n.Dt {name.upper()} {section}\n.Os Tidemark")
    print("\n".join(page(path.read_text(), {"webhook": webhook, "sweeper": sweeper})))


if __name__ == "__main__":
    main(*sys.argv[1:])
