"""Which limits the demand is judged by."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl
import pytest
from prometheus_client import CollectorRegistry

from flows.in_force import limits_loaded
from flows.runtime import Runtime
from flows.vitals import Vitals
from policy.frames import LIMITS
from policy.settings import Settings
from policy.signals import ACTIVE_SERIES_LIMIT, SERIES
from storage.database import Database
from storage.limits import observe_limits
from tasks.telemetry import Telemetry

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with Database.open(":memory:", clock=lambda: NOON) as database:
        yield Runtime(
            settings=Settings,
            database=database,
            clock=lambda: NOON,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=NOON),
        )


def test_both_limits_on_series_are_told_of_every_tenant(runtime: Runtime) -> None:
    """
    Refused active series press on the one or the other, by which of them is set.
    """
    own = [("", SERIES, 150_000.0), ("", ACTIVE_SERIES_LIMIT, 0.0), ("a", ACTIVE_SERIES_LIMIT, 7.0)]
    limits = pl.DataFrame(own, schema=LIMITS, orient="row")
    observe_limits(runtime.database, limits, at=NOON)

    loaded = limits_loaded(runtime, pl.Series(["a", "b"]), newest=None)

    assert sorted(loaded.select("tenant", "limit", "value").rows()) == [
        ("a", ACTIVE_SERIES_LIMIT, 7.0),
        ("a", SERIES, 150_000.0),
        ("b", ACTIVE_SERIES_LIMIT, 0.0),
        ("b", SERIES, 150_000.0),
    ]
