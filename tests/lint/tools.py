"""Where the checks find their pinned tools: a virtual environment outside the tree."""

import functools
import hashlib
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def cache_dir() -> pathlib.Path:
    base = os.environ.get("TIDEMARK_CACHE")
    if base:
        return pathlib.Path(base)
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tidemark"


@functools.cache
def pinned(tool: str) -> str:
    """The path of a tool of requirements.txt; installs all of them at the first call."""
    requirements = HERE / "requirements.txt"
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    venv = cache_dir() / "lint" / key
    if not (venv / "complete").exists():
        print("  installing the pinned clang-format and clang-tidy ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        subprocess.run([str(venv / "bin/pip"), "install", "-q", "--disable-pip-version-check",
                        "-r", str(requirements)], check=True)
        (venv / "complete").touch()
    return str(venv / "bin" / tool)
