"""A history that another process owns, as flows outside of it use it."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from policy.errors import Conflict
from storage.client import TOKEN_VARIABLE, query
from storage.database import Database, read_frame, write_frame
from storage.errors import StorageError
from storage.serve import serving, serving_file
from storage.served import ServedHistory

NOON = datetime(2026, 3, 4, 12, 0, 0, 123457, tzinfo=UTC)
MADE = "create table things (name varchar primary key, n double)"


@pytest.fixture
def url(owned: Database, path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    owned.cursor().execute(MADE)
    with serving(owned) as address:
        monkeypatch.setenv(TOKEN_VARIABLE, json.loads(serving_file(path).read_text())["token"])
        yield address


@pytest.fixture
def served(url: str) -> Iterator[ServedHistory]:
    with ServedHistory.reach(url) as opened:
        yield opened


def names(database: Database) -> list[str]:
    return read_frame(database, "select name from things order by name")["name"].to_list()


def insert(database: Database, name: str, n: float = 1.0) -> None:
    with database.transaction() as cursor:
        cursor.execute("insert into things values ($name, $n)", {"name": name, "n": n})


def test_a_transaction_is_kept_whole(served: ServedHistory, owned: Database) -> None:
    with served.transaction():
        insert(served, "it's; one")
        insert(served, "two")
        assert names(owned) == []

    assert names(owned) == ["it's; one", "two"]


def test_a_question_within_a_transaction_sees_what_it_wrote(
    served: ServedHistory, owned: Database
) -> None:
    with served.transaction() as cursor:
        cursor.execute("insert into things values (?, ?)", ["one", 2.5])
        assert cursor.execute("select name, n from things").fetchall() == [("one", 2.5)]
        assert names(owned) == []


def test_a_transaction_that_fails_keeps_nothing(served: ServedHistory, owned: Database) -> None:
    def half() -> None:
        with served.transaction():
            insert(served, "one")
            raise ValueError("half of it")

    with pytest.raises(ValueError, match="half of it"):
        half()
    with pytest.raises(StorageError, match=r"the history at quack:127\.0\.0\.1:\d+: .*things2"):
        served.cursor().execute("from things2")
    insert(served, "two")

    assert names(owned) == ["two"]


def test_a_client_that_dies_in_a_transaction_holds_no_rows(
    served: ServedHistory, owned: Database
) -> None:
    """
    A session that stays open on the owner would have it fail at those rows for ever.
    """
    insert(owned, "one")
    change = "update things set n = n + 1 where name = 'one'"

    def killed() -> None:
        with served.transaction() as cursor:
            cursor.execute(change)
            assert cursor.execute("select n from things").fetchone() == (2.0,)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        killed()

    with owned.transaction() as cursor:
        cursor.execute(change)

    assert read_frame(owned, "select n from things")["n"].to_list() == [2.0]


def test_the_same_rows_at_the_same_moment_are_a_conflict(
    served: ServedHistory, owned: Database
) -> None:
    insert(owned, "one")
    change = "update things set n = n + 1 where name = 'one'"

    def both() -> None:
        with owned.transaction() as theirs:
            theirs.execute(change)
            with served.transaction() as ours:
                ours.execute(change)

    with pytest.raises(Conflict, match="try again"):
        both()


FRAME = pl.DataFrame(
    {
        "at": [NOON, NOON + timedelta(hours=1)],
        "day": [date(2026, 3, 4), None],
        "name": ['it\'s\n"a"; ü€', None],
        "amount": pl.Series([Decimal("1234567.000001"), None], dtype=pl.Decimal(18, 6)),
        "n": [0.1 + 0.2, math.inf],
        "many": [["a", "b, c"], []],
        "yes": [True, False],
        "count": [2**53 + 1, -1],
        'what\'s "this"': [1e-300, 5e-324],
    }
)


@pytest.mark.parametrize("rows", [FRAME, FRAME.clear()])
def test_a_frame_arrives_as_it_was(
    served: ServedHistory, owned: Database, rows: pl.DataFrame
) -> None:
    write_frame(served.cursor(), "create table arrived as select * from incoming", rows)

    arrived = read_frame(owned, "from arrived")
    assert arrived.rows() == rows.rows()


def test_a_long_frame_arrives_whole_and_in_order(served: ServedHistory, owned: Database) -> None:
    rows = pl.DataFrame({"name": [f"{number:06}" for number in range(50_001)], "n": 1.0})

    with served.transaction() as cursor:
        write_frame(cursor, "insert into things select * from incoming", rows)
        write_frame(
            cursor,
            "update things set n = $n from incoming where things.name = incoming.name",
            rows.tail(1),
            n=7,
        )

    kept = read_frame(owned, "select * from things order by name")
    assert kept["name"].to_list() == rows["name"].to_list()
    assert kept["n"].tail(2).to_list() == [1.0, 7.0]


@pytest.mark.parametrize(
    "value",
    [NOON, date(2026, 3, 4), "a'b", 7, 2.5, True, Decimal("1.25"), ["a", "b"], [], None],
    ids=str,
)
def test_a_parameter_arrives_as_it_was(served: ServedHistory, value: object) -> None:
    found = served.cursor().execute("select $end as found", {"end": value}).fetchone()

    assert found == (value,)


def test_what_is_within_quotes_or_a_comment_is_no_parameter(served: ServedHistory) -> None:
    asked = """select '$a ?' as "$a ?", $a as one -- $a, and what about it?
    """

    assert served.cursor().execute(asked, {"a": -7}).fetchall() == [("$a ?", -7)]


def test_a_transaction_has_named_parameters_and_places(served: ServedHistory) -> None:
    with served.transaction() as cursor:
        cursor.execute("insert into things values ($name, $n)", {"name": "one", "n": 1.0})
        cursor.execute("insert into things values (?, ?)", ["two", 2.0])
        found = cursor.execute("select name from things where n > ?", [1.5]).fetchall()

    assert found == [("two",)]


def test_each_thread_has_its_own_transaction(served: ServedHistory, owned: Database) -> None:
    with served.transaction():
        insert(served, "one")
        other = threading.Thread(target=insert, args=(served, "two"))
        other.start()
        other.join()
        assert names(owned) == ["two"]

    assert names(owned) == ["one", "two"]


def test_what_cannot_be_reached_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "a-token")

    with pytest.raises(StorageError, match=r"quack:127\.0\.0\.1:1 does not answer") as refused:
        ServedHistory.reach("quack:127.0.0.1:1")

    assert "\n" not in str(refused.value)


def test_a_wrong_token_is_refused_in_one_line(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "another-token-than-theirs")

    with pytest.raises(StorageError, match="Authentication failed") as refused:
        ServedHistory.reach(url)

    assert "another-token" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_another_release_is_refused(url: str, owned: Database) -> None:
    owned.cursor().execute("insert into schema_migrations values (9999, 'later', now())")

    with pytest.raises(StorageError, match="has schema 9999"):
        ServedHistory.reach(url)


def test_it_is_gone_in_the_middle(
    owned: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(owned) as url:
        monkeypatch.setenv(TOKEN_VARIABLE, json.loads(serving_file(path).read_text())["token"])
        served = ServedHistory.reach(url)
        assert served.problem() is None
        assert query(url, "select 1 as one")["one"].to_list() == [1]

    assert "does not answer" in str(served.problem())
    served.close()
