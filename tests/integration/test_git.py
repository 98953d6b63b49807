"""Write-back to Git servers as others run them: nginx with git http-backend, and sshd."""

import base64
import http.client
import json
import subprocess

import pytest
import yaml
from harness import metrics
from harness.git_server import PASSWORD, USER, HttpsServer, SshServer, git
from harness.processes import Process, free_port, stays_for, wait_for
from harness.programs import UNPACED

PATH = "apps/web.yaml"
RACES = 200


@pytest.fixture(scope="module")
def https(tmp):
    server = HttpsServer(tmp / "git-https")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def ssh(tmp):
    server = SshServer(tmp / "git-ssh")
    yield server
    server.stop()


def marked(image, tag="1.2.0", policy="shop:app"):
    return (f"# The shop, as its owners write it\nkind: Deployment\nmetadata: {{name: web, namespace: shop}}\nspec:\n"
            f"    image:   '{image}:{tag}'   # {{\"$imagepolicy\": \"{policy}\"}}\n    other: 1.2.0\n")


class Written:
    """One Git repository with one file, and the configuration that writes what a policy chooses of an image into it."""

    def __init__(self, sweeper, kubectl, registry, ns, tmp, bare, url, secret):
        self.sweeper, self.kubectl, self.registry, self.ns, self.bare = sweeper, kubectl, registry, ns, bare
        self.tmp = tmp
        self.image = f"{registry.address}/{ns}/app"
        self.policies = [{"name": "shop:app", "image": self.image, "policy": "semver: ^1.2"}]
        self.repository = {"name": "shop", "url": url, "secret": f"{ns}/git"}
        self.git = {"folder": str(tmp / f"clones-{ns}")}
        self.set_secret(secret)
        self.push("1.2.0")
        bare.commit({PATH: marked(self.image), "README.md": "# {\"$imagepolicy\": \"shop:app\"}\n"})

    def set_secret(self, data):
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git", "namespace": self.ns}, "data": encoded})

    def push(self, *tags):
        for tag in tags:
            self.registry.push(f"{self.ns}/app:{tag}", f"{self.ns} {tag}")

    def sections(self):
        return {"policies": self.policies, "git": self.git | {"repositories": [self.repository]}}

    def write(self, *flags, check=True):
        config = self.sweeper.configured(self.ns, **self.sections())
        done = subprocess.run(self.sweeper.command("git", *flags, config=config), capture_output=True, text=True, timeout=120)
        if check:
            assert done.returncode == 0, f"git exited {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    def outcome(self, *flags):
        return json.loads(self.write("-o", "json", *flags).stdout)["repositories"][0]

    def error(self):
        return self.outcome()["error"]

    def file(self, branch="main"):
        return self.bare.show(PATH, branch)

    def expected(self, tag):
        return marked(self.image, tag)


@pytest.fixture
def written(sweeper, kubectl, registry, ns, tmp, https):
    bare = https.repository(ns)
    return Written(sweeper, kubectl, registry, ns, tmp, bare, https.url(bare), https.secret())


@pytest.fixture
def over_ssh(sweeper, kubectl, registry, ns, tmp, https, ssh):
    bare = https.repository(ns)
    return Written(sweeper, kubectl, registry, ns, tmp, bare, ssh.url(bare), ssh.secret())


def assert_written_once(written):
    written.push("1.10.0", "2.0.0")
    before = written.bare.heads()["main"]
    told = written.write().stdout
    assert "shop:app" in told and "1.10.0" in told and "2 of 3" in told
    commit = written.bare.heads()["main"]
    assert f"pushed {commit[:12]} to main (1 changes)" in told
    assert written.file() == written.expected("1.10.0")
    assert written.bare.show("README.md") == "# {\"$imagepolicy\": \"shop:app\"}\n"
    assert written.bare.log(form="%P")[0] == before
    assert written.bare.log(form="%an <%ae>")[0] == "Tidemark <tidemark@localhost>"
    assert written.bare.message() == (f"Update {written.image}:1.10.0\n\n{PATH}: Deployment/shop/web: {written.image}:1.2.0 -> "
                                      f"{written.image}:1.10.0 (shop:app)\n\n")
    assert "ok" in written.write().stdout
    assert written.bare.heads()["main"] == commit, "there was nothing to commit"


def test_what_a_policy_chooses_is_committed_once_and_all_else_stays_byte_for_byte(written):
    assert_written_once(written)


def test_the_same_over_ssh(over_ssh):
    assert_written_once(over_ssh)


def test_a_dry_run_prints_the_difference_and_pushes_nothing(written):
    written.push("1.3.0")
    before = written.bare.heads()
    told = written.write("--dry-run").stdout
    assert "would push to main (1 changes)" in told
    assert f"-    image:   '{written.image}:1.2.0'   # " in told and f"+    image:   '{written.image}:1.3.0'   # " in told
    assert written.bare.heads() == before
    assert written.write("--dry-run", "--exit-code", check=False).returncode == 1
    assert written.write("--exit-code=failed").returncode == 0


def test_every_part_of_an_image_has_its_marker(written, registry):
    written.policies[0]["digest"] = True
    text = ('images:\n- newName: old # {"$imagepolicy": "shop:app:name"}\n  newTag: "0" # {"$imagepolicy": "shop:app:tag"}\n'
            '  digest: sha256:0 # {"$imagepolicy": "shop:app:digest"}\r\n')
    written.bare.commit({"kustomization.yml": text})
    written.write()
    digest = registry.digest(f"{written.ns}/app:1.2.0")
    shown = yaml.safe_load(written.bare.show("kustomization.yml"))["images"][0]
    assert shown["newName"] == written.image and shown["digest"] == digest
    assert written.bare.show("kustomization.yml").count("\n") == 4
    assert f"'{written.image}:1.2.0@{digest}'" in written.file()


def test_only_files_below_the_path_change(written):
    written.bare.commit({"other/web.yaml": marked(written.image)})
    written.push("1.3.0")
    written.repository["path"] = "./other/"
    written.write()
    assert written.file() == written.expected("1.2.0")
    assert written.file() != written.bare.show("other/web.yaml")
    written.repository["path"] = "nowhere"
    assert "no folder" in written.error()


def test_authors_and_messages_are_the_configurations(written):
    written.repository |= {"authorName": "Bot of the shop", "authorEmail": "bot@shop.example", "subject": "chore: {count} of {images}",
                           "change": "{{{policy}}: {image} {old}>{new} in {workload} of {file}"}
    written.push("1.3.0")
    written.write()
    assert written.bare.log(form="%an <%ae> %cn")[0] == "Bot of the shop <bot@shop.example> Bot of the shop"
    assert written.bare.message().splitlines() == [
        f"chore: 1 of {written.image}:1.3.0", "",
        f"{{shop:app}}: {written.image} {written.image}:1.2.0>{written.image}:1.3.0 in Deployment/shop/web of {PATH}", ""]


def test_commits_are_signed_where_the_secret_has_a_key(written, https, tmp):
    key = tmp / f"signing-{written.ns}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    written.set_secret(https.secret() | {"signingKey": key.read_text()})
    written.push("1.3.0")
    written.write()
    signers = tmp / f"signers-{written.ns}"
    signers.write_text(f"tidemark@localhost {key.with_suffix('.pub').read_text()}")
    git("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", "main", cwd=written.bare.path)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "a passphrase", "-f", key], check=True)
    written.set_secret(https.secret() | {"signingKey": key.read_text()})
    assert "passphrase" in written.error()


def test_a_push_branch_holds_one_commit_that_follows_the_branch(written):
    written.repository["pushBranch"] = "tidemark/images"
    written.bare.hook("post-receive", "echo 'To create a merge request for tidemark/images, visit:'; echo '  https://git.example/mr/new'\n")
    written.push("1.3.0")
    told = written.write().stdout
    assert "remote: https://git.example/mr/new" in told
    main = written.bare.heads()["main"]
    assert written.file() == written.expected("1.2.0") and written.file("tidemark/images") == written.expected("1.3.0")
    first = written.bare.heads()["tidemark/images"]
    assert "ok" in written.write().stdout and written.bare.heads()["tidemark/images"] == first, "proposed already"
    written.push("1.4.0")
    written.write()
    assert written.file("tidemark/images") == written.expected("1.4.0")
    assert written.bare.log("tidemark/images", "%P")[0] == main, "one commit on top of the branch, not two"
    newer = written.bare.commit({"more.txt": "more\n"})
    written.write()
    assert written.bare.log("tidemark/images", "%P")[0] == newer


def test_somebodys_commit_on_the_push_branch_is_kept(written):
    written.repository["pushBranch"] = "images"
    written.push("1.3.0")
    written.write()
    theirs = written.bare.commit({"note.txt": "a reviewer's\n"}, branch="images")
    written.push("1.4.0")
    written.write()
    assert written.bare.log("images", "%P")[0] == theirs
    assert written.file("images") == written.expected("1.4.0") and written.bare.show("note.txt", "images") == "a reviewer's\n"


def test_a_protected_branch_says_so_and_nothing_is_lost(written):
    written.bare.hook("pre-receive", "echo 'You are not allowed to push code to protected branches.' >&2; exit 1\n")
    written.push("1.3.0")
    error = written.error()
    assert "does not take a push to \"main\"" in error and "protected branches" in error
    assert written.file() == written.expected("1.2.0")


@pytest.mark.parametrize("case", ["password", "authority", "repository", "branch", "nowhere", "redirect", "secret"])
def test_what_is_wrong_is_told(written, https, kubectl, case):
    expected = {"password": "credentials are missing or wrong", "authority": "certificate", "repository": "no such repository",
                "branch": "no branch \"trunk\"", "nowhere": "connect", "redirect": "another host", "secret": "not found"}[case]
    if case == "password":
        written.set_secret(https.secret(password="wrong"))
    elif case == "authority":
        written.set_secret({"username": USER, "password": PASSWORD, "ca.crt": ""})
    elif case == "repository":
        written.repository["url"] += "-not"
    elif case == "branch":
        written.repository["branch"] = "trunk"
    elif case == "nowhere":
        written.repository["url"] = f"https://127.0.0.1:{free_port()}/x.git"
    elif case == "redirect":
        written.repository["url"] = https.url(written.bare, "away/")
    else:
        kubectl("delete", "secret", "git", "-n", written.ns)
    assert expected in written.error()
    assert written.write("--exit-code=failed", check=False).returncode == 1
    assert PASSWORD not in written.write(check=False).stderr


def test_a_repository_that_moved_on_its_server_is_followed(written, https):
    written.repository["url"] = https.url(written.bare, "moved/")
    written.push("1.3.0")
    written.write()
    assert written.file() == written.expected("1.3.0")


@pytest.mark.parametrize("secret, expected", [({"key": "stranger"}, "does not take the SSH key"),
                                              ({"host": "stranger"}, "another key than known_hosts has")])
def test_ssh_lets_in_whom_it_knows_and_shows_who_it_is(over_ssh, ssh, secret, expected):
    over_ssh.set_secret(ssh.secret(**secret))
    assert expected in over_ssh.error()
    over_ssh.set_secret({key: value for key, value in ssh.secret().items() if key != "known_hosts"})
    assert "ssh-keyscan" in over_ssh.error()


def test_markers_that_cannot_be_followed_are_told_and_hold_up_nothing(written):
    written.push("1.3.0")
    written.bare.commit({"broken.yaml": "a: [1 # {\"$imagepolicy\": \"shop:app\"}\n",
                         "strange.yaml": "image: x:1 # {\"$imagepolicy\": \"shop:other\"}\ntag: x # {\"$imagepolicy\": \"shop:app:colour\"}\n"})
    troubles = written.outcome()["troubles"]
    assert any(line.startswith("broken.yaml: ") for line in troubles)
    assert any(line.startswith("strange.yaml:1: the policy shop:other") for line in troubles)
    assert any(line.startswith("strange.yaml:2: ") for line in troubles)
    assert written.file() == written.expected("1.3.0")


def test_a_policy_sees_what_its_pull_secret_sees(written, private_registry, kubectl):
    image = f"{private_registry.address}/{written.ns}/private"
    private_registry.push(f"{written.ns}/private:1.5.0", "secret")
    written.bare.commit({"private.yaml": marked(image, "1.0.0", f"{written.ns}:private")})
    written.policies.append({"name": f"{written.ns}:private", "image": image, "policy": "semver: ^1", "pullSecrets": ["pull"]})
    refused = json.loads(written.write("-o", "json").stdout)["policies"][1]
    assert "tag" not in refused and refused["error"]
    kubectl.apply({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
                   "metadata": {"name": "pull", "namespace": written.ns},
                   "stringData": {".dockerconfigjson": json.dumps(private_registry.docker_config)}})
    written.write()
    assert written.bare.show("private.yaml") == marked(image, "1.5.0", f"{written.ns}:private")


def test_races_with_200_pushes_of_somebody_lose_no_commit(written, https):
    """Each push of ours finds that somebody was there just before: between fetch and push, or between the server's answer
    and what we send it."""
    counter = https.tmp / f"races-{written.ns}"
    per_round, rounds = 10, RACES // 10
    bare = written.bare.path
    # A commit by git's own commands, which takes its turn with whatever else updates the branch.
    somebody = f"""
      export GIT_AUTHOR_NAME=S GIT_AUTHOR_EMAIL=s@example.com GIT_COMMITTER_NAME=S GIT_COMMITTER_EMAIL=s@example.com
      n=$(($(cat {counter}) - 1)); old=$(git --git-dir={bare} rev-parse main)
      echo $n > {counter}
      new=$(git --git-dir={bare} commit-tree "$old^{{tree}}" -p $old -m "race $n")
      git --git-dir={bare} update-ref refs/heads/main $new $old"""
    https.interpose(f"""
      if [[ $PATH_INFO == */{written.bare.path.name}/* && -s {counter} && $(cat {counter}) -gt 0 ]]; then
        # Odd ones before the server tells where the branch is, even ones after it has told.
        if (( $(cat {counter}) % 2 )); then
          if [[ $QUERY_STRING == service=git-receive-pack ]]; then {somebody}
          fi
        elif [[ $PATH_INFO == */git-receive-pack ]]; then {somebody}
        fi
      fi""")
    try:
        for number in range(rounds):
            written.push(f"1.{10 + number}.0")
            counter.write_text(str(per_round))
            written.write()
            assert counter.read_text().strip() == "0"
            assert written.file() == written.expected(f"1.{10 + number}.0")
    finally:
        https.interpose("")
    subjects = written.bare.log(form="%s")
    assert len([subject for subject in subjects if subject.startswith("race ")]) == RACES
    assert len([subject for subject in subjects if subject.startswith("Update ")]) == rounds


def test_the_daemon_writes_at_its_interval_and_at_once_for_what_is_pushed(written, https, sweeper, tmp):
    token = tmp / f"token-{written.ns}"
    token.write_text("a token of the tests")
    listen = free_port()
    sections = written.sections()
    sections["git"]["interval"] = "1h"
    sections["receivers"] = {"listen": f"127.0.0.1:{listen}",
                             "sources": [{"name": "any", "format": "generic", "secretFiles": [str(token)]}]}
    sections["sweeper"] = UNPACED | {"namespaces": [written.ns], "interval": "1h"}
    config = sweeper.configured(f"daemon-{written.ns}", **sections)
    written.push("1.3.0")
    ops = free_port()
    daemon = Process(f"git-{written.ns}", sweeper.command("run", "--ops-listen", f"127.0.0.1:{ops}", config=config), tmp)

    def announce(image):
        connection = http.client.HTTPConnection("127.0.0.1", listen, timeout=10)
        connection.request("POST", "/push/any", json.dumps({"image": image}), {"Authorization": f"Bearer {token.read_text()}"})
        assert connection.getresponse().status == 200
        connection.close()

    try:
        wait_for("the first round writes", lambda: written.file() == written.expected("1.3.0"))
        written.push("1.4.0")
        requests = len(https.requests())
        stays_for("nothing is asked between two rounds", lambda: len(https.requests()) == requests, 2)
        announce(f"{written.image}:1.4.0")
        wait_for("a push is written", lambda: written.file() == written.expected("1.4.0"))
        wait_for("both are counted", lambda: metrics.total(ops, 'tidemark_git_commits_total{repository="shop"}') == 2)
        requests = len(https.requests())
        announce(f"{written.registry.address}/{written.ns}/other:1")
        stays_for("a push of another image is not Git's", lambda: len(https.requests()) == requests, 3)
    finally:
        assert daemon.stop() == 0, daemon.text()[-2000:]
