"""What the documents say: every path that one names exists, and the configuration that one shows is taken."""

import json
import re
import subprocess
import sys
import tempfile

import jsonschema
import yaml

CODE = re.compile(r"`([^`\n]+)`|\]\(([^)#\s]+)(?:#[^)]*)?\)")
# A path of ours: begins with a name of the tree's top, or with ./ or ../
PATHLIKE = re.compile(r"^(?:\.{1,2}/)?[\w.@+-]+(?:/[\w.@+{},*-]+)*/?$")


# Files of others that documents speak of.
NOT_OURS = {"httplib.h", "config.yaml"}


def paths(root, files):
    tops = {p.name for p in root.iterdir()} | {p.name for p in (root / "src").iterdir()}
    findings = []
    for document in files:
        if document.suffix != ".md":
            continue
        fenced = False
        for number, line in enumerate(document.read_text().splitlines(), 1):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            if fenced:
                continue
            for code, link in CODE.findall(line):
                text = link or code
                if "://" in text or (link and text.startswith("mailto:")):
                    continue
                if not PATHLIKE.match(text) or any(c in text for c in "*{"):
                    continue
                first = text.lstrip("./").split("/")[0]
                looks_ours = link or ("/" in text and first in tops) or (
                    text not in NOT_OURS and re.search(r"\.(?:h|cc|py|sh|md|yaml|build)$", text))
                if not looks_ours or text.startswith("build/"):
                    continue
                places = (document.parent, root, root / "src")
                if not any((place / text).exists() for place in places):
                    findings.append(f"{document.relative_to(root)}:{number}: {text} does not exist")
    return findings


METRIC = re.compile(r'"(tidemark_[a-z_]+)"')


def made_metrics(root, files):
    programs = ("src/", "certs/", "webhook/", "sweeper/")
    return {name for file in files if str(file.relative_to(root)).startswith(programs) and file.suffix == ".cc"
            for name in METRIC.findall(file.read_text())}


def metrics(root, files):
    """deploy/README.md lists the programs' metrics: all of them, and no others."""
    made = made_metrics(root, files)
    table = (root / "deploy/README.md").read_text().split("\n## Metrics\n")[-1].split("\n## ")[0]
    told = set(re.findall(r"^\| `(tidemark_\w+)`", table, re.MULTILINE))
    return ([f"deploy/README.md: {name} is not listed under Metrics" for name in sorted(made - told)]
            + [f"deploy/README.md: no program makes {name}" for name in sorted(told - made)])


# Files that examples name; the check has none of them.
NAMED_FILES = re.compile(r"\n *(?:caFile|certFile|keyFile):.*")
CHECK = "build/webhook/tidemark-webhook"


def examples(root):
    """(where, text) of every piece of configuration that is shown."""
    shown = re.search(r"```yaml\n(logLevel:.*?)```", (root / "deploy/README.md").read_text(), re.DOTALL)
    yield "deploy/README.md", shown.group(1) if shown else ""
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", (root / "deploy/registries.md").read_text(), re.DOTALL), 1):
        yield f"deploy/registries.md, block {number}", block
    manual = re.search(r"\.Bd .*\n(defaults:\n(?:.*\n)*?)\.Ed", (root / "deploy/man/tidemark.yaml.5").read_text())
    yield "deploy/man/tidemark.yaml.5", manual.group(1) if manual else ""
    for file in sorted(root.glob("deploy/**/config.yaml")):
        yield str(file.relative_to(root)), yaml.safe_load(file.read_text())["data"]["config.yaml"]


# What the schema must not take; what it takes and the programs do not is a matter between keys.
BAD = ("registrys: []", "registries: [{}]", "registries: [{host: a, timeout: 5 s}]", "registries: [{host: a, maxConcurrency: 0}]",
       "logLevel: loud", "cache: {ttl: 5}", "sweeper: {adopt: maybe}", "kinds: {a/v1/B: {templat: /x}}", "[]")


def configuration(root, _files):
    """Every configuration that is shown is one that the programs take, and the schema too."""
    schema = jsonschema.Draft202012Validator(json.loads((root / "deploy/config.schema.json").read_text()))
    findings = []
    for where, text in examples(root):
        if not text:
            findings.append(f"{where}: shows no configuration")
            continue
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(NAMED_FILES.sub("", "\n" + text))
            file.flush()
            run = subprocess.run([root / CHECK, "check-config", file.name], capture_output=True, text=True)
        if run.returncode != 0:
            findings.append(f"{where}: {run.stdout}{run.stderr}")
        findings += [f"{where}: {error.json_path}: {error.message}" for error in schema.iter_errors(yaml.safe_load(text))]
    findings += [f"deploy/config.schema.json takes {bad}" for bad in BAD if schema.is_valid(yaml.safe_load(bad))]
    return findings


def tested(root, files):
    """The table of deploy/registries.md is what the markers above the tests say, and the tests that SECURITY.md names are there."""
    code = "".join(file.read_text() for file in files
                   if str(file.relative_to(root)).startswith("tests/") and file.suffix in (".cc", ".py"))
    text = (root / "SECURITY.md").read_text()
    findings = [f"SECURITY.md: there is no test {suite}.{name}" for suite, name in re.findall(r"`(\w+)\.([A-Z]\w+)`", text)
                if not re.search(rf"TEST(?:_F|_P)?\({suite}, {name}\)", code)]
    findings += [f"SECURITY.md: there is no test {name}" for name in re.findall(r"`(test_\w+)`", text) if f"def {name}(" not in code]
    return findings + made(root, "registries", "the tests say")


def made(root, name, who):
    """Whether deploy/NAME.md is what deploy/NAME.py makes of it."""
    run = subprocess.run([sys.executable, root / f"deploy/{name}.py"], capture_output=True, text=True)
    if run.returncode != 0:
        return [f"deploy/{name}.py: {run.stderr.strip().splitlines()[-1]}"]
    return ([] if run.stdout == (root / f"deploy/{name}.md").read_text()
            else [f"deploy/{name}.md: {who} something else: run deploy/generate"])


def runbook(root, _files):
    """Every warning, Event and exit code of the programs is in deploy/runbook.md, as the markers in the code tell it."""
    return made(root, "runbook", "the code says")
