"""Modes and directions: the first rule that names a limit of a tenant decides."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from policy.automation import MODES, modes
from policy.canary import proven
from policy.errors import ConfigError
from policy.frames import MOVES
from policy.settings import parse_settings
from policy.settings.automation import Automation
from tests.policy.estimated import NOON

RATE, SERIES = "ingestion_rate", "max_global_series_per_user"
MEMBERS = pl.DataFrame(
    {"tenant": ["pay-1", "web-1"], "tier": ["gold", None]},
    schema={"tenant": pl.String(), "tier": pl.String()},
)


def automation(**tree: object) -> Automation:
    return parse_settings({"automation": tree}).automation


def found(wanted: Automation, members: pl.DataFrame = MEMBERS) -> pl.DataFrame:
    limits = pl.DataFrame({"limit": [RATE, SERIES]})
    keys = members.select("tenant").join(limits, how="cross")
    return modes(keys, members=members, automation=wanted)


def test_without_rules_the_common_mode_holds() -> None:
    told = found(automation(mode="recommend", directions="up"))

    assert told.schema == MODES
    assert set(told["mode"]) == {"recommend"}
    assert set(told["directions"]) == {"up"}


def test_the_first_rule_that_names_both_decides_and_leaves_the_rest_as_it_is_for_all() -> None:
    rules = [
        {"tenants": ["pay-*"], "limits": ["max_*"], "mode": "frozen", "reason": "a migration"},
        {"tiers": ["gold"], "directions": "up"},
        {"tenants": ["*"], "mode": "observe"},
    ]

    told = found(automation(rules=rules)).select("mode", "directions", "mode_reason").rows()

    assert told == [
        ("auto", "up", None),
        ("frozen", "both", "a migration"),
        ("observe", "both", None),
        ("observe", "both", None),
    ]


def test_a_rule_that_says_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"automation\.rules"):
        automation(rules=[{"tenants": ["a"]}])


def test_who_goes_first_does_not_hang_on_who_else_is_there() -> None:
    names = [f"tenant-{number}" for number in range(400)]
    many = pl.DataFrame({"tenant": names, "tier": [None] * len(names)}, schema=MEMBERS.schema)
    wanted = automation(mode="canary", canary={"tenantsPercent": 25})

    all_of_them = found(wanted, many)
    some = found(wanted, many[100:200])

    share = all_of_them["first"].mean()
    assert isinstance(share, float)
    assert 0.15 < share < 0.35
    assert some.join(all_of_them, on=MODES.names(), how="anti", nulls_equal=True).is_empty()


@pytest.mark.parametrize(
    ("raised_ago", "reversals", "limits"),
    [
        pytest.param(timedelta(hours=25), 0, {RATE}, id="held"),
        pytest.param(timedelta(hours=23), 0, set(), id="too young"),
        pytest.param(timedelta(hours=25), 1, set(), id="turned back"),
    ],
)
def test_a_limit_is_proven_by_those_who_went_first(
    raised_ago: timedelta, reversals: int, limits: set[str]
) -> None:
    first = pl.DataFrame([("a", RATE, "canary", "both", None, True)], schema=MODES, orient="row")
    moved = pl.DataFrame(
        [("a", RATE, NOON - raised_ago, None, reversals, 0, 0)], schema=MOVES, orient="row"
    )

    assert proven(first, moves=moved, proven_after=timedelta(hours=24), now=NOON) == limits
