"""What was spent in windows, by tenant: asked from any process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from policy.cost.periods import Period
from policy.cost.pricing import COMPONENTS, QUANTITIES
from policy.cost.standing import CHARGED, DAYS
from policy.cost.teams import UNATTRIBUTED
from policy.frames import UTC_TIME
from storage.client import query
from storage.database import Database, read_frame
from storage.literals import literal

_MONEY: Final = pl.Decimal(38, 9)
_HOURS: Final = pl.Schema({name: DAYS[name] for name in ("number", "hours", "idle")})

RESERVED_SUMS: Final = ("reserved_amount", "reservable_amount")

# One row per window and tenant with a priced hour in it, or per window, tenant and team. `number`
# is the window's place among those asked for. Amounts are null where nothing is known;
# `covered_hours` of the hours that were priced. What limits reserve, and what of the usage such
# limits bound, is of the `reserved_hours` in which both are known.
SPENT: Final = pl.Schema(
    {
        "number": pl.Int64(),
        "tenant": pl.String(),
        "team": pl.String(),
        "currency": pl.String(),
        "amount": _MONEY,
        "listed": _MONEY,
        **{f"{name}_amount": _MONEY for name in COMPONENTS},
        **{name: pl.Float64() for name in QUANTITIES},
        "hours": pl.Int64(),
        "covered_hours": pl.Float64(),
        "unknown": pl.String(),
        **dict.fromkeys(RESERVED_SUMS, _MONEY),
        "reserved_hours": pl.Int64(),
    }
)
# What the bill of a window has beyond what was charged; no row where no bill is known. In the hours
# that were scaled to the bill, what was `listed` became what is `scaled`; null without such hours.
IDLE: Final = pl.Schema(
    {
        "number": pl.Int64(),
        "currency": pl.String(),
        "bill": _MONEY,
        "idle": _MONEY,
        "listed": _MONEY,
        "scaled": _MONEY,
    }
)
# Which hours are priced at all.
PRICED: Final = pl.Schema({"first": UTC_TIME, "last": UTC_TIME})

_WINDOWS: Final = """
    with windows(number, begins, ends) as (values {windows}),
    hours as (
        select each."at", windows.number
        from (
            select distinct "at" from {table}
            where "at" >= {first}::timestamptz and "at" < {last}::timestamptz
        ) as each
        asof join windows on each."at" >= windows.begins
        where each."at" < windows.ends
    )
"""
_SUMS: Final = ", ".join(
    f"sum({name}) as {name}"
    for name in (
        "amount",
        "listed",
        *(f"{name}_amount" for name in COMPONENTS),
        *QUANTITIES,
        *RESERVED_SUMS,
    )
)
_SPENT: Final = f"""
    select
        number, tenant, team, currency, {_SUMS},
        count(*) as hours, sum(covered_seconds) / 3600 as covered_hours,
        string_agg(distinct nullif(unknown, ''), ',' order by nullif(unknown, '')) as unknown,
        count(reserved_amount) as reserved_hours
    from {{charges}} join hours using ("at")
    group by number, tenant, team, currency
    order by number, amount desc nulls last, tenant, team
"""  # noqa: S608 - names of our own
_BY_TENANT: Final = """(
    select
        costs.*, coalesce(listed_amount, amount) as listed,
        coalesce(team, 'unattributed') as team
    from costs left join teams using (tenant)
)"""
# Limits and quantities are the tenant's, and no team's: they stay with what is unattributed.
_UNDIVIDED: Final = (*QUANTITIES, *RESERVED_SUMS)
_DIVIDED: Final = (
    "(select costs.* replace ("
    + ", ".join(
        [
            *(
                f"if(divided.team is null, costs.{name}, divided.{name}) as {name}"
                for name in ("amount", *(f"{name}_amount" for name in COMPONENTS))
            ),
            *(
                f"if(coalesce(divided.team, '{UNATTRIBUTED}') = '{UNATTRIBUTED}', "
                f"costs.{name}, null) as {name}"
                for name in _UNDIVIDED
            ),
        ]
    )
    + "), if(divided.team is null, coalesce(costs.listed_amount, costs.amount), null) as listed, "
    f"coalesce(divided.team, teams.team, '{UNATTRIBUTED}') as team "
    'from costs left join cost_teams as divided using ("at", tenant) '
    "left join teams using (tenant))"
)
_IDLE: Final = """
    select
        number, currency, sum(bills.amount) as bill,
        sum(bills.amount - coalesce(charged, 0)) as idle,
        sum(listed) as listed, sum(scaled) as scaled
    from bills join hours using ("at")
    left join (
        select
            "at", sum(amount) as charged, sum(listed_amount) as listed,
            sum(amount) filter (listed_amount is not null) as scaled
        from costs group by "at"
    ) using ("at")
    group by number, currency
    order by number
"""
_CHARGED: Final = """
    select number, tenant, team, sum(amount) as amount
    from v_cost_team_hourly join hours on v_cost_team_hourly.hour = hours."at"
    where currency = {currency}
    group by number, tenant, team
    order by number, tenant, team
"""
_DAYS: Final = """
    select number, count(*) as hours, sum(amount - coalesce(charged, 0)) as idle
    from hours
    left join (select * from bills where currency = {currency}) as bills using ("at")
    left join (
        select "at", sum(amount) as charged from costs where currency = {currency} group by "at"
    ) using ("at")
    group by number
    order by number
"""
_HOURS_PRICED: Final = """
    select windows.number, count(hours.number) as hours
    from windows left join hours using (number)
    group by windows.number
    order by windows.number
"""
_PRICED: Final = 'select min("at") as first, max("at") as last from costs'


def spent(
    where: str | Database, windows: Sequence[Period], *, by_team: bool = False
) -> pl.DataFrame:
    """SPENT in each of the windows, which do not overlap; an hour counts where it begins.

    Args:
        where: the history.
        windows: in order.
        by_team: a tenant that several teams share is divided among them, a row each.

    Raises:
        StorageError: the history cannot be reached.
    """
    sql = _SPENT.replace("{charges}", _DIVIDED if by_team else _BY_TENANT)
    return _asked(where, _WINDOWS + sql, windows=windows, table="costs", schema=SPENT)


def idle(where: str | Database, windows: Sequence[Period]) -> pl.DataFrame:
    """IDLE of each of the windows; see `spent`."""
    return _asked(where, _WINDOWS + _IDLE, windows=windows, table="bills", schema=IDLE)


def charged(
    where: str | Database, days: Sequence[Period], *, currency: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What tenants were charged on each of the days, in this currency (CHARGED), and the DAYS."""
    amounts, hours = (
        _asked(
            where,
            _WINDOWS + sql.replace("{currency}", literal(currency)),
            windows=days,
            table="costs",
            schema=schema,
        )
        for sql, schema in ((_CHARGED, CHARGED), (_DAYS, _HOURS))
    )
    moments = pl.DataFrame(
        [(number, each.start, each.end) for number, each in enumerate(days)],
        schema={name: DAYS[name] for name in ("number", "starts", "ends")},
        orient="row",
    )
    return amounts, moments.join(hours, on="number", how="left").with_columns(
        pl.col("hours").fill_null(0)
    ).select(DAYS.names())


def hours_priced(where: str | Database, windows: Sequence[Period]) -> list[int]:
    """In how many hours of each of the windows anybody's usage is priced; see `spent`."""
    schema = pl.Schema({"number": pl.Int64(), "hours": pl.Int64()})
    asked = _WINDOWS + _HOURS_PRICED
    return _asked(where, asked, windows=windows, table="costs", schema=schema)["hours"].to_list()


def priced(where: str | Database) -> pl.DataFrame:
    """PRICED: one row, of nulls while nothing is priced."""
    if isinstance(where, Database):
        return read_frame(where, _PRICED, schema=PRICED)
    return query(where, _PRICED).select(PRICED.names()).cast(PRICED)


def _asked(
    where: str | Database,
    sql: str,
    *,
    windows: Sequence[Period],
    table: str,
    schema: pl.Schema,
) -> pl.DataFrame:
    rows = ", ".join(
        f"({number}, {literal(each.start.isoformat())}::timestamptz, "
        f"{literal(each.end.isoformat())}::timestamptz)"
        for number, each in enumerate(windows)
    )
    asked = sql.format(
        windows=rows,
        table=table,
        first=literal(windows[0].start.isoformat()),
        last=literal(windows[-1].end.isoformat()),
    )
    if isinstance(where, Database):
        return read_frame(where, asked, schema=schema)
    return query(where, asked).select(schema.names()).cast(schema)
