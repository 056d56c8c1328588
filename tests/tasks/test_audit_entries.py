"""Every action that is entered is in the page of the audit log, and the other way round."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from policy.audit import CATEGORIES
from policy.frames import CHANGES, empty
from storage.revisions import Outcome
from tasks.audit_entries import MOST_PROBLEMS, entries_dropped, publish_refused, settings_changed

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROW = re.compile(r"^\| `(\w+)` \| (`\w+`(?:, `\w+`)*) \| ", flags=re.MULTILINE)
OF_PEOPLE = (
    "pin",
    "unpin",
    "rollback",
    "release",
    "pause",
    "resume",
    "restore",
    "withdraw",
    *(f"breaker_{what}" for what in ("enabled", "disabled", "reset")),
    *("alert_acknowledged", "alert_retried"),
)  # entered by SQL
SUBJECTS = (
    *("limit", "publish", "run", "export", "entries", "lowering", "tenant", "settings", "drift"),
    *(
        "breaker",
        "emergency",
        "recovery",
        "garbage",
        "leak",
        "cluster",
        "backfill",
        "budget",
        "cost",
        "collection",
        "savings",
        "alert",
        "channel",
    ),
)
NAMED = re.compile(rf'"((?:{"|".join(SUBJECTS)})_[a-z_]+)"')


def test_every_action_is_in_the_page_with_a_category_and_no_other_is() -> None:
    page = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    pages = (ROOT / "tasks").glob("*_entries.py")
    code = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    rows = ROW.findall(page)
    told = {action for _, actions in rows for action in re.findall(r"`(\w+)`", actions)}

    settled = {f"revision_{outcome}" for outcome in get_args(Outcome)}
    assert told == {*NAMED.findall(code), *settled, *OF_PEOPLE}
    assert {category for category, _ in rows} == set(CATEGORIES)


def test_of_very_many_problems_the_first_are_told_and_the_rest_counted() -> None:
    problems = tuple(f"tenant {n}: the burst is below the rate" for n in range(2_000))

    entry = publish_refused(problems, changes=empty(CHANGES), run_id="r", at=NOON)

    assert entry.details["problems"] == list(problems[:MOST_PROBLEMS])
    assert entry.details["more_problems"] == 2_000 - MOST_PROBLEMS


def test_entries_that_went_are_told_by_their_number_and_times() -> None:
    later = NOON.replace(hour=18)

    entry = entries_dropped([later, NOON], run_id="r", at=later)

    assert entry.details["entries"] == 2
    assert (entry.details["oldest"], entry.details["newest"]) == (
        "2026-11-23T12:00:00+00:00",
        "2026-11-23T18:00:00+00:00",
    )


def test_what_was_added_to_and_taken_from_the_settings_is_told_too() -> None:
    before = {"mode": "prod", "limits": {"maxLimits": {"a": 1.0, "b": 2.0}}}
    after = {"mode": "prod", "limits": {"maxLimits": {"a": 1.0, "c": 3.0}}}

    told = [entry.details for entry in settings_changed(before, after, run_id="r", at=NOON)]

    assert told == [
        {"key": "limits.maxLimits.b", "before": 2.0, "after": None},
        {"key": "limits.maxLimits.c", "before": None, "after": 3.0},
    ]


def test_nothing_is_told_of_settings_that_say_the_same() -> None:
    same = {"mode": "prod", "tenants": ["a"]}

    assert list(settings_changed(same, dict(same), run_id="r", at=NOON)) == []
