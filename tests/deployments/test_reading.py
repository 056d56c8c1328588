"""Reading the history from another process than its owner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from policy.frames import COMPOSED, DECISIONS, LAYERS, LIMITS, SAMPLES, empty
from policy.signals import INGESTION_RATE, SERIES
from storage import reading
from storage.database import Database
from storage.decisions import record_decisions
from storage.errors import StorageError
from storage.layers import replace_layer
from storage.limits import observe_limits
from storage.revisions import Intent, begin_revision, finish_revision
from storage.samples import append_samples
from storage.serve import serving
from storage.tenants import seen

NOW = datetime.now(UTC)  # samples are read by the clock of the database


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(tmp_path / "history.duckdb")


def opened(url: str) -> Database:
    return Database.open(url, clock=lambda: NOW)


def decision(**told: object) -> dict[str, object]:
    return {
        "at": NOW,
        "tenant": "acme",
        "limit": INGESTION_RATE,
        "outcome": "raise",
        "reason": "above_dead_band",
        "detail": "peak 10,310/s",
        "before": 10_000.0,
        "after": 13_000.0,
        "steps": "[]",
    } | told


def test_the_newest_decision_of_each_limit_is_read(url: str) -> None:
    rows = [
        decision(at=NOW - timedelta(hours=1), after=11_000.0),
        decision(),
        decision(limit=SERIES, outcome="hold", after=10_000.0),
    ]
    with opened(url) as database:
        for row in rows:
            record_decisions(
                database, pl.DataFrame([row], schema=DECISIONS), run_id="1", flow="optimize"
            )

    found = reading.newest_decisions(url)

    assert found.select("limit", "after").rows() == [(INGESTION_RATE, 13_000.0), (SERIES, 10_000.0)]
    assert {name: found.schema[name] for name in DECISIONS} == dict(DECISIONS)


def test_layers_and_observed_limits_come_in_their_schemas(url: str) -> None:
    word = {
        "tenant": "acme",
        "limit": INGESTION_RATE,
        "layer": "optimized",
        "kind": "set",
        "value": 13_000.0,
        "reason": "peak",
        "written_at": NOW,
    }
    with opened(url) as database:
        replace_layer(database, "optimized", pl.DataFrame([word], schema=LAYERS), run_id="1")
        own = pl.DataFrame([("", INGESTION_RATE, 10_000.0)], schema=LIMITS, orient="row")
        observe_limits(database, own, at=NOW)

    layers = reading.layers(url)
    observed = reading.observed(url)

    assert layers.schema == LAYERS
    assert layers.select("tenant", "value").rows() == [("acme", 13_000.0)]
    assert observed.schema == LIMITS
    assert observed.rows() == [("", INGESTION_RATE, 10_000.0)]


def test_the_newest_demand_of_the_last_hour_and_the_limits_that_were_set(url: str) -> None:
    """What was not measured within the hour is null; without an override the default holds."""
    samples = [
        (NOW - timedelta(minutes=1), "acme", INGESTION_RATE, 900.0, 1.0),
        (NOW, "acme", INGESTION_RATE, 950.0, 1.0),
        (NOW - timedelta(hours=2), "acme", SERIES, 5.0, 1.0),
    ]
    limits = [("", INGESTION_RATE, 10_000.0), ("beta", INGESTION_RATE, 700.0)]
    with opened(url) as database:
        seen(database, ["acme", "beta"], at=NOW)
        append_samples(database, pl.DataFrame(samples, schema=SAMPLES, orient="row"))
        observe_limits(database, pl.DataFrame(limits, schema=LIMITS, orient="row"), at=NOW)

    found = reading.demand(url)

    assert found.schema == reading.DEMAND
    assert found.rows() == [("acme", INGESTION_RATE, 950.0, NOW)]
    assert reading.in_force(url).rows() == [("beta", INGESTION_RATE, 700.0)]


def test_a_tenant_is_known_from_anything_that_is_said_of_it(url: str) -> None:
    with opened(url) as database:
        seen(database, ["seen"], at=NOW)
        record_decisions(
            database,
            pl.DataFrame([decision(tenant="decided")], schema=DECISIONS),
            run_id="1",
            flow="optimize",
        )
        own = [("", INGESTION_RATE, 1.0), ("observed", INGESTION_RATE, 2.0)]
        observe_limits(database, pl.DataFrame(own, schema=LIMITS, orient="row"), at=NOW)

    assert reading.known_tenants(url) == ["decided", "observed", "seen"]


def test_the_last_document_is_the_newest_that_was_not_taken_back(url: str) -> None:
    with opened(url) as database:
        seen(database, ["acme"], at=NOW)
    assert reading.last_document(url) is None

    with opened(url) as database:
        for outcome, document in (("confirmed", "overrides: {}\n"), ("reverted", "bad\n")):
            intent = Intent(
                run_id="1",
                actor="optimizer",
                sink="the file",
                document=document,
                changes=pl.DataFrame(),
                composed=empty(COMPOSED),
            )
            revision = begin_revision(database, intent, at=NOW)
            finish_revision(
                database, revision=revision, outcome=outcome, detail="", evidence={}, at=NOW
            )

    assert reading.last_document(url) == b"overrides: {}\n"


def test_the_owner_is_asked_while_it_runs(url: str) -> None:
    with opened(url) as database, serving(database):
        seen(database, ["acme"], at=NOW)

        assert reading.known_tenants(url) == ["acme"]
        assert reading.demand(url).schema == reading.DEMAND
        assert reading.layers(url).schema == LAYERS


def test_a_history_that_was_never_written_is_refused(url: str) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        reading.layers(url)
