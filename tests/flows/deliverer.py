"""A process that delivers until nothing waits any more, and ends."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from flows.deliver import deliver_once
from storage import outbox
from storage.database import Database
from tests.flows.alerting import Office

ROUND = timedelta(minutes=6)  # longer than any channel is left alone
MOST_ROUNDS = 200


def deliver_all(url: str, tree: dict[str, Any], begins: datetime) -> None:
    """Deliver round after round, by a clock that begins there."""
    with Database.open(url, clock=lambda: begins) as database:
        office = Office(database, tree=tree, now=begins)
        asyncio.run(_rounds(office))


async def _rounds(office: Office) -> None:
    for _ in range(MOST_ROUNDS):
        with office.runtime.run("deliver") as run:
            await deliver_once(office.runtime, run)
        if outbox.waiting(office.database).is_empty():
            return
        office.now += ROUND
