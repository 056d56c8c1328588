"""Alerts as they are kept: in order, whoever raises them beside whoever takes them."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread

from storage.alerts import give_way, raise_alerts, take, untaken
from storage.database import Database
from tests.policy.alerts import NOON, alert


def waiting(database: Database) -> list[str]:
    return [each.incident for each in untaken(database, most=1_000).values()]


def test_alerts_come_in_the_order_in_which_they_were_raised_and_once(database: Database) -> None:
    raise_alerts(database, [alert("a"), alert("b")])
    raise_alerts(database, [alert("c", evidence={"samples/s": "4"})])
    (first, *_) = untaken(database, most=1)
    take(database, [first])

    assert waiting(database) == ["b", "c"]
    assert list(untaken(database, most=1_000).values())[-1].evidence == {"samples/s": "4"}


def test_who_raises_is_never_in_the_way_of_who_takes(owned: Database) -> None:
    """Raised in the transaction of another thread, while this one takes what there is."""
    raise_alerts(owned, [alert(str(n)) for n in range(5)])

    def other() -> None:
        raise_alerts(owned, [alert("late")])

    with owned.transaction():
        take(owned, untaken(owned, most=1_000))
        thread = Thread(target=other)
        thread.start()
        thread.join()

    assert waiting(owned) == ["late"]


def test_what_nobody_takes_gives_way_the_lowest_priority_and_the_oldest_first(
    database: Database,
) -> None:
    raise_alerts(database, [alert("low", priority="P3"), alert("old"), alert("new")])

    later = NOON + timedelta(hours=2)
    assert give_way(database, before=NOON, most=1) == 0
    assert give_way(database, before=later, most=3) == 0
    assert give_way(database, before=later, most=1) == 2
    assert waiting(database) == ["new"]
