"""What the documents say: every path that one names exists, and the configuration that one shows is taken."""

import json
import pathlib
import re
import shlex
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
    run = subprocess.run([sys.executable, root / "deploy/registries.py"], capture_output=True, text=True)
    if run.returncode != 0:
        return findings + [f"deploy/registries.py: {run.stderr.strip().splitlines()[-1]}"]
    if run.stdout != (root / "deploy/registries.md").read_text():
        findings.append("deploy/registries.md: the tests say something else: run deploy/generate")
    return findings


OURS = {"kubectl tidemark": "sweeper/tidemark-sweeper", "tidemark-sweeper": "sweeper/tidemark-sweeper",
        "tidemark-webhook": "webhook/tidemark-webhook"}
SHOWN = re.compile(r"(?:kubectl(?: tidemark)?|tidemark-(?:sweeper|webhook)|\./dev) [a-z-].*")
# What is said of a command that is none; and of one that only lacks something, as names of commands in a sentence do.
UNKNOWN = re.compile(r"unknown (?:shorthand )?(?:flag|command)|not expected")
INCOMPLETE = re.compile(r"flag needs an argument|see '?kubectl|must specify|must be specified")
CONFIGURATION = """
kinds: {argoproj.io/v1alpha1/Rollout: {template: /spec/template}}
policies: [{name: "shop:api", image: r.invalid/api, policy: "semver: ^1"}]
git: {repositories: [{name: fleet, url: "https://git.invalid/fleet", branch: main, authorName: T, authorEmail: t@example.com}]}
"""
# A cluster that does not answer.
NOBODY = json.dumps({
    "current-context": "none", "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}], "users": [{"name": "none", "user": {}}]})
PATIENCE = 3  # seconds; what is refused is refused at once
# What stands for something else, in examples.
FILLED = {"NAMESPACE": "team-a", "sha256:...": "sha256:" + "a" * 64, '"..."': "why"}


def shown_commands(file):
    """(line, words, whether it is in a block or in a span) of each command of ours, of kubectl and of ./dev."""
    fenced = False
    for number, line in enumerate(file.read_text().splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        block = fenced or line.startswith("    ")
        for text in [line.strip()] if block else [span for span, _ in CODE.findall(line)]:
            for part in re.sub(r"(?:^|\s+)# .*| -> .*|<.*", "", text).split(" | "):
                if not SHOWN.fullmatch(part) or part.count("'") % 2 or re.search(r"-->|--$|[A-Z]\||/\.\.\.|\|", part):
                    continue
                for name, value in FILLED.items():
                    part = part.replace(name, value)
                yield number, shlex.split(part), block


def complaint(root, words, block, folder, kubectl):
    """What is wrong with a command of an example; None for one that is taken, as far as it comes without a cluster."""
    ours = next((root / "build" / program for name, program in OURS.items() if words[:len(name.split())] == name.split()), None)
    words = [f"{folder}/config.yaml" if word in ("FILE", "config.yaml") else word for word in words]
    if ours and words[0] == "kubectl":
        words[:2] = ["kubectl-tidemark"]
    try:
        done = subprocess.run(words, executable=ours or kubectl, capture_output=True, text=True, timeout=PATIENCE,
                              env={"KUBECONFIG": f"{folder}/kubeconfig", "PATH": "/usr/bin:/bin", "HOME": folder},
                              stdin=subprocess.DEVNULL, cwd=folder if ours else root)
    except subprocess.TimeoutExpired:
        return None  # it runs
    incomplete = done.returncode == 2 if ours else INCOMPLETE.search(done.stderr)
    return " ".join(done.stderr.split())[-300:] if UNKNOWN.search(done.stderr) or (block and incomplete) else None


def commands(root, files):
    """Every command that is shown is one that the programs and kubectl take, and that `./dev` knows."""
    of_dev = set(re.findall(r"^  ([a-z-]+)(?: \| [a-z-]+)*\) ", (root / "dev").read_text(), re.MULTILINE))
    kubectl = subprocess.run([root / "tests/cluster/binaries", "kubectl"], check=True, capture_output=True, text=True).stdout.strip()
    shown = {}
    for file in files:
        for number, words, block in shown_commands(file) if file.suffix == ".md" else ():
            shown.setdefault((*words,), (f"{file.relative_to(root)}:{number}", block))
    findings = [] if len(shown) >= 20 else [f"only {len(shown)} commands were found in the documents"]
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "config.yaml").write_text(CONFIGURATION)
        pathlib.Path(folder, "kubeconfig").write_text(NOBODY)
        for words, (where, block) in shown.items():
            if words[0] == "./dev":
                wrong = None if words[1] in of_dev else "./dev has no such command"
            else:
                wrong = complaint(root, list(words), block, folder, kubectl)
            if wrong:
                findings.append(f"{where}: {' '.join(words)}: {wrong}")
    return findings
