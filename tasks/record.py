"""Keep what a run measured and decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.audit import AuditEntry
from policy.evidence import Recommended
from policy.signals import ASKING_LEVELS, ASKING_RATES
from storage.audit import append_audit
from storage.database import Database
from storage.decisions import record_decisions
from storage.emergency import replace_emergency
from storage.layers import replace_layer
from storage.limits import observe_limits
from storage.moves import record_moves, replace_leanings
from storage.resources import append_resources
from storage.rollups import roll_up
from storage.samples import append_samples
from storage.standings import replace_standings
from storage.tenants import seen
from tasks.retry import retry_policy
from tasks.step import step
from tasks.threads import threaded

WHOLE: Final = 0.99  # the coverage of a look that says who asked for nothing


@step(
    name="record-samples",
    task_run_name="record {samples.height} samples",
    **retry_policy(retries=3, timeout_seconds=30),
)
@threaded
def record_samples(
    samples: pl.DataFrame,
    *,
    database: Database,
    at: datetime,
    note: bool = True,
    told: pl.DataFrame | None = None,
) -> pl.DataFrame | None:
    """Store the samples (SAMPLES), and on request that their tenants exist, all or nothing.

    A tenant asks for something by whatever it does, also when it only queries or has alerts. Only
    a look that has rates says that the others asked for nothing.

    Returns:
        What the next look may give as `told` (`storage.samples.append_samples`).
    """
    if not note:
        return append_samples(database, samples, told=told)
    signal = pl.col("signal")
    asking = samples.filter(signal.is_in([*ASKING_RATES, *ASKING_LEVELS]) & (pl.col("value") > 0))
    coverage = samples.filter(signal.is_in(ASKING_RATES)).get_column("coverage").max()
    with database.transaction():
        told = append_samples(database, samples, told=told)
        seen(
            database,
            samples["tenant"].unique().to_list(),
            at=at,
            asking=asking["tenant"].unique().to_list(),
            whole=isinstance(coverage, float) and coverage >= WHOLE,
        )
    return told


@step(
    name="roll-up", task_run_name="roll up samples", **retry_policy(retries=3, timeout_seconds=300)
)
@threaded
def rolled_up(database: Database, *, at: datetime, sustained_for: timedelta) -> int:
    """Roll up the complete buckets; how many. Another flow may be at it: then it is tried again."""
    return roll_up(database, now=at, sustained_for=sustained_for)


@step(
    name="record-resources",
    task_run_name="record {found.height} resources",
    **retry_policy(retries=3, timeout_seconds=30),
)
@threaded
def record_resources(found: pl.DataFrame, *, database: Database, at: datetime) -> None:
    """Store what Mimir's processes use (RESOURCES), once a minute at most."""
    append_resources(database, found, at=at)


@step(
    name="record-layer",
    task_run_name="write layer {layer}: {entries.height} entries",
    **retry_policy(retries=3, timeout_seconds=30),
)
@threaded
def record_layer(
    entries: pl.DataFrame,
    *,
    layer: str,
    database: Database,
    run_id: str,
    audit: Sequence[AuditEntry] = (),
) -> None:
    """Put the entries (LAYERS) in the place of the whole layer, and tell of it in the audit."""
    with database.transaction():
        replace_layer(database, layer, entries, run_id=run_id)
        append_audit(database, audit)


@step(
    name="record-emergency",
    task_run_name="record where the emergency stands",
    **retry_policy(retries=3, timeout_seconds=30),
)
@threaded
def record_emergency(
    state: str | None,
    *,
    at: datetime,
    entries: pl.DataFrame | None,
    database: Database,
    run_id: str,
    audit: Sequence[AuditEntry] = (),
) -> None:
    """Store the state of the emergency, its layer and what is told of it, all or nothing.

    Args:
        state: as JSON; None: nothing is watched.
        at: when it was reached, aware UTC.
        entries: LAYERS in the place of the whole layer; None: it stays as it is.
        database: the history.
        run_id: of the run.
        audit: what is entered.
    """
    with database.transaction():
        replace_emergency(database, state, at=at)
        if entries is not None:
            replace_layer(database, "emergency", entries, run_id=run_id)
        append_audit(database, audit)


@step(
    name="record-decisions",
    task_run_name="record {recommended.decisions.height} decisions",
    **retry_policy(retries=3, timeout_seconds=30),
)
@threaded
def record(
    recommended: Recommended,
    *,
    optimized: pl.DataFrame,
    tiers: pl.DataFrame,
    database: Database,
    run_id: str,
    flow: str,
    moved: bool,
) -> pl.DataFrame:
    """Store the decisions and the layers that follow from them, all or nothing.

    Args:
        recommended: what was decided.
        optimized: the layer `optimized` that follows.
        tiers: the layer `tier`.
        database: the history.
        run_id: of the run.
        flow: its name.
        moved: the changes are put to work, and count as moves; in a dry run nothing moves.

    Returns:
        The decisions that are news (DECISIONS).
    """
    with database.transaction():
        news = record_decisions(database, recommended.decisions, run_id=run_id, flow=flow)
        if moved:
            record_moves(database, recommended.decisions, run_id=run_id)
        replace_leanings(database, recommended.leanings)
        replace_layer(database, "tier", tiers, run_id=run_id)
        replace_layer(database, "optimized", optimized, run_id=run_id)
    return news


@step(
    name="record-reverts",
    task_run_name="take back {decisions.height} lowerings",
    **retry_policy(retries=3, timeout_seconds=30),
)
@threaded
def record_reverts(
    decisions: pl.DataFrame,
    *,
    optimized: pl.DataFrame,
    database: Database,
    run_id: str,
    flow: str,
    audit: Sequence[AuditEntry] = (),
) -> None:
    """Store the lowerings that are taken back (DECISIONS), and the layer that follows."""
    with database.transaction():
        record_decisions(database, decisions, run_id=run_id, flow=flow)
        record_moves(database, decisions, run_id=run_id)
        replace_layer(database, "optimized", optimized, run_id=run_id)
        append_audit(database, audit)


@step(
    name="record-standings",
    task_run_name="record how {standings.height} limits stand",
    **retry_policy(retries=3, timeout_seconds=30),
)
@threaded
def record_standings(standings: pl.DataFrame, *, database: Database) -> None:
    """Store how each limit stands (STANDINGS), in the place of how it stood."""
    replace_standings(database, standings)


@step(
    name="record-observed",
    task_run_name="record {observed.height} limits of the operator",
    **retry_policy(retries=3, timeout_seconds=30),
)
@threaded
def record_observed(observed: pl.DataFrame, *, database: Database, at: datetime) -> None:
    """Store the operator's own limits (LIMITS) as they were just seen."""
    observe_limits(database, observed, at=at)
