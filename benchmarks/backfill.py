"""What a backfill takes beside its source, and how its memory grows with the days.

    python -m benchmarks.backfill [TENANTS [DAYS ...]]

Generated answers stand for Prometheus: 24 hours of six signals of every tenant a day, as PromQL
answers them, packed. They are the same every day but for their times, so making them costs little;
that little is in the figures, and told. Each number of days runs in a process of its own, so that
the peak of its memory is its own.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import httpx
from prometheus_client import CollectorRegistry

from flows.backfilling import Progress, fill
from flows.runtime import Run, Runtime
from flows.vitals import Vitals
from policy.cost.backfill import days_of
from policy.cost.periods import Period
from policy.settings import parse_settings
from storage.database import Database
from tasks.backfill import PromqlSource
from tasks.promql_http import promql_client
from tasks.telemetry import Telemetry

TENANTS, DAYS = 1_000, (10, 30, 90)
CACHE = "128MB"  # of DuckDB, which else keeps of its file what there is room for
NOW = datetime(2026, 11, 23, tzinfo=UTC)
TREE = {
    "promql": {"matchers": 'job="mimir"'},
    "costControl": {
        "prices": [
            {"from": "2026-01-01", "perMillionSamples": 1, "perThousandSeriesHours": 2},
            {"from": "2026-10-15", "perMillionSamples": 2, "perThousandSeriesHours": 3},
        ]
    },
}


class Generated:
    """Answers to the questions of a backfill, and the seconds that making them took."""

    def __init__(self, tenants: int) -> None:
        self.seconds = 0.0
        self._tenants = tenants
        self._first_day: dict[str, tuple[range, bytes]] = {}

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The answer to a question about a day, as Prometheus would pack it."""
        began = time.perf_counter()
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        first, last = (int(float(form[name])) for name in ("start", "end"))
        times, query = range(first, last + 1, 3600), form["query"]
        if query not in self._first_day:
            self._first_day[query] = times, self._body(query, times).encode()
        then, body = self._first_day[query]
        for before, now in zip(then, times, strict=True):
            body = body.replace(b"[%d," % before, b"[%d," % now)
        packed = gzip.compress(body, compresslevel=1)
        self.seconds += time.perf_counter() - began
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        return httpx.Response(200, content=packed, headers=headers)

    def _body(self, query: str, times: range) -> str:
        if "__name__" in query:
            names = ("cortex_build_info", "mimir_build_info")
            series = [_series({"__name__": name}, [(at, "1") for at in times]) for name in names]
        elif query.startswith("count_over_time"):
            series = [_series({}, [(at, "12") for at in times])]
        else:
            series = [
                _series(
                    {"user": f"tenant-{number:05d}"},
                    [(at, f"{len(query) * (number + at % 86_400 / 7):.6f}") for at in times],
                )
                for number in range(self._tenants)
            ]
        result = f'{{"resultType":"matrix","result":[{",".join(series)}]}}'
        return f'{{"status":"success","data":{result}}}'


def _series(labels: dict[str, str], points: list[tuple[int, str]]) -> str:
    values = ",".join(f'[{at},"{value}"]' for at, value in points)
    return f'{{"metric":{json.dumps(labels, separators=(",", ":"))},"values":[{values}]}}'


async def measure(days: int, *, tenants: int, path: Path) -> None:
    """Prints one line about a backfill of so many days."""
    settings, answers = parse_settings(TREE), Generated(tenants)
    with Database.open(str(path), clock=lambda: NOW) as database:
        database.cursor().execute(f"set memory_limit = '{CACHE}'")
        runtime = Runtime(
            settings=lambda: settings,
            database=database,
            clock=lambda: NOW,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=NOW),
        )
        run = Run(run_id="r", flow="backfill", started_at=NOW)

        async def tell(_: Progress) -> None:
            pass

        began = time.perf_counter()
        async with promql_client(
            settings.promql, transport=httpx.MockTransport(answers.answer)
        ) as client:
            source = PromqlSource(promql=settings.promql, client=client, clock=lambda: NOW)
            await fill(
                runtime,
                run,
                settings,
                source=source,
                days=days_of(Period(start=NOW - timedelta(days=days), end=NOW)),
                again=False,
                tell=tell,
            )
        seconds = time.perf_counter() - began
        (rows,) = database.cursor().execute("select count(*) from costs").fetchone() or (0,)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{days:>6}{tenants:>9}{seconds:>10.1f} s{answers.seconds:>9.1f} s"
        f"{time.process_time():>9.1f} s{peak:>9.0f} MiB{rows:>12,}",
        flush=True,
    )


def main(tenants: int, sizes: tuple[int, ...]) -> None:
    print(
        f"{'days':>6}{'tenants':>9}{'together':>12}{'answers':>11}{'CPU':>11}{'peak':>13}"
        f"{'costs':>12}"
    )
    for days in sizes:
        with tempfile.TemporaryDirectory() as folder:
            here = [sys.executable, "-m", "benchmarks.backfill", "measure"]
            path = str(Path(folder) / "history.duckdb")
            subprocess.run([*here, str(tenants), str(days), path], check=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["measure", tenants, days, path]:
            asyncio.run(measure(int(days), tenants=int(tenants), path=Path(path)))
        case [tenants, *sizes]:
            main(int(tenants), tuple(map(int, sizes)) or DAYS)
        case _:
            main(TENANTS, DAYS)
