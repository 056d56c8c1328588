"""A past of a Mimir in the format of OpenMetrics, and a real Prometheus that holds it."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx

HOUR_SECONDS = 3600
SCRAPE_SECONDS = 60
MATCHERS = 'job="mimir"'


@dataclass
class Past:
    """What the processes of a cluster said, minute by minute.

    A level holds from just after an hour's begin to its end; a counter grows by its rate.

    Attributes:
        start: the begin of the first hour.
        hours: how many.
        hole: hours, by number, in which nothing was scraped.
    """

    start: datetime
    hours: int
    hole: frozenset[int] = frozenset()
    lines: dict[str, list[str]] = field(default_factory=dict)
    counters: set[str] = field(default_factory=set)

    def moments(self) -> Iterator[tuple[int, int]]:
        """Each scrape, with the number of the hour that it is in: an hour has its end, too."""
        origin = int(self.start.timestamp())
        for second in range(SCRAPE_SECONDS, self.hours * HOUR_SECONDS + 1, SCRAPE_SECONDS):
            hour = (second - 1) // HOUR_SECONDS
            # Prometheus shows a sample for five minutes: one at the begin of a hole would be in it.
            if not {hour, second // HOUR_SECONDS} & self.hole:
                yield origin + second, hour

    def level(self, family: str, labels: Mapping[str, str], values: Sequence[float | None]) -> None:
        """A gauge, by hour; None: the process does not tell it."""
        told = self.lines.setdefault(family, [])
        named = _labels(labels)
        for at, hour in self.moments():
            value = values[hour]
            if value is not None:
                told.append(f"{family}{{{named}}} {value!r} {at}")

    def counter(self, family: str, labels: Mapping[str, str], rates: Sequence[float]) -> None:
        """A counter that grows by so much a second, by hour."""
        self.counters.add(family)
        told = self.lines.setdefault(family, [])
        named, origin = _labels(labels), int(self.start.timestamp())
        before = [sum(rates[:hour]) * HOUR_SECONDS for hour in range(self.hours)]
        for at, hour in self.moments():
            value = before[hour] + rates[hour] * (at - origin - hour * HOUR_SECONDS)
            told.append(f"{family}{{{named}}} {value!r} {at}")

    def up(self, *pods: str) -> None:
        """The processes were scraped."""
        for pod in pods:
            self.level("up", {"pod": pod}, [1.0] * self.hours)

    def text(self) -> str:
        """All of it."""
        parts = []
        for family, lines in self.lines.items():
            counts = family in self.counters
            name = family.removesuffix("_total") if counts else family
            parts += [f"# TYPE {name} {'counter' if counts else 'gauge'}", *lines]
        return "\n".join([*parts, "# EOF", ""])


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(
        f"{name}={json.dumps(value)}" for name, value in {"job": "mimir", **labels}.items()
    )


@contextmanager
def prometheus_of(past: Past, *, folder: Path, tool: Callable[[str, str], str]) -> Iterator[str]:
    """A real Prometheus with these blocks; its URL."""
    prometheus, promtool = tool("prometheus", "prometheus"), tool("promtool", "prometheus")
    told, config = folder / "past.txt", folder / "prometheus.yaml"
    told.write_text(past.text(), encoding="utf-8")
    config.write_text("{}")
    made = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(told), str(folder / "tsdb")]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    process = subprocess.Popen(
        [
            prometheus,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            "--storage.tsdb.retention.time=10y",
            f"--web.listen-address={address}",
            "--log.level=error",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_ready(f"http://{address}", process)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    transport = httpx.HTTPTransport(retries=8)
    with httpx.Client(transport=transport, timeout=20) as client:
        for _ in range(100_000):
            assert process.poll() is None
            try:
                if client.get(f"{url}/-/ready").status_code == httpx.codes.OK:
                    return
            except httpx.ConnectError:
                continue
    raise AssertionError("Prometheus is not ready")
