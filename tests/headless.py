"""A real browser for tests: a headless Chromium, spoken to over two pipes in its DevTools protocol.

    browser = Browser(find(), folder)
    tab = browser.open("file:///...", width=1280)
    tab.run("document.title"), tab.click(x, y), tab.press("ArrowRight"), tab.picture()
    tab.problems, tab.requests          what went wrong, and what was fetched

A message is JSON and ends with a zero byte; the browser reads them from its file descriptor 3 and writes to 4.
https://chromedevtools.github.io/devtools-protocol
"""

import base64
import io
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ["chromium", "chromium-browser", "chromium-headless-shell", "chrome-headless-shell", "google-chrome"]
NAMES += ["google-chrome-stable", "chrome", "microsoft-edge", "brave-browser"]
OPTIONS = ["--headless", "--no-sandbox", "--no-first-run", "--hide-scrollbars", "--force-color-profile=srgb"]
SECONDS = 60  # for any one answer
KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "Tab": 9}


def find() -> str | None:
    """Return the executable that MINIFCN_BROWSER names, else the first of NAMES on the PATH, else None.

    Raises:
        FileNotFoundError: MINIFCN_BROWSER names something that cannot be run.
    """
    named = os.environ.get("MINIFCN_BROWSER")
    if named and shutil.which(named) is None:
        raise FileNotFoundError(f"MINIFCN_BROWSER: expected an executable, received {named!r}")
    return named or next((name for name in NAMES if shutil.which(name)), None)


class Browser:
    def __init__(self, executable: str, folder: Path):
        """Start it. folder: for its profile, and for its log: browser.log."""
        self.log = folder / "browser.log"
        command = [executable, *OPTIONS, f"--user-data-dir={folder / 'profile'}", "--remote-debugging-pipe"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >&2', "sh", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
            )
        self.received, self.calls, self.tabs = b"", 0, {}

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def call(self, method: str, session: str | None = None, **params) -> dict:
        """Send a command and return its result; events that come before it go to the tabs."""
        self.calls += 1
        message = {"id": self.calls, "method": method, "params": params} | ({"sessionId": session} if session else {})
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\0")
        except BrokenPipeError:
            raise self.failure("it ended") from None
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self.receive(deadline)
            if answer.get("id") == self.calls:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def receive(self, deadline: float) -> dict:
        """Return the next message; if it is an event, the tab that it belongs to takes it down."""
        while b"\0" not in self.received:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            chunk = self.process.stdout.read(1 << 20) if ready else b""
            if not chunk:
                raise self.failure("it ended" if ready else f"no answer in {SECONDS} s")
            self.received += chunk
        message, self.received = self.received.split(b"\0", 1)
        answer = json.loads(message)
        if answer.get("sessionId") in self.tabs and "method" in answer:
            self.tabs[answer["sessionId"]].take_down(answer["method"], answer["params"])
        return answer

    def failure(self, what: str) -> RuntimeError:
        return RuntimeError(f"browser: {what}\n{self.log.read_text(errors='replace')[-2000:]}")

    def open(self, url: str, width=1280, height=900, script: bool = True, mode: str = "light") -> "Tab":
        """Open a page in a new tab, the only one then, and return it once loaded.

        script: may the page's run? mode: does the user prefer light or dark?
        """
        for old in self.tabs.values():
            old.call("Page.close")
        self.tabs.clear()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = self.tabs[session] = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.resize(width, height)
        tab.call("Emulation.setScriptExecutionDisabled", value=not script)
        tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": mode}])
        tab.call("Page.navigate", url=url)
        deadline = time.monotonic() + SECONDS
        while not tab.loaded:
            self.receive(deadline)
        return tab


class Tab:
    """A page that is open. problems: errors of its scripts and whatever the console complains of."""

    def __init__(self, browser: Browser, session: str):
        self.browser, self.session, self.loaded = browser, session, False
        self.problems: list[str] = []
        self.requests: list[str] = []

    def take_down(self, event: str, params: dict) -> None:
        match event:
            case "Page.loadEventFired":
                self.loaded = True
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded" | "Network.loadingFailed":
                self.problems.append(f"{event}: {json.dumps(params)[:500]}")
            case "Page.javascriptDialogOpening":
                self.problems.append(f"dialog: {params['message']}")
                self.call("Page.handleJavaScriptDialog", accept=True)

    def call(self, method: str, **params) -> dict:
        return self.browser.call(method, self.session, **params)

    def resize(self, width: int, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def run(self, script: str):
        """Return the value of a JavaScript expression, promises awaited."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, f"{script}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def box(self, selector: str, k: int = 0) -> tuple[float, float, float, float]:
        """Scroll the k-th element to the middle; return its left, top, width and height in the window."""
        return tuple(
            self.run(
                f"""(() => {{
                    const element = document.querySelectorAll({json.dumps(selector)})[{k}];
                    element.scrollIntoView({{block: "center", behavior: "instant"}});
                    const box = element.getBoundingClientRect();
                    return [box.left, box.top, box.width, box.height];
                }})()"""
            )
        )

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    def picture(self) -> np.ndarray:
        """Return what is seen in the window, (H, W, 3) uint8."""
        png = base64.b64decode(self.call("Page.captureScreenshot", format="png", optimizeForSpeed=True)["data"])
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
