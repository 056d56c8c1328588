"""Which limits are sized, and by which rules: the catalogue and the settings together."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from policy.catalogue import known_in, limits
from policy.evidence import Evidence
from policy.frames import LIMITS
from policy.recommend import recommend
from policy.settings import Settings, parse_settings
from policy.signals import SIZED
from policy.tuned import bounds_of, rules_of, tuned
from tests.policy.estimated import NOON, estimated, estimates

RATE, SERIES = "ingestion_rate", "max_global_series_per_user"
NEW = {
    "type": "int",
    "unit": "things",
    "zero": "unlimited",
    "default": 1_000,
    "signal": "active_series",
    "enabled": True,
    "since": "3.4",
}


def configured(**limits_tree: object) -> Settings:
    return parse_settings({"limits": limits_tree})


def members(tier: str | None = None) -> pl.DataFrame:
    schema = {"tenant": pl.String, "tier": pl.String}
    return pl.DataFrame([("a", tier)], schema=schema, orient="row")


def decided(
    settings: Settings,
    limit: str,
    *,
    now_is: float | None,
    peak: float,
    tier: str | None = None,
    pressure: float | None = None,
) -> dict:
    """The decision on one limit of the tenant `a` with two weeks of this peak."""
    row = estimated(
        peak, limit=limit, pressure=pressure, pressed_days_ago=None if pressure is None else 0
    )
    current = [] if now_is is None else [("a", limit, now_is)]
    rules = rules_of(settings, members=members(tier), limits=[limit])
    return recommend(
        Evidence(
            estimates=estimates(row),
            current=pl.DataFrame(current, schema=LIMITS, orient="row"),
            coverage=1.0,
        ),
        rules=replace(rules, agreeing_runs=1),
        now=NOON,
    ).decisions.row(0, named=True)


def test_of_itself_every_auto_limit_is_sized_whose_demand_is_measured() -> None:
    auto = {name for name, limit in limits().items() if limit.automation == "auto"}

    found = tuned(Settings().limits)

    assert set(SIZED) <= set(found) <= auto
    assert all(limit == signal for limit, signal in found.items())


def test_a_guarded_limit_is_sized_only_when_it_is_named() -> None:
    name = "ha_max_clusters"

    assert limits()[name].automation == "guarded"
    assert name not in tuned(Settings().limits)
    assert name not in tuned(configured(definitions={name: {"bufferPercentage": 9}}).limits)
    assert name in tuned(configured(enabled=[name]).limits)
    assert name in tuned(configured(definitions={name: {"enabled": True}}).limits)


@pytest.mark.parametrize(
    "tree", [{"disabled": ["max_series"]}, {"definitions": {"max_series": {"enabled": False}}}]
)
def test_what_is_switched_off_is_not_sized(tree: dict[str, object]) -> None:
    everything = tuned(Settings().limits)

    assert tuned(configured(**tree).limits) == {
        limit: signal for limit, signal in everything.items() if limit != SERIES
    }


def test_what_a_running_mimir_does_not_know_is_not_sized() -> None:
    old = known_in("mimir_main_2024_01")

    assert set(tuned(Settings().limits, known=old)) == set(tuned(Settings().limits)) & old
    assert "alertmanager_max_silences_count" not in tuned(Settings().limits, known=old)


def test_the_demand_is_read_from_the_signal_that_the_definition_names() -> None:
    settings = configured(definitions={SERIES: {"signal": "active_series"}})

    assert tuned(settings.limits)[SERIES] == "active_series"


def test_a_buffer_of_a_limit_wins_over_the_common_one_and_that_of_a_tier_over_both() -> None:
    settings = configured(
        definitions={RATE: {"bufferPercentage": 50}},
        tenantTiers={"gold": {"bufferPercentage": 100}, "plain": {}},
    )

    after = {
        tier: decided(settings, RATE, now_is=10_000, peak=10_000, tier=tier)["after"]
        for tier in (None, "plain", "gold")
    }

    assert after == {None: 15_000, "plain": 15_000, "gold": 20_000}
    common = decided(settings, SERIES, now_is=10_000, peak=10_000)
    assert common["after"] == 12_000


def test_the_bounds_of_a_definition_win_over_the_common_ones() -> None:
    settings = configured(
        minLimits={RATE: 5_000, SERIES: 6_000},
        maxLimits={RATE: 9_000},
        definitions={RATE: {"min": 10_500, "max": 11_000}},
    )

    bounds = bounds_of(settings.limits)

    assert bounds.minimum == {RATE: 10_500, SERIES: 6_000}
    assert bounds.maximum == {RATE: 11_000}
    assert decided(settings, RATE, now_is=10_000, peak=90_000)["after"] == 11_000


def test_a_limit_that_is_added_is_sized_like_any_other() -> None:
    settings = configured(definitions={"max_new_things": NEW})

    decision = decided(settings, "max_new_things", now_is=3_000, peak=5_000)

    assert tuned(settings.limits)["max_new_things"] == "active_series"
    assert (decision["outcome"], decision["after"]) == ("raise", 6_000)


def test_the_default_of_a_limit_that_is_added_counts_where_mimir_says_nothing() -> None:
    settings = configured(definitions={"max_new_things": NEW})

    assert decided(settings, "max_new_things", now_is=None, peak=5_000)["before"] == 1_000


def test_the_zero_of_a_limit_that_is_added_is_never_scaled() -> None:
    settings = configured(definitions={"max_new_things": NEW})

    assert decided(settings, "max_new_things", now_is=0, peak=5_000)["reason"] == "unlimited"


def test_a_zero_that_switches_a_limit_off_is_not_called_a_block() -> None:
    settings = configured(definitions={"max_new_things": {**NEW, "zero": "off"}})

    decision = decided(settings, "max_new_things", now_is=0, peak=5_000)

    assert decision["reason"] == "blocked"
    assert decision["detail"] == "the limit is 0, which switches it off, and stays so"


def test_a_limit_with_a_default_in_mimir_is_recommended_no_lower_than_that() -> None:
    """Two rule groups do not make 70 too many: less would save nothing and refuse rules."""
    name = "ruler_max_rule_groups_per_tenant"
    default = limits()[name].default

    assert decided(Settings(), name, now_is=default, peak=2)["outcome"] == "hold"
    assert decided(Settings(), name, now_is=default, peak=100)["after"] == 120


def test_what_is_refused_and_cannot_be_counted_counts_for_more() -> None:
    """Of what comes per second the demand holds the refusals already; of what is kept it does not.

    Metadata: 1,000 x 1.2 for the refusals, x 1.2 for the buffer, up to two digits. Requests: the
    buffer alone.
    """
    metadata = decided(
        Settings(), "max_global_metadata_per_user", now_is=1_000, peak=1_000, pressure=1.0
    )
    requests = decided(Settings(), "request_rate", now_is=1_000, peak=1_000, pressure=1.0)

    assert metadata["after"] == 1_500
    assert "(more is refused)" in metadata["detail"]
    assert requests["after"] == 1_200
    assert requests["detail"].startswith("demand 1,000/s ")


@pytest.mark.parametrize(
    ("now_is", "peak", "after"),
    [
        pytest.param(15, 5, 15, id="enough"),
        pytest.param(15, 15, 20, id="not-enough"),
        pytest.param(100, 5, 90, id="above-the-default"),
    ],
)
def test_the_least_keeps_a_limit_from_being_lowered_and_raises_none_that_suffices(
    now_is: float, peak: float, after: float
) -> None:
    found = decided(Settings(), "ruler_max_rules_per_rule_group", now_is=now_is, peak=peak)

    assert found["after"] == after


@pytest.mark.parametrize(
    "limit",
    [
        "request_rate",
        "request_burst_size",
        "max_global_metadata_per_user",
        "alertmanager_max_alerts_count",
        "alertmanager_max_alerts_size_bytes",
        "alertmanager_max_silences_count",
        "max_global_exemplars_per_user",
    ],
)
def test_what_shows_only_the_least_that_is_needed_is_raised_and_never_lowered(limit: str) -> None:
    """Two quiet days say nothing of the alerts of an outage, nor a mean of the bursts in it."""
    quiet = decided(Settings(), limit, now_is=10_000, peak=5)
    full = decided(Settings(), limit, now_is=10_000, peak=12_000)
    bounded = decided(configured(maxLimits={limit: 8_000}), limit, now_is=10_000, peak=5)

    assert (quiet["outcome"], quiet["reason"], quiet["after"]) == (
        "withheld",
        "only_raised",
        10_000,
    )
    assert full["outcome"] == "raise"
    assert bounded["outcome"] == "lower"


def test_a_limit_that_mimir_leaves_off_is_decided_only_where_somebody_has_set_it() -> None:
    """Else every tenant would have eight decisions that say no more than "unlimited"."""
    names = ("request_rate", SERIES)
    current = [("set", "request_rate", 100.0), ("off", "request_rate", 0.0), ("off", SERIES, 0.0)]
    seen = [
        estimated(90.0, tenant=tenant, limit=limit) for tenant in ("set", "off") for limit in names
    ]

    found = recommend(
        Evidence(
            estimates=estimates(*seen),
            current=pl.DataFrame(current, schema=LIMITS, orient="row"),
            coverage=1.0,
        ),
        rules=rules_of(Settings(), members=members(), limits=names),
        now=NOON,
    ).decisions

    assert found.select("tenant", "limit", "reason").rows() == [
        ("off", SERIES, "unlimited"),
        ("set", SERIES, "unknown_current"),
        ("set", "request_rate", "above_dead_band"),
    ]
