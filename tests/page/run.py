#!/usr/bin/python3
"""The status page in a real browser: what it shows of a real engine's containers, and of a thousand
made on disk; by keyboard, in both colour schemes, narrow and wide; while the agent is away.

usage: run.py --agent BINARY [TEST…], as root. Chromium and its driver are Debian's; axe-core comes
from npm, into a folder of its own.
"""

import argparse
import base64
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parent), str(HERE)]

import browser  # noqa: E402
import host  # noqa: E402
import house  # noqa: E402
import runner  # noqa: E402

AXE_PACKAGE = "axe-core@4"
AXE_VARIABLE = "TALLYMAN_TEST_AXE"  # where its script is, or "-" and why not
SECONDS_MAX = 60  # a bound against hanging
BYTES_MAX = 250_000
ASSETS = ("/", "/status.css", "/status.js")
MANY = 1000
NODES_MAX = 3000  # in the document, with MANY containers
HOSTILE = ['<img src=x onerror="hacked=1">', "</script><script>hacked=2</script>",
           "\"'><b>bold</b>", "javascript:hacked=3", "\u202egnp.exe", "x" * 300]
VIEWS = ("#/", "#/alerts", "#/findings", "#/logs", "#/agent")


def axe_install(folder):
    """Where axe-core's script is; or "-" and why it can't be had."""
    npm = shutil.which("npm")
    if not npm:
        return "-npm is not installed (tools/install-packages full)"
    try:
        done = subprocess.run([npm, "install", "--prefix", folder, "--no-audit", "--no-fund",
                               "--no-update-notifier", "--ignore-scripts", AXE_PACKAGE], text=True,
                              capture_output=True, timeout=SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        return f"-npm could not install {AXE_PACKAGE} in time"
    if done.returncode != 0:
        return f"-npm could not install {AXE_PACKAGE}: {' '.join(done.stderr.split(chr(10), 2)[:2])}"
    return f"{folder}/node_modules/axe-core/axe.min.js"


class Page(unittest.TestCase):
    """One browser for a class; each test has its own agents."""

    @classmethod
    def setUpClass(cls):
        why = browser.lacking()
        if why:
            raise unittest.SkipTest(why)
        cls.page = browser.Browser()
        cls.addClassCleanup(cls.page.quit)

    def setUp(self):
        scratch = host.scratch()
        self.folder = scratch.__enter__()
        self.addCleanup(scratch.__exit__, None, None, None)
        self.page.size(browser.WIDE)
        self.page.scheme("light")
        self.page.driver.get("about:blank")
        self.page.complaints()  # of the test before

    def start(self, **settings):
        agent = host.Agent(self.binary, self.folder, **settings).start()
        self.addCleanup(lambda: agent.program.process.poll() is None and agent.kill())
        return agent

    def assert_quiet(self):
        self.assertEqual(self.page.complaints(), [])
        self.assertEqual(self.page.value("window.hacked"), 0)


class Made(Page):
    """Containers made on disk."""

    def setUp(self):
        super().setUp()
        self.house = house.Host(self.folder, time.time())

    def start(self, **settings):
        return super().start(**{**self.house.settings(), **settings})

    def populate(self):
        self.house.add_few()
        for index, text in enumerate(HOSTILE):
            self.house.add(text, image=text, labels={text: text, f"k{index}": text})

    def start_with_alerts(self):
        return self.start(**self.house.alerts())

    def test_assets(self):
        agent = self.start()
        total = 0
        for path in ASSETS:
            with urllib.request.urlopen(f"http://127.0.0.1:{agent.port}{path}") as reply:
                body = reply.read()
                tag = reply.headers["ETag"]
                policy = reply.headers["Content-Security-Policy"].split("; ")
                self.assertIn("default-src 'none'", policy)
                self.assertIn("script-src 'self'", policy)
                self.assertNotIn("unsafe", str(policy))
                self.assertNotIn(b"http://", body.replace(b"http://www.w3.org/", b""))
                self.assertNotIn(b"https://", body)
            self.assertNotRegex(body, rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(")
            total += len(body)
            again = urllib.request.Request(f"http://127.0.0.1:{agent.port}{path}",
                                           headers={"If-None-Match": tag})
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(again)
            self.assertEqual(caught.exception.code, 304)
        self.assertLess(total, BYTES_MAX)
        self.notes = [f"the page has {total / 1024:.0f} KiB"]

    def test_empty_states(self):
        agent = self.start(rules={"builtin": False})
        for place, text in (("#/", "No containers yet"), ("#/alerts", "No alerting rules"),
                            ("#/findings", "Nothing was judged yet"), ("#/logs", "Logs stay on this host"),
                            ("#/container/none", "This container is not here"),
                            ("#/nonsense/%ZZ?q=%", "No containers yet")):
            self.page.open(agent.port, place)
            self.page.until_text("#view", text)
        self.assert_quiet()

    def test_sorts_filters_and_goes_back(self):
        self.populate()
        page = self.page
        agent = self.start_with_alerts()
        page.open(agent.port)
        host.await_that("all rows are there", lambda: len(page.names()) == 3 + len(HOSTILE))
        page.until_text("h1", "1 alert firing")
        self.assertEqual(set(page.names()[:2]), {"full", "ill"})  # what is wrong comes first
        self.assertIn("unhealthy", page.row("ill"))
        self.assertIn("1 alert", page.row("full"))
        self.assertIn("Exited (3)", page.row("ended"))
        page.click("th.c-memory button")
        self.assertEqual(page.names()[0], "full")
        self.assertEqual(page.names()[-1], "ended")  # it has no memory: unknown comes last
        self.assertEqual(page.value(
            "document.querySelector('th.c-memory').getAttribute('aria-sort')"), "descending")
        page.click("th.c-memory button")
        self.assertEqual(page.names()[-2:], ["full", "ended"])
        page.click("th.c-name button")
        self.assertEqual(page.names(), sorted(page.names(), key=str.lower))
        page.filter("shop")
        self.assertEqual(page.names(), ["full"])
        self.assertIn("q=shop", page.value("location.hash"))
        page.filter("no such thing")
        self.assertIn("No container fits", page.text("#view"))
        page.filter("")
        page.click("[data-show=stopped]")
        self.assertEqual(page.names(), ["ended"])
        page.click("[data-show=unhealthy]")
        self.assertEqual(page.names(), ["ill"])
        page.click(".who a")
        page.until_text("#view h1", "ill")
        self.assertTrue(page.value("location.hash").startswith("#/container/"))
        self.assertIn("ill", page.value("document.title"))
        page.driver.back()
        host.await_that("the list is as it was", lambda: page.names() == ["ill"])
        page.driver.forward()
        page.until_text("#view h1", "ill")
        page.click(".crumb")
        host.await_that("the list is there again", lambda: page.names() == ["ill"])
        self.assert_quiet()

    def test_alerts_and_destinations(self):
        self.populate()
        agent = self.start_with_alerts()
        page = self.page
        page.open(agent.port, "#/alerts")
        page.until("the alert fires", "document.querySelector('[data-alert=NearLimit]')")
        self.assertIn("full is nearly full", page.text("[data-alert=NearLimit]"))
        self.assertIn("pending", page.text("[data-alert=Waits]"))
        page.click("details summary")
        page.until_text("details", "container_memory_working_set_bytes")
        page.click("[data-alert=NearLimit] a")
        page.until_text("#view h1", "full")
        page.until_text("[aria-label=Alerts]", "NearLimit")
        page.until_text("[aria-label=Limits]", "512 MiB")
        page.go("#/logs")
        page.until_text("[data-destination=gone]", "not connected")
        page.go("#/")
        page.until_text("#view", "Not connected")
        page.go("#/agent")
        page.until_text("#view", "Open descriptors")
        self.assert_quiet()

    def test_hostile_texts_are_texts(self):
        self.populate()
        agent = self.start()
        page = self.page
        page.open(agent.port)
        host.await_that("all rows are there", lambda: len(page.names()) == 3 + len(HOSTILE))
        self.assertEqual(set(HOSTILE) - set(page.names()), set())
        for container in self.house.containers[3:]:
            page.go(f"#/container/{container.id[:16]}")
            page.until("its labels are there", "[...document.querySelectorAll('[aria-label=Labels] "
                                               "td')].some((cell) => cell.textContent === "
                                               "arguments[0])", container.name)
        self.assertEqual(page.value("document.querySelectorAll('#view img, #view b b, #view script')"
                                    ".length"), 0)
        self.assertEqual(page.overflow(), 0)
        self.assert_quiet()

    def test_keyboard(self):
        self.populate()
        agent = self.start()
        page = self.page
        page.open(agent.port)
        body = page.driver.switch_to.active_element
        body.send_keys("/")
        self.assertEqual(page.value("document.activeElement.type"), "search")
        page.driver.switch_to.active_element.send_keys("ill")
        host.await_that("it is filtered", lambda: page.names() == ["ill"])
        reached = []
        for _ in range(30):
            page.driver.switch_to.active_element.send_keys("\ue004")
            reached.append(page.value("document.activeElement.textContent.trim()"))
            if reached[-1] == "ill":
                break
        self.assertEqual(reached[-1], "ill", reached)
        page.driver.switch_to.active_element.send_keys("\ue007")
        page.until_text("#view h1", "ill")
        self.assert_quiet()

    def test_every_width_and_scheme(self):
        if os.environ[AXE_VARIABLE].startswith("-"):
            self.skipTest(os.environ[AXE_VARIABLE][1:])
        axe = pathlib.Path(os.environ[AXE_VARIABLE]).read_text(encoding="utf-8")
        self.populate()
        agent = self.start_with_alerts()
        page = self.page
        ill = f"#/container/{self.house.containers[1].id[:16]}"
        page.open(agent.port)
        page.until_text("h1", "firing")
        # The policy is the page's; what looks at it may make elements of its own.
        page.driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
        self.addCleanup(page.driver.execute_cdp_cmd, "Page.setBypassCSP", {"enabled": False})
        for scheme in ("light", "dark"):
            for width in (browser.NARROW, browser.WIDE):
                page.size(width)
                page.scheme(scheme)
                page.open(agent.port)
                for place in (*VIEWS, ill):
                    with self.subTest(place, scheme=scheme, width=width):
                        page.go(place)
                        page.until("it is there", "location.hash === arguments[0] && "
                                                  "document.querySelector('#view h1')", place)
                        self.assertEqual(page.overflow(), 0)
                        # Contrast is a matter of the scheme, targets one of the width.
                        if (scheme, width) in (("light", browser.NARROW), ("dark", browser.WIDE)) \
                                or place == "#/":
                            self.assertEqual(page.axe(axe), [])

    def test_agent_away(self):
        self.populate()
        agent = self.start()
        page = self.page
        page.open(agent.port)
        self.assertTrue(page.value("document.getElementById('banner').hidden"))
        agent.kill()
        page.until_text("#banner", "The agent does not answer")
        self.assertEqual(page.text("#fresh-text"), "No answer")
        self.assertIn("ill", page.names())  # what was known stays in sight
        page.complaints()  # the browser's own, of connections refused
        agent.start()
        page.until("the page is live again", "document.getElementById('banner').hidden && document."
                                             "getElementById('fresh-text').textContent === 'Live'")
        self.assertIn("answers again", page.text("#announce"))

    def test_behind_a_password(self):
        self.house.add("guarded")
        agent = host.Agent(self.binary, self.folder, **self.house.settings())
        self.house.guard(agent)
        token = "Basic " + base64.b64encode(f"{house.USER}:{house.PASSWORD}".encode()).decode()
        agent.program = host.Program("agent", [agent.binary, "run", "--config",
                                               str(agent.config)], self.folder)
        self.addCleanup(agent.kill)

        def status(path):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{agent.port}{path}") as reply:
                    return reply.status
            except urllib.error.HTTPError as error:
                return error.code
        host.await_that("it asks for a password", lambda: status("/") == 401)
        for path in (*ASSETS, "/api/v1/overview", "/api/v1/history", "/api/v1/events",
                     "/api/v1/containers?detail=true", "/api/v1/findings", "/api/v1/alerts"):
            self.assertEqual(status(path), 401, path)
        self.page.headers(Authorization=token)
        self.addCleanup(self.page.headers)
        self.page.open(agent.port)
        host.await_that("its container is shown", lambda: self.page.names() == ["guarded"])
        self.assert_quiet()

    def test_many(self):
        for index in range(MANY):
            self.house.add(f"unit-{index:04}", image=f"shop/unit:{index % 7}", cpu=index / MANY / 50,
                           memory=8 + index % 90, limit=128 if index % 2 else 0,
                           labels={"com.docker.compose.project": f"stack-{index % 20}"})
        agent = self.start(collect={"interval": "2s"})
        page = self.page
        host.await_that("the agent knows all", lambda: agent.value(
            "tallyman_inventory_containers") == MANY)
        page.open(agent.port)
        host.await_that("all are counted", lambda: "1,000" in page.text(".pager"))
        self.assertEqual(len(page.names()), 50)
        page.click(".pager button:last-child")
        self.assertIn("51–100 of 1,000", page.text(".pager"))
        self.assertEqual(page.names()[0], "unit-0050")
        page.filter("stack-7 unit-09")
        self.assertEqual(page.names(), [f"unit-09{tens}7" for tens in "02468"])
        page.filter("")
        page.click("th.c-memory button")
        times = []
        for _ in range(3):
            before = page.updates()[0]
            times.append(host.await_that("it is updated", lambda before=before: (
                page.updates() or [before])[0] != before and page.updates(), pace=0.2)[1])
        nodes = page.value("document.getElementsByTagName('*').length")
        self.assertLess(nodes, NODES_MAX)
        request = urllib.request.Request(f"http://127.0.0.1:{agent.port}/api/v1/overview",
                                         headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request) as reply:
            size = len(reply.read())
        self.notes = [f"{MANY} containers: an update takes {sorted(times)[len(times) // 2]:.0f} ms, "
                      f"{nodes} elements, {size / 1024:.0f} KiB a poll"]
        self.assert_quiet()


class Real(Page):
    """Containers of a real engine."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not shutil.which("dockerd"):
            raise unittest.SkipTest("docker.io is not installed (tools/install-packages full)")
        scratch = host.scratch()
        folder = scratch.__enter__()
        cls.addClassCleanup(scratch.__exit__, None, None, None)
        cls.engine = host.Engine(folder)
        cls.engine.start()
        cls.addClassCleanup(cls.engine.stop)
        cls.engine.import_busybox()

    def test_follows_the_engine(self):
        receiver = host.Receiver(self.binary, self.folder).start()
        self.addCleanup(receiver.program.kill)
        agent = self.start(engine=self.engine, forward=receiver.address)
        page = self.page
        page.open(agent.port)
        page.until_text("#view", "No containers yet")
        label = HOSTILE[0]
        container = self.engine.run(
            "web", "echo ready; touch /tmp/ok; exec sleep 1000", Labels={"evil": label},
            Healthcheck={"Test": ["CMD-SHELL", "test -f /tmp/ok"], "Interval": 10 ** 9},
            HostConfig={"Memory": 64 << 20})
        host.await_that("its row appears", lambda: "Running" in (page.row("web") or ""))
        host.await_that("its health is told", lambda: "healthy" in page.row("web"))
        page.click(".who a")
        page.until("its start is told", "document.querySelector('[data-event=start]')")
        page.until_text("[aria-label=Labels]", label)
        page.until_text("[aria-label=Limits]", "json-file")
        page.until("the audit has found something",
                   "document.querySelector('[aria-label=Findings] [data-check]')")
        self.assertIn("Add --", page.text("[aria-label=Findings]"))
        self.assertFalse(page.value("document.querySelector('[data-event=exec_start]')"))
        self.engine.post(f"/containers/{container}/kill")
        page.until("its end is told", "document.querySelector('[data-event=die]')")
        self.assertIn("exit code 137", page.text("[data-event=die]"))
        page.click(".crumb")
        host.await_that("its row says so", lambda: "Exited (137)" in (page.row("web") or ""))
        page.go("#/findings")
        page.until("findings are listed", "document.querySelector('[data-check]')")
        page.go("#/logs")
        page.until_text("[data-destination=test]", "connected")
        page.until_text("[data-destination=test]", "up to date")
        page.go("#/")
        self.engine.remove(container)
        page.until_text("#view", "No containers yet")
        self.assert_quiet()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--agent", required=True)
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    Page.binary = os.path.abspath(options.agent)
    if AXE_VARIABLE not in os.environ:  # outside, where there is a network
        with tempfile.TemporaryDirectory(prefix="tly-npm-") as folder:
            os.environ[AXE_VARIABLE] = axe_install(folder)
            return subprocess.run([sys.executable, "-B", *sys.argv], check=False).returncode
    host.enter()
    return runner.run(runner.chosen(options.tests, (Real, Made)))


if __name__ == "__main__":
    sys.exit(main())
