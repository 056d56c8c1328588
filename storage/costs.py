"""What each tenant cost in each hour, and what the cluster did. Money is decimal."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.cost.attribution import TEAM_COSTS
from policy.cost.bills import BILLS
from policy.cost.pricing import COSTS
from policy.cost.reservation import RESERVED
from policy.cost.teams import TEAMS
from storage.database import Database, read_frame, write_frame

DELETE_HOURS: Final = 'delete from costs where "at" >= $start and "at" < $end'
DELETE_DIVIDED: Final = 'delete from cost_teams where "at" >= $start and "at" < $end'
DELETE_BILLS: Final = 'delete from bills where "at" >= $start and "at" < $end'
INSERT_COSTS: Final = """
    insert into costs by name select *, $run_id as run_id from incoming order by "at", tenant
"""
INSERT_DIVIDED: Final = "insert into cost_teams by name select * from incoming"
INSERT_BILLS: Final = "insert into bills by name select * from incoming"
COSTS_BETWEEN: Final = """
    select * from costs where "at" >= ? and "at" < ? order by "at", tenant
"""
PRICED_HOURS: Final = """
    select distinct "at" from costs where "at" >= ? and "at" < ? order by "at"
"""
NOTED_LIMITS: Final = """
    select "at", tenant, samples_limit, series_limit from costs
    where "at" >= ? and "at" < ? and (samples_limit is not null or series_limit is not null)
"""
DELETE_TEAMS: Final = "delete from teams"
INSERT_TEAMS: Final = "insert into teams by name select * from incoming"


def replace_costs(
    database: Database,
    costs: pl.DataFrame,
    *,
    bills: pl.DataFrame,
    start: datetime,
    end: datetime,
    run_id: str,
    teams: pl.DataFrame | None = None,
) -> None:
    """Put costs (COSTS) and bills (BILLS) in the place of all of the hours within [start, end).

    Args:
        database: the history.
        costs: COSTS.
        bills: BILLS.
        start: of the hours that are replaced.
        end: of the same.
        run_id: whose they are.
        teams: TEAM_COSTS of the tenants among them that several teams share.

    Raises:
        ValueError: an hour lies outside, or a tenant's hour is priced twice; nothing is stored.
    """
    priced = costs.select(COSTS.names())
    divided = TEAM_COSTS.to_frame() if teams is None else teams.select(TEAM_COSTS.names())
    outside = pl.concat([priced["at"], bills["at"], divided["at"]])
    if not outside.is_between(start, end, closed="left").all():
        raise ValueError("costs: an hour lies outside of those that are replaced")
    if priced.select("at", "tenant").is_duplicated().any():
        raise ValueError("costs: an hour of a tenant is priced twice")
    with database.transaction() as cursor:
        span = {"start": start, "end": end}
        cursor.execute(DELETE_HOURS, span)
        cursor.execute(DELETE_BILLS, span)
        cursor.execute(DELETE_DIVIDED, span)
        if not priced.is_empty():
            write_frame(cursor, INSERT_COSTS, priced, run_id=run_id)
        if not bills.is_empty():
            write_frame(cursor, INSERT_BILLS, bills.select(BILLS.names()))
        if not divided.is_empty():
            write_frame(cursor, INSERT_DIVIDED, divided)


def costs_between(database: Database, *, start: datetime, end: datetime) -> pl.DataFrame:
    """The costs of the hours that begin within [start, end) (COSTS)."""
    return read_frame(database, COSTS_BETWEEN, [start, end], schema=COSTS)


def priced_hours(database: Database, *, start: datetime, end: datetime) -> list[datetime]:
    """The hours within [start, end) that are priced."""
    return read_frame(database, PRICED_HOURS, [start, end])["at"].to_list()


def noted_limits(database: Database, *, start: datetime, end: datetime) -> pl.DataFrame:
    """The limits that were noted with the costs of the hours that begin within (RESERVED)."""
    return read_frame(database, NOTED_LIMITS, [start, end], schema=RESERVED)


def replace_teams(database: Database, teams: pl.DataFrame) -> None:
    """Put TEAMS in the place of what stood there."""
    with database.transaction() as cursor:
        cursor.execute(DELETE_TEAMS)
        if not teams.is_empty():
            write_frame(cursor, INSERT_TEAMS, teams.select(TEAMS.names()))
