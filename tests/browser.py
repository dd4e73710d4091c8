"""A headless Chromium, driven over a pipe: no port, no driver, nothing to install but itself."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 60  # seconds; shared machines are slow at times
# What it is asked comes in at descriptor 3, what it answers goes out at 4.
AT_3_AND_4 = """
import fcntl, os, sys
high = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3]]
for target, each in zip((3, 4), high):
    os.dup2(each, target)
os.execv(sys.argv[3], sys.argv[3:])
"""
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40} | {
    "Enter": 13,
    "Escape": 27,
    "Backspace": 8,
}


def find() -> str | None:
    """Where Chromium is; None where it is not."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One process, for any number of pages."""

    def __init__(self, program: str) -> None:
        self._profile = tempfile.mkdtemp(prefix="lazydata-chromium-")
        theirs, self._to = os.pipe()
        self._from, ours = os.pipe()
        options = (
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe"),
            *("--disable-background-networking", f"--user-data-dir={self._profile}", "about:blank"),
        )
        self._process = subprocess.Popen(
            [sys.executable, "-ISc", AT_3_AND_4, str(theirs), str(ours), program, *options],
            pass_fds=(theirs, ours),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self._profile},
        )
        os.close(theirs)
        os.close(ours)
        self._read = b""
        self._last = 0
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        """End it, and take its profile away."""
        os.close(self._to)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        os.close(self._from)
        shutil.rmtree(self._profile, ignore_errors=True)

    def ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """One request of the DevTools protocol, and its answer."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        text = json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        while text:
            text = text[os.write(self._to, text) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, (method, answer["error"])
                return answer.get("result", {})
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._read:
            left = end - time.monotonic()
            assert select.select([self._from], [], [], max(left, 0))[0], "no answer"
            got = os.read(self._from, 1 << 20)
            assert got, "Chromium is gone"
            self._read += got
        text, _, self._read = self._read.partition(b"\0")
        found: dict[str, Any] = json.loads(text)
        return found

    def page(self, file: Path, **more: Any) -> Page:
        """Open a file."""
        return Page(self, file, **more)


class Page:
    """One file in a tab, with what it logged and what it asked the network for."""

    def __init__(
        self,
        browser: Browser,
        file: Path,
        *,
        dark: bool = False,
        view: str = "",
        size: tuple[int, int] = (1280, 800),
    ) -> None:
        self._browser = browser
        self._target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.ask("Target.attachToTarget", targetId=self._target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **metrics)
        self.url = file.as_uri() + (f"#{view}" if view else "")
        self.ask("Page.navigate", url=self.url)
        self.until("document.readyState === 'complete'")

    def close(self) -> None:
        self._browser.ask("Target.closeTarget", targetId=self._target)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.ask(method, self.session, **params)

    def run(self, code: str) -> Any:
        """What an expression comes to."""
        done = self.ask("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, (code, done["exceptionDetails"])
        return done["result"].get("value")

    def until(self, code: str) -> Any:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not (found := self.run(code)):
            assert time.monotonic() < end, f"never true: {code}"
            time.sleep(0.02)
        return found

    def frame(self) -> None:
        """Wait until all that was to be drawn is drawn."""
        self.run(
            "new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(() => f())))"
        )

    def text(self, selector: str) -> str:
        found: str = self.run(f"document.querySelector({json.dumps(selector)}).innerText")
        return found

    def texts(self, selector: str) -> list[str]:
        code = f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.innerText)"
        found: list[str] = self.run(code)
        return found

    def key(self, key: str, *, shift: bool = False) -> None:
        """Press a key: a name such as ``ArrowLeft``, or one character."""
        modifiers = 8 if shift else 0
        common = {"key": key, "modifiers": modifiers, "windowsVirtualKeyCode": KEYS.get(key, 0)}
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        self.ask("Input.insertText", text=text)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float) -> None:
        self.mouse("mousePressed", x, y, button="left", clickCount=1)
        self.mouse("mouseReleased", x, y, button="left", clickCount=1)

    def press(self, selector: str) -> None:
        """Click in the middle of an element."""
        box = self.run(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        self.click(*box)

    def shot(self) -> bytes:
        self.frame()
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])

    def _events(self, *methods: str) -> list[dict[str, Any]]:
        found = [e for e in self._browser.events if e.get("sessionId") == self.session]
        return [e["params"] for e in found if e["method"] in methods]

    @property
    def complaints(self) -> list[str]:
        """What went wrong on the page: exceptions, console errors, violations of its policy."""
        self.frame()
        found = [e["exceptionDetails"]["text"] for e in self._events("Runtime.exceptionThrown")]
        found += [json.dumps(e["args"]) for e in self._events("Runtime.consoleAPICalled")]
        return found + [e["entry"]["text"] for e in self._events("Log.entryAdded")]

    @property
    def requests(self) -> list[str]:
        """URLs that were asked for, the page's own aside."""
        urls = [e["request"]["url"] for e in self._events("Network.requestWillBeSent")]
        own = self.url.partition("#")[0]
        return [url for url in urls if url.partition("#")[0] != own]
