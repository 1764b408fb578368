"""Chromium by its own protocol over a pipe: a page is opened, looked at and questioned, with no
library between.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from base64 import b64decode
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory

PATH = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    "--no-first-run",
)
WAIT = 120
"""Seconds without a word after which it is taken for dead."""

DESK, PHONE = (1280, 800), (390, 844)


@contextmanager
def chromium():
    """A browser for many pages."""
    hear, tell = os.pipe(), os.pipe()
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            "bash",
            "-c",
            f'exec "$@" 3<&{tell[0]} 4>&{hear[1]}',
            "bash",
            PATH,
            *FLAGS,
            f"--user-data-dir={profile}",
        ]
        process = subprocess.Popen(
            command,
            pass_fds=(tell[0], hear[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(tell[0])
        os.close(hear[1])
        try:
            browser = Browser(hear[0], tell[1])
            yield browser
            browser.order("Browser.close")
            process.wait(WAIT)
        finally:
            process.kill()
            os.close(hear[0])
            os.close(tell[1])


class Browser:
    """What one Chromium is told and answers."""

    def __init__(self, answers, orders):
        self.answers, self.orders, self.numbers, self.events, self.rest = (
            answers,
            orders,
            count(1),
            [],
            b"",
        )

    def order(self, method, session=None, **params):
        """The answer to one order; what happened meanwhile is gathered."""
        number = next(self.numbers)
        said = {"id": number, "method": method, "params": params} | (
            {"sessionId": session} if session else {}
        )
        left = memoryview(json.dumps(said).encode() + b"\0")
        while left:
            left = left[os.write(self.orders, left) :]
        while (heard := self._hear()).get("id") != number:
            pass
        assert "error" not in heard, (method, heard["error"])
        return heard["result"]

    def _hear(self):
        parts = [self.rest]
        while b"\0" not in parts[-1]:
            assert select([self.answers], [], [], WAIT)[0], "chromium is silent"
            parts.append(os.read(self.answers, 1 << 20))
            assert parts[-1], "chromium is gone"
        text, _, self.rest = b"".join(parts).partition(b"\0")
        heard = json.loads(text)
        if "method" in heard:
            self.events.append(heard)
        return heard

    def wait(self, session, method):
        """Until something happened in a page."""
        while not any(
            event["method"] == method and event.get("sessionId") == session for event in self.events
        ):
            self._hear()

    @contextmanager
    def page(self, path, size=DESK, *, dark=False, script=True):
        """A file, or an address, in a tab of its own, loaded."""
        target = self.order("Target.createTarget", url="about:blank")["targetId"]
        session = self.order("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.order(f"{domain}.enable")
        width, height = size
        tab.order(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.order("Emulation.setEmulatedMedia", media="", features=[scheme])
        tab.order("Emulation.setScriptExecutionDisabled", value=not script)
        tab.order(
            "Page.navigate",
            url=path if str(path).startswith("http:") else Path(path).resolve().as_uri(),
        )
        self.wait(session, "Page.loadEventFired")
        yield tab
        self.order("Target.closeTarget", targetId=target)


class Tab:
    """One page."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def order(self, method, **params):
        """The answer to one order."""
        return self.browser.order(method, self.session, **params)

    def ask(self, script):
        """What an expression, or a promise, comes to in the page."""
        said = self.order(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    def until(self, script):
        """Wait for what an expression is to come to."""
        end = time.monotonic() + WAIT
        while not self.ask(script):
            assert time.monotonic() < end, f"never: {script}"
            time.sleep(0.02)

    def press(self, key, code):
        """Press and release a key, given its name and its number."""
        text = {"Enter": "\r", " ": " "}.get(key)
        for kind, more in (("keyDown", {"text": text} if text else {}), ("keyUp", {})):
            self.order(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **more
            )

    def heard(self, method):
        """What happened in the page so far, by the name of the event."""
        found = [event for event in self.browser.events if event.get("sessionId") == self.session]
        return [event["params"] for event in found if event["method"] == method]

    @property
    def complaints(self):
        """What the console says: errors and warnings, of scripts, of the policy, of the page."""
        said = [entry["entry"]["text"] for entry in self.heard("Log.entryAdded")]
        said += [str(entry["args"]) for entry in self.heard("Runtime.consoleAPICalled")]
        return said + [
            str(entry["exceptionDetails"]) for entry in self.heard("Runtime.exceptionThrown")
        ]

    @property
    def requests(self):
        """Addresses that were asked for, data inside the page apart."""
        asked = [entry["request"]["url"] for entry in self.heard("Network.requestWillBeSent")]
        return [url for url in asked if not url.startswith("data:")]

    def point(self, x, y, *, click=False):
        """Move the pointer, and press it."""
        self.order("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.order("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def middle(self, selector):
        """Where the middle of an element is, brought into view."""
        script = "(e => { e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
        return self.ask(
            f"{script} return [b.x + b.width / 2, b.y + b.height / 2]; "
            f"}})(document.querySelector({json.dumps(selector)}))"
        )

    def picture(self, path, *, whole=False):
        """A PNG of what is on the screen, or of the whole page."""
        shot = self.order("Page.captureScreenshot", captureBeyondViewport=whole)
        Path(path).write_bytes(b64decode(shot["data"]))

    def pdf(self, path):
        """What a printer would get."""
        Path(path).write_bytes(
            b64decode(self.order("Page.printToPDF", printBackground=False)["data"])
        )
