"""Keep the file small and readable for others: retention, checkpoint, snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from storage.audit_retention import Kept, trim_audit
from storage.copying import copy_database
from storage.database import Database
from storage.engine import snapshot_of
from storage.errors import StorageError
from storage.rollups import roll_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long each table is kept, and how much of the audit at most; None: all of it."""

    samples: timedelta = timedelta(hours=48)
    rollups: timedelta = timedelta(days=30)
    peaks: timedelta = timedelta(days=400)
    decisions: timedelta = timedelta(days=400)
    revisions: timedelta = timedelta(days=400)
    audit: timedelta = timedelta(days=400)
    most_audit: Kept | None = None
    costs: timedelta = timedelta(days=400)
    runs: timedelta = timedelta(days=30)
    resources: timedelta = timedelta(hours=48)
    looked_hours: timedelta = timedelta(days=100)
    creep_days: timedelta = timedelta(days=90)
    leaks: timedelta = timedelta(days=400)
    cluster_rises: timedelta = timedelta(days=400)
    alerts: timedelta = timedelta(days=90)


RETENTION: Final = Retention()

DELETE_SAMPLES: Final = 'delete from samples where "at" < ?'
ADVANCE_WATERMARK: Final = """
    insert into watermarks values ('samples_kept_since', ?)
    on conflict (name) do update set "at" = greatest("at", excluded."at")
"""
DELETE_ROLLUPS: Final = 'delete from rollups_5m where "at" < ?'
DELETE_PEAKS: Final = 'delete from peaks_hourly where "at" < ?'
DELETE_DAYS: Final = 'delete from peaks_daily where "at" < ?'
DELETE_SEASONS: Final = 'delete from peaks_weekly where "at" < ?'
DELETE_DECISIONS: Final = 'delete from decisions where "at" < ?'
DELETE_REVISIONS: Final = """
    delete from revisions
    where "at" < ?
      and revision < (select max(revision) from revisions where outcome = 'confirmed')
"""
DELETE_AUDIT: Final = 'delete from audit where "at" < ?'
DELETE_COSTS: Final = 'delete from costs where "at" < ?'
DELETE_DIVIDED: Final = 'delete from cost_teams where "at" < ?'
DELETE_BILLS: Final = 'delete from bills where "at" < ?'
DELETE_IMPORTED: Final = 'delete from usage_imported where "at" < ?'
DELETE_BACKFILLS: Final = "delete from backfills where until < ?"
DELETE_COST_ALERTS: Final = "delete from cost_alerts where over_at < ?"
DELETE_FOLLOWED: Final = "delete from savings_followed where since < ?"
DELETE_RUNS: Final = "delete from runs where started_at < ?"
DELETE_RESOURCES: Final = 'delete from resources where "at" < ?'
DELETE_CREEP_DAYS: Final = 'delete from creep_days where "at" < ?'
DELETE_LEAKS: Final = "delete from leaks where over_at < ?"
DELETE_CLUSTER_RISES: Final = "delete from cluster_rises where over_at < ?"
# What goes on is kept, and so is what its messages need that are still on their way.
DELETE_DELIVERIES: Final = "delete from deliveries where ended_at < ?"
_ENDED: Final = """
    select incident from incidents
    where coalesce(over_at, newest_at) < ? and state in ('resolved', 'told')
      and incident not in (select incident from deliveries)
"""
DELETE_THREADS: Final = f"delete from threads where incident in ({_ENDED})"  # noqa: S608 - ours
DELETE_INCIDENTS: Final = f"delete from incidents where incident in ({_ENDED})"  # noqa: S608 - ours
DELETE_ALERTS: Final = """
    delete from alerts
    where "at" < ? and taken and alert not in (select alert from deliveries)
      and alert not in (select incident from incidents)
"""
# Hours of looking, not of the clock: an absence is told in them (storage.tenants.activity), and
# one of more hours than are kept is told as all that are.
DELETE_LOOKED_HOURS: Final = """
    delete from looked_hours where "at" < (
        select min("at") from (select "at" from looked_hours order by "at" desc limit ?)
    )
"""


def apply_retention(
    database: Database,
    *,
    now: datetime,
    sustained_for: timedelta,
    retention: Retention = RETENTION,
) -> dict[str, int]:
    """Delete what is older or more than the retention; return the rows deleted of each table.

    Samples are rolled up first, and deleted in whole hours so that no bucket is ever
    computed from a part of its samples. The newest confirmed revision always stays.
    `sustained_for` is that of `roll_up`.
    """
    roll_up(database, now=now, sustained_for=sustained_for)
    cut = (now - retention.samples).replace(minute=0, second=0, microsecond=0)
    rollup_cut = (now - retention.rollups).replace(minute=0, second=0, microsecond=0)
    deletions: dict[str, tuple[str, datetime | int]] = {
        "samples": (DELETE_SAMPLES, cut),
        "rollups_5m": (DELETE_ROLLUPS, rollup_cut),
        "peaks_hourly": (DELETE_PEAKS, now - retention.peaks),
        "peaks_daily": (DELETE_DAYS, now - retention.peaks),
        "peaks_weekly": (DELETE_SEASONS, now - retention.peaks),
        "decisions": (DELETE_DECISIONS, now - retention.decisions),
        "revisions": (DELETE_REVISIONS, now - retention.revisions),
        "audit": (DELETE_AUDIT, now - retention.audit),
        "costs": (DELETE_COSTS, now - retention.costs),
        "cost_teams": (DELETE_DIVIDED, now - retention.costs),
        "bills": (DELETE_BILLS, now - retention.costs),
        "usage_imported": (DELETE_IMPORTED, now - retention.costs),
        "backfills": (DELETE_BACKFILLS, now - retention.costs),
        "cost_alerts": (DELETE_COST_ALERTS, now - retention.costs),
        "savings_followed": (DELETE_FOLLOWED, now - retention.costs),
        "runs": (DELETE_RUNS, now - retention.runs),
        "resources": (DELETE_RESOURCES, now - retention.resources),
        "creep_days": (DELETE_CREEP_DAYS, now - retention.creep_days),
        "leaks": (DELETE_LEAKS, now - retention.leaks),
        "cluster_rises": (DELETE_CLUSTER_RISES, now - retention.cluster_rises),
        # In this order: each needs what is left of the one before it.
        "deliveries": (DELETE_DELIVERIES, now - retention.alerts),
        "threads": (DELETE_THREADS, now - retention.alerts),
        "incidents": (DELETE_INCIDENTS, now - retention.alerts),
        "alerts": (DELETE_ALERTS, now - retention.alerts),
        "looked_hours": (DELETE_LOOKED_HOURS, retention.looked_hours // timedelta(hours=1)),
    }
    deleted = {}
    with database.transaction() as cursor:
        for table, (statement, kept) in deletions.items():
            counted = cursor.execute(statement, [kept]).fetchone()
            deleted[table] = int(counted[0]) if counted else 0
        cursor.execute(ADVANCE_WATERMARK, [cut])
        if retention.most_audit is not None:
            deleted["audit"] += len(trim_audit(database, most=retention.most_audit))
    return deleted


def checkpoint(database: Database) -> None:
    """Fold the write-ahead log into the file and free what was deleted."""
    database.cursor().execute("checkpoint")


def snapshot(database: Database, *, target: Path | None = None) -> Path:
    """Replace the read-only copy beside the file, at once and whole; return where it is.

    The copy is of one instant and blocks no writer; who has the old one open keeps it.

    Raises:
        StorageError: a database in memory without a target, or a folder that is not writable.
    """
    if target is None:
        if database.path is None:
            raise StorageError("a database in memory has no place beside it; name a target")
        target = snapshot_of(database.path)
    copy_database(database.cursor(), target)
    return target
