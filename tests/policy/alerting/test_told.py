"""Which entries of the audit are told, how, and that the pages say the same."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policy.alerting.raised import alerts_of
from policy.alerting.telling import Telling
from policy.alerting.told import SILENT, TOLD
from policy.audit import SUPERSEDED, AuditEntry

DOCS = Path(__file__).parents[3] / "docs"
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
TELLINGS = [(action, telling) for action, all_ in TOLD.items() for telling in all_]


def entry(action: str, *, tenant: str | None = None, **details: object) -> AuditEntry:
    return AuditEntry(
        at=NOON,
        category="system",
        component="publish",
        action=action,
        actor="optimizer",
        tenant=tenant,
        run_id="r",
        success=True,
        details=details,
    )


def test_each_action_of_the_audit_is_told_or_said_to_be_silent_and_none_is_both() -> None:
    page = (DOCS / "audit.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `\w+` \| (`\w+`(?:, `\w+`)*) \| ", page, flags=re.MULTILINE)
    actions = [action for row in rows for action in re.findall(r"`(\w+)`", row)]

    assert sorted(actions) == sorted([*TOLD, *SILENT])


def test_the_page_of_alerts_lists_each_kind_with_its_component() -> None:
    page = (DOCS / "alerting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (P[\dP, ]+) \| ([^|]+) \|", page, flags=re.MULTILINE)
    listed = {kind: component.strip() for kind, _, component in rows}
    kinds = {telling.kind: telling.component for _, telling in TELLINGS}

    assert set(listed) == set(kinds)
    for kind, component in listed.items():
        if kind not in {"recovery", "flow_failed"}:
            assert component == f"`{kinds[kind]}`", kind


def test_the_page_of_alerts_names_the_priorities() -> None:
    page = (DOCS / "alerting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (P[\dP, ]+) \|", page, flags=re.MULTILINE)
    told = {kind: set(named.split(", ")) for kind, named in rows}

    for _, telling in TELLINGS:
        if isinstance(telling.priority, str):
            assert telling.priority in told[telling.kind], telling.kind


@pytest.mark.parametrize(
    ("action", "telling"), TELLINGS, ids=lambda each: getattr(each, "kind", each)
)
def test_what_lasts_can_end(action: str, telling: Telling) -> None:
    """Some other entry, whatever it says, ends the incident, or it would be told for ever."""
    if not telling.lasts:
        return
    about = entry(action, tenant="acme", kind="k", scope="tenant", name="acme", period="day")
    about = replace(about, details={**about.details, "target": "t", "channel": "c", "signal": "s"})
    ends = {each.incident(about) for _, each in TELLINGS if each.resolves}

    assert telling.incident(about) in ends


def test_a_breaker_that_caps_and_one_that_may_not_are_told_apart() -> None:
    turned = entry("breaker_turned", tenant="acme", before="closed", after="open", acting=True)
    would = replace(turned, details={**turned.details, "acting": False})
    closed = replace(turned, details={**turned.details, "after": "closed"})
    half = replace(turned, details={**turned.details, "after": "half-open"})

    told = list(alerts_of([turned, would, closed, half]))

    assert [(each.kind, each.simulated, each.resolves) for each in told] == [
        ("breaker", False, False),
        ("blast", True, False),
        ("recovery", False, True),
    ]
    assert {each.incident for each in told} == {"breaker:acme"}


def test_an_emergency_without_an_alert_worthy_level_is_not_told() -> None:
    raised = [entry("emergency_raised", level=each, phase=1) for each in ("none", "panic")]

    assert [alert.kind for alert in alerts_of(raised)] == ["panic"]


def test_what_was_written_at_once_is_one_alert() -> None:
    entries = [
        entry(
            "limit_changed",
            tenant=tenant,
            revision=7,
            limit="ingestion_rate",
            before=10_000.0,
            after=12_500.5,
        )
        for tenant in ("a", "b", "c")
    ]

    (alert,) = alerts_of(entries)

    assert alert.title == "a: ingestion_rate is 12,500, and was 10,000; and 2 more like it"
    assert (alert.tenant, alert.incident) == (None, "revision:7")


@pytest.mark.parametrize(
    ("before", "after", "title"),
    [
        (None, 10_000.0, "a: ingestion_rate is 10,000, and was not set by us"),
        (10_000.0, None, "a: ingestion_rate is not set by us any more, and was 10,000"),
    ],
)
def test_a_limit_that_our_document_does_not_set_is_called_so(
    before: float | None, after: float | None, title: str
) -> None:
    change = entry(
        "limit_changed",
        tenant="a",
        revision=7,
        limit="ingestion_rate",
        before=before,
        after=after,
    )

    assert [alert.title for alert in alerts_of([change])] == [title]


def test_a_revision_that_a_newer_one_overtook_is_nobodys_worry() -> None:
    overtaken = entry("revision_inconclusive", revision=7, detail=SUPERSEDED)
    unknown = entry("revision_inconclusive", revision=8, detail="two pods do not answer")

    told = list(alerts_of([overtaken, unknown]))

    assert [each.reason for each in told] == ["two pods do not answer"]


def test_an_entry_that_lacks_what_a_title_names_is_told_all_the_same() -> None:
    (alert,) = alerts_of([entry("leak_began", kind="leak")])

    assert alert.title == "None: unknown creeps up day by day"


def test_names_with_braces_stay_as_they_are() -> None:
    (alert,) = alerts_of(
        [entry("breaker_turned", tenant="{reason} %s", after="open", acting=True, reason="x")]
    )

    assert alert.title == "{reason} %s blasts: its breaker caps it"


def test_figures_are_told_as_people_read_them() -> None:
    figures = {"samples": 40_000.0, "grown": False, "metrics": {"up": 3}, "none": None}
    (alert,) = alerts_of([entry("cluster_rise_began", kind="samples", reason="r", **figures)])

    assert alert.reason == "r"
    assert dict(alert.evidence) == {
        "kind": "samples",
        "samples": "40,000",
        "grown": "no",
        "metrics": "up 3",
    }
