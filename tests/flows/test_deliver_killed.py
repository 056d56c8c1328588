"""Processes that deliver are killed in the middle of it, and the channel flaps: nothing is lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from storage.alerts import raise_alerts
from storage.database import Database
from tests.flows.alerting import NOON, hook
from tests.flows.deliverer import MOST_ROUNDS, ROUND, deliver_all
from tests.policy.alerts import alert
from tests.tasks.receiver import Got, Receiver, Says, receiving

pytestmark = pytest.mark.timeout(600)

SECONDS = 300.0
Told = list[tuple[str, str, str]]  # incident, state, what a repetition has in common


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture(scope="module")
def forked() -> Callable[..., Any]:
    """Starts processes that have imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.flows.deliverer"])

    def start(*told: object) -> Any:  # noqa: ANN401 - multiprocessing's
        process = context.Process(target=deliver_all, args=told, daemon=True)
        process.start()
        return process

    return start


def by_webhook(body: Any) -> Told:  # noqa: ANN401 - JSON
    return [(body["incident"], body["state"], body["id"])]


def by_alertmanager(body: Any) -> Told:  # noqa: ANN401 - JSON
    """An Alertmanager knows what it is told again by its labels.

    What is over ends now, at a whole round, and what goes on some minutes later.
    """
    told = []
    for each in body:
        lasts = datetime.fromisoformat(each["endsAt"]) - datetime.fromisoformat(each["startsAt"])
        state = "firing" if lasts % ROUND else "resolved"
        told.append((each["labels"]["incident"], state, str(sorted(each["labels"].items()))))
    return told


@dataclass(slots=True, kw_only=True)
class Flapping:
    """A channel that fails at every so many requests, and kills who speaks to it at some.

    It kills in turn before it has taken what was told and after; `taken` is all that it took.
    """

    read: Callable[[Any], Told]
    every: int
    fails: int
    kills: list[int]
    running: list[Any] = field(default_factory=list)
    taken: Told = field(default_factory=list)
    asked: int = 0

    def __call__(self, got: Got) -> Says:
        if got.method != "POST":
            return Says()
        self.asked += 1
        dies = bool(self.kills) and self.asked >= self.kills[0]
        if self.asked % self.every < self.fails and not dies:
            return Says(status=503, body=b"later")
        before = dies and self.kills.pop(0) % 2 == 0
        if before:
            self.kill()
        self.taken += self.read(got.json)
        if dies and not before:
            self.kill()
        return Says()

    def kill(self) -> None:
        os.kill(self.running[-1].pid, signal.SIGKILL)

    def told(self) -> dict[str, list[str]]:
        """What each incident was told, repetitions apart."""
        found = defaultdict[str, list[str]](list)
        for incident, state, _ in self.taken:
            if state not in found[incident]:
                found[incident].append(state)
        return dict(found)

    def known_as(self) -> dict[tuple[str, str], set[str]]:
        """What the messages of one state of an incident have in common."""
        found = defaultdict[tuple[str, str], set[str]](set)
        for incident, state, known in self.taken:
            found[incident, state].add(known)
        return found


@pytest.mark.parametrize(
    ("channel", "read", "incidents", "flaps"),
    [("ops", by_webhook, 200, (60, 7)), ("alertmanager", by_alertmanager, 5_000, (4, 2))],
    ids=["one by one", "ten thousand alerts"],
)
def test_none_is_lost_and_each_incident_keeps_its_order(
    receiver: Receiver,
    forked: Callable[..., Any],
    tmp_path: Path,
    channel: str,
    read: Callable[[Any], Told],
    incidents: int,
    flaps: tuple[int, int],
) -> None:
    """Each is told at least once, and what is told twice is known again."""
    url = str(tmp_path / "history.duckdb")
    tree = {
        "webhooks": {"ops": hook(receiver.url, enabled=channel == "ops")},
        "alertmanager": {"enabled": channel == "alertmanager", "urls": [receiver.url]},
        "routing": [{"channels": [channel], "escalation": "87600h"}],
        "queue": {"waiting": 20_000, "retrying": 20_000},
        "mostPerMinute": 100_000,
        "retry": {"attempts": 1_000},
    }
    every, fails = flaps
    kills = sorted(Random(8).sample(range(3, 7 * every), 6))
    flapping = Flapping(read=read, every=every, fails=fails, kills=list(kills))
    receiver.answer = flapping
    names = [f"breaker:{n}" for n in range(incidents)]
    with Database.open(url, clock=lambda: NOON) as database:
        for over in (False, True):
            raise_alerts(database, [alert(name, at=NOON, resolves=over) for name in names])

    begins, running = NOON, flapping.running
    while not running or running[-1].exitcode == -signal.SIGKILL:
        running.append(forked(url, tree, begins))
        running[-1].join(SECONDS)
        begins += MOST_ROUNDS * ROUND

    assert [process.exitcode for process in running] == [-signal.SIGKILL] * len(kills) + [0]
    assert flapping.told() == {name: ["firing", "resolved"] for name in names}
    assert {len(each) for each in flapping.known_as().values()} == {1}
    with Database.open(url, clock=lambda: begins) as database:
        ended = database.cursor().execute("select distinct state from deliveries").fetchall()
    assert ended == [("delivered",)]
