"""What each tenant used in each hour: as it was measured, and where it was not, as imported."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.cost.attribution import SIGNALS
from policy.cost.usage import IMPORTED, SIGNAL_OF, USAGE
from storage.client import query
from storage.database import Database, read_frame, write_frame
from storage.literals import literal

# A signal that was there in a part only of what is known of the hour counts for that part: who was
# asked a query in one look of twelve was not asked twelve.
_COLUMNS: Final = ", ".join(
    f"any_value(mean) filter (signal = '{signal}') * "
    f"(any_value(covered_seconds) filter (signal = '{signal}') / max(covered_seconds)) as {column}"
    for column, signal in SIGNAL_OF.items()
)
# The hours are bound on both sides of the union: then DuckDB skips all other blocks.
USAGE_BETWEEN: Final = f"""
    with measured as (
        select "at", tenant, signal, mean, coalesce(points, 12) * 300.0 as covered_seconds
        from peaks_hourly
        where "at" >= $start and "at" < $end and list_contains($signals::varchar[], signal)
    ),
    imported as (
        select "at", tenant, signal, mean, covered_seconds from usage_imported
        where "at" >= $start and "at" < $end and list_contains($signals::varchar[], signal)
    )
    select "at", tenant, max(covered_seconds) as covered_seconds, {_COLUMNS}
    from (
        select * from measured
        union all
        select * from imported anti join measured using ("at", tenant, signal)
    )
    group by "at", tenant
    order by "at", tenant
"""  # noqa: S608 - names of our own
# The parts of teams, by the name of their signal and the team's behind a colon.
ATTRIBUTED_BETWEEN: Final = """
    select "at", tenant, signal, mean, coalesce(points, 12) * 300.0 as covered_seconds
    from peaks_hourly
    where "at" >= $start and "at" < $end and signal > 'attributed_' and signal < 'attributed_~'
        and list_contains($signals::varchar[], split_part(signal, ':', 1))
    order by "at", tenant, signal
"""
REPLACE_IMPORTED: Final = """
    delete from usage_imported using incoming
    where usage_imported."at" >= $start and usage_imported."at" <= $end
      and usage_imported."at" = incoming."at"
      and usage_imported.tenant = incoming.tenant
      and usage_imported.signal = incoming.signal
"""
INSERT_IMPORTED: Final = """
    insert into usage_imported by name
    select *, $origin as origin, $at::timestamptz as imported_at from incoming
    order by "at", signal, tenant
"""
_SIGNALS: Final = ", ".join(f"'{signal}'" for signal in SIGNAL_OF.values())
TENANTS_BETWEEN: Final = f"""
    select tenant from peaks_hourly
    where "at" >= {{start}}::timestamptz and "at" < {{end}}::timestamptz and signal in ({_SIGNALS})
    union
    select tenant from usage_imported
    where "at" >= {{start}}::timestamptz and "at" < {{end}}::timestamptz
    order by tenant
"""  # noqa: S608 - names of our own


def tenants_between(where: str | Database, *, start: datetime, end: datetime) -> list[str]:
    """The tenants with usage in the hours that begin within [start, end), sorted.

    Raises:
        StorageError: the history cannot be reached.
    """
    sql = TENANTS_BETWEEN.format(start=literal(start.isoformat()), end=literal(end.isoformat()))
    found = read_frame(where, sql) if isinstance(where, Database) else query(where, sql)
    return found["tenant"].to_list()


def usage_hours(database: Database, *, start: datetime, end: datetime) -> pl.DataFrame:
    """USAGE of the hours that begin within [start, end)."""
    told: dict[str, object] = {"start": start, "end": end, "signals": list(SIGNAL_OF.values())}
    return read_frame(database, USAGE_BETWEEN, told, schema=USAGE)


def attributed_hours(database: Database, *, start: datetime, end: datetime) -> pl.DataFrame:
    """What teams had of their tenants in the hours that begin within [start, end) (IMPORTED)."""
    told: dict[str, object] = {"start": start, "end": end, "signals": list(SIGNALS.values())}
    return read_frame(database, ATTRIBUTED_BETWEEN, told, schema=IMPORTED)


def import_usage(database: Database, frame: pl.DataFrame, *, origin: str, at: datetime) -> int:
    """Store hours from elsewhere (IMPORTED); an hour, tenant and signal that is there is replaced.

    Args:
        database: the history.
        frame: the hours; importing the same twice changes nothing but `imported_at`.
        origin: where it comes from.
        at: now, aware UTC.

    Returns:
        How many rows were stored.

    Raises:
        ValueError: a mean or a cover is not finite, or below zero; nothing is stored.
    """
    rows = frame.select(IMPORTED.names()).cast(IMPORTED)
    if rows.is_empty():
        return 0
    numbers = pl.col("mean", "covered_seconds")
    if not rows.select((numbers.is_finite() & (numbers >= 0)).all()).row(0) == (True, True):
        raise ValueError("usage: a mean or its cover is not a number of zero or more")
    with database.transaction() as cursor:
        write_frame(cursor, REPLACE_IMPORTED, rows, start=rows["at"].min(), end=rows["at"].max())
        write_frame(cursor, INSERT_IMPORTED, rows, origin=origin, at=at)
    return rows.height
