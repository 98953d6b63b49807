"""What one of our programs counts about itself, by its ops port on this host."""

import urllib.request


def text(ops_port):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{ops_port}/metrics", timeout=5) as answer:
        return answer.read().decode()


def total(ops_port, begins_with):
    """The sum of all series whose line begins so."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in text(ops_port).splitlines() if line.startswith(begins_with))
