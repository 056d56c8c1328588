"""What a report asks of the history."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from policy.frames import CHANGES, COMPOSED, DECISIONS, SAMPLES, empty
from policy.signals import SAMPLES_ASKED
from storage import report
from storage.database import Database
from storage.decisions import record_decisions
from storage.maintenance import checkpoint
from storage.report import BUCKET
from storage.revisions import Intent, Outcome, begin_revision, finish_revision
from storage.rollups import ROLLUPS, import_rollups
from storage.samples import append_samples

HOUR = timedelta(hours=1)
RATE, SERIES = "ingestion_rate", "max_global_series_per_user"
PAIR = pl.DataFrame({"tenant": ["acme"], "limit": [RATE]})


def decide(
    database: Database, at: datetime, *, before: float, after: float, outcome: str = "raise"
) -> None:
    row = (at, "acme", RATE, outcome, "because", None, before, after, "[]")
    frame = pl.DataFrame([row], schema=DECISIONS, orient="row")
    record_decisions(database, frame, run_id="r", flow="optimize")


def publish(
    database: Database,
    at: datetime,
    *,
    after: float | None,
    outcome: Outcome = "confirmed",
    tenant: str = "acme",
) -> None:
    changes = [(tenant, RATE, None, after, "breaker", "why"), ("other", SERIES, 1.0, 2.0, None, "")]
    intent = Intent(
        run_id="r",
        actor="optimizer",
        sink="file",
        document=f"{at} {after}",
        changes=pl.DataFrame(changes, schema=CHANGES, orient="row"),
        composed=empty(COMPOSED),
    )
    number = begin_revision(database, intent, at=at)
    finish_revision(database, revision=number, outcome=outcome, detail="", evidence={}, at=at)


def known(where: str | Database, now: datetime) -> list[tuple[float, float | None]]:
    """How many hours ago the limit was known to be what."""
    found = report.known_limits(where, PAIR, since=now - 24 * HOUR)
    return [((now - at) / HOUR, value) for at, value in found.select("at", "value").iter_rows()]


def test_a_limit_is_known_by_what_decisions_saw_and_revisions_set(
    database: Database, now: datetime
) -> None:
    decide(database, now - 5 * HOUR, before=10.0, after=20.0)
    publish(database, now - 4 * HOUR, after=20.0)
    publish(database, now - 2 * HOUR, after=None)

    assert known(database, now) == [(5, 10.0), (4, 20.0), (2, None)]


def test_what_was_known_last_before_the_window_holds_at_its_begin(
    database: Database, now: datetime
) -> None:
    decide(database, now - 90 * HOUR, before=10.0, after=20.0)
    publish(database, now - 89 * HOUR, after=20.0)
    publish(database, now - 50 * HOUR, after=5.0)
    decide(database, now - HOUR, before=5.0, after=9.0)

    assert known(database, now) == [(24, 5.0), (1, 5.0)]


@pytest.mark.parametrize("outcome", ["failed", "reverted"])
def test_what_did_not_stay_in_force_was_no_limit(
    database: Database, now: datetime, outcome: Outcome
) -> None:
    publish(database, now - 3 * HOUR, after=7.0)
    publish(database, now - 2 * HOUR, after=9.0, outcome=outcome)
    publish(database, now - HOUR, after=8.0, tenant="another")

    assert known(database, now) == [(3, 7.0)]


def test_another_process_is_told_the_same(owned: Database, now: datetime) -> None:
    publish(owned, now - 3 * HOUR, after=7.0, tenant="it's {acme}")
    pair = pl.DataFrame({"tenant": ["it's {acme}"], "limit": [RATE]})
    here = report.known_limits(owned, pair, since=now - 24 * HOUR)
    checkpoint(owned)
    path = str(owned.path)
    owned.close()

    assert here.height == 1
    assert report.known_limits(path, pair, since=now - 24 * HOUR).equals(here)


def test_a_point_of_more_hours_than_one_has_their_highest_demand(
    database: Database, now: datetime
) -> None:
    rows = [
        {"at": now - n * HOUR, "tenant": "acme", "signal": RATE, "count": 1, "coverage": 1.0}
        | dict.fromkeys(("max", "mean", "sum"), float(n))
        for n in range(1, 7)
    ]
    frame = pl.DataFrame(rows, schema=ROLLUPS)
    import_rollups(database, frame, now=now, sustained_for=HOUR)
    pairs = PAIR.with_columns(signal=pl.lit(RATE))

    found = report.usage(database, pairs, since=now - 6 * HOUR, until=now, step=timedelta(hours=3))

    assert found.select("at", "peak").rows() == [(now - 6 * HOUR, 6.0), (now - 3 * HOUR, 3.0)]


def test_what_all_ask_for_is_known_to_the_bucket_that_runs(
    database: Database, now: datetime
) -> None:
    rows = [
        (now - timedelta(seconds=seconds), tenant, SAMPLES_ASKED, value, 1.0)
        for seconds in (30, 90)
        for tenant, value in (("acme", 10.0), ("beta", 5.0))
    ]
    append_samples(database, pl.DataFrame(rows, schema=SAMPLES, orient="row"))

    found = report.asked_by_all(database, since=now - HOUR, until=now, step=BUCKET)

    assert found.rows() == [(now - BUCKET, 15.0, 2)]


def test_raises_and_lowerings_of_the_window_are_counted_and_nothing_else(
    database: Database, now: datetime
) -> None:
    decide(database, now - 30 * HOUR, before=1.0, after=2.0)
    decide(database, now - 5 * HOUR, before=2.0, after=3.0)
    decide(database, now - 4 * HOUR, before=3.0, after=3.0, outcome="hold")
    decide(database, now - 3 * HOUR, before=3.0, after=2.0, outcome="lower")
    decide(database, now - 2 * HOUR, before=2.0, after=4.0)
    since = now - 24 * HOUR

    assert report.counted(database, since=since).rows() == [("acme", RATE, 2, 1)]
    outcomes = report.decided(database, PAIR, since=since)["outcome"].to_list()
    assert outcomes == ["raise", "lower", "raise"]
