"""Keep how every limit stands, for the lists of people, and count how good our own work is."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from flows.estimating import Estimated
from flows.in_force import limits_of
from flows.runtime import Runtime
from policy.evidence import Recommended
from policy.rules import Rules
from policy.standings import standings
from tasks.record import record_standings


async def keep_standings(
    runtime: Runtime,
    found: Recommended,
    *,
    estimated: Estimated,
    rules: Rules,
    now: datetime,
    moved: bool,
    shown: int,
) -> None:
    """Store how the limits in force stand beside what was decided, and show it to Prometheus.

    Args:
        runtime: the history, and what remembers the limits.
        found: what was decided.
        estimated: from what.
        rules: by which.
        now: aware UTC.
        moved: the changes are put to work; in a dry run nothing moves.
        shown: tenants that may be labels of a metric.
    """
    tenants = found.targets["tenant"].unique()
    stand = standings(
        found.targets,
        estimates=estimated.estimates,
        risks=estimated.risks,
        limits=limits_of(runtime, tenants, rules.limits),
        rules=rules,
        now=now,
    )
    await record_standings(stand, database=runtime.database)
    runtime.telemetry.fleet.show_limits(stand, most=shown)
    changed = pl.col("outcome").is_in(["raise", "lower"])
    put_to_work = found.decisions.filter(changed) if moved else found.decisions.clear()
    runtime.telemetry.quality.show(stand, decisions=found.decisions, changed=put_to_work)
