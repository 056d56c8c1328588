"""What people ask of alerting, from any process: incidents, dead letters, channels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import polars as pl

from policy.frames import UTC_TIME
from storage.audit import NOTE
from storage.client import query
from storage.database import Database, read_frame
from storage.script import run_script

TOLD: Final = pl.Schema(
    {
        "opened_at": UTC_TIME,
        "priority": pl.String(),
        "incident": pl.String(),
        "state": pl.String(),
        "title": pl.String(),
        "tenant": pl.String(),
        "component": pl.String(),
        "kind": pl.String(),
        "times": pl.Int64(),
        "simulated": pl.Boolean(),
        "over_at": UTC_TIME,
        "acknowledged_by": pl.String(),
        "told": pl.String(),
        "waits_for": pl.String(),
    }
)
DEAD: Final = pl.Schema(
    {
        "entered_at": UTC_TIME,
        "channel": pl.String(),
        "priority": pl.String(),
        "incident": pl.String(),
        "tells": pl.String(),
        "attempts": pl.Int64(),
        "problem": pl.String(),
        "delivery": pl.String(),
    }
)
CHANNELS: Final = pl.Schema(
    {
        "channel": pl.String(),
        "breaker": pl.String(),
        "since": UTC_TIME,
        "failures": pl.Int64(),
        "problem": pl.String(),
        "succeeded_at": UTC_TIME,
        "checked_at": UTC_TIME,
        "waiting": pl.Int64(),
        "retrying": pl.Int64(),
        "dead": pl.Int64(),
    }
)

READ_TOLD: Final = """
    select
        incidents.opened_at, incidents.priority, incidents.subject as incident, incidents.state,
        incidents.title, incidents.tenant, incidents.component, incidents.kind, incidents.times,
        incidents.simulated, incidents.over_at, incidents.acknowledged_by,
        (
            select string_agg(distinct channel, ', ' order by channel) from deliveries
            where deliveries.incident = incidents.incident and deliveries.state = 'delivered'
        ) as told,
        (
            select string_agg(distinct channel, ', ' order by channel) from deliveries
            where deliveries.incident = incidents.incident and deliveries.ended_at is null
        ) as waits_for
    from incidents
    order by incidents.state not in ('firing', 'acknowledged'), incidents.newest_at desc
    limit 1000
"""
READ_DEAD: Final = """
    select
        deliveries.entered_at, deliveries.channel, deliveries.priority,
        incidents.subject as incident, deliveries.tells, deliveries.attempts, deliveries.problem,
        deliveries.delivery::varchar as delivery
    from deliveries join incidents using (incident)
    where deliveries.state = 'dead'
    order by deliveries.entered_at desc
"""
READ_CHANNELS: Final = """
    select
        coalesce(channels.channel, counted.channel) as channel,
        coalesce(channels.breaker, 'closed') as breaker, channels.since,
        coalesce(channels.failures, 0) as failures, channels.problem, channels.succeeded_at,
        channels.checked_at, coalesce(counted.waiting, 0) as waiting,
        coalesce(counted.retrying, 0) as retrying, coalesce(counted.dead, 0) as dead
    from channels
    full join (
        select
            channel,
            count(*) filter (where state = 'waiting') as waiting,
            count(*) filter (where state = 'retrying') as retrying,
            count(*) filter (where state = 'dead') as dead
        from deliveries group by channel
        having bool_or(ended_at is null or state = 'dead')
    ) as counted using (channel)
    order by channel
"""
REVIVE: Final = """
    update deliveries
    set state = 'waiting', attempts = 0, ended_at = null, not_before = {at}::timestamptz,
        problem = null, problem_kind = null
    where state = 'dead' and ({delivery} is null or delivery::varchar = {delivery})
"""


def incidents(where: str | Database) -> pl.DataFrame:
    """The newest thousand incidents (TOLD), those that go on first.

    Raises:
        StorageError: the history cannot be reached.
    """
    return _read(where, READ_TOLD, schema=TOLD)


def dead_letters(where: str | Database) -> pl.DataFrame:
    """The messages that were given up (DEAD), the newest first.

    Raises:
        StorageError: the history cannot be reached.
    """
    return _read(where, READ_DEAD, schema=DEAD)


def channels(where: str | Database) -> pl.DataFrame:
    """Every channel that was ever tried, or that something waits for (CHANNELS).

    Raises:
        StorageError: the history cannot be reached.
    """
    return _read(where, READ_CHANNELS, schema=CHANNELS)


def revive(
    where: str | Database, *, delivery: str | None, by: str, at: datetime, audit: bool = True
) -> None:
    """Let messages that were given up wait for their first try again.

    Args:
        where: see `storage.script.run_script`.
        delivery: which; None: all of them.
        by: who says so.
        at: when, aware UTC.
        audit: whether it is an audit entry.

    Raises:
        StorageError: the history cannot be reached or written.
    """
    told: Mapping[str, str | None] = {
        "delivery": delivery,
        "at": at.isoformat(),
        "category": "user",
        "component": "alerting",
        "action": "alert_retried",
        "tenant": "",
        "actor": by,
        "details": json.dumps({"delivery": delivery} if delivery else {}),
    }
    run_script(where, [REVIVE, *([NOTE] if audit else [])], told=told)


def _read(where: str | Database, statement: str, *, schema: pl.Schema) -> pl.DataFrame:
    if isinstance(where, Database):
        return read_frame(where, statement, schema=schema)
    return query(where, statement).select(schema.names()).cast(schema)
