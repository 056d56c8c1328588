"""The audit in the history: appended, exported once, and forgotten from its oldest end."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from policy.audit import AuditEntry, Category, audit_line
from storage.audit import (
    append_audit,
    changes_entered,
    export_entries,
    export_waits,
    newest_entries,
    read_audit,
    state_of_audit,
)
from storage.audit_retention import Kept, forget_audit, measure_audit, trim_audit
from storage.database import Database
from storage.engine import connect
from storage.maintenance import RETENTION, apply_retention
from storage.migrate import migrate
from tests.storage.older import BEFORE_11

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
PLENTY = Kept(entries=10**9, bytes=10**12)
BEFORE_AUDIT = f"""
    {BEFORE_11}
    insert into audit by name select
        now() as "at", 'operator' as category, 'pin' as component, 'pin' as action,
        'anna' as actor, true as success, '{{}}'::json as details
"""


def entry(at: datetime, action: str = "limit_changed", **told: object) -> AuditEntry:
    category: Category = "system"
    return AuditEntry(
        at=at,
        category=category,
        component="publish",
        action=action,
        actor="optimizer",
        success=True,
        tenant="acme",
        details=told,
    )


def fill(database: Database, count: int, *, since: datetime) -> None:
    append_audit(database, [entry(since + n * SECOND, f"a{n}") for n in range(count)])


def exported(database: Database, *, at_most: int = 1_000) -> list[str]:
    """The actions that one export gives."""
    given: list[str] = []
    export_entries(
        database, write=lambda found: given.extend(found["action"].to_list()), at_most=at_most
    )
    return given


def actions(database: Database) -> list[str]:
    return newest_entries(database, newest=1_000)["action"].to_list()


def crash(database: Database, path: Path) -> Path:
    """What a process that dies now leaves."""
    database.cursor()
    crashed = path.with_name("crashed.duckdb")
    shutil.copyfile(path, crashed)
    shutil.copyfile(f"{path}.wal", f"{crashed}.wal")
    return crashed


@pytest.mark.parametrize("text", ["\r\n\"'<script>\x00\u2028", "x" * 10_000, "o'brien; drop --"])
def test_whatever_text_an_entry_holds_comes_back(
    database: Database, now: datetime, text: str
) -> None:
    said = AuditEntry(
        at=now,
        category="user",
        component=text,
        action=text,
        actor=text,
        success=False,
        tenant=text,
        run_id=text,
        details={text: text},
    )

    append_audit(database, [said])

    row = read_audit(database, since=now).row(0, named=True)
    assert {row[name] for name in ("component", "action", "actor", "tenant", "run_id")} == {text}
    assert json.loads(row["details"]) == {text: text}


def test_a_number_that_json_has_no_word_for_costs_no_entry(
    database: Database, now: datetime
) -> None:
    told = {"before": float("inf"), "after": [float("nan")], "more": {"x": -float("inf")}}

    append_audit(database, [entry(now, **told)])

    details = json.loads(read_audit(database, since=now)["details"].item())
    assert details == {"before": "inf", "after": ["nan"], "more": {"x": "-inf"}}


def test_an_entry_that_cannot_be_told_is_entered_all_the_same(
    database: Database, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    lacks = entry(now, "budget_crossed")

    append_audit(database, [lacks])

    assert read_audit(database, since=now)["action"].to_list() == ["budget_crossed"]
    assert "nobody is told of this" in caplog.text


def test_each_entry_is_exported_once_the_oldest_first(database: Database, now: datetime) -> None:
    fill(database, 5, since=now)

    assert [exported(database, at_most=2) for _ in range(4)] == [
        ["a0", "a1"],
        ["a2", "a3"],
        ["a4"],
        [],
    ]
    assert not export_waits(database)
    # A clock that went back, or another process, enters an earlier moment later.
    append_audit(database, [entry(now - DAY, "late")])
    assert export_waits(database)
    assert exported(database) == ["late"]


def test_what_could_not_be_written_is_given_again(database: Database, now: datetime) -> None:
    fill(database, 2, since=now)

    def full(_: pl.DataFrame) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        export_entries(database, write=full, at_most=10)

    assert exported(database) == ["a0", "a1"]


def test_that_something_was_appended_can_be_seen(database: Database, now: datetime) -> None:
    states = [state_of_audit(database)]
    for at in (now, now - DAY):
        append_audit(database, [entry(at)])
        states.append(state_of_audit(database))

    assert len(set(states)) == 3
    assert state_of_audit(database) == states[-1]


def test_the_changes_of_a_revision_are_known_to_be_entered(
    database: Database, now: datetime
) -> None:
    append_audit(database, [entry(now, revision=7), entry(now, "revision_confirmed", revision=8)])

    assert changes_entered(database, revision=7, since=now)
    assert not changes_entered(database, revision=8, since=now)
    assert not changes_entered(database, revision=7, since=now + SECOND)


def test_the_oldest_go_when_there_are_too_many(database: Database, now: datetime) -> None:
    fill(database, 10, since=now)

    gone = trim_audit(database, most=Kept(entries=3, bytes=PLENTY.bytes))

    assert actions(database) == ["a9", "a8", "a7"]
    assert (min(gone), max(gone)) == (now, now + 6 * SECOND)


def test_the_oldest_go_when_they_take_too_much(database: Database, now: datetime) -> None:
    append_audit(database, [entry(now + n * SECOND, f"a{n}", text="x" * 1_000) for n in range(10)])
    one = measure_audit(database).bytes // 10

    trim_audit(database, most=Kept(entries=PLENTY.entries, bytes=4 * one + 10))

    assert actions(database) == ["a9", "a8", "a7", "a6"]


def test_an_entry_takes_as_much_as_its_line(database: Database, now: datetime) -> None:
    fill(database, 100, since=now)
    lines = [audit_line(row) for row in newest_entries(database, newest=100).iter_rows(named=True)]

    measured = measure_audit(database)

    assert measured.entries == 100
    assert measured.bytes == pytest.approx(sum(map(len, lines)), rel=0.1)


def test_the_fuller_of_count_and_size_tells_how_full_it_is() -> None:
    most = Kept(entries=100, bytes=1_000)

    assert Kept(entries=120, bytes=10).share_of(most) == pytest.approx(120)
    assert Kept(entries=1, bytes=1_500).share_of(most) == pytest.approx(150)


def test_retention_is_by_age_and_by_count(database: Database, now: datetime) -> None:
    fill(database, 5, since=now - 500 * DAY)
    fill(database, 5, since=now)
    bounds = RETENTION.__class__(most_audit=Kept(entries=2, bytes=PLENTY.bytes))

    by_age = apply_retention(database, now=now, sustained_for=SECOND)
    by_count = apply_retention(database, now=now, sustained_for=SECOND, retention=bounds)

    assert (by_age["audit"], by_count["audit"]) == (5, 3)
    assert actions(database) == ["a4", "a3"]


def test_what_a_process_left_in_memory_is_forgotten_but_not_what_waits_for_the_file(
    database: Database, now: datetime
) -> None:
    fill(database, 2, since=now)
    exported(database)
    append_audit(database, [entry(now, "waits")])

    assert forget_audit(database, but_waiting=True) == 2
    assert actions(database) == ["waits"]
    assert forget_audit(database, but_waiting=False) == 1


def test_a_person_s_older_entries_are_of_the_category_user(path: Path, now: datetime) -> None:
    with Database.open(str(path), clock=lambda: now) as older:
        older.cursor().execute(BEFORE_AUDIT)

    with Database.open(str(path), clock=lambda: now) as migrated:
        found = read_audit(migrated, since=now - DAY)
        assert found.select("category", "actor").rows() == [("user", "anna")]
        assert export_waits(migrated)


def test_a_crash_right_after_the_migration_of_a_history_with_entries_leaves_a_file_that_opens(
    path: Path, now: datetime
) -> None:
    with Database.open(str(path), clock=lambda: now) as older:
        older.cursor().execute(BEFORE_AUDIT)
    with connect(str(path)) as connection:
        migrate(connection, clock=lambda: now)
        crashed = path.with_name("crashed.duckdb")
        shutil.copyfile(path, crashed)
        shutil.copyfile(f"{path}.wal", f"{crashed}.wal")

    with Database.open(str(crashed), clock=lambda: now) as database:
        assert read_audit(database, since=now - DAY)["category"].to_list() == ["user"]


def test_what_was_exported_and_trimmed_survives_a_crash(
    owned: Database, path: Path, now: datetime
) -> None:
    fill(owned, 6, since=now)
    exported(owned, at_most=4)
    trim_audit(owned, most=Kept(entries=3, bytes=PLENTY.bytes))

    with Database.open(str(crash(owned, path)), clock=lambda: now) as database:
        assert actions(database) == ["a5", "a4", "a3"]
        assert exported(database) == ["a4", "a5"]
