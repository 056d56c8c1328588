"""A headless Chromium that a test looks at, types into and prints from, over its own pipe."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 20.0
KEYS = {"Enter": ("\r", 13), "ArrowRight": ("", 39), "Tab": ("\t", 9)}
# It reads from 3 and writes to 4.
AS_THEIRS = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--remote-debugging-pipe",
    "--window-size=1280,900",
)


@dataclass
class Browser:
    """One page of it; `said` is what it complained of since the page was opened."""

    commands: int
    answers: int
    session: str | None = None
    number: int = 0
    unread: bytes = b""
    said: list[str] = field(default_factory=list)
    loaded: int = 0
    saved: str | None = None

    def open(self, url: str, **media: str) -> None:
        """Open an address and wait for it; `media` are features like prefers_color_scheme."""
        self.said.clear()
        self.emulate(**media)
        before = self.loaded
        self.call("Page.navigate", url=url)
        while self.loaded == before:
            self._read()

    def emulate(self, medium: str = "", **features: str) -> None:
        told = [{"name": each.replace("_", "-"), "value": as_} for each, as_ in features.items()]
        self.call("Emulation.setEmulatedMedia", media=medium, features=told)

    def ask(self, expression: str) -> Any:  # noqa: ANN401 - JSON
        """What the page says of an expression of JavaScript."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        text, code = KEYS[key]
        told = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **told)
        self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    def write(self, text: str) -> None:
        """Type text where the focus is."""
        self.call("Input.insertText", text=text)

    def downloaded(self, file: Path) -> bytes:
        """What the browser saved there, once it has."""
        while self.saved is None:
            self._read()
        assert self.saved == "completed"
        self.saved = None
        return file.read_bytes()

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """The answer of the browser to a command of its protocol."""
        self.number += 1
        told: dict[str, object] = {"id": self.number, "method": method, "params": parameters}
        if self.session is not None:
            told["sessionId"] = self.session
        os.write(self.commands, json.dumps(told).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self) -> dict[str, Any]:
        """The next message; what the page complains of is kept."""
        until = time.monotonic() + PATIENCE_SECONDS
        while b"\0" not in self.unread:
            ready, _, _ = select.select([self.answers], [], [], max(0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            self.unread += os.read(self.answers, 1 << 20)
        line, _, self.unread = self.unread.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        match message.get("method"):
            case "Page.loadEventFired":
                self.loaded += 1
            case "Browser.downloadProgress" if message["params"]["state"] != "inProgress":
                self.saved = message["params"]["state"]
            case "Runtime.exceptionThrown" | "Log.entryAdded" | "Runtime.consoleAPICalled":
                self.said.append(json.dumps(message["params"]))
        return message


@contextmanager
def browsing(program: str, *, profile: Path) -> Iterator[Browser]:
    """A browser with an empty page."""
    theirs_in, commands = os.pipe()
    answers, theirs_out = os.pipe()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", AS_THEIRS, str(theirs_in), str(theirs_out)),
            *(program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"),
        ],
        pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    browser = Browser(commands=commands, answers=answers)
    try:
        made = browser.call("Target.createTarget", url="about:blank")
        told = browser.call("Target.attachToTarget", targetId=made["targetId"], flatten=True)
        browser.session = told["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            browser.call(f"{domain}.enable")
        yield browser
    finally:
        os.close(commands)
        process.terminate()
        process.wait(timeout=20)
        os.close(answers)
