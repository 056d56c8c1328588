"""Which days a backfill is about, what it asks, and what is missing in the answers."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from policy import scrape as families
from policy.cost.backfill import (
    ANSWER,
    DAY,
    HOUR,
    asked_range,
    days_of,
    due,
    filled,
    refuse_other_steps,
)
from policy.cost.periods import Period
from policy.cost.questions import Kind, kind_question, looks_question, questions
from policy.cost.usage import SIGNAL_OF
from policy.errors import ConfigError
from policy.series import Copies, holder
from policy.signals import ACTIVE_SERIES, SAMPLES_RECEIVED, SERIES

NOW = datetime(2026, 11, 23, 14, 25, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
MATCHERS = 'job="mimir"'
DAY_22 = Period(start=MIDNIGHT, end=MIDNIGHT + DAY)


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type,misc]


def asked(since: str, until: str | None = None, *, zone: str = "UTC") -> Period:
    return asked_range(since, until, now=NOW, zone=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("since", "until", "start", "end"),
    [
        ("1d", None, at(2026, 11, 22), at(2026, 11, 23, 14)),
        ("1h", None, at(2026, 11, 23), at(2026, 11, 23, 14)),
        ("2026-11-20", None, at(2026, 11, 20), at(2026, 11, 23, 14)),
        ("2026-11-20", "2026-11-22", at(2026, 11, 20), at(2026, 11, 22)),
        ("2d", "2026-11-22", at(2026, 11, 20), at(2026, 11, 22)),
        ("2026-11-20T07:00Z", "2026-11-21T01:00Z", at(2026, 11, 20), at(2026, 11, 22)),
        ("2026-11-20", "2027-01-01", at(2026, 11, 20), at(2026, 11, 23, 14)),
    ],
)
def test_a_range_is_whole_utc_days_up_to_the_last_whole_hour(
    since: str, until: str | None, start: datetime, end: datetime
) -> None:
    assert asked(since, until) == Period(start=start, end=end)


def test_a_day_is_one_of_the_time_zone_of_the_prices() -> None:
    """The 22nd of Berlin begins an hour before that of UTC, and so in the 21st."""
    assert asked("2026-11-22", zone="Europe/Berlin").start == at(2026, 11, 21)


@pytest.mark.parametrize(
    ("since", "until", "says"),
    [
        ("soon", None, "since 'soon' is no length like 90d"),
        ("2026-11-22", "2026-11-22", "is not before until"),
        ("0d", None, "is not before until now"),
        ("2027-01-01", "2027-01-02", "no hour of that is over"),
        ("1d", "whenever", "'whenever' is no day"),
    ],
)
def test_what_is_no_range_is_refused(since: str, until: str | None, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        asked(since, until)


def test_the_night_of_a_change_of_clocks_is_like_any_other() -> None:
    """In Berlin the 25th of October has 25 hours; hours and days are UTC's."""
    whole = Period(start=at(2026, 10, 24), end=at(2026, 10, 27))

    assert [day.hours for day in days_of(whole)] == [24.0, 24.0, 24.0]


def test_days_that_are_stored_up_to_their_last_hour_are_not_due() -> None:
    days = days_of(Period(start=at(2026, 11, 21), end=at(2026, 11, 23, 14)))
    stored = {date(2026, 11, 21): at(2026, 11, 22), date(2026, 11, 23): at(2026, 11, 23, 9)}

    assert [day.start.day for day in due(days, stored=stored)] == [22, 23]


@pytest.mark.parametrize("step", ["5m", "2h", "hourly", "1"])
def test_any_step_but_an_hour_is_refused(step: str) -> None:
    refuse_other_steps("60m")
    with pytest.raises(ConfigError, match="step"):
        refuse_other_steps(step)


# What is asked.


def of(kind: Kind, *, pod_label: str = "pod") -> dict[str, str]:
    return dict(questions(kind, matchers=MATCHERS, pod_label=pod_label))


@pytest.mark.parametrize(
    "kind", [Kind(), Kind(product="cortex"), Kind(product="mimir", partitioned=True)]
)
def test_each_signal_with_a_price_has_a_question_under_the_matchers(kind: Kind) -> None:
    asked_of = of(kind)

    assert set(asked_of) == set(SIGNAL_OF.values())
    for query in asked_of.values():
        selectors = re.findall(r"cortex_\w+\{([^}]*)\}", query)
        assert selectors
        assert all(selector.startswith(MATCHERS) for selector in selectors)
        assert query.startswith("sum_over_time((")
        assert query.endswith(")[59m:5m])")


def test_mimir_counts_what_it_accepted_and_cortex_what_its_limiter_let_through() -> None:
    mimir, cortex = (
        of(Kind(product=product))[SAMPLES_RECEIVED]  # type: ignore[arg-type]
        for product in ("mimir", "cortex")
    )

    assert families.DISCARDED not in mimir
    assert f'{families.DISCARDED}{{{MATCHERS},reason=~"rate_limited|' in cortex


def test_copies_are_taken_out_by_the_replication_factor_or_by_partition() -> None:
    classic, partitioned = of(Kind()), of(Kind(partitioned=True), pod_label="instance")

    for signal in (ACTIVE_SERIES, SERIES):
        assert f"/ scalar(max({families.REPLICATION_FACTOR}{{" in classic[signal]
        assert families.REPLICATION_FACTOR not in partitioned[signal]
        assert "max by (user, holder) (label_replace(" in partitioned[signal]
        assert "sum by (user, instance) (" in partitioned[signal]


@pytest.mark.parametrize(
    "pod",
    [
        "ingester-zone-a-12",
        "ingester-zone-a-12.mimir:8080",
        "http://ingester-3:80/x",
        "10-0-0-7.mimir.pod:8080",
        "ingester",
        "ingester-7d9f-x2x",
    ],
)
def test_a_partition_is_named_as_our_own_looks_name_it(pod: str) -> None:
    regex = re.search(
        r'"holder", "\$1", "pod", "(\([^"]+)"\)\)\)', of(Kind(partitioned=True))[SERIES]
    )
    assert regex is not None
    matched = re.fullmatch(regex[1], pod)
    copies = Copies(factor=1.0, partitioned=True)

    (ours,) = pl.DataFrame({"pod": [pod]}).select(holder(copies)).to_series()

    assert (matched[1] if matched else pod) == ours


@pytest.mark.parametrize(
    ("highest", "kind"),
    [
        ({}, Kind()),
        ({families.BUILD: 1.0}, Kind(product="cortex")),
        ({families.BUILD: 1.0, families.MIMIR_BUILD: 1.0}, Kind(product="mimir")),
        ({families.INGEST_STORAGE: 0.0}, Kind(product="mimir")),
        ({families.INGEST_STORAGE: 1.0}, Kind(product="mimir", partitioned=True)),
        ({families.PARTITIONS: 3.0}, Kind(product="mimir", partitioned=True)),
    ],
)
def test_the_kind_of_cluster_is_told_by_what_it_showed(
    highest: dict[str, float], kind: Kind
) -> None:
    assert Kind.told_by(highest) == kind
    assert all(family in kind_question(matchers=MATCHERS) for family in highest)
    assert MATCHERS in looks_question(matchers=MATCHERS)


# What is answered.


def answer(*rows: tuple[str | None, int, float]) -> pl.DataFrame:
    """Of a user, at the end of the hour of that number, a value."""
    told = [(user, MIDNIGHT + (hour + 1) * HOUR, value) for user, hour, value in rows]
    return pl.DataFrame(told, schema=ANSWER, orient="row")


def looks(**special: float) -> pl.DataFrame:
    """Twelve in every hour, but for those named: h3=6."""
    return answer(*((None, hour, special.get(f"h{hour}", 12.0)) for hour in range(24)))


def test_a_mean_is_over_the_looks_that_found_somebody() -> None:
    """Half an hour without a scrape is not half of the load: it is half of the cover."""
    sums = answer(("a", 2, 120.0), ("a", 3, 60.0))

    found = filled(DAY_22, answers={ACTIVE_SERIES: sums}, looks=looks(h3=6.0))

    rows = found.hours.sort("at").select("at", "mean", "covered_seconds").rows()
    assert rows == [
        (MIDNIGHT + 2 * HOUR, 10.0, 3600.0),
        (MIDNIGHT + 3 * HOUR, 10.0, 1800.0),
    ]


def test_zero_is_a_measurement_and_a_missing_answer_is_none() -> None:
    found = filled(DAY_22, answers={ACTIVE_SERIES: answer(("a", 0, 0.0))}, looks=looks())

    assert found.hours["mean"].to_list() == [0.0]
    assert found.tenant_hours_missing == 23


def test_hours_that_nobody_could_look_at_and_those_of_single_tenants_are_told_apart() -> None:
    everywhere = [("a", hour, 12.0) for hour in range(24) if hour not in {4, 5}]
    sums = answer(*everywhere, *(("b", hour, 12.0) for hour in (0, 1, 2, 6, 7, 9)))

    found = filled(DAY_22, answers={ACTIVE_SERIES: sums}, looks=looks(h4=0.0, h5=0.0))

    first, *of_b = found.gaps.rows()
    assert first == (None, MIDNIGHT + 4 * HOUR, MIDNIGHT + 6 * HOUR, 2)
    assert found.hours_missing == 2
    assert {tenant for tenant, *_ in of_b} == {"b"}
    spans = [(start - MIDNIGHT, end - MIDNIGHT) for _, start, end, _ in of_b]
    assert spans[0] == (3 * HOUR, 4 * HOUR)
    assert spans[-1] == (10 * HOUR, 24 * HOUR)
    assert found.tenant_hours_missing == 22 - 6


def test_a_day_of_which_nothing_is_known_misses_all_of_its_hours() -> None:
    nothing = pl.DataFrame(schema=ANSWER)

    found = filled(DAY_22, answers={ACTIVE_SERIES: nothing}, looks=nothing)

    assert (found.hours.height, found.tenants, found.hours_missing) == (0, 0, 24)
    assert found.gaps.rows() == [(None, MIDNIGHT, MIDNIGHT + timedelta(days=1), 24)]
