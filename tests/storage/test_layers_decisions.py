"""The words of the flows and what was decided from them."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from policy.frames import DECISIONS, LAYERS, empty
from storage.database import Database
from storage.decisions import latest_decisions, record_decisions
from storage.layers import drop_expired, read_layers, replace_layer

RATE = "ingestion_rate"


def words(
    layer: str, now: datetime, *tenants: str, expires_at: datetime | None = None
) -> pl.DataFrame:
    return pl.DataFrame(
        [(tenant, RATE, layer, "cap", 100.0, "why", "{}", now, expires_at) for tenant in tenants],
        schema=LAYERS,
        orient="row",
    )


def decision(now: datetime, tenant: str, outcome: str, after: float | None) -> pl.DataFrame:
    row = (now, tenant, RATE, outcome, "peak", "a sentence", 50.0, after, "[]")
    return pl.DataFrame([row], schema=DECISIONS, orient="row")


def test_a_layer_is_replaced_whole_and_the_others_stay(database: Database, now: datetime) -> None:
    replace_layer(database, "budget", words("budget", now, "t1"), run_id="r1")
    replace_layer(database, "breaker", words("breaker", now, "t1", "t2"), run_id="r2")

    replace_layer(database, "breaker", words("breaker", now, "t3"), run_id="r3")

    stored = read_layers(database, now=now)
    assert stored.schema == LAYERS
    assert stored.select("tenant", "layer").rows() == [("t1", "budget"), ("t3", "breaker")]


def test_a_layer_replaced_by_nothing_is_gone(database: Database, now: datetime) -> None:
    replace_layer(database, "breaker", words("breaker", now, "t1"), run_id="r1")

    replace_layer(database, "breaker", empty(LAYERS), run_id="r2")

    assert read_layers(database, now=now).is_empty()


def test_a_flow_cannot_write_the_layer_of_another(database: Database, now: datetime) -> None:
    with pytest.raises(ValueError, match="layer breaker was given rows of budget"):
        replace_layer(database, "breaker", words("budget", now, "t1"), run_id="r1")


def test_an_expired_word_is_not_read_and_can_be_dropped(database: Database, now: datetime) -> None:
    soon = now + timedelta(minutes=1)
    replace_layer(database, "breaker", words("breaker", now, "t1", expires_at=soon), run_id="r1")
    replace_layer(database, "pin", words("pin", now, "t1"), run_id="r1")

    assert read_layers(database, now=now)["layer"].to_list() == ["breaker", "pin"]
    assert read_layers(database, now=soon)["layer"].to_list() == ["pin"]
    assert drop_expired(database, now=soon) == 1
    assert read_layers(database, now=now)["layer"].to_list() == ["pin"]


def test_the_first_decision_is_news(database: Database, now: datetime) -> None:
    first = decision(now, "t1", "raise", 80.0)

    news = record_decisions(database, first, run_id="r1", flow="optimize")

    assert news.equals(first)


@pytest.mark.parametrize(
    ("outcome", "after", "stored"),
    [("raise", 80.0, 1), ("hold", 80.0, 2), ("raise", 90.0, 2), ("raise", None, 2)],
    ids=["the same", "another outcome", "another value", "no value"],
)
def test_only_a_decision_that_differs_is_stored(
    database: Database, now: datetime, outcome: str, after: float | None, stored: int
) -> None:
    record_decisions(database, decision(now, "t1", "raise", 80.0), run_id="r1", flow="optimize")

    later = decision(now + timedelta(minutes=5), "t1", outcome, after)
    news = record_decisions(database, later, run_id="r2", flow="optimize")

    counted = database.cursor().execute("select count(*) from decisions").fetchall()
    assert counted == [(stored,)]
    assert news.height == stored - 1


def test_a_decision_is_compared_with_the_newest_not_with_any(
    database: Database, now: datetime
) -> None:
    for minute, outcome in enumerate(["raise", "hold"]):
        at = now + timedelta(minutes=minute)
        record_decisions(database, decision(at, "t1", outcome, 80.0), run_id="r", flow="optimize")

    again = decision(now + timedelta(minutes=2), "t1", "raise", 80.0)

    assert record_decisions(database, again, run_id="r", flow="optimize").height == 1


def test_a_decision_on_another_limit_or_tenant_is_news(database: Database, now: datetime) -> None:
    first = decision(now, "t1", "raise", 80.0)
    record_decisions(database, first, run_id="r", flow="optimize")

    others = pl.concat(
        [
            first.with_columns(limit=pl.lit("ingestion_burst_size")),
            first.with_columns(tenant=pl.lit("t2")),
            first,
        ]
    )
    news = record_decisions(database, others, run_id="r", flow="optimize")

    assert news.select("tenant", "limit").rows() == [("t1", "ingestion_burst_size"), ("t2", RATE)]


def test_two_flows_that_differ_do_not_take_turns_as_news(database: Database, now: datetime) -> None:
    """
    What one flow decided is compared with what that flow decided before.
    """
    for minute, flow, outcome in ((0, "optimize", "raise"), (1, "cost", "lower")):
        at = now + timedelta(minutes=minute)
        record_decisions(database, decision(at, "t1", outcome, 80.0), run_id="r", flow=flow)

    again = decision(now + timedelta(minutes=5), "t1", "raise", 80.0)
    news = record_decisions(database, again, run_id="r", flow="optimize")

    assert news.is_empty()


def test_the_latest_decisions_can_be_asked_of_one_tenant(database: Database, now: datetime) -> None:
    for tenant in ("t1", "t2"):
        for minute in (0, 5):
            later = decision(now + timedelta(minutes=minute), tenant, "raise", 80.0 + minute)
            record_decisions(database, later, run_id="r", flow="optimize")

    everyone = latest_decisions(database)
    one = latest_decisions(database, tenant="t2")

    assert everyone.select("tenant", "after").rows() == [("t1", 85.0), ("t2", 85.0)]
    assert one.select("tenant", "flow").rows() == [("t2", "optimize")]
