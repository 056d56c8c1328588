"""`mlo backtest` and `mlo whatif`, as they are typed, on a small stored history."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from policy.frames import LIMITS
from storage.database import Database
from storage.limits import observe_limits
from storage.tenants import seen

NOW = datetime.now(UTC)  # the commands look at the clock
RATE, SERIES = "ingestion_rate", "max_global_series_per_user"
DAYS, LATELY = 40, 3
# Calm never comes near its limit; what busy asks for lately is more than twice its own.
PEAKS = """
    insert into peaks_hourly by name
    select
        "at", tenant, $rate as signal, level as max, level as mean, level * 12 as sum,
        12 as count, level as calm, level as sustained, 12 as points, 1.0 as coverage,
        "at" + interval 1 hour as last_at
    from (
        select "at", tenant, case
            when tenant = 'calm' then 10_000.0 when "at" >= $lately then 90_000.0 else 30_000.0
        end as level
        from range($since::timestamptz, $until::timestamptz, interval 1 hour) as hours("at")
        cross join (values ('calm'), ('busy')) as names(tenant)
    )
"""
# A week from one look to the next, so that what begins between two is met late.
WEEKLY = ("--since", "28d", "--every", "168h", "--limit", RATE)


@pytest.fixture(autouse=True)
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    this_hour = NOW.replace(minute=0, second=0, microsecond=0)
    own = [("", RATE, 13_000.0), ("busy", RATE, 40_000.0), ("", SERIES, 150_000.0)]
    with Database.open("data/history.duckdb", clock=lambda: NOW) as database:
        seen(database, ["calm", "busy"], at=NOW)
        observe_limits(database, pl.DataFrame(own, schema=LIMITS, orient="row"), at=NOW)
        database.cursor().execute(
            PEAKS,
            {
                "rate": RATE,
                "since": this_hour - timedelta(days=DAYS),
                "lately": this_hour - timedelta(days=LATELY),
                "until": this_hour,
            },
        )


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def told(*arguments: str) -> list[dict[str, object]]:
    result = run(*arguments, "-o", "json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, list)
    return found


def test_a_policy_that_never_refuses_passes() -> None:
    result = run("backtest", "--tenant", "ca*", "--check", *WEEKLY)

    assert result.exit_code == 0, result.output
    assert "passed" in result.stdout
    assert "tenants 1, limits 1" in result.stderr


def test_a_policy_that_refused_breaches_the_gate_and_says_where() -> None:
    """Without --check the answer is the table; with it, the exit code says so too."""
    shown = run("backtest", *WEEKLY)
    checked = run("backtest", "--check", *WEEKLY)

    assert (shown.exit_code, checked.exit_code) == (0, 4)
    assert "not passed" in shown.stdout
    assert f"live: busy {RATE}: {LATELY * 24} hours refused" in shown.stderr


def test_another_policy_stands_beside_the_live_one(tmp_path: Path) -> None:
    """With more room above the same demand its limits are the higher ones."""
    other = tmp_path / "roomy.yaml"
    other.write_text("bufferPercentage: 100\n")

    live, roomy = told("backtest", "--policy", str(other), *WEEKLY)

    assert (live["candidate"], roomy["candidate"]) == ("live", "roomy.yaml")
    assert float(str(roomy["headroom"])) > float(str(live["headroom"]))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(("--tenant", "nobody"), 1, "a name like nobody", id="tenant"),
        pytest.param(("--limit", "max_speed"), 1, "max_speed is not sized", id="limit"),
        pytest.param(("--every", "90m"), 1, "every whole number of hours", id="every"),
        pytest.param(("--since", "soon"), 2, "soon", id="since"),
    ],
)
def test_what_cannot_be_replayed_is_refused(
    arguments: tuple[str, ...], code: int, says: str
) -> None:
    result = run("backtest", *arguments)

    assert result.exit_code == code
    assert says in result.stderr


def test_a_history_without_an_hour_is_refused_in_one_line() -> None:
    with Database.open("data/history.duckdb", clock=lambda: NOW) as database:
        database.cursor().execute("delete from peaks_hourly")

    result = run("backtest")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: there is no history to replay yet")


def test_more_demand_is_met_by_a_higher_limit_and_its_steps_are_told() -> None:
    (row,) = told("whatif", "--tenant", "calm", "--limit", RATE, "--factor", "2")

    assert (row["factor"], row["before"]) == (2.0, 13_000.0)
    # Twice 10,000, and a fifth more.
    assert row["imagined"] == 24_000.0
    assert row["as_it_is"] == row["before"]
    steps = row["steps"]
    assert isinstance(steps, list)
    assert {"estimate", "buffer"} <= {step["name"] for step in steps}


def test_what_is_imagined_is_where_a_limit_comes_to_rest() -> None:
    """Five times the demand is more than one raise may make of the limit."""
    (row,) = told("whatif", "--tenant", "calm", "--limit", RATE, "--factor", "5")

    assert row["imagined"] == 60_000.0


def test_a_percentage_says_the_same_as_a_factor() -> None:
    assert told("whatif", "--tenant", "calm", "--rate", "+100%") == told(
        "whatif", "--tenant", "calm", "--limit", RATE, "--factor", "2"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param((), 2, "say what is imagined", id="nothing"),
        pytest.param(("--rate", "30"), 2, "is no change of demand", id="no percentage"),
        pytest.param(("--rate", "-100%"), 2, "is no change of demand", id="no demand"),
        pytest.param(("--limit", RATE), 2, "go together", id="no factor"),
        pytest.param(("--limit", "speed", "--factor", "2"), 1, "speed is not sized", id="limit"),
    ],
)
def test_what_cannot_be_imagined_is_refused(
    arguments: tuple[str, ...], code: int, says: str
) -> None:
    result = run("whatif", "--tenant", "calm", *arguments)

    assert result.exit_code == code
    assert says in result.stderr
