"""A pin is written from another process, whole or not at all, whatever a person typed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from policy.pins import Pin, pins_of
from storage.audit import read_audit
from storage.database import Database
from storage.errors import StorageError
from storage.layers import fingerprint, read_layers
from storage.pins import pin, unpin
from storage.serve import serving

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
NASTY = """o'brien\\'; drop table layers; -- {at} $1 ? „ü“ 🙂"""


def clock() -> datetime:
    return NOON


@pytest.fixture
def url(tmp_path: Path) -> str:
    found = str(tmp_path / "history.duckdb")
    Database.open(found, clock=clock).close()
    return found


def word(**told: object) -> Pin:
    said = {
        "tenant": "acme",
        "limit": "ingestion_rate",
        "value": 500_000.0,
        "reason": "load test",
        "by": "anna",
        "since": NOON,
        "until": None,
    }
    return Pin(**(said | told))  # type: ignore[arg-type]


def entries(database: Database) -> list[tuple[Any, ...]]:
    found = read_audit(database, since=NOON - timedelta(days=1), category="user")
    return found.reverse().select("component", "action", "tenant", "actor", "success").rows()


def test_what_was_typed_comes_back_as_it_was_typed(url: str) -> None:
    said = word(tenant=NASTY, reason=NASTY, by=NASTY, value=0.1, until=NOON + timedelta(days=7))

    pin(url, said)

    with Database.open(url, clock=clock) as database:
        assert read_layers(database, now=NOON).equals(said.as_layer())
        assert entries(database) == [("pin", "pin", NASTY, NASTY, True)]
        details = json.loads(read_audit(database, since=NOON)["details"].item())
        assert details == {
            "limit": "ingestion_rate",
            "before": None,
            "after": 0.1,
            "reason": NASTY,
            "until": (NOON + timedelta(days=7)).isoformat(),
        }


def test_the_running_owner_takes_it_and_sees_that_its_layers_changed(url: str) -> None:
    with Database.open(url, clock=clock) as database, serving(database):
        before = fingerprint(database, now=NOON)

        pin(url, word())

        assert fingerprint(database, now=NOON) != before
        unpin(url, tenant="acme", limit="ingestion_rate", by="ben", reason=NASTY, at=LATER)
        assert fingerprint(database, now=NOON) == before
        assert [entry[1:4] for entry in entries(database)] == [
            ("pin", "acme", "anna"),
            ("unpin", "acme", "ben"),
        ]


def test_pinning_again_replaces_only_the_pin_of_that_limit_and_tenant(url: str) -> None:
    others = [word(tenant="beta"), word(limit="max_global_series_per_user", value=7.0)]
    for said in (*others, word(), word(value=9.0, by="ben")):
        pin(url, said)

    with Database.open(url, clock=clock) as database:
        found = pins_of(read_layers(database, now=NOON), now=NOON)
    assert found.select("tenant", "limit", "value").rows() == [
        ("acme", "ingestion_rate", 9.0),
        ("acme", "max_global_series_per_user", 7.0),
        ("beta", "ingestion_rate", 500_000.0),
    ]


def test_what_is_not_pinned_is_not_unpinned_and_leaves_no_entry(url: str) -> None:
    pin(url, word(tenant="beta"))

    unpin(url, tenant="acme", limit="ingestion_rate", by="ben", reason=None, at=NOON)

    with Database.open(url, clock=clock) as database:
        assert [entry[1:3] for entry in entries(database)] == [("pin", "beta")]
        assert read_layers(database, now=NOON)["tenant"].to_list() == ["beta"]


def test_without_the_audit_log_no_entry_is_written(url: str) -> None:
    pin(url, word(), audit=False)
    pin(url, word(tenant="beta"), audit=False)
    unpin(url, tenant="beta", limit="ingestion_rate", by="ben", reason=None, at=NOON, audit=False)

    with Database.open(url, clock=clock) as database:
        assert entries(database) == []
        assert read_layers(database, now=NOON)["tenant"].to_list() == ["acme"]


def test_many_at_once_leave_one_pin_and_an_entry_for_each_that_was_taken(url: str) -> None:
    """Two words of one layer about one limit could not be composed: nothing would be published."""

    def attempt(value: int) -> str | None:
        try:
            pin(url, word(value=float(value)))
        except StorageError as refusal:
            return str(refusal)
        return None

    with Database.open(url, clock=clock) as database, serving(database):
        with ThreadPoolExecutor(4) as people:
            answers = list(people.map(attempt, range(4)))

        taken = answers.count(None)
        assert read_layers(database, now=NOON).height == 1
        assert len(entries(database)) == taken
        assert taken >= 1
        refusals = {answer for answer in answers if answer is not None}
        assert {"try again" in refusal for refusal in refusals} <= {True}, refusals


def test_two_in_one_moment_cannot_both_be_kept(url: str) -> None:
    with Database.open(url, clock=clock) as database, serving(database):
        pin(url, word(tenant="beta"))
        with database.transaction() as cursor:
            cursor.execute("update watermarks set \"at\" = now() where name = 'pinned'")

            with pytest.raises(StorageError, match=r"somebody else changes .* try again"):
                pin(url, word())

        assert read_layers(database, now=NOON)["tenant"].to_list() == ["beta"]
        pin(url, word())
        assert read_layers(database, now=NOON)["tenant"].to_list() == ["acme", "beta"]


def test_without_a_history_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        pin(str(tmp_path / "history.duckdb"), word())
