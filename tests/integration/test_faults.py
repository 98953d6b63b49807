"""Admission while registries fail and clients crowd: a webhook without a cluster, spoken to over HTTPS.

No assertion is tighter than the webhook's own deadline; how fast it really is says `./dev bench webhook`.
"""

import concurrent.futures
import socket
import ssl

import pytest
from harness.processes import free_port, wait_for
from harness.proxies import Mute, Slow
from harness.standalone import Standalone, make_certificate, review

DEADLINE = 2          # seconds, the webhook's default
FAULTS = ("refusing", "hangs before TLS", "hangs after TLS", "a byte a second")
SOFT_CONNECTIONS = 384
HARD_CONNECTIONS = 512
MAX_IN_FLIGHT = 256   # admissions being looked up at once


@pytest.fixture(params=FAULTS)
def dead_registry(request, tmp):
    if request.param == "refusing":
        yield f"127.0.0.1:{free_port()}"
        return
    pair = make_certificate(tmp)
    registry = {"hangs before TLS": lambda: Mute("127.0.0.1"),
                "hangs after TLS": lambda: Slow("127.0.0.1", *pair),
                "a byte a second": lambda: Slow("127.0.0.1", *pair, trickle=True)}[request.param]()
    yield registry.address
    registry.stop()


@pytest.fixture
def lone_webhook(tmp, request):
    """Made by a call with the addresses of its registries; stopped at the end, orderly."""
    made = []

    def make(*addresses):
        registries = [{"host": address, "insecureSkipVerify": True} for address in addresses]
        made.append(Standalone(tmp, f"lone-{len(made)}-{abs(hash(request.node.name))}", registries=registries))
        return made[-1]
    yield make
    for webhook in made:
        assert webhook.stop() == 0


def unstamped(response):
    assert response["allowed"] is True
    assert len([w for w in response["warnings"] if "not stamped" in w]) == 3, response
    return True


def test_every_admission_is_allowed_while_its_registry_fails(lone_webhook, dead_registry):
    webhook = lone_webhook(dead_registry)
    body = review(dead_registry)
    crowd = [webhook.admissions(timeout=2 * DEADLINE) for _ in range(16)]
    with concurrent.futures.ThreadPoolExecutor(len(crowd)) as pool:
        assert all(pool.map(lambda admissions: unstamped(admissions.ask(body)), crowd))

    # Three failures opened the circuit: from here on at most a probe is sent there, whoever asks.
    asked = webhook.metric("tidemark_registry_requests_total")
    for _ in range(20):
        unstamped(crowd[0].ask(body))
    assert webhook.metric("tidemark_registry_requests_total") - asked <= 3
    for admissions in crowd:
        admissions.close()


def test_clients_that_give_up_leave_nothing_behind(lone_webhook, dead_registry):
    webhook = lone_webhook(dead_registry)
    crowd = [webhook.admissions() for _ in range(16)]
    for admissions in crowd:
        admissions.send(review(dead_registry))
        admissions.close()
    wait_for("all were taken up and none is left", lambda: (
        webhook.metric("tidemark_admission_duration_seconds_count") == len(crowd)
        and webhook.metric("tidemark_admissions_in_flight") == 0), 2 * DEADLINE)


def idle_connections(webhook, count):
    context = ssl.create_default_context(cafile=webhook.certificate)
    opened = []
    for _ in range(count):
        opened.append(context.wrap_socket(socket.create_connection(("127.0.0.1", webhook.port), timeout=10),
                                          server_hostname="127.0.0.1"))
    return opened


def test_idle_connections_starve_nobody(lone_webhook):
    webhook = lone_webhook()
    idle = idle_connections(webhook, SOFT_CONNECTIONS + 16)
    body = review(f"127.0.0.1:{free_port()}")
    for _ in range(20):
        newcomer = webhook.admissions()
        assert newcomer.ask(body)["allowed"] is True
        newcomer.close()
    # Past the hard bound a connection is closed at once, and those that are there go on.
    with pytest.raises(OSError):
        idle += idle_connections(webhook, HARD_CONNECTIONS)
    for connection in idle:
        connection.close()
    assert wait_for("a newcomer is served", lambda: webhook.admissions().ask(body)["allowed"])


def test_beyond_the_bound_admissions_are_answered_without_lookups(lone_webhook):
    mute = Mute("127.0.0.1")
    webhook = lone_webhook(mute.address)
    body = review(mute.address)
    crowd = [webhook.admissions(timeout=4 * DEADLINE) for _ in range(MAX_IN_FLIGHT + 32)]
    for admissions in crowd:
        admissions.send(body)
    answers = [admissions.receive() for admissions in crowd]
    assert all(unstamped(answer) for answer in answers)
    over = [a for a in answers if any("too many admissions under way" in w for w in a["warnings"])]
    assert over
    assert webhook.metric("tidemark_admissions_overloaded_total") == len(over)
    assert webhook.metric("tidemark_admissions_in_flight") == 0
    for admissions in crowd:
        admissions.close()
    mute.stop()
