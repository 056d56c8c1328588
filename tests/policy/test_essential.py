"""A family that is missing beside another one: what would be wrong is withheld, and named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from policy import scrape as families
from policy import signals
from policy.demand import demand
from policy.essential import ESSENTIALS, Essential, missing
from policy.frames import READINGS
from policy.scrape import Scrape

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HA_TENANT, OTHER = "pair", "single"


def look(
    rows: Mapping[str, Mapping[str, float]], *, at: datetime = NOON, without: str = ""
) -> Scrape:
    """A look at one pod; `rows` gives the value of each tenant by family."""
    told = [
        {**dict.fromkeys(READINGS.names()), "at": at, "pod": "p-0", "family": family}
        | {"user": user, "value": value}
        for family, values in rows.items()
        for user, value in values.items()
        if family != without
    ]
    readings = pl.DataFrame(told, schema=READINGS, orient="row")
    return Scrape(at=at, readings=readings, answered=("p-0",), failed={}, second_hand=True)


def told(found: pl.DataFrame, signal: str) -> dict[str, float]:
    return dict(found.filter(signal=signal).select("tenant", "value").iter_rows())


SERIES = {
    families.SERIES_CREATED: {"a": 900.0, "b": 80.0},
    families.SERIES_REMOVED: {"a": 600.0, "b": 0.0},
}


def test_series_are_withheld_where_nobody_tells_those_removed() -> None:
    whole = demand(look(SERIES), None)
    cut = demand(look(SERIES, without=families.SERIES_REMOVED), None)

    assert told(whole, signals.SERIES) == {"a": 300.0, "b": 80.0}
    assert told(cut, signals.SERIES) == {}


def test_a_page_of_mimir_itself_without_a_removal_says_that_nothing_was_removed() -> None:
    """A process tells the family only from the first removal on, hours after its start."""
    fresh = replace(look(SERIES, without=families.SERIES_REMOVED), second_hand=False)

    assert told(demand(fresh, None), signals.SERIES) == {"a": 900.0, "b": 80.0}


def test_owned_series_need_no_family_of_those_removed() -> None:
    rows = {**SERIES, families.SERIES_OWNED: {"a": 250.0}}

    found = demand(look(rows, without=families.SERIES_REMOVED), None)

    assert told(found, signals.SERIES) == {"a": 250.0}


def test_metadata_is_withheld_where_nobody_tells_what_was_removed() -> None:
    rows = {families.METADATA_CREATED: {"a": 40.0}, families.METADATA_REMOVED: {"a": 10.0}}
    limit = "max_global_metadata_per_user"

    assert told(demand(look(rows), None), limit) == {"a": 30.0}
    assert told(demand(look(rows, without=families.METADATA_REMOVED), None), limit) == {}


@pytest.mark.parametrize("signal", [signals.INGESTION_RATE, signals.INGESTION_BURST_SIZE])
def test_the_rate_of_who_sends_in_pairs_is_withheld_where_nobody_tells_the_duplicates(
    signal: str,
) -> None:
    """
    Who sends alone has no duplicates, so nothing is missing of its rate.
    """

    def at(seconds: float, *, without: str) -> Scrape:
        rows = {
            families.SAMPLES_IN: {HA_TENANT: 200 * seconds, OTHER: 50 * seconds},
            families.DEDUPED: {HA_TENANT: 100 * seconds},
            families.HA_ELECTED: {HA_TENANT: NOON.timestamp()},
        }
        return look(rows, at=NOON + timedelta(seconds=seconds), without=without)

    whole = demand(at(15, without=""), at(0, without=""))
    cut = demand(at(15, without=families.DEDUPED), at(0, without=families.DEDUPED))

    assert told(whole, signal) == {HA_TENANT: 100.0, OTHER: 50.0}
    assert told(cut, signal) == {OTHER: 50.0}


@pytest.mark.parametrize("essential", ESSENTIALS, ids=lambda one: one.family)
def test_what_is_missing_is_named_only_beside_what_shows_that_it_has_to_be_there(
    essential: Essential,
) -> None:
    alone = look({essential.beside: {"a": 1.0}}).readings
    both = look({essential.beside: {"a": 1.0}, essential.family: {"a": 1.0}}).readings

    assert essential in missing(alone)
    assert essential not in missing(both)
    assert missing(look({}).readings) == ()
