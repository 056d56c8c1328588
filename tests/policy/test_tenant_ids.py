"""Every legal tenant id passes through patterns, documents and frames unchanged."""

from __future__ import annotations

import re

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.document import parse, render
from policy.frames import LIMITS
from policy.settings import parse_settings
from policy.tenancy import in_scope, looked_after, tiers

LEGAL = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!-_.*'()"
FORBIDDEN = {".", "..", "__mimir_cluster"}
IDS = st.text(alphabet=LEGAL, min_size=1, max_size=150).filter(lambda name: name not in FORBIDDEN)


@given(tenants=st.lists(IDS, unique=True, min_size=1, max_size=8))
@settings(max_examples=150)
def test_a_document_gives_back_every_legal_id(tenants: list[str]) -> None:
    limits = pl.DataFrame(
        [(tenant, "ingestion_rate", float(number)) for number, tenant in enumerate(tenants, 1)],
        schema=LIMITS,
        orient="row",
    )

    read = parse(render(limits))

    assert read.sort("tenant").equals(limits.sort("tenant"))


@given(tenant=IDS)
def test_an_id_escaped_as_a_pattern_matches_itself_alone(tenant: str) -> None:
    """An id may hold `*`: as a glob it must be put in brackets to mean itself."""
    other = f"{tenant[:-1]}{'a' if tenant[-1] != 'a' else 'b'}"
    both = pl.Series("tenant", [tenant, other])
    glob = tenant.replace("*", "[*]")

    assert in_scope(both, skip=[], include=[glob]).to_list() == [tenant]
    assert in_scope(both, skip=[], include=[re.escape(tenant)], use_regex=True).to_list() == [
        tenant
    ]
    assert tiers(both, mapping={glob: "gold"})["tier"].to_list() == ["gold", None]


@given(tenant=IDS, start=st.integers(0, 150))
def test_a_beginning_of_an_id_and_a_star_match_it(tenant: str, start: int) -> None:
    glob = f"{tenant[:start].replace('*', '[*]')}*"

    kept = in_scope(pl.Series("tenant", [tenant]), skip=[], include=[glob])

    assert kept.to_list() == [tenant]


def test_scoping_that_is_off_leaves_nobody_out() -> None:
    lists = {"skipList": ["a"], "includeList": ["b"], "tierBased": {"enabled": True}}
    everyone = pl.Series("tenant", ["a", "b", "c"])

    off = parse_settings({"tenantScoping": {"enabled": False, **lists}})

    assert looked_after(everyone, settings=off).to_list() == ["a", "b", "c"]


def test_with_tiers_in_charge_who_has_none_is_left_alone() -> None:
    """The lists still hold: a tenant of a tier that is skipped stays skipped."""
    tree = {
        "limits": {"tenantTiers": {"gold": {"bufferPercentage": 50}}},
        "tenantTierMapping": {"team-*": "gold"},
        "tenantScoping": {"tierBased": {"enabled": True}, "skipList": ["team-b"]},
    }
    everyone = pl.Series("tenant", ["team-a", "team-b", "stray"])

    assert looked_after(everyone, settings=parse_settings(tree)).to_list() == ["team-a"]


def test_tiers_decide_nothing_unless_they_are_asked_to() -> None:
    everyone = pl.Series("tenant", ["stray"])

    assert looked_after(everyone, settings=parse_settings({})).to_list() == ["stray"]
