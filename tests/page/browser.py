"""A headless Chromium, driven by WebDriver, that looks at the status page of an agent."""

import json
import pathlib

import host

try:
    from selenium import webdriver
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.chrome.service import Service
except ImportError:
    webdriver = None

CHROMIUM, DRIVER = pathlib.Path("/usr/bin/chromium"), pathlib.Path("/usr/bin/chromedriver")

# Before anything of the page runs: what the policy forbade, and what would be a script's doing.
WATCH = """
window.violations = []; window.hacked = 0;
document.addEventListener('securitypolicyviolation', (event) =>
  window.violations.push(event.violatedDirective + ' ' + event.blockedURI));
"""
NARROW, WIDE = 400, 1600


def lacking():
    """Why there is no browser, or None."""
    if webdriver is None:
        return "python3-selenium is not installed (tools/install-packages full)"
    for program in (CHROMIUM, DRIVER):
        if not program.exists():
            return f"{program} is not installed (tools/install-packages full)"
    return None


class Browser:
    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu",
                         "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
                         "--disable-background-networking", "--disable-component-update"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
        self.driver.set_script_timeout(host.AWAIT_SECONDS)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        self.size(WIDE)

    def quit(self):
        self.driver.quit()

    def size(self, width, height=1000):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def scheme(self, name):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": name}]})

    def headers(self, **values):
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": values})

    def open(self, port, place="#/"):
        """From the start, until the page shows what the agent said."""
        self.driver.get("about:blank")
        self.driver.get(f"http://127.0.0.1:{port}/{place}")
        self.until("the page is live", "document.getElementById('fresh-text').textContent === "
                                       "'Live' && document.getElementById('view').firstChild")

    def go(self, place):
        self.js("location.hash = arguments[0]", place)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def value(self, expression, *arguments):
        return self.js(f"return {expression}", *arguments)

    def until(self, what, expression, *arguments):
        return host.await_that(what, lambda: self.value(expression, *arguments), pace=0.1)

    def text(self, selector):
        return self.value("(document.querySelector(arguments[0]) || {}).innerText || ''", selector)

    def until_text(self, selector, part):
        return host.await_that(f"{selector} says {part!r}",
                               lambda: part in self.text(selector), pace=0.1)

    def click(self, selector):
        self.js("document.querySelector(arguments[0]).click()", selector)

    def names(self):
        return self.value("[...document.querySelectorAll('.containers tbody .who a')]"
                          ".map((link) => link.textContent)")

    def row(self, name):
        """The text of the container's row, or None."""
        return self.value("[...document.querySelectorAll('.containers tbody tr')].filter((row) => "
                          "row.querySelector('.who a').textContent === arguments[0])"
                          ".map((row) => row.innerText)[0]", name)

    def filter(self, text):
        self.js("const field = document.querySelector('input[type=search]'); field.value = "
                "arguments[0]; field.dispatchEvent(new Event('input'))", text)

    def overflow(self):
        """By how many pixels the page is wider than the window."""
        return self.value("document.documentElement.scrollWidth - window.innerWidth")

    def updates(self):
        """When the last update was done, and how long it took, in ms."""
        return self.value("performance.getEntriesByName('update').map((entry) => "
                          "[entry.startTime, entry.duration]).pop()")

    def complaints(self):
        """What the console and the policy have against the page."""
        rows = [row["message"] for row in self.driver.get_log("browser")
                if row["level"] in ("SEVERE", "WARNING")]
        return rows + self.value("window.violations || []")

    def axe(self, source):
        """Breaches of WCAG 2.2 A and AA, as axe-core sees them: [(rule, where)]."""
        self.driver.execute_script(source)
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1]; axe.run(document, {runOnly: ["
            "'wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
            ".then((result) => done(JSON.stringify(result.violations)), "
            "(error) => done(JSON.stringify([{id: String(error), nodes: []}])))")
        return [(rule["id"], [node["target"] for node in rule["nodes"]][:3],
                 [node.get("failureSummary", "") for node in rule["nodes"]][:1])
                for rule in json.loads(found)]


__all__ = ["Browser", "lacking", "NARROW", "WIDE", "WebDriverException"]
