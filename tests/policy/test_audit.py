"""An audit entry as a line for programs, and in words for people."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from policy.audit import CATEGORIES, audit_line
from policy.audit_words import LONGEST, told

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOSTILE = "\r\n\"quoted\" 'o''brien' <script>alert(1)</script> | \x1b[31m \x00 \u2028 \x85 =1+1"


def entry(**said: object) -> dict[str, object]:
    whole = {
        "at": NOON,
        "category": "system",
        "component": "publish",
        "action": "limit_changed",
        "tenant": "acme",
        "actor": "optimizer",
        "run_id": "r",
        "success": True,
        "details": '{"limit": "ingestion_rate", "before": 1.0, "after": 2.0}',
    }
    return whole | said


def test_a_line_has_the_fields_of_the_log_format_first_and_leaves_nothing_out() -> None:
    line = json.loads(audit_line(entry(tenant=None)))

    assert list(line)[:6] == ["timestamp", "level", "component", "action", "tenant", "details"]
    assert line == {
        "timestamp": "2026-11-23T12:00:00Z",
        "level": "INFO",
        "component": "publish",
        "action": "limit_changed",
        "tenant": None,
        "details": {"limit": "ingestion_rate", "before": 1.0, "after": 2.0},
        "category": "system",
        "actor": "optimizer",
        "run_id": "r",
        "success": True,
    }


def test_what_did_not_work_is_an_error_at_its_moment_in_utc() -> None:
    at = (NOON + timedelta(milliseconds=5)).astimezone(timezone(timedelta(hours=2)))

    line = json.loads(audit_line(entry(success=False, at=at)))

    assert (line["level"], line["timestamp"]) == ("ERROR", "2026-11-23T12:00:00.005000Z")


def test_whatever_it_holds_an_entry_stays_one_line_of_ascii() -> None:
    line = audit_line(entry(tenant=HOSTILE, details=json.dumps({HOSTILE: HOSTILE * 200})))

    assert line.isascii()
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    assert json.loads(line)["details"] == {HOSTILE: HOSTILE * 200}


def test_the_categories_are_those_of_the_specification() -> None:
    assert CATEGORIES == ("user", "system", "cost", "security", "performance")


@pytest.mark.parametrize(
    ("action", "details", "words"),
    [
        (
            "limit_changed",
            {"limit": "ingestion_rate", "before": 1e4, "after": 13e3, "reason": "peak and buffer"},
            "ingestion_rate 10,000 → 13,000: peak and buffer",
        ),
        (
            "limit_changed",
            {"limit": "ingestion_rate", "before": None, "after": None, "reason": None},
            "ingestion_rate unknown → nothing of ours",
        ),
        (
            "pin",
            {"limit": "x", "before": None, "after": 5.0, "until": "2026-12-01", "reason": "test"},
            "x not pinned → 5, until 2026-12-01: test",
        ),
        ("unpin", {"limit": "x", "before": 5, "after": None, "reason": None}, "x 5 → not pinned"),
        (
            "settings_changed",
            {"key": "mode", "before": "dry-run", "after": "prod"},
            "mode dry-run → prod",
        ),
        (
            "settings_changed",
            {"key": "tenantScoping.skipList", "before": None, "after": ["a", "b"]},
            'tenantScoping.skipList not set → ["a", "b"]',
        ),
        (
            "settings_changed",
            {"key": "publish.paused", "before": False, "after": True},
            "publish.paused false → true",
        ),
        (
            "tenant_held",
            {"limits": {"ingestion_rate": 1e4, "x": 0.5}, "reason": "it blasts"},
            "ingestion_rate at 10,000, x at 0.5: it blasts",
        ),
        (
            "publish_refused",
            {"changes": 3, "problems": ["one", "two"], "more_problems": 7},
            "one; two; and 7 more",
        ),
        ("publish_failed", {"revision": 3, "changes": 3, "detail": "disk full"}, "disk full"),
        ("export_failed", {"target": "file", "detail": "disk full"}, "file: disk full"),
        (
            "entries_dropped",
            {"entries": 2000, "oldest": "T1", "newest": "T2", "reason": "too full"},
            "2,000 entries of T1 and later: too full",
        ),
        ("of_somebody_else", {"a": 1500, "b": None, "c": "text"}, "a=1,500, b=null, c=text"),
        ("empty", {}, ""),
    ],
)
def test_an_entry_is_told_in_words(action: str, details: dict[str, object], words: str) -> None:
    assert told(action, details) == words


def test_a_page_of_text_is_cut_to_a_line() -> None:
    words = told("run_failed", {"detail": "x" * 10_000})

    assert len(words) == LONGEST
    assert words.endswith("x…")
