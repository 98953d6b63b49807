"""The status page, as somebody who looks at it sees it."""

import http.server
import json
import threading
import time
import urllib.parse
import urllib.request

import pytest
from harness import manifests
from harness.programs import NAMESPACE
from harness.rollouts import UNSEEN
from playwright.sync_api import expect

NOBODY = "127.0.0.9:1"  # where no registry is


def rows(page):
    return page.locator("#rows .row")


def row_of(page, workload):
    return rows(page).filter(has_text=workload)


def states(page):
    """{workload: state} of the rows that are drawn."""
    return {row.locator("a").inner_text(): row.locator(".chip").inner_text().split()[-1] for row in rows(page).all()}


def is_narrow_enough(page):
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.fixture
def three(deploy, kubectl, ns):
    """One that is up to date, one that moved and is held, and one whose registry is not there."""
    deploy("quiet")
    deploy("moved", {"tidemark.dev/sweep": "roll", "tidemark.dev/hold": "true", "tidemark.dev/hold-reason": "freeze"}).move("second")
    image = f"{NOBODY}/lost:1"
    kubectl.create(manifests.deployment("lost", ns, manifests.pod_spec(image), replicas=0, template_annotations={
        "digest.tidemark.dev/app": f"{image}@sha256:{'a' * 64}"}), *UNSEEN)


def test_every_slot_with_its_state_and_the_filters(three, served, visit, shot, ns):
    page = visit(served())
    expect(rows(page)).to_have_count(3)
    assert states(page)["deployment/quiet"] == "up-to-date" and states(page)["deployment/moved"] == "held"
    expect(row_of(page, "deployment/moved")).to_contain_text("freeze")
    expect(page.locator("#live")).to_contain_text("Live")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        shot(page, f"slots-{scheme}")

    page.locator('#verdicts button[data-verdict="held"]').click()
    expect(rows(page)).to_have_count(1)
    assert "verdict=held" in page.url
    page.reload()
    expect(rows(page)).to_have_count(1)
    page.locator("#clear").click()
    expect(rows(page)).to_have_count(3)
    page.locator("#search").fill("QUIET")
    expect(rows(page)).to_have_count(1)
    page.locator("#search").fill("no such thing")
    expect(page.locator("#nothing")).to_have_text("No slot matches these filters.")
    page.locator("#search").fill("")
    page.locator("#namespace").select_option(ns)
    expect(rows(page)).to_have_count(3)


MOVED = {"web": {}, "cart": {"tidemark.dev/hold": "true", "tidemark.dev/hold-reason": "release freeze"},
         "payments": {"tidemark.dev/window": "0 3 1 1 * 1h"}, "search": {"tidemark.dev/sweep": "report"}}


def test_the_pictures_of_the_readme(deploy, served, visit, shot, registry, ns):
    """Real rows, under names that mean something to a reader."""
    for name in ("catalog", "checkout", "mail"):
        deploy(name)
    for name, annotations in MOVED.items():
        deploy(name, {"tidemark.dev/sweep": "roll"} | annotations).move("second")

    def renamed(route):
        text = route.fetch().text()
        route.fulfill(body=text.replace(f"{registry.address}/{ns}", "registry.example.com/shop").replace(ns, "shop"),
                      content_type="application/json")

    page = visit(served(), before=lambda page: page.route("**/api/v1/slots?*", renamed), viewport={"width": 1180, "height": 700})
    expect(rows(page)).to_have_count(7)
    assert {"held", "window", "reported", "up-to-date"} <= set(states(page).values())
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        shot(page, f"status-page-{scheme}")


def test_one_slot_by_its_link(three, served, visit, shot, ns):
    url = served()
    page = visit(url)
    row_of(page, "deployment/moved").click()
    dialog = page.locator("#detail")
    expect(dialog).to_contain_text("freeze")
    assert page.url.endswith(f"#/slot/{ns}/deployment/moved/app")
    shot(page, "slot")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    linked = visit(f"{url}#/slot/{ns}/deployment/quiet/app")
    expect(linked.locator("#detail")).to_contain_text(f"kubectl tidemark explain -n {ns} deployment/quiet")
    gone = visit(f"{url}#/slot/{ns}/deployment/gone/app")
    expect(gone.locator("#detail")).to_contain_text("There is no such slot any more.")


def test_a_registry_that_does_not_answer(three, served, visit, shot):
    page = visit(served() + "#/registries")
    expect(page.locator("#registries tbody tr").first).to_contain_text(NOBODY)
    expect(page.locator("#registries tbody tr").first).to_contain_text("no answer")
    expect(page.locator("#registries tbody tr").nth(1)).to_contain_text("answers")
    shot(page, "registries")
    page.locator("#registries a").first.click()
    expect(rows(page)).to_have_count(1)
    expect(row_of(page, "deployment/lost")).to_contain_text("unresolved")


def test_what_is_left_of_a_registrys_quota(three, served, visit):
    """No registry that runs here tells one (Docker Hub does): put into the answer on its way."""
    def told(route):
        answer = route.fetch()
        overview = answer.json()
        overview["registries"][1]["quota"] = {"left": 76, "limit": 100, "seconds": 21_600}
        route.fulfill(response=answer, json=overview)
    page = visit(served() + "#/registries", before=lambda page: page.route("**/api/v1/overview", told))
    expect(page.locator("#registries tbody tr").nth(1)).to_contain_text("76 of 100, for 6 h")


def test_a_tag_that_moves_shows_by_itself(deploy, served, visit, shot, ns):
    web = deploy("web")
    page = visit(served())
    expect(row_of(page, "deployment/web")).to_contain_text(web.digest.removeprefix("sha256:")[:12])
    page.evaluate("window.sameDocument = true")
    web.move("second")
    expect(row_of(page, "deployment/web")).to_contain_text(web.digest.removeprefix("sha256:")[:12], timeout=30_000)
    page.locator('nav a[data-view="timeline"]').click()
    expect(page.locator("#timeline li")).to_contain_text("deployment/web")
    expect(page.locator("#timeline li .digests")).to_contain_text(f"\u2192 {web.digest.removeprefix('sha256:')[:12]}")
    shot(page, "timeline")
    assert page.evaluate("window.sameDocument"), "it was loaded once"


def test_a_cluster_with_nothing_in_it(served, visit):
    page = visit(served())
    expect(page.locator("#nothing")).to_contain_text("No workloads yet")
    for view, text in (("timeline", "Nothing has changed yet."), ("registries", "No slot names a registry."),
                       ("problems", "Everything that the sweeper looks at could be read.")):
        page.locator(f'nav a[data-view="{view}"]').click()
        expect(page.locator(f"#{view}")).to_have_text(text)


HOSTILE = '<img/src=x/onerror=alert(1)>"\'`${alert(2)}</script><script>alert(3)</script>'


def test_hostile_names_are_text(kubectl, served, visit, ns):
    kubectl.apply(manifests.deployment("image", ns, manifests.pod_spec(HOSTILE), replicas=0))
    kubectl.apply(manifests.deployment("reason", ns, manifests.pod_spec("127.0.0.9:1/x:1"), {
        "tidemark.dev/hold": "true", "tidemark.dev/hold-reason": HOSTILE, "tidemark.dev/window": HOSTILE,
        "tidemark.dev/history": json.dumps([{"time": HOSTILE, "slot": "app", "from": HOSTILE, "to": HOSTILE, "why": HOSTILE,
                                             "by": HOSTILE}])}, replicas=0))
    url = served()
    page = visit(url)
    expect(row_of(page, "deployment/image")).to_contain_text(HOSTILE)
    row_of(page, "deployment/image").click()
    expect(page.locator("#detail")).to_contain_text(HOSTILE)
    page.keyboard.press("Escape")
    for view in ("timeline", "registries", "problems"):
        page.locator(f'nav a[data-view="{view}"]').click()
    assert page.locator("main img, main script, dialog img, dialog script").count() == 0
    odd = visit(f"{url}#/slot/{urllib.parse.quote(HOSTILE)}/%3Cimg%3E/x/%E0%A4%A?q={urllib.parse.quote(HOSTILE)}")
    expect(odd.locator("#nothing, #rows .row").first).to_be_attached()


class Prefixed(http.server.BaseHTTPRequestHandler):
    """A proxy that gives the page another place, as an Ingress does."""
    upstream = ""

    def do_GET(self):
        if not self.path.startswith("/tools/tidemark/"):
            return self.send_error(404)
        asked = urllib.request.Request(self.upstream + self.path.removeprefix("/tools/tidemark/"), headers={
            name: value for name, value in self.headers.items() if name.lower() == "if-none-match"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=10) as answer:
            body = answer.read()
            self.send_response(answer.status)
            for name in ("Content-Type", "Content-Security-Policy", "ETag"):
                if answer.headers[name]:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_behind_a_path_prefix(three, served, visit):
    handler = type("Handler", (Prefixed,), {"upstream": served()})
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        page = visit(f"http://127.0.0.1:{proxy.server_port}/tools/tidemark/")
        expect(rows(page)).to_have_count(3)
        expect(page.locator("#live")).to_contain_text("Live")
        page.close()
    finally:
        proxy.shutdown()
        proxy.server_close()


def test_on_a_phone(three, served, visit, shot):
    page = visit(served(), viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    expect(rows(page)).to_have_count(3)
    assert is_narrow_enough(page)
    shot(page, "phone")
    for view in ("timeline", "registries", "problems"):
        page.locator(f'nav a[data-view="{view}"]').tap()
        expect(page.locator(f"#view-{view}")).to_be_visible()
        assert is_narrow_enough(page), view
        shot(page, f"phone-{view}")
    page.locator('nav a[data-view="slots"]').tap()
    row_of(page, "deployment/moved").tap()
    expect(page.locator("#detail")).to_be_visible()
    assert is_narrow_enough(page)


def luminance(colour):
    """Of "#rrggbb" (WCAG 2.2, "relative luminance")."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
              for c in (int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


LOOKS = ("ok", "moving", "waiting", "attention", "trouble", "neutral")
PAIRS = [(look, f"{look}-soft") for look in LOOKS] + [("accent", "accent-soft"), ("accent", "surface"), ("text", "accent-soft"),
         ("text", "neutral-soft")] + [(text, ground) for text in ("text", "muted") for ground in ("surface", "page")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_on_its_ground(served, visit, scheme):
    page = visit(served(), color_scheme=scheme)

    def lightness(name):
        return luminance(page.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('--{name}').trim()")) + 0.05

    contrasts = {pair: max(map(lightness, pair)) / min(map(lightness, pair)) for pair in PAIRS}
    assert min(contrasts.values()) >= 4.5, sorted(contrasts.items(), key=lambda entry: entry[1])[:3]


def test_by_keyboard_alone(three, served, visit):
    page = visit(served())
    expect(rows(page)).to_have_count(3)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("quiet")
    expect(rows(page)).to_have_count(1)
    page.keyboard.press("Escape")
    expect(rows(page)).to_have_count(3)
    rows(page).first.focus()
    page.keyboard.press("ArrowDown")
    expect(rows(page).nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(rows(page).nth(2)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    assert page.evaluate("[...document.querySelectorAll('#rows .row')].filter((row) => row.tabIndex === 0).length") == 1, "one stop"


def test_ten_thousand_slots_are_forty_rows(three, served, visit):
    def many(route):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(route.request.url).query))
        first, count = int(query["offset"]), int(query["limit"])
        made = [{"namespace": "many", "workload": f"deployment/web-{i:05}", "slot": "app", "image": f"registry.test/web-{i:05}:1",
                 "state": "up-to-date", "reason": "", "since": "", "stamp": "sha256:" + "a" * 64, "digest": "sha256:" + "a" * 64,
                 "running": []} for i in range(first, min(first + count, 10_000))]
        route.fulfill(json={"generation": "1", "total": 10_000, "rows": made})

    page = visit(served(), before=lambda page: page.route("**/api/v1/slots?*", many))
    expect(row_of(page, "web-00000")).to_be_visible()
    assert rows(page).count() < 100
    rows(page).first.focus()
    page.keyboard.press("End")
    expect(row_of(page, "web-09999")).to_be_visible()
    assert rows(page).count() < 100
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight / 2)")
    expect(row_of(page, "web-05000")).to_be_attached()


def test_a_replica_that_stands_by_says_so(cluster, kubectl, serve, visit):
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    kubectl.apply({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "tidemark-sweeper", "namespace": NAMESPACE},
                   "spec": {"holderIdentity": "another", "leaseDurationSeconds": 3600, "acquireTime": now, "renewTime": now}})
    try:
        page = visit(serve("--leader-elect", until="status page", POD_NAMESPACE=NAMESPACE, POD_NAME="standby"))
        expect(page.locator("#banner")).to_contain_text("another replica leads")
        expect(page.locator("#live")).to_have_text("Not available")
    finally:
        kubectl("delete", "lease", "tidemark-sweeper", "-n", NAMESPACE)
    assert all("503" in text for text in visit.wrong), visit.wrong
    visit.wrong.clear()
