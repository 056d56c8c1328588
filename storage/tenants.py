"""Who the tenants are, and when they were seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from storage.database import Database

SEE_TENANTS: Final = """
    insert into tenants
    select tenant, $at::timestamptz, $at::timestamptz
    from (select distinct unnest($tenants::varchar[]) as tenant)
    -- To the minute is enough, and a look that changes nothing costs a third.
    where tenant not in (
        select tenant from tenants
        where first_seen <= $at::timestamptz
          and last_seen > $at::timestamptz - interval '1 minute'
    )
    on conflict (tenant) do update set
        first_seen = least(first_seen, excluded.first_seen),
        last_seen = greatest(last_seen, excluded.last_seen)
"""


def seen(database: Database, tenants: Sequence[str], *, at: datetime) -> None:
    """Note that these tenants exist at that time, to the minute."""
    if not tenants:
        return
    with database.transaction() as cursor:
        cursor.execute(SEE_TENANTS, {"tenants": list(tenants), "at": at})
