"""Git as others serve it: git http-backend behind nginx, with TLS and basic authentication, and sshd with a key."""

import os
import pathlib
import shlex
import subprocess
import textwrap

from .secured_registry import Authority
from .processes import Process, free_port, listens, wait_for

USER, PASSWORD = "deployer", "correct horse battery staple"
SOMEBODY = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
BACKEND = "/usr/lib/git-core/git-http-backend"


def git(*arguments, cwd=None, **options):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(["git", *SOMEBODY, *map(str, arguments)], cwd=cwd, env=env, capture_output=True, timeout=60,
                          **options)
    assert done.returncode == 0, f"git {arguments}: {done.stderr.decode()}"
    return done.stdout.decode()


class Bare:
    """One repository on the server, looked at and changed as somebody else does: behind the server's back."""

    def __init__(self, folder, name):
        self.path = folder / f"{name}.git"
        self.work = folder / f"{name}.work"
        git("init", "-q", "--bare", "-b", "main", self.path)
        git("config", "http.receivepack", "true", cwd=self.path)

    def commit(self, files, branch="main", base=None, message="Somebody's"):
        """A commit of these files on the branch, with git's own commands alone: no working tree, no race with a push."""
        env_index = self.path / f"index-{os.getpid()}"
        base = base or branch
        known = self.heads().get(base)
        script = [f"export GIT_INDEX_FILE={shlex.quote(str(env_index))}", "rm -f $GIT_INDEX_FILE"]
        if known:
            script.append(f"git read-tree {known}")
        for path, content in files.items():
            blob = git("hash-object", "-w", "--stdin", cwd=self.path, input=content.encode()).strip()
            script.append(f"git update-index --add --cacheinfo 100644,{blob},{shlex.quote(path)}")
        parent = f"-p {known}" if known else ""
        script.append(f"tree=$(git write-tree); commit=$(git commit-tree $tree {parent} -m {shlex.quote(message)})")
        script.append(f"git update-ref refs/heads/{branch} $commit; echo $commit")
        env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
        for role in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{role}_NAME": "Somebody", f"GIT_{role}_EMAIL": "somebody@example.com"}
        done = subprocess.run(["bash", "-ec", "\n".join(script)], cwd=self.path, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    def heads(self):
        lines = git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads", cwd=self.path).split("\n")
        return dict(line.split() for line in lines if line)

    def show(self, path, branch="main"):
        return git("show", f"{branch}:{path}", cwd=self.path)

    def log(self, branch="main", form="%an"):
        return git("log", f"--format={form}", branch, cwd=self.path).splitlines()

    def message(self, branch="main"):
        return git("log", "-1", "--format=%B", branch, cwd=self.path)

    def hook(self, name, script):
        path = self.path / "hooks" / name
        path.write_text("#!/bin/bash\n" + script)
        path.chmod(0o755)


class HttpsServer:
    """nginx in front of git http-backend, as its manual has it."""

    def __init__(self, tmp):
        self.tmp = pathlib.Path(tmp)
        self.root = self.tmp / "repositories"
        self.root.mkdir(parents=True)
        self.authority = Authority(self.tmp)
        certificate, key = self.authority.issue("git", "serverAuth")
        self.port = free_port()
        self.socket = self.tmp / "fcgi.sock"
        subprocess.run(["htpasswd", "-bc", self.tmp / "users", USER, PASSWORD], check=True, capture_output=True)
        # What runs in front of the backend, for tests that need something to happen just then; by default nothing.
        self.wrapper = self.tmp / "backend"
        self.interpose("")
        self.cgi = Process("fcgiwrap", ["/usr/sbin/fcgiwrap", "-s", f"unix:{self.socket}"], self.tmp)
        wait_for("fcgiwrap listens", self.socket.exists)
        (self.tmp / "nginx.conf").write_text(textwrap.dedent(f"""
            daemon off; pid {self.tmp}/nginx.pid; error_log stderr; {"user root;" if os.getuid() == 0 else ""}
            events {{}}
            http {{
              access_log {self.tmp}/access.log;
              client_max_body_size 100m; client_body_temp_path {self.tmp}/body; fastcgi_temp_path {self.tmp}/fastcgi;
              proxy_temp_path {self.tmp}/proxy; scgi_temp_path {self.tmp}/scgi; uwsgi_temp_path {self.tmp}/uwsgi;
              server {{
                listen 127.0.0.1:{self.port} ssl;
                ssl_certificate {certificate}; ssl_certificate_key {key};
                auth_basic git; auth_basic_user_file {self.tmp}/users;
                location /moved/ {{ rewrite ^/moved/(.*)$ /$1 permanent; }}
                location /away/ {{ return 302 https://localhost:{self.port}/$is_args$args; }}
                location / {{
                  fastcgi_pass unix:{self.socket};
                  fastcgi_param SCRIPT_FILENAME {self.wrapper};
                  fastcgi_param GIT_PROJECT_ROOT {self.root}; fastcgi_param GIT_HTTP_EXPORT_ALL "";
                  fastcgi_param PATH_INFO $uri; fastcgi_param QUERY_STRING $query_string;
                  fastcgi_param REQUEST_METHOD $request_method; fastcgi_param CONTENT_TYPE $content_type;
                  fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param REMOTE_USER $remote_user;
                }}
              }}
            }}
            """))
        self.nginx = Process("nginx", ["/usr/sbin/nginx", "-p", self.tmp, "-c", self.tmp / "nginx.conf"], self.tmp)
        wait_for("nginx listens", lambda: listens("127.0.0.1", self.port))

    def interpose(self, script):
        fresh = self.wrapper.with_suffix(".new")
        fresh.write_text(f"#!/bin/bash\n{script}\nexec {BACKEND}\n")
        fresh.chmod(0o755)
        fresh.rename(self.wrapper)

    def repository(self, name):
        return Bare(self.root, name)

    def url(self, bare, prefix=""):
        return f"https://127.0.0.1:{self.port}/{prefix}{bare.path.name}"

    def secret(self, username=USER, password=PASSWORD):
        return {"username": username, "password": password, "ca.crt": self.authority.certificate.read_text()}

    def requests(self):
        return (self.tmp / "access.log").read_text().splitlines()

    def stop(self):
        self.nginx.stop()
        self.cgi.stop()


class SshServer:
    """sshd that lets one key in, and a known_hosts for it."""

    # libssh2 of Debian 12 is built with libgcrypt, which reads no other kind.
    RSA = ("-t", "rsa", "-b", "2048", "-m", "PEM")
    ED25519 = ("-t", "ed25519")

    def __init__(self, tmp, kind=RSA, address="127.0.0.1", port=None, inside=()):
        self.tmp = pathlib.Path(tmp)
        self.tmp.mkdir()
        for name in ("host", "client", "stranger"):
            subprocess.run(["ssh-keygen", "-q", *kind, "-N", "", "-f", self.tmp / name], check=True)
        (self.tmp / "authorized").write_text((self.tmp / "client.pub").read_text())
        self.address, self.port = address, port or free_port()
        (self.tmp / "sshd_config").write_text(textwrap.dedent(f"""
            ListenAddress {self.address}:{self.port}
            HostKey {self.tmp}/host
            AuthorizedKeysFile {self.tmp}/authorized
            PidFile {self.tmp}/pid
            UsePAM no
            StrictModes no
            PasswordAuthentication no
            PermitRootLogin yes
            # The same library signs with SHA-1 alone.
            PubkeyAcceptedAlgorithms +ssh-rsa
            HostKeyAlgorithms +ssh-rsa
            """))
        self.inside = inside
        self.process = Process("sshd", [*inside, "bash", "-c", 'mkdir -p /run/sshd && exec "$@"', "sshd", "/usr/sbin/sshd", "-D", "-e", "-f", self.tmp / "sshd_config"], self.tmp)
        wait_for("sshd listens", lambda: listens(self.address, self.port))

    def url(self, bare):
        user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
        return f"ssh://{user}@{self.address}:{self.port}{bare.path}"

    def secret(self, key="client", host="host"):
        return {"identity": (self.tmp / key).read_text(), "identity.pub": (self.tmp / f"{key}.pub").read_text(),
                "known_hosts": f"[{self.address}]:{self.port} {(self.tmp / f'{host}.pub').read_text()}"}

    def stop(self):
        # By its own number: what runs it inside of a node is not it.
        subprocess.run([*self.inside, "kill", (self.tmp / "pid").read_text().strip()], check=True)
        self.process.popen.wait(10)
