"""`mlo up --simulate` as a process of its own, for tests of the whole system."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import psutil
import pytest

MLO = str(Path(sys.executable).with_name("mlo"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class System:
    """`mlo up --simulate` in a folder of its own."""

    def __init__(self, folder: Path, *, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.prefect = free_port()
        self.endpoint = free_port()
        self.history = free_port()
        plain = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PREFECT_", "MLO_")) and name != "MODE"
        }
        self.environ = plain | {
            "MLO_PREFECT__PORT": str(self.prefect),
            "MLO_SERVER__PORT": str(self.endpoint),
            "MLO_PROTECT_INTERVAL": "5s",
            "MLO_STORAGE__LISTEN": f"127.0.0.1:{self.history}",
            "MLO_STORAGE_TOKEN": "a-token-of-this-test",
            **(environ or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "out.txt").open("ab") as out, (self.folder / "err.txt").open("ab") as e:
            self.process = subprocess.Popen(
                [MLO, "up", "--simulate"], cwd=self.folder, env=self.environ, stdout=out, stderr=e
            )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [MLO, *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> float:
        """Seconds that the end took after Ctrl-C."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)
        return time.monotonic() - began

    def api(self, path: str, **body: object) -> list[dict]:
        answer = httpx.post(f"http://127.0.0.1:{self.prefect}/api/{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def words(self) -> str:
        return (self.folder / "out.txt").read_text() + (self.folder / "err.txt").read_text()

    def until(self, what: str, met: Callable[[], bool], *, seconds: float = 150) -> None:
        """Wait for what another process does; it cannot be awaited otherwise."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, self.words()
            try:
                if met():
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.5)
        pytest.fail(f"{what}: not within {seconds:.0f} s\n{self.words()}")

    def ready(self) -> bool:
        return httpx.get(f"http://127.0.0.1:{self.endpoint}/ready", timeout=5).status_code == 200

    def scheduled_and_completed(self) -> list[dict]:
        runs = self.api("flow_runs/filter", flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}})
        return [run for run in runs if run["auto_scheduled"]]
