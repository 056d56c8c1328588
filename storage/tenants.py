"""Who the tenants are: when they were seen, what they ask, what they may."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl

from policy.frames import UTC_TIME
from storage.database import Database, read_frame

TENANTS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "first_seen": UTC_TIME,
        "last_seen": UTC_TIME,
        "limit": pl.String(),
        "demand": pl.Float64(),
        "demand_at": UTC_TIME,
        "value": pl.Float64(),
        "decided_by": pl.String(),
    }
)

SEE_TENANTS: Final = """
    insert into tenants
    select tenant, $at::timestamptz, $at::timestamptz
    from (select distinct unnest($tenants::varchar[]) as tenant)
    on conflict (tenant) do update set
        first_seen = least(first_seen, excluded.first_seen),
        last_seen = greatest(last_seen, excluded.last_seen)
"""
LIST_TENANTS: Final = """
    with demand as (
        select tenant, signal, arg_max(value, "at") as demand, max("at") as demand_at
        from samples
        where "at" >= $since
        group by tenant, signal
    ),
    asked as (select unnest($limits::varchar[]) as "limit")
    select
        tenants.*,
        asked."limit",
        demand.demand,
        demand.demand_at,
        coalesce(allowed.value, cluster.value) as value,
        coalesce(allowed.decided_by, if(cluster.value is null, null, 'defaults')) as decided_by
    from tenants
    cross join asked
    left join demand on demand.tenant = tenants.tenant and demand.signal = asked."limit"
    left join v_tenant_limits as allowed
        on allowed.tenant = tenants.tenant and allowed.limit_name = asked."limit"
    left join limits_observed as cluster
        on cluster.tenant = '' and cluster.limit_name = asked."limit"
    order by tenants.tenant, asked."limit"
"""


def seen(database: Database, tenants: Sequence[str], *, at: datetime) -> None:
    """Note that these tenants exist at that time."""
    if not tenants:
        return
    with database.transaction() as cursor:
        cursor.execute(SEE_TENANTS, {"tenants": list(tenants), "at": at})


def list_tenants(database: Database, *, limits: Sequence[str], since: datetime) -> pl.DataFrame:
    """Every tenant and limit with its newest demand since then and its value (TENANTS).

    `demand` is null without a sample since then; `value` is null when nothing is known of it.
    """
    parameters: dict[str, object] = {"limits": list(limits), "since": since}
    return read_frame(database, LIST_TENANTS, parameters, schema=TENANTS)
