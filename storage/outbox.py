"""The outbox: which message goes to which channel, what became of it, where each channel stands.

Messages of one incident on one channel leave in the order in which they came: the next waits until
the one before it has ended, one way or another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, Literal

import polars as pl

from policy.alerting.incidents import Tells
from policy.alerting.patience import Standing
from policy.frames import UTC_TIME
from policy.settings.alerting import Queue
from policy.settings.channels import Priority
from storage.database import Database, read_frame, write_frame

Ended = Literal["delivered", "dead", "dropped", "over"]

# What is to be told: to whom, and not before when. `held` says what holds it back.
OUTGOING: Final = pl.Schema(
    {
        "delivery": pl.String(),
        "incident": pl.String(),
        "alert": pl.String(),
        "channel": pl.String(),
        "address": pl.String(),
        "priority": pl.String(),
        "tells": pl.String(),
        "entered_at": UTC_TIME,
        "not_before": UTC_TIME,
        "held": pl.String(),
    }
)

ENTER: Final = """
    insert into deliveries by name
    select
        * exclude (number), 'waiting' as state, 0 as attempts,
        (select coalesce(max(place), 0) from deliveries) + number as place
    from incoming
"""
# The first of each incident on the channel that has not ended, where its time has come.
DUE: Final = """
    with heads as (
        select * from deliveries
        where channel = $channel and ended_at is null
        qualify row_number() over (partition by incident, address order by place) = 1
    )
    select
        heads.delivery::varchar as delivery, heads.incident::varchar as incident,
        heads.alert::varchar as alert, heads.address, heads.priority, heads.tells,
        heads.attempts, heads.entered_at, incidents.kind, incidents.opened_at, incidents.times,
        threads.thread
    from heads
    join incidents using (incident)
    left join threads
      on threads.incident = heads.incident and threads.channel = heads.channel
     and threads.address = heads.address
    where heads.not_before <= $now
    order by heads.priority, heads.place
    limit $most
"""
END: Final = """
    update deliveries
    set state = $state, attempts = attempts + $tried, ended_at = $now,
        problem = $problem, problem_kind = $kind, held = null
    where list_contains($deliveries::uuid[], delivery)
"""
POSTPONE: Final = """
    update deliveries
    set state = 'retrying', attempts = attempts + 1, not_before = $not_before,
        problem = $problem, problem_kind = $kind, held = null
    where list_contains($deliveries::uuid[], delivery)
"""
# Of the lowest priority first, and of these the oldest: a resolve is not lost before what it ends.
MAKE_ROOM: Final = """
    update deliveries
    set state = 'dropped', ended_at = $now, problem_kind = 'queue_full',
        problem = 'too many messages waited, and this one was of the lowest priority'
    where delivery in (
        select delivery from deliveries where state = $state
        order by priority desc, place
        limit greatest(0, (select count(*) from deliveries where state = $state) - $most)
    )
    returning channel
"""
# What was held back and is over by now need not be told: neither its begin nor its end.
OVER: Final = """
    update deliveries
    set state = 'over', ended_at = $now, problem = 'over before it was to be told', held = null
    where ended_at is null and attempts = 0
      and (incident, channel, address) in (
        select (incident, channel, address) from deliveries
        where ended_at is null and list_contains($incidents::uuid[], incident)
        group by all
        having bool_and(held is not null or tells = 'resolved')
      )
      and (incident, channel, address) not in (
        select (incident, channel, address) from deliveries where state in ('delivered', 'dead')
      )
"""
# What lasts, was told on the channel, and has not been told anew for a while.
FADING: Final = """
    select
        incidents.incident::varchar as incident, deliveries.address,
        arg_max(deliveries.alert, deliveries.place)::varchar as alert,
        any_value(incidents.priority) as priority
    from incidents join deliveries using (incident)
    where incidents.state in ('firing', 'acknowledged') and deliveries.channel = $channel
    group by incidents.incident, deliveries.address
    having bool_and(deliveries.ended_at is not null)
       and bool_or(deliveries.state = 'delivered')
       and max(deliveries.ended_at) <= $before
"""
FORGET_TOLD_ANEW: Final = """
    delete from deliveries where channel = $channel and tells = 'again' and ended_at < $before
"""
FORGET_HELD: Final = """
    update deliveries
    set state = 'over', ended_at = $now, problem = 'it was not over', held = null
    where ended_at is null and incident = $incident::uuid and held = $held
"""
WITHOUT_CHANNEL: Final = """
    update deliveries
    set state = 'dead', ended_at = $now, problem = $problem, problem_kind = $kind
    where ended_at is null and not list_contains($channels::varchar[], channel)
    returning channel
"""
WAITING: Final = """
    select channel, state, count(*) as messages, min(entered_at) as oldest
    from deliveries where ended_at is null group by all order by channel, state
"""
TOLD: Final = """
    select distinct channel, address from deliveries
    where incident = $incident::uuid and state <> 'over'
"""
NEWEST_ALERT: Final = """
    select coalesce(arg_max(alert, place), $incident::uuid)::varchar from deliveries
    where incident = $incident::uuid
"""
SENT_LATELY: Final = """
    select count(*) from deliveries
    where channel = $channel and state = 'delivered' and ended_at > $since
"""
READ_CHANNELS: Final = "select * from channels"
FORGET_CHANNEL: Final = "delete from channels where channel = $channel"
KEEP_CHANNEL: Final = """
    insert into channels values (
        $channel, $breaker, $since, $failures, $worked, $not_before, $problem, $succeeded_at,
        $checked_at
    )
"""
KEEP_THREAD: Final = """
    insert into threads select $incident::uuid, $channel, $address, $thread
    where not exists (
        from threads
        where incident = $incident::uuid and channel = $channel and address = $address
    )
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A message whose time has come."""

    delivery: str
    incident: str
    alert: str
    address: str
    priority: Priority
    tells: Tells
    attempts: int
    entered_at: datetime
    kind: str
    opened_at: datetime
    times: int
    thread: str | None


def enter(database: Database, outgoing: pl.DataFrame) -> None:
    """Put messages (OUTGOING) at the end of the outbox, in their order."""
    if outgoing.is_empty():
        return
    rows = outgoing.select(OUTGOING.names()).with_row_index("number", offset=1)
    with database.transaction() as cursor:
        write_frame(cursor, ENTER, rows)


def due(database: Database, *, channel: str, now: datetime, most: int) -> list[Due]:
    """The messages of the channel that may be tried now, the most urgent first."""
    asked = {"channel": channel, "now": now, "most": most}
    rows = database.cursor().execute(DUE, asked).pl()
    return [Due(**row) for row in rows.iter_rows(named=True)]


def end(
    database: Database,
    deliveries: Collection[str],
    *,
    state: Ended,
    now: datetime,
    tried: bool = True,
    problem: str | None = None,
    kind: str | None = None,
) -> None:
    """Note what became of these messages."""
    database.cursor().execute(
        END,
        {
            "deliveries": list(deliveries),
            "state": state,
            "now": now,
            "tried": int(tried),
            "problem": problem,
            "kind": kind,
        },
    )


def postpone(
    database: Database,
    deliveries: Collection[str],
    *,
    not_before: datetime,
    problem: str,
    kind: str,
) -> None:
    """Note that a try failed, and when the next one may be made."""
    database.cursor().execute(
        POSTPONE,
        {
            "deliveries": list(deliveries),
            "not_before": not_before,
            "problem": problem,
            "kind": kind,
        },
    )


def make_room(database: Database, *, queue: Queue, now: datetime) -> list[str]:
    """Drop what is too much; the channel of each message that gave way."""
    gone: list[str] = []
    with database.transaction() as cursor:
        for state, most in (("waiting", queue.waiting), ("retrying", queue.retrying)):
            asked = {"state": state, "most": most, "now": now}
            gone += [row[0] for row in cursor.execute(MAKE_ROOM, asked).fetchall()]
    return gone


def drop_what_is_over(database: Database, incidents: Sequence[str], *, now: datetime) -> None:
    """Of these incidents, which have ended: what nobody heard of need not be told any more."""
    if incidents:
        told = {"incidents": list(incidents), "now": now}
        database.cursor().execute(OVER, told)


def fading(database: Database, *, channel: str, before: datetime) -> pl.DataFrame:
    """Columns incident, address, alert, priority: what the channel was last told before then."""
    return read_frame(database, FADING, {"channel": channel, "before": before})


def forget_told_anew(database: Database, *, channel: str, before: datetime) -> None:
    """Forget what the channel was told anew before then: only the newest of it says something."""
    database.cursor().execute(FORGET_TOLD_ANEW, {"channel": channel, "before": before})


def forget_held(database: Database, incident: str, *, held: str, now: datetime) -> None:
    """End what is held back for that reason: it is not true any more."""
    database.cursor().execute(FORGET_HELD, {"incident": incident, "held": held, "now": now})


def give_up_without_channel(
    database: Database, *, channels: Collection[str], now: datetime, problem: str, kind: str
) -> list[str]:
    """End what waits for a channel that is none of these; the channel of each message."""
    told = {"channels": list(channels), "now": now, "problem": problem, "kind": kind}
    return [row[0] for row in database.cursor().execute(WITHOUT_CHANNEL, told).fetchall()]


def waiting(database: Database) -> pl.DataFrame:
    """Columns channel, state, messages, oldest: what has not ended."""
    return read_frame(database, WAITING)


def told_to(database: Database, incident: str) -> list[tuple[str, str]]:
    """Channel and address of everyone who was told of the incident, or is to be."""
    return database.cursor().execute(TOLD, {"incident": incident}).fetchall()


def newest_alert(database: Database, incident: str) -> str:
    """The id of the alert that was told last; where none was, of the one that opened it."""
    row = database.cursor().execute(NEWEST_ALERT, {"incident": incident}).fetchone()
    return str(row[0]) if row else incident


def sent_since(database: Database, *, channel: str, since: datetime) -> int:
    """How many messages the channel took since then."""
    row = database.cursor().execute(SENT_LATELY, {"channel": channel, "since": since}).fetchone()
    return int(row[0]) if row else 0


def read_channels(database: Database) -> Mapping[str, Standing]:
    """Where each channel stands that was ever tried."""
    rows = database.cursor().execute(READ_CHANNELS).pl().to_dicts()
    return {row.pop("channel"): Standing(**row) for row in rows}


def keep_channel(database: Database, channel: str, standing: Standing | None) -> None:
    """Keep where a channel stands; None: nothing is known of it."""
    with database.transaction() as cursor:
        cursor.execute(FORGET_CHANNEL, {"channel": channel})
        if standing is not None:
            cursor.execute(KEEP_CHANNEL, {"channel": channel, **asdict(standing)})


def keep_thread(
    database: Database, *, incident: str, channel: str, address: str, thread: str
) -> None:
    """Keep what a channel answered to the first message of an incident."""
    told = {"incident": incident, "channel": channel, "address": address, "thread": thread}
    database.cursor().execute(KEEP_THREAD, told)
