"""A tenant that several teams share is divided by label, to the last digit."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import polars as pl
import pytest

from policy.cost.attribution import (
    ATTRIBUTED,
    SAMPLES_FAMILY,
    SERIES_FAMILY,
    TEAM_COSTS,
    attributed_samples,
    divided,
)
from policy.cost.pricing import Method, Terms, priced
from policy.frames import SAMPLES
from policy.signals import ACTIVE_SERIES, SAMPLES_RECEIVED
from tests.policy.cost.tables import EVERYTHING, NOON, attributed, book, rules, usage

MINUTE = timedelta(minutes=1)
MEASURED = pl.DataFrame(
    [
        (NOON, "a", SAMPLES_RECEIVED, 100.0, 1.0),
        (NOON, "a", ACTIVE_SERIES, 1_000.0, 1.0),
        (NOON, "b", SAMPLES_RECEIVED, 7.0, 1.0),
    ],
    schema=SAMPLES,
    orient="row",
)


def look(*rows: tuple[str, str, str, float]) -> pl.DataFrame:
    """ATTRIBUTED of tenant a: pod, family, team, value."""
    return pl.DataFrame(
        [(NOON, pod, family, "a", team, value) for pod, family, team, value in rows],
        schema=ATTRIBUTED,
        orient="row",
    )


def told(
    current: pl.DataFrame, previous: pl.DataFrame | None = None, *, most: int = 50
) -> dict[str, float]:
    found = attributed_samples(current, previous, samples=MEASURED, most=most)
    assert found.schema == SAMPLES
    assert set(found["tenant"]) <= {"a"}
    return dict(found.select("signal", "value").iter_rows())


def charges(
    frame: pl.DataFrame, parts: pl.DataFrame, *, method: Method
) -> dict[str, Decimal | None]:
    terms = Terms(book=book(EVERYTHING), method=method, weights=rules().weights.model_dump())
    found = divided(priced(frame, terms=terms), usage=frame, attributed=parts, terms=terms)
    assert found.schema == TEAM_COSTS
    return dict(found.select("team", "amount").iter_rows())


def test_a_team_has_its_part_of_the_series_that_were_measured() -> None:
    """
    Ingesters count each copy: of 3,000 of three of them, 900 are 30 % of the 1,000 series.
    """
    pods = [
        (f"i{n}", SERIES_FAMILY, team, count)
        for n in range(3)
        for team, count in (("blue", 300.0), ("red", 500.0), ("__missing__", 200.0))
    ]

    assert told(look(*pods)) == {
        "attributed_active_series:blue": pytest.approx(300),
        "attributed_active_series:red": pytest.approx(500),
    }


def test_samples_are_what_was_counted_since_the_look_before() -> None:
    """
    Blue's counter grew by 30, red's began anew and stands at 10: three quarters and one of 100.
    """
    before = look(("d", SAMPLES_FAMILY, "blue", 1_000.0), ("d", SAMPLES_FAMILY, "red", 9_000.0))
    now = look(("d", SAMPLES_FAMILY, "blue", 1_030.0), ("d", SAMPLES_FAMILY, "red", 10.0))

    assert told(now, before) == {
        "attributed_samples_per_second:blue": pytest.approx(75),
        "attributed_samples_per_second:red": pytest.approx(25),
    }


def test_a_process_that_is_new_tells_nothing_of_samples_yet() -> None:
    before = look(("d0", SAMPLES_FAMILY, "blue", 0.0))
    now = look(("d0", SAMPLES_FAMILY, "blue", 5.0), ("d1", SAMPLES_FAMILY, "red", 9e9))

    assert told(now, before) == {"attributed_samples_per_second:blue": pytest.approx(100)}
    assert told(now) == {}


def test_only_the_largest_teams_are_told_and_what_overflowed_besides() -> None:
    now = look(
        *(("i", SERIES_FAMILY, f"t{n}", float(n)) for n in range(1, 5)),
        ("i", SERIES_FAMILY, "__overflow__", 10.0),
    )

    assert told(now, most=2) == {
        "attributed_active_series:__overflow__": pytest.approx(500),
        "attributed_active_series:t3": pytest.approx(150),
        "attributed_active_series:t4": pytest.approx(200),
    }


def test_a_team_pays_for_its_samples_and_the_rest_is_unattributed() -> None:
    """
    50,000 samples/s cost 18 an hour. Blue has half of them, red a quarter: 9 and 4.50.
    """
    found = charges(
        usage({"samples_per_second": 50_000.0}),
        attributed(("samples", "blue", 25_000.0), ("samples", "red", 12_500.0)),
        method="samples",
    )

    assert found == {"blue": 9, "red": Decimal("4.5"), "unattributed": Decimal("4.5")}


def test_nobody_pays_for_queries_that_mimir_attributes_to_nobody() -> None:
    """
    0.4 x 18 of samples, 0.4 x 40 of series, 0.2 x 7.20 of queries. All samples and a quarter of
    the series are blue's: 7.20 + 4.00; what is left of 24.64 is 13.44.
    """
    found = charges(
        usage({"samples_per_second": 50_000.0, "active_series": 2e6, "queries_per_second": 2.0}),
        attributed(("samples", "blue", 50_000.0), ("series", "blue", 5e5)),
        method="composite",
    )

    assert found == {"blue": Decimal("11.2"), "unattributed": Decimal("13.44")}


def test_what_overflowed_is_unattributed() -> None:
    found = charges(
        usage({"active_series": 2e6}),
        attributed(("series", "blue", 1e6), ("series", "__overflow__", 1e6)),
        method="series",
    )

    assert found == {"blue": 20, "unattributed": 20}


def test_what_was_attributed_in_half_of_the_hour_counts_for_half() -> None:
    found = charges(
        usage({"active_series": 2e6}),
        attributed(("series", "blue", 2e6), covered=1800.0),
        method="series",
    )

    assert found == {"blue": 20, "unattributed": 20}


def test_teams_never_pay_more_than_their_tenant() -> None:
    """
    What was counted at other moments may be more than what was measured: 3 and 1 million of two.
    """
    found = charges(
        usage({"active_series": 2e6}),
        attributed(("series", "blue", 3e6), ("series", "red", 1e6)),
        method="series",
    )

    assert found == {"blue": 30, "red": 10, "unattributed": 0}


def test_a_label_called_like_the_rest_is_the_rest() -> None:
    found = charges(
        usage({"active_series": 2e6}),
        attributed(("series", "unattributed", 5e5), ("series", "a:b", 5e5)),
        method="series",
    )

    assert found == {"a:b": 10, "unattributed": 30}


def test_a_tenant_without_labels_is_not_divided() -> None:
    frame = usage({"active_series": 2e6})

    assert charges(frame, attributed(), method="series") == {}
    assert (
        charges(
            frame.with_columns(tenant=pl.lit("b")),
            attributed(("series", "x", 1.0)),
            method="series",
        )
        == {}
    )


def test_an_amount_that_is_unknown_is_divided_into_unknown_ones() -> None:
    found = charges(
        usage({"active_series": 2e6}), attributed(("series", "blue", 1e6)), method="samples"
    )

    assert found == {"blue": None, "unattributed": None}
