"""The manual pages of deploy/man: well-formed, installed, and silent about nothing that the programs take."""

import re
import subprocess
import tempfile

PROGRAMS = {"tidemark-webhook": "build/webhook/tidemark-webhook", "tidemark-sweeper": "build/sweeper/tidemark-sweeper"}
# Which pages describe a program.
PAGES = {"tidemark-webhook": ("tidemark-webhook.8",), "tidemark-sweeper": ("tidemark-sweeper.8", "kubectl-tidemark.1")}
FLAG = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
# How the programs ask for a variable of the environment.
VARIABLE = re.compile(r'(?:environment|get|getenv|either|variables|variable)\((?:environment, )?"([A-Z][A-Z_]{2,})"\)')


def printed(page):
    """A page as a reader sees it, one line a paragraph or not: only its words count."""
    text = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=500", page], check=True, capture_output=True, text=True).stdout
    return re.sub(r".\x08", "", text)


def help_of(program, *command):
    return subprocess.run([program, *command, "--help"], check=True, capture_output=True, text=True).stdout


def section(page, title):
    return re.search(rf"^ *{re.escape(title)}\n(.*?)(?=^ {{0,3}}\S|\Z)", page, re.MULTILINE | re.DOTALL)


def untold(root, name, pages):
    """What a program's --help names and its pages do not."""
    program = root / PROGRAMS[name]
    found, text = [], help_of(program)
    options = text.split("\nOptions:")[1].split("\nSubcommands:")[0]
    for page, shown in pages.items():
        told = section(shown, "OPTIONS")
        found += [f"{page}: OPTIONS does not tell of {flag}" for flag in set(FLAG.findall(options)) - {"-h", "--help"}
                  if not re.search(rf"(?<![\w-]){flag}(?![\w-])", told[1] if told else "")]
    for command in re.findall(r"^  ([a-z-]+)", text.split("\nSubcommands:")[1], re.MULTILINE):
        told = [part for shown in pages.values() if (part := section(shown, command))]
        if len(told) != 1:
            found.append(f"{', '.join(pages)}: {command} is told {len(told)} times")
            continue
        found += [f"{', '.join(pages)}: {command} does not tell of {flag}"
                  for flag in set(FLAG.findall(help_of(program, command))) - {"-h", "--help"}
                  if not re.search(rf"(?<![\w-]){flag}(?![\w-])", told[0][1])]
    return found


def wrong_examples(root, page, shown):
    """Commands of a page's examples with a flag that the program does not have."""
    for name, command, arguments in re.findall(r"^ +(tidemark-\w+|kubectl tidemark) ([a-z-]+)([^|\n]*)", section(shown, "EXAMPLES")[1], re.MULTILINE):
        program = root / PROGRAMS[name.replace("kubectl tidemark", "tidemark-sweeper")]
        known = FLAG.findall(help_of(program) + help_of(program, command))
        yield from (f"{page}: {name} {command} has no {flag}" for flag in FLAG.findall(re.sub('".*?"', "", arguments)) if flag not in known)


def asked_variables(files, root):
    programs = ("src/", "webhook/", "sweeper/")
    return {name for file in files if str(file.relative_to(root)).startswith(programs) and file.suffix == ".cc"
            for name in VARIABLE.findall(file.read_text())}


def check(root, files):
    pages = sorted(page for page in (root / "deploy/man").iterdir() if page.suffix in (".1", ".5", ".8"))
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True)
    findings = done.stdout.replace(f"{root}/", "").splitlines()
    shown = {page.name: printed(page) for page in pages}
    for name, names in PAGES.items():
        findings += untold(root, name, {page: shown[page] for page in names})
    for page, text in shown.items():
        findings += wrong_examples(root, page, text)
    told = "".join(shown.values())
    findings += [f"deploy/man: no page tells of ${name}" for name in sorted(asked_variables(files, root)) if name not in told]
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["meson", "install", "-C", root / "build", "--no-rebuild", "--quiet", "--destdir", place], check=True,
                       capture_output=True)
        installed = subprocess.run(["find", place, "-path", "*/man/man?/*", "-printf", "%f\\n"], capture_output=True, text=True).stdout
    findings += [f"meson install leaves out {page.name}" for page in pages if page.name not in installed.split()]
    return findings
