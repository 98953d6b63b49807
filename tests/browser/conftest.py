"""The page in Debian's Chromium, served by a real sweeper in front of a real API server and registry."""

import os
import pathlib
import sys
import urllib.parse

import pytest
from playwright.sync_api import expect, sync_playwright

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

from harness import manifests, programs  # noqa: E402
from harness.fixtures import cluster, kubectl, ns, registry, tmp  # noqa: E402,F401
from harness.processes import Process, free_port, wait_for  # noqa: E402
from harness.registry import Image  # noqa: E402

# As root, without a display, and asking nobody but the page for anything.
CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync")
ROLL = {"tidemark.dev/sweep": "roll"}
expect.set_options(timeout=20_000)  # of a busy machine


@pytest.fixture(scope="session")
def webhook(cluster, tmp):
    webhook = programs.Webhook(cluster, tmp).wait_ready().serve_cluster()
    yield webhook
    webhook.process.kill()


@pytest.fixture
def deploy(kubectl, registry, ns):
    """deploy(name, annotations): a stamped Deployment of an image of its own, which it returns."""

    def make(name, annotations=ROLL):
        image = Image(registry, f"{ns}/{name}:1")
        kubectl.apply(manifests.deployment(name, ns, manifests.pod_spec(image.ref), annotations))
        return image

    return make


@pytest.fixture(scope="session")
def sweeper(cluster, tmp):
    return programs.Sweeper(cluster, tmp)


@pytest.fixture
def serve(sweeper, tmp):
    """serve(flags): the page's address, once a sweeper that was started with these has swept."""
    started = []

    def start(*flags, until="sweep done", **env):
        port = free_port()
        process = Process(f"page-{port}", sweeper.command(
            "run", "--interval", "1s", *flags, "--ops-listen", f"127.0.0.1:{free_port()}", "--ui-listen", f"127.0.0.1:{port}"), tmp,
            os.environ | {"NO_PROXY": "*", "no_proxy": "*"} | env)
        started.append(process)

        def there():
            assert process.running(), process.text()[-2000:]
            return until in process.text()
        wait_for("the sweeper serves", there, 60)
        return f"http://127.0.0.1:{port}/"

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def served(serve, ns):
    """The page of what is in the test's namespace."""
    return lambda: serve("--no-leader-elect", "-n", ns)


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """visit(url, options of the context): a page, to which `before` is done before it is there. At the end of the test nothing went
    wrong in any, and nothing else was asked."""
    contexts, wrong = [], []

    def open_page(url, before=lambda page: None, **options):
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        origin = urllib.parse.urlsplit(url).netloc
        page.on("request", lambda request: urllib.parse.urlsplit(request.url).netloc != origin and wrong.append(request.url))
        before(page)
        page.goto(url)
        return page

    open_page.wrong = wrong
    yield open_page
    for context in contexts:
        context.close()
    assert not wrong, wrong


@pytest.fixture(scope="session")
def shot(tmp):
    """shot(page, name): a picture; kept where $TIDEMARK_SCREENSHOTS names a folder."""
    folder = pathlib.Path(os.environ.get("TIDEMARK_SCREENSHOTS") or tmp)
    folder.mkdir(parents=True, exist_ok=True)

    def take(page, name):
        page.wait_for_timeout(300)  # what changes its colour has done so
        page.screenshot(path=folder / f"{name}.png")

    return take
