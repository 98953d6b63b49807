"""A registry's front that can be told to fail: what the programs see of the registry goes through it."""

import http.client
import http.server
import random
import socket
import socketserver
import threading
import time

MODES = ("500", "garbage", "slow", "reset")
GARBAGE = (b"\x00\xff not HTTP at all\r\n\r\n",
           b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n",
           b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n"
           b"Docker-Content-Digest: sha256:zz\r\nContent-Length: 0\r\n\r\n")


class FaultyProxy:
    """Passes on while `mode` is ""; else it does what one of MODES says."""

    def __init__(self, listen, upstream, seed):
        outer, self.mode, self.requests = self, "", 0
        self.random = random.Random(f"{seed} proxy")

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def relay(self):
                outer.requests += 1
                mode = outer.mode
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if mode == "reset":
                    self.close_connection = True
                elif mode == "500":
                    self.answer(500, {}, b"")
                elif mode == "garbage":
                    self.wfile.write(outer.random.choice(GARBAGE))
                    self.close_connection = True
                else:
                    if mode == "slow":
                        time.sleep(outer.random.uniform(0.2, 4))
                    self.pass_on()

            def pass_on(self):
                connection = http.client.HTTPConnection(upstream, timeout=15)
                try:
                    headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
                    connection.request(self.command, self.path, headers=headers)
                    answer = connection.getresponse()
                    self.answer(answer.status, dict(answer.getheaders()), answer.read())
                except (OSError, http.client.HTTPException):
                    self.close_connection = True
                finally:
                    connection.close()

            def answer(self, status, headers, body):
                self.send_response(status)
                for key, value in headers.items():
                    if key.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(key, value)
                length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
                self.send_header("Content-Length", length)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = relay

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # a program that was killed: its socket is gone

        self.server = Server((listen, 0), Handler)
        self.server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.address = f"{listen}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
