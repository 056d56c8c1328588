from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from policy.errors import ConfigError
from policy.frames import LAYERS
from policy.tenancy import in_scope, tier_layer, tiers

TENANTS = pl.Series("tenant", ["internal-ci", "enterprise-1", "standard-1", "a.b*c"])
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_everyone_is_in_scope_when_nothing_is_said() -> None:
    assert in_scope(TENANTS, skip=[], include=[]).to_list() == TENANTS.to_list()


def test_skip_wins_over_include() -> None:
    kept = in_scope(TENANTS, skip=["internal-*"], include=["*-1", "internal-ci"])

    assert kept.to_list() == ["enterprise-1", "standard-1"]


def test_a_glob_matches_the_whole_id_and_its_dots_are_dots() -> None:
    kept = in_scope(TENANTS, skip=[], include=["a?b[*]c", "standard"])

    assert kept.to_list() == ["a.b*c"]


def test_regular_expressions_match_the_whole_id() -> None:
    include = ["(enterprise|standard)-[0-9]"]

    kept = in_scope(TENANTS, skip=["enterprise"], include=include, use_regex=True)

    assert kept.to_list() == ["enterprise-1", "standard-1"]


@pytest.mark.parametrize("skip", [["*-prod-*"], ["a*b*c*"]])
def test_a_glob_may_have_several_stars(skip: list[str]) -> None:
    tenants = pl.Series("tenant", ["eu-prod-1", "axbxc", "calm"])

    left = in_scope(tenants, skip=skip, include=[])

    assert "calm" in left
    assert left.len() == 2


def test_an_expression_may_look_ahead() -> None:
    kept = in_scope(TENANTS, skip=["(?!enterprise).*"], include=[], use_regex=True)

    assert kept.to_list() == ["enterprise-1"]


def test_a_broken_expression_is_named_with_its_setting() -> None:
    with pytest.raises(ConfigError, match=r"tenantScoping\.skipList: '\(' is not a regular"):
        in_scope(TENANTS, skip=["("], include=[], use_regex=True)


def test_the_first_pattern_that_matches_decides_the_tier() -> None:
    members = tiers(TENANTS, mapping={"enterprise-*": "gold", "*-1": "silver"})

    assert dict(members.iter_rows()) == {
        "internal-ci": None,
        "enterprise-1": "gold",
        "standard-1": "silver",
        "a.b*c": None,
    }


def test_a_tier_gives_its_limits_to_its_members_only() -> None:
    members = tiers(TENANTS, mapping={"enterprise-*": "gold"})

    layer = tier_layer(members, limits={"gold": {"ingestion_rate": 5}}, written_at=NOON)

    assert layer.schema == LAYERS
    assert layer.select("tenant", "limit", "value", "kind", "reason").rows() == [
        ("enterprise-1", "ingestion_rate", 5.0, "set", "tier gold")
    ]


def test_without_tiers_the_layer_is_empty() -> None:
    layer = tier_layer(tiers(TENANTS, mapping={}), limits={}, written_at=NOON)

    assert layer.is_empty()
    assert layer.schema == LAYERS
