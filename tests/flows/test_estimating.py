"""Estimates of a history that is larger than what is computed with at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from flows import estimating
from policy.frames import LIMITS as LIMITS_SCHEMA
from policy.frames import SAMPLES
from policy.settings import Settings
from policy.signals import INGESTION_RATE, SERIES
from storage.database import Database
from storage.rollups import roll_up
from storage.samples import append_samples

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LIMITS = {"ingestion_rate": INGESTION_RATE, "max_global_series_per_user": SERIES}


HAD = pl.DataFrame(
    [(tenant, limit, 250.0) for tenant in ("a", "b", "c") for limit in LIMITS],
    schema=LIMITS_SCHEMA,
    orient="row",
)


def rows_of_three_days() -> pl.DataFrame:
    rows = [
        (NOW - timedelta(hours=6 * back), tenant, signal, 100.0 * weight + back, 1.0)
        for weight, tenant in enumerate(("a", "b", "c"), start=1)
        for signal in LIMITS.values()
        for back in range(10)
    ]
    return pl.DataFrame(rows, schema=SAMPLES, orient="row").sort("at")


@pytest.mark.parametrize("rows_at_once", [1, 3, 4, 5, 100])
def test_a_history_read_in_portions_gives_the_estimates_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    """However few days are computed with at once, those of one tenant and limit stay together."""
    with Database.open(str(tmp_path / "history.duckdb"), clock=lambda: NOW) as database:
        append_samples(database, rows_of_three_days())
        roll_up(database, now=NOW, sustained_for=timedelta(minutes=35))
        reading = partial(
            estimating.estimated,
            database,
            settings=Settings(),
            limits=LIMITS,
            in_force=lambda tenants, limits: HAD.filter(
                pl.col("tenant").is_in(tenants.implode()) & pl.col("limit").is_in(list(limits))
            ),
            now=NOW,
        )
        whole = reading()

        monkeypatch.setattr(estimating, "DAYS_AT_ONCE", rows_at_once)
        in_portions = reading()

    assert in_portions.estimates.height == 3 * len(LIMITS)
    assert set(in_portions.estimates["days"]) == {3}
    assert_frame_equal(in_portions.estimates, whole.estimates)
    assert_frame_equal(in_portions.risks, whole.risks)
    assert whole.risks["hit_days"].to_list() == [0, 0, 0, 0, 3, 3]
