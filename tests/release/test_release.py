"""What `./dev release` made, in the folder $TIDEMARK_RELEASE: these tests are run by it."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import tarfile

import pytest
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

ROOT = pathlib.Path(__file__).resolve().parents[2]
MADE = pathlib.Path(os.environ["TIDEMARK_RELEASE"])
DIGESTS = json.loads((MADE / "digests.json").read_text())
VERSION = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text()).group(1)
NAME = f"tidemark-{VERSION}"
# Architecture -> what runs its programs here, and what readelf calls it.
ARCHITECTURES = {"amd64": ([], "X86-64"), "arm64": (["qemu-aarch64"], "AArch64")}
LINKED = {"abseil", "cpp-httplib", "http-parser", "libgit2", "libssh2", "libyaml", "openssl", "prometheus-cpp", "re2", "simdjson",
          "yaml-cpp", "zlib"}
INCLUDED = {"cli11", "fmtlib", "nlohmann-json3", "spdlog", "tzdata", "ca-certificates"}

each_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


def output(*command, **more):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **more).stdout


def blob(digest):
    return json.loads((MADE / "image/blobs" / digest.replace(":", "/")).read_text())


@pytest.fixture
def run(architecture, tmp_path):
    """run(name, arguments...): the program under one of its names."""
    def run_as(name, *arguments):
        link = tmp_path / name
        if not link.exists():
            link.symlink_to(MADE / f"{NAME}-linux-{architecture}")
        return subprocess.run([*ARCHITECTURES[architecture][0], link, *arguments], text=True, capture_output=True, timeout=60)
    return run_as


@each_architecture
@pytest.mark.parametrize("name", ("tidemark-webhook", "tidemark-sweeper", "kubectl-tidemark"))
def test_programs_tell_version_and_commit(run, name):
    told = run(name, "--version")
    assert told.returncode == 0, told.stderr
    assert told.stdout.endswith(f" {VERSION} ({DIGESTS['commit']})\n")
    assert run(name, "--help").returncode == 0


@each_architecture
def test_programs_run(run, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("logLevel: debug\nsweeper: {interval: 30s}\n")
    checked = run("tidemark-webhook", "check-config", config)
    assert (checked.returncode, checked.stdout.splitlines()[0]) == (0, f"{config}: ok"), checked.stderr
    assert json.loads(run("tidemark-webhook", "schema").stdout)["properties"]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps({
        "current-context": "none", "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
        "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}], "users": [{"name": "none", "user": {}}]}))
    asked = run("kubectl-tidemark", "status", "--kubeconfig", kubeconfig)
    assert asked.returncode != 0 and "127.0.0.1:1" in asked.stderr


@each_architecture
def test_programs_are_static(architecture):
    program = MADE / f"{NAME}-linux-{architecture}"
    assert ARCHITECTURES[architecture][1] in output("readelf", "--file-header", program)
    assert "INTERP" not in output("readelf", "--program-headers", program)


@each_architecture
def test_the_same_commit_gives_the_same_image(architecture):
    first, again = DIGESTS[architecture]
    assert first == again


def test_the_index_has_each_architecture():
    index = blob(DIGESTS["index"])
    assert {entry["platform"]["architecture"]: entry["digest"] for entry in index["manifests"]} == {
        name: DIGESTS[name][0] for name in ARCHITECTURES}
    for entry in index["manifests"]:
        config = blob(blob(entry["digest"])["config"]["digest"])
        assert (config["os"], config["architecture"]) == ("linux", entry["platform"]["architecture"])
        assert config["config"]["User"] == "65532:65532"


@each_architecture
def test_the_parts_are_listed(architecture):
    file = MADE / f"{NAME}-linux-{architecture}.spdx.json"
    assert [message.validation_message for message in validate_full_spdx_document(parse_file(str(file)))] == []
    document = json.loads(file.read_text())
    parts = {package["SPDXID"]: package for package in document["packages"]}
    linked = {parts[relation["relatedSpdxElement"]]["name"] for relation in document["relationships"]
              if relation["relationshipType"] == "STATIC_LINK"}
    assert LINKED <= linked and any(name.startswith("gcc-") for name in linked), linked
    assert INCLUDED <= {package["name"] for package in parts.values()}
    for package in parts.values():
        assert package["versionInfo"] and package["licenseDeclared"] and package["downloadLocation"]
        assert package["externalRefs"][0]["referenceLocator"].startswith("pkg:")


def test_sums_are_of_every_file():
    sums = dict(reversed(line.split("  ")) for line in (MADE / "SHA256SUMS").read_text().splitlines())
    files = {str(file.relative_to(MADE)) for file in MADE.rglob("*") if file.is_file()} - {"SHA256SUMS"}
    assert set(sums) == files
    for name, expected in sums.items():
        assert hashlib.sha256((MADE / name).read_bytes()).hexdigest() == expected, name


def test_the_tarball_builds_without_a_network(tmp_path):
    with tarfile.open(MADE / f"{NAME}.tar.xz") as tar:
        tar.extractall(tmp_path)
    source = tmp_path / NAME
    assert not (source / ".git").exists()
    script = ("ip link set lo up && meson setup build --buildtype=release && ninja -j \"$(nproc)\" -C build"
              " && meson test -C build --no-rebuild --print-errorlogs --timeout-multiplier 3 --suite unit")
    built = subprocess.run(["unshare", "--net", "sh", "-c", script], cwd=source, text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, env=os.environ | {"CCACHE_BASEDIR": str(source), "CCACHE_NOHASHDIR": "1"})
    assert built.returncode == 0, built.stdout[-4000:]
    assert output(source / "build/sweeper/tidemark-sweeper", "--version") == f"tidemark-sweeper {VERSION} ({DIGESTS['commit']})\n"
