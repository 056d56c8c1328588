"""Read the history from any process, whether its owner runs or not.

Everything goes through `storage.client.query`, which takes whole statements without parameters:
so each question here is one constant, nothing is ever put into its text, and what is asked of
one tenant is filtered from the frame afterwards. Where a `Database` is taken, too, it is that of
the process that owns the history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from policy.activity import ACTIVITY
from policy.breakers import BREAKERS
from policy.frames import CHANGES, LAYERS, LIMITS, UTC_TIME
from policy.holds import HOLDS
from policy.standings import STANDINGS
from policy.top_metrics import TOP_METRICS
from storage.breaker_metrics import READ_METRICS
from storage.breakers import READ_BREAKERS, READ_SWITCHED_OFF, SWITCHED_OFF
from storage.client import query
from storage.database import Database, read_frame
from storage.decisions import STORED_DECISIONS
from storage.emergency import READ_EMERGENCY
from storage.errors import StorageError
from storage.holds import READ_HOLDS
from storage.limits import OBSERVED_LIMITS
from storage.pauses import WITHDRAWN, words_of_pause, words_of_withdrawal
from storage.standings import READ_STANDINGS
from storage.tenants import ACTIVITY_OF_TENANTS

# What each tenant asked for at last within the last hour.
DEMAND: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "signal": pl.String(),
        "demand": pl.Float64(),
        "demand_at": UTC_TIME,
    }
)

# Each document that was to be published, the newest first.
REVISIONS: Final = pl.Schema(
    {
        "revision": pl.Int64(),
        "begun_at": UTC_TIME,
        "actor": pl.String(),
        "outcome": pl.String(),
        "changed_limits": pl.Int64(),
        "detail": pl.String(),
        "sink": pl.String(),
        "run_id": pl.String(),
    }
)
# What each of them changed.
PUBLISHED_CHANGES: Final = pl.Schema(
    {
        "revision": pl.Int64(),
        "begun_at": UTC_TIME,
        "actor": pl.String(),
        "outcome": pl.String(),
        **CHANGES,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDocument:
    """The document of a revision, and what became of it."""

    revision: int
    outcome: str
    detail: str | None
    document: bytes


LAYERS_NOW: Final = "select * exclude (run_id) from layers"
NEWEST_DECISIONS: Final = """
    select *
    from decisions
    qualify row_number() over (partition by tenant, "limit" order by "at" desc) = 1
    order by tenant, "limit"
"""
TENANTS_KNOWN: Final = """
    select tenant from tenants
    union select tenant from layers
    union select tenant from decisions
    union select tenant from limits_observed where tenant <> ''
    union select tenant from costs
    order by tenant
"""
ALL_REVISIONS: Final = "select * from v_revisions order by revision desc"
ALL_CHANGES: Final = """
    with each_change as (
        select
            revision, begun_at, actor, outcome,
            unnest(from_json(changes, '[{
                "tenant": "VARCHAR", "limit": "VARCHAR", "before": "DOUBLE", "after": "DOUBLE",
                "decided_by": "VARCHAR", "reason": "VARCHAR"
            }]'), recursive := true)
        from v_revisions
    )
    select * from each_change order by revision desc, tenant, "limit"
"""
HELD: Final = READ_HOLDS
ONE_DOCUMENT: Final = """
    select revision, outcome, detail, document from revisions where revision = {revision}
"""
PAUSE: Final = """
    select actor, reason, until from pauses
    where until is null or until > now()
    order by "at" desc limit 1
"""
SIMULATED: Final = "select simulated from history_origin"
LAST_DOCUMENT: Final = """
    select document from revisions
    where outcome not in ('failed', 'reverted')
    order by revision desc limit 1
"""
DEMAND_NOW: Final = """
    select tenant, signal, arg_max(value, "at") as demand, max("at") as demand_at
    from samples
    where "at" >= now() - interval '1 hour'
    group by tenant, signal
    order by tenant, signal
"""
PUBLISHED: Final = """
    select tenant, limit_name as "limit", value from v_tenant_limits
    where value is not null
    order by tenant, "limit"
"""


def layers(where: str | Database) -> pl.DataFrame:
    """What every layer says (LAYERS), also what has expired since.

    Args:
        where: `storage.url`: the path of the file, or `quack:host:port`; in the process that owns
            the history, its database.

    Raises:
        StorageError: the history cannot be reached, or there is none yet.
    """
    return _read(where, LAYERS_NOW, schema=LAYERS)


def observed(where: str | Database) -> pl.DataFrame:
    """The operator's own limits (LIMITS), the cluster's defaults under the tenant ''.

    Raises:
        StorageError: see `layers`.
    """
    return _read(where, OBSERVED_LIMITS, schema=LIMITS)


def newest_decisions(where: str | Database) -> pl.DataFrame:
    """The newest decision on each tenant and limit, of whichever flow (STORED_DECISIONS).

    Raises:
        StorageError: see `layers`.
    """
    return _read(where, NEWEST_DECISIONS, schema=STORED_DECISIONS)


def standings(where: str | Database) -> pl.DataFrame:
    """How each limit stood at the newest run of `optimize` (STANDINGS).

    Raises:
        StorageError: see `layers`.
    """
    return _read(where, READ_STANDINGS, schema=STANDINGS)


def revisions(where: str | Database) -> pl.DataFrame:
    """What was published, the newest first (REVISIONS).

    Raises:
        StorageError: see `layers`.
    """
    return _read(where, ALL_REVISIONS, schema=REVISIONS)


def published_changes(where: str | Database) -> pl.DataFrame:
    """What each publication changed, the newest first (PUBLISHED_CHANGES).

    Raises:
        StorageError: see `layers`.
    """
    return _read(where, ALL_CHANGES, schema=PUBLISHED_CHANGES)


def demand(where: str | Database) -> pl.DataFrame:
    """What every tenant asked for at last (DEMAND).

    Raises:
        StorageError: see `layers`.
    """
    return _read(where, DEMAND_NOW, schema=DEMAND)


def in_force(where: str | Database) -> pl.DataFrame:
    """The LIMITS of tenants of which anybody set one, ours over the operator's.

    Raises:
        StorageError: see `layers`.
    """
    return _read(where, PUBLISHED, schema=LIMITS)


def activity(where: str | Database) -> pl.DataFrame:
    """When every tenant was seen and asked for something (ACTIVITY).

    Raises:
        StorageError: see `layers`.
    """
    return _read(where, ACTIVITY_OF_TENANTS, schema=ACTIVITY)


def known_tenants(where: str | Database) -> list[str]:
    """Every tenant of which anything is known, sorted.

    Raises:
        StorageError: see `layers`.
    """
    return _asked(where, TENANTS_KNOWN).get_column("tenant").to_list()


def simulated(where: str | Database) -> bool:
    """Whether the tenants of this history are made up.

    Raises:
        StorageError: see `layers`.
    """
    found = _asked(where, SIMULATED)
    return not found.is_empty() and bool(found.item())


def holds(where: str | Database) -> pl.DataFrame:
    """Who is held at an earlier revision (HOLDS), also what has ended since.

    Raises:
        StorageError: see `layers`.
    """
    return _read(where, HELD, schema=HOLDS)


def kept_document(where: str | Database, revision: int) -> KeptDocument | None:
    """What a revision said, and what became of it; None where there is no such revision.

    Raises:
        StorageError: see `layers`.
    """
    found = _asked(where, ONE_DOCUMENT.format(revision=int(revision)))
    if found.is_empty():
        return None
    number, outcome, detail, document = found.row(0)
    return KeptDocument(revision=number, outcome=outcome, detail=detail, document=document.encode())


def breakers(where: str | Database) -> pl.DataFrame:
    """The breakers that are not plainly closed (BREAKERS).

    Raises:
        StorageError: see `layers`.
    """
    return _read(where, READ_BREAKERS, schema=BREAKERS)


def breaker_metrics(where: str | Database) -> pl.DataFrame:
    """The metrics that were told of tenants whose breaker is not closed (TOP_METRICS).

    Raises:
        StorageError: see `layers`.
    """
    return _read(where, READ_METRICS, schema=TOP_METRICS)


def breakers_off(where: str | Database) -> pl.DataFrame:
    """Whose breaker is off by the word of a person (SWITCHED_OFF).

    Raises:
        StorageError: see `layers`.
    """
    return _read(where, READ_SWITCHED_OFF, schema=SWITCHED_OFF)


def pause(where: str | Database) -> str | None:
    """Why nothing is published now; None where nobody paused.

    Raises:
        StorageError: see `layers`.
    """
    found = _asked(where, PAUSE)
    return None if found.is_empty() else words_of_pause(*found.row(0))


def withdrawal(where: str | Database) -> str | None:
    """Why none of our limits is published; None where nobody withdrew them.

    Raises:
        StorageError: see `layers`.
    """
    found = _asked(where, WITHDRAWN)
    return None if found.is_empty() else words_of_withdrawal(*found.row(0))


def emergency(where: str | Database) -> str | None:
    """Where the emergency stands, as JSON; None where nothing is watched.

    Raises:
        StorageError: see `layers`.
    """
    found = _asked(where, READ_EMERGENCY)
    return None if found.is_empty() else str(found.item())


def last_document(where: str | Database) -> bytes | None:
    """The document that was written last and not taken back; None when none was.

    Raises:
        StorageError: see `layers`.
    """
    found = _asked(where, LAST_DOCUMENT)
    return None if found.is_empty() else str(found.item()).encode()


def _read(where: str | Database, sql: str, *, schema: pl.Schema) -> pl.DataFrame:
    return _asked(where, sql).select(schema.names()).cast(schema)


def _asked(where: str | Database, sql: str) -> pl.DataFrame:
    """The answer, or that the history is older than the question."""
    if isinstance(where, Database):
        return read_frame(where, sql)
    try:
        return query(where, sql)
    except StorageError as refusal:
        if "does not exist" not in str(refusal) or "Table with name" not in str(refusal):
            raise
        raise StorageError(
            "this history was made by an older version of mlo: start `mlo up` once, which brings "
            "it up to date"
        ) from refusal
