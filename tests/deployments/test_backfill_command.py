"""`mlo backfill`, as it is typed: alone, and beside a process that owns the history."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from prefect.states import Cancelled, Completed, Failed, Pending, Running
from prometheus_client import CollectorRegistry
from rich.console import Console
from typer.testing import CliRunner, Result

from deployments.backfilling import Asked, backfill_there, outcome_lines
from deployments.bar import Bar
from deployments.cli import app
from flows.backfilling import store_day
from flows.runtime import Run, Runtime
from flows.vitals import Vitals
from policy.errors import OptimizerError
from policy.settings import Settings, parse_settings
from policy.signals import SAMPLES_RECEIVED
from storage.client import query
from storage.database import Database
from storage.lock import OwnerLock
from storage.runs import Run as RunRecord
from storage.runs import record_run
from storage.serve import serving
from tasks.telemetry import Telemetry
from tasks.usage_file import read_usage

HISTORY = "data/history.duckdb"
DAY = datetime(2026, 3, 10, tzinfo=UTC)
SECOND = DAY + timedelta(days=1)
FULL_BYTES = 256 * 2**10  # of any file that is written; the history's log is soon longer
CONFIG = """
costControl:
  costMethod: samples
  prices:
    - {from: 2026-01-01, perMillionSamples: 1}
    - {from: 2026-03-11, perMillionSamples: 2}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("MLO_CONFIG", "MODE", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def usage_file(folder: Path, *days: datetime, rate: float = 1_000_000 / 3_600) -> Path:
    """A million samples of tenant `a` in each hour of the days."""
    hours = [day + timedelta(hours=hour) for day in days for hour in range(24)]
    lines = [f"{at.isoformat()},a,{SAMPLES_RECEIVED},{rate!r}" for at in hours]
    path = folder / "usage.csv"
    path.write_text("\n".join(["at,tenant,signal,mean", *lines, ""]))
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["backfill", *arguments])


def amounts() -> list[tuple[object, ...]]:
    """What each day cost."""
    return query(
        HISTORY, "select day, round(amount, 4)::varchar from v_cost_daily order by day"
    ).rows()


def test_a_file_is_imported_and_priced_by_the_prices_of_each_day(folder: Path) -> None:
    result = run("--from-file", str(usage_file(folder, DAY, SECOND)))

    assert result.exit_code == 0, result.output
    assert amounts() == [(DAY.date(), "24.0000"), (SECOND.date(), "48.0000")]
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[:2] == [
        "2026-03-10: 24 rows of 1 tenant, nothing missing",
        "2026-03-11: 24 rows of 1 tenant, nothing missing",
    ]
    assert "2 days of 2026-03-10 00:00 to 2026-03-12 00:00 UTC from usage.csv: 48 rows" in lines
    assert (
        "cost 24.0000 USD by the list that holds 2026-03-10 00:00 to 2026-03-11 00:00 UTC" in lines
    )


def test_the_same_file_again_changes_nothing_and_a_corrected_one_does(folder: Path) -> None:
    run("--from-file", str(usage_file(folder, DAY)))
    once = amounts()

    again = run("--from-file", str(usage_file(folder, DAY)))
    unchanged = amounts()
    run("--from-file", str(usage_file(folder, DAY, rate=2_000_000 / 3_600)))

    assert again.exit_code == 0
    assert unchanged == once == [(DAY.date(), "24.0000")]
    assert amounts() == [(DAY.date(), "48.0000")]


def test_of_a_wrong_file_nothing_is_imported(folder: Path) -> None:
    path = usage_file(folder, DAY)
    with path.open("a") as stream:
        stream.write(f"{SECOND.isoformat()},a,{SAMPLES_RECEIVED},much\n")

    result = run("--from-file", str(path))

    assert result.exit_code == 1
    assert result.stderr == (
        f"error: {path}, line 26, column mean: 'much' is no number of zero or more; "
        "nothing is imported\n"
    )
    assert query(HISTORY, "select count(*) from usage_imported").item() == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--step", "5m"), "error: step 5m: usage and costs are kept by the hour; leave it at 1h"),
        (("--since", "soon"), "error: since 'soon' is no length like 90d"),
        (("--since", "2026-03-10", "--until", "2026-03-10"), "error: since 2026-03-10 is not bef"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 1
    assert result.stderr.startswith(says)
    assert result.stderr.count("\n") == 1


def test_a_prometheus_that_does_not_answer_is_one_line(folder: Path) -> None:
    (folder / "config.yaml").write_text(
        "promql: {url: 'http://127.0.0.1:9', timeout: 1s, totalTimeout: 1s}"
    )

    result = run("--since", "1d")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: http://127.0.0.1:9")
    assert result.stderr.count("\n") == 1


def test_a_history_that_another_process_holds_is_one_line(folder: Path) -> None:
    lock = OwnerLock.acquire(folder / HISTORY)
    try:
        result = run("--from-file", str(usage_file(folder, DAY)))
    finally:
        lock.release()

    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: history.duckdb is in use by process {os.getpid()}")
    assert result.stderr.count("\n") == 1


def test_a_full_disk_is_one_line_and_what_was_stored_stays(folder: Path) -> None:
    """A limit on the size of files stands for it: the kernel refuses the write all the same."""
    assert run("--from-file", str(usage_file(folder, DAY))).exit_code == 0
    before = amounts()
    days = [DAY + timedelta(days=number) for number in range(1, 60)]
    code = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({FULL_BYTES}, {FULL_BYTES}))\n"
        "from deployments.__main__ import main\n"
        "main()\n"
    )
    path = usage_file(folder, *days)

    ended = subprocess.run(
        [sys.executable, "-c", code, "backfill", "--from-file", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )

    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(errors) == 1
    assert "free some space" in errors[0]
    assert amounts()[:1] == before


# Beside a running process.


@dataclass
class Served:
    """A process that owns the history and runs the flow, and its Prefect server."""

    database: Database
    settings: Settings
    end: object = field(default_factory=Completed)
    asked: dict[str, object] = field(default_factory=dict)
    run_id: object = field(default_factory=uuid4)
    api_url: str = "http://127.0.0.1:1/api"
    looks: int = 0

    def read_deployment_by_name(self, name: str) -> SimpleNamespace:
        assert name == "backfill/backfill"
        return SimpleNamespace(id=uuid4())

    def create_flow_run_from_deployment(
        self,
        _: object,
        *,
        parameters: dict[str, object],
    ) -> SimpleNamespace:
        self.asked = parameters
        return SimpleNamespace(id=self.run_id)

    def read_flow_run(self, run_id: object) -> SimpleNamespace:
        assert run_id == self.run_id
        self.looks += 1
        states = {1: Pending(), 2: Running()}
        return SimpleNamespace(state=states.get(self.looks, self.end))

    async def work(self) -> None:
        """What the flow does between two looks: a day."""
        now = datetime.now(UTC)
        runtime = Runtime(
            settings=lambda: self.settings,
            database=self.database,
            clock=lambda: now,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=now),
        )
        source = read_usage(Path(str(self.asked["from_file"])))
        run = Run(run_id=str(self.run_id), flow="backfill", started_at=now)
        filled = await source.day(source.days[0])
        store_day(runtime, run, self.settings, filled=filled, source=source, began=now)


@pytest.fixture
def served() -> Iterator[Served]:
    settings = parse_settings({})
    with (
        Database.open(settings.storage.url, clock=lambda: datetime.now(UTC)) as database,
        serving(database),
    ):
        yield Served(database=database, settings=settings)


@contextmanager
def heard() -> Iterator[tuple[Bar, StringIO]]:
    told = StringIO()
    with Bar("days", console=Console(file=told)) as bar:
        yield bar, told


def test_the_running_process_does_it_and_its_progress_is_followed(
    served: Served, folder: Path
) -> None:
    path = usage_file(folder, DAY)

    def work(_: float) -> None:
        if served.looks == 2:
            asyncio.run(served.work())

    with heard() as (bar, told):
        outcome = backfill_there(
            served.settings,
            asked=Asked(file=str(path), since="30d"),
            bar=bar,
            client=served,  # type: ignore[arg-type]
            sleep=work,
        )

    assert served.asked == {
        "since": "30d",
        "until": None,
        "step": "1h",
        "again": False,
        "from_file": str(path),
    }
    assert told.getvalue() == "2026-03-10: 24 rows of 1 tenant, nothing missing\n"
    assert outcome.marks["day"].to_list() == [date(2026, 3, 10)]
    assert "1 day of 2026-03-10" in outcome_lines(outcome, zone=ZoneInfo("UTC"))[0]


@pytest.mark.parametrize(
    ("end", "problem", "says"),
    [
        (Failed(message="Flow run encountered an exception"), "it is down", "^it is down$"),
        (Failed(message="it crashed"), None, "it did not end well: it crashed"),
        (Cancelled(message="the previous run is still busy"), None, "not run: the previous run is"),
    ],
)
def test_a_run_that_does_not_end_well_says_why(
    served: Served, end: object, problem: str | None, says: str
) -> None:
    served.end = end
    if problem is not None:
        now = datetime.now(UTC)
        record = RunRecord(
            run_id=str(served.run_id),
            flow="backfill",
            started_at=now,
            outcome="error",
            summary={"problem": problem},
        )
        record_run(served.database, record)

    with heard() as (bar, _), pytest.raises(OptimizerError, match=says):
        backfill_there(
            served.settings,
            asked=Asked(since="1d"),
            bar=bar,
            client=served,  # type: ignore[arg-type]
            sleep=lambda _: None,
        )


def test_a_prefect_server_that_is_away_is_one_line(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(served, "read_deployment_by_name", away)

    with heard() as (bar, _), pytest.raises(OptimizerError, match=r"prefect\.port or PREFECT_API"):
        backfill_there(
            served.settings,
            asked=Asked(since="1d"),
            bar=bar,
            client=served,  # type: ignore[arg-type]
        )


def test_a_terminal_gets_a_bar_and_no_lines() -> None:
    told = StringIO()
    console = Console(file=told, force_terminal=True, width=80)

    with Bar("days", console=console) as bar:
        bar.show(1, of=4, line="2026-03-10: a line")

    assert "1/4" in told.getvalue()
    assert "a line" not in told.getvalue()
