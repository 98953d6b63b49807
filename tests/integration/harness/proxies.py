"""Proxies that stand between a program and what it calls, to fail or to kill at an exact request."""

import http.client
import http.server
import socket
import socketserver
import ssl
import threading
import time


class KillSwitch:
    """Counts the requests of all proxies that share it; at the chosen one it calls `kill`.

    Each request has two moments: before it is passed on (nothing happened at the server) and after the server
    answered but before the program has the answer. Moment 2n is "before request n", 2n + 1 "after request n".
    """

    def __init__(self):
        self._lock = threading.Lock()
        self.moments = 0
        self.kill_at = None
        self.kill = None
        self.fired = False
        self.was_fired = False

    def arm(self, moment, kill):
        with self._lock:
            self.moments, self.kill_at, self.kill, self.fired = 0, moment, kill, False

    def disarm(self):
        """Requests pass uncounted from here on; `fired` stays as it was told."""
        with self._lock:
            self.was_fired, self.kill_at, self.kill, self.fired = self.fired, None, None, False

    def pass_moment(self):
        """True where the program was killed at this moment: the proxy then drops the connection."""
        with self._lock:
            hit = self.kill_at is not None and self.moments == self.kill_at
            self.moments += 1
            if hit:
                self.kill()
                self.fired = True
            return hit or self.fired


class Proxy:
    """A reverse proxy on 127.0.0.1 or another address of this host, plain HTTP to the program."""

    def __init__(self, switch, upstream_host, upstream_port, listen="127.0.0.1", tls=None):
        outer = self
        self.switch = switch

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def relay(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with outer.lock:
                    outer.requests.append((self.command, self.path))
                if switch.pass_moment():
                    self.close_connection = True
                    return
                if tls:
                    upstream = http.client.HTTPSConnection(upstream_host, upstream_port, context=tls, timeout=30)
                else:
                    upstream = http.client.HTTPConnection(upstream_host, upstream_port, timeout=30)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection",)}
                upstream.request(self.command, self.path, body=body or None, headers=headers)
                answer = upstream.getresponse()
                data = answer.read()
                upstream.close()
                if switch.pass_moment():
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(key, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
                self.send_header("Content-Length", str(length or 0))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = relay

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # the program was killed: its socket is gone

        self.lock = threading.Lock()
        self.requests = []
        self.server = Server((listen, 0), Handler)
        self.address = f"{listen}:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def api_tls(kubeconfig_ca):
    return ssl.create_default_context(cadata=kubeconfig_ca)


class Mute:
    """Listens and accepts, and never says a word: a registry that hangs."""

    def __init__(self, listen):
        self.socket = socket.create_server((listen, 0), backlog=64)
        self.address = f"{listen}:{self.socket.getsockname()[1]}"
        self.held = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                self.held.append(self.socket.accept()[0])
            except OSError:
                return

    def stop(self):
        self.socket.close()
        for held in self.held:
            held.close()


class Slow(Mute):
    """A TLS registry that shakes hands and then hangs, or trickles: a byte of an endless head each second."""

    def __init__(self, listen, certificate, key, trickle=False):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.trickle = trickle
        self.stopped = threading.Event()
        super().__init__(listen)

    def _accept(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            self.held.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            stream = self.context.wrap_socket(connection, server_side=True)
            self.held.append(stream)
            stream.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: " if self.trickle else b"")
            while self.trickle and not self.stopped.wait(1):
                stream.sendall(b"a")
        except OSError:
            pass  # the client gave up, as it should

    def stop(self):
        self.stopped.set()
        super().stop()


def settle(seconds):
    """The one place that waits without a condition: for proving that something does not happen."""
    time.sleep(seconds)
