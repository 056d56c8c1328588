"""Costs, audit entries, tenants and runs."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal

from policy.audit import AuditEntry, Category
from storage.audit import AUDIT, append_audit, read_audit
from storage.database import Database
from storage.runs import RUNS, Run, latest_runs, record_run
from storage.tenants import seen

RATE = "ingestion_rate"
HOUR = timedelta(hours=1)


def entry(at: datetime, tenant: str | None, category: Category) -> AuditEntry:
    return AuditEntry(
        at=at,
        category=category,
        component="publish",
        action="write",
        actor="mlo",
        success=True,
        details={"value": Decimal("1.5")},
        tenant=tenant,
    )


def test_audit_entries_are_read_newest_first_and_by_tenant(
    database: Database, now: datetime
) -> None:
    append_audit(
        database,
        [
            entry(now - HOUR, "t1", "system"),
            entry(now, "t1", "system"),
            entry(now, None, "security"),
        ],
    )

    of_tenant = read_audit(database, since=now - 2 * HOUR, tenant="t1")
    of_category = read_audit(database, since=now - 2 * HOUR, category="security")

    assert of_tenant.schema == AUDIT
    assert of_tenant["at"].to_list() == [now, now - HOUR]
    assert of_category["tenant"].to_list() == [None]
    assert json.loads(of_category["details"][0]) == {"value": "1.5"}


def test_no_audit_entries_are_fine(database: Database, now: datetime) -> None:
    append_audit(database, [])

    assert read_audit(database, since=now - HOUR).is_empty()


def test_a_tenant_is_seen_first_once_and_last_again(database: Database, now: datetime) -> None:
    seen(database, ["t1"], at=now)
    seen(database, ["t1", "t2", "t2"], at=now + HOUR)
    seen(database, ["t1"], at=now - HOUR)

    listed = database.cursor().execute(
        "select tenant, first_seen, last_seen from tenants order by tenant"
    )

    assert listed.fetchall() == [
        ("t1", now - HOUR, now + HOUR),
        ("t2", now + HOUR, now + HOUR),
    ]


def test_each_try_of_a_run_is_kept_and_the_newest_of_each_flow_is_found(
    database: Database, now: datetime
) -> None:
    for run_id, started_at in (("r1", now - HOUR), ("r2", now)):
        begun = Run(
            run_id=run_id, flow="protect", started_at=started_at, outcome="running", summary={}
        )
        record_run(database, begun)
    ended = Run(
        run_id="r2",
        flow="protect",
        started_at=now,
        finished_at=now + timedelta(seconds=1),
        outcome="completed",
        summary={"changes": 3},
    )

    record_run(database, ended)

    newest = latest_runs(database)
    assert newest.schema == RUNS
    assert newest.select("run_id", "outcome").rows() == [("r2", "completed")]
    assert database.cursor().execute("select count(*) from runs").fetchall() == [(3,)]
