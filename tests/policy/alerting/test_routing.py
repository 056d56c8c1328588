"""Who is told, and who is told when nobody answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from policy.alerting.escalation import goes_further, patience
from policy.alerting.incidents import folded
from policy.alerting.routing import CHANGES, Subject, further, routed
from policy.settings import parse_settings
from policy.settings.alerting import Alerting
from tests.policy.alerts import NOON, alert

ALL: dict[str, Any] = {
    "slack": {"enabled": True},
    "pagerduty": {"enabled": True},
    "email": {"enabled": True},
    "webhooks": {"one": {"enabled": True}, "off": {"enabled": False}},
    "apprise": {"chat": {"enabled": True}},
}
BREAKER = Subject(
    kind="breaker",
    priority="P1",
    component="circuit-breaker",
    tenant="pay-1",
    team="payments",
    tier="gold",
)


def settings(**tree: object) -> Alerting:
    return parse_settings({"alerting": {**ALL, **tree}}).alerting


def names(targets: Any) -> list[str]:  # noqa: ANN401 - of Target
    return [f"{each.channel}:{each.address}".removesuffix(":") for each in targets]


@pytest.mark.parametrize(
    ("priority", "told"),
    [
        ("P0", ["slack", "pagerduty", "email", "one", "chat"]),
        ("P1", ["pagerduty", "slack"]),
        ("P2", ["slack", "email"]),
        ("P3", ["email", "one", "chat"]),
    ],
)
def test_without_a_rule_the_priority_decides(priority: Any, told: list[str]) -> None:  # noqa: ANN401
    assert names(routed(replace(BREAKER, priority=priority), alerting=settings())) == told


def test_whoever_has_one_channel_hears_everything_there_but_is_not_woken() -> None:
    lone = parse_settings({"alerting": {"webhooks": {"one": {"enabled": True}}}}).alerting
    pager = parse_settings({"alerting": {"pagerduty": {"enabled": True}}}).alerting

    assert names(routed(replace(BREAKER, priority="P2"), alerting=lone)) == ["one"]
    assert names(routed(replace(BREAKER, priority="P2"), alerting=pager)) == []


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"severity": "critical"}, True),
        ({"severity": "warning"}, False),
        ({"component": "circuit-breaker"}, True),
        ({"kind": "leak"}, False),
        ({"priority": "P1"}, True),
        ({"tenant": "pay-*"}, True),
        ({"tenant": "shop-*"}, False),
        ({"team": "pay*"}, True),
        ({"tier": "gold"}, True),
        ({"tier": "gold", "team": "shop"}, False),
    ],
)
def test_a_rule_fits_when_all_that_it_says_fits(match: dict[str, str], fits: bool) -> None:  # noqa: FBT001
    alerting = settings(routing=[{"match": match, "channels": ["email"]}])

    told = names(routed(BREAKER, alerting=alerting))

    assert told == (["email"] if fits else ["pagerduty", "slack"])


def test_a_rule_about_a_tenant_fits_nothing_that_is_about_nobody() -> None:
    alerting = settings(routing=[{"match": {"tenant": "*"}, "channels": ["email"]}])
    nobody = replace(BREAKER, tenant=None, team=None, tier=None)

    assert names(routed(nobody, alerting=alerting)) == ["pagerduty", "slack"]


def test_the_first_rule_that_fits_decides_and_names_whom_to_reach() -> None:
    alerting = settings(
        routing=[
            {"match": {"kind": "leak"}, "channels": ["email"]},
            {"match": {"team": "payments"}, "channels": ["slack:#pay", "slack", "off"]},
            {"match": {}, "channels": ["one"]},
        ]
    )

    assert names(routed(BREAKER, alerting=alerting)) == ["slack:#pay", "slack"]


def test_owners_hear_besides_and_each_is_told_once() -> None:
    alerting = settings(owners={"pay-*": ["slack", "email:pay@example.com"], "*": ["one"]})

    assert names(routed(BREAKER, alerting=alerting)) == [
        "pagerduty",
        "slack",
        "email:pay@example.com",
    ]


def test_pagerduty_hears_only_what_is_urgent_and_changes_only_where_they_are_wanted() -> None:
    rule = {"routing": [{"match": {}, "channels": ["pagerduty"]}]}
    changes = replace(BREAKER, kind=CHANGES, priority="P3")
    wanted = settings(pagerduty={"enabled": True, "changes": True}, **rule)
    unwanted = settings(pagerduty={"enabled": True, "changes": False}, **rule)

    assert names(routed(replace(BREAKER, priority="P2"), alerting=settings(**rule))) == []
    assert names(routed(changes, alerting=wanted)) == ["pagerduty"]
    assert names(routed(changes, alerting=unwanted)) == []


def test_what_nobody_answers_goes_to_whom_the_rule_names_or_to_the_next_priority() -> None:
    named = settings(routing=[{"match": {}, "channels": ["slack"], "escalateTo": ["email"]}])

    assert names(further(BREAKER, alerting=named)) == ["email"]
    assert names(further(replace(BREAKER, priority="P2"), alerting=settings())) == [
        "pagerduty",
        "slack",
    ]


@pytest.mark.parametrize(("priority", "minutes"), [("P0", 0), ("P1", 5), ("P2", 15), ("P3", 60)])
def test_how_long_an_answer_is_waited_for(priority: Any, minutes: int) -> None:  # noqa: ANN401
    subject = replace(BREAKER, priority=priority)
    quick = settings(routing=[{"match": {}, "channels": ["slack"], "escalation": "1m"}])

    assert patience(subject, alerting=settings()) == timedelta(minutes=minutes)
    assert patience(subject, alerting=quick) == timedelta(minutes=1)


def test_an_incident_goes_further_once_and_never_one_that_somebody_sees_to_or_a_dry_run() -> None:
    incident = folded(None, alert(at=NOON), alert_id="1").incident
    assert incident is not None

    def goes(minutes: int, **told: Any) -> bool:  # noqa: ANN401 - of Incident
        now = NOON + timedelta(minutes=minutes)
        about = replace(incident, **told)
        return goes_further(about, subject=BREAKER, alerting=settings(), now=now)

    assert [goes(4), goes(5)] == [False, True]
    assert not goes(5, state="acknowledged")
    assert not goes(5, state="resolved")
    assert not goes(5, escalated_at=NOON)
    assert not goes(5, simulated=True)
    assert not goes(5, told_at=NOON + timedelta(minutes=1))
