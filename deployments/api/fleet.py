"""What is read of the fleet: tenants, limits, revisions, costs, alerts, audit."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import polars as pl
from fastapi import APIRouter, Depends, HTTPException, Path, Query, status
from pydantic import BaseModel

from deployments import fleet
from deployments.api.access import Access
from deployments.api.desk import Desk
from deployments.api.rows import (
    LimitQuery,
    OffsetQuery,
    Page,
    TenantQuery,
    model_of,
    page,
    told,
)
from deployments.pinning import pins_now
from deployments.plain import plain
from policy.cost.periods import window
from policy.cost.report import REPORT, report
from policy.frames import CHANGES
from policy.holds import HOLDS, in_force
from policy.pins import PINNED
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE, SERIES
from policy.standings import STANDINGS
from storage import alert_reading, reading, spending
from storage.audit import AUDIT
from storage.audit_reading import Asked, entries
from storage.budgets import STANDING, read_budgets
from storage.decisions import STORED_DECISIONS
from storage.savings import STORED, read_savings

LIMITS_SHOWN: Final = (INGESTION_RATE, INGESTION_BURST_SIZE, SERIES)
_OF_LIMITS: Final = {
    f"{limit}_{what}": pl.Float64()
    for limit in LIMITS_SHOWN
    for what in ("demand", "limit", "used_percent")
}
TENANTS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "tier": pl.String(),
        "state": pl.String(),
        "used_percent": pl.Float64(),
        "used_of": pl.String(),
        "last_seen": pl.Datetime("us", "UTC"),
        **_OF_LIMITS,
    }
)

Tenant = model_of("Tenant", TENANTS)
Decision = model_of("Decision", STORED_DECISIONS)
Risk = model_of("Risk", STANDINGS)
Change = model_of("Change", CHANGES)
Revision = model_of("Revision", reading.REVISIONS)
Published = model_of("PublishedChange", reading.PUBLISHED_CHANGES)
PinnedLimit = model_of("Pin", PINNED)
HeldTenant = model_of("Hold", HOLDS)
Cost = model_of("Cost", REPORT)
Budget = model_of("Budget", STANDING)
Saving = model_of("Saving", STORED)
Incident = model_of("Incident", alert_reading.TOLD)
Entry = model_of("AuditEntry", AUDIT)

NumberPath = Annotated[int, Path(ge=1, le=2**53)]
TenantPath = Annotated[str, Path(min_length=1, max_length=1_000)]


class Pending(BaseModel):
    """What would be published now.

    Attributes:
        changes: what differs from what is in force.
        problems: why it would not be published, one line each.
        paused: why it waits; null: it does not.
    """

    changes: list[Change]  # type: ignore[valid-type]
    problems: list[str]
    paused: str | None


class Why(BaseModel):
    """Why the limits of a tenant are what they are.

    Attributes:
        tenant: whose.
        stories: of each limit: every layer in order, and the newest decision with its steps.
        risks: how each limit stands.
        recommendations: to save.
        breaker: its state; null: plainly closed.
        pins: of this tenant.
        holds: of this tenant, or of everyone.
    """

    tenant: str
    stories: list[dict[str, Any]]
    risks: list[Risk]  # type: ignore[valid-type]
    recommendations: list[Saving]  # type: ignore[valid-type]
    breaker: dict[str, Any] | None
    pins: list[PinnedLimit]  # type: ignore[valid-type]
    holds: list[HeldTenant]  # type: ignore[valid-type]


def fleet_routes(desk: Desk, *, access: Access) -> APIRouter:
    """The routes.

    Args:
        desk: what they work on.
        access: who may use them.
    """
    routes = APIRouter(dependencies=[Depends(access.look)])
    _of_tenants(routes, desk)
    _of_limits(routes, desk)
    _of_costs(routes, desk)
    _of_events(routes, desk)
    return routes


def _of_tenants(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/tenants", tags=["tenants"])
    def tenants(
        tenant: TenantQuery = None, limit: LimitQuery = 100, offset: OffsetQuery = 0
    ) -> Page[Tenant]:  # type: ignore[valid-type]
        """Demand against limits, the fullest first."""
        now = desk.clock()
        found = fleet.tenants_now(
            desk.settings(), where=desk.database, limits=LIMITS_SHOWN, now=now
        ).select(TENANTS.names())
        return page(found, of=Tenant, limit=limit, offset=offset, at=now, tenant=tenant)

    @routes.get("/tenants/{tenant}", tags=["tenants"])
    def tenant_in_full(tenant: TenantPath) -> Why:
        """Why the limits of one tenant are what they are."""
        settings, where, now = desk.settings(), desk.database, desk.clock()
        if tenant not in reading.known_tenants(where):
            raise HTTPException(status.HTTP_404_NOT_FOUND, f"nothing is known of {tenant!r}")
        why, _ = fleet.explained(tenant, settings=settings, where=where, now=now)
        breaker = reading.breakers(where).filter(tenant=tenant).to_dicts()
        pins = pins_now(settings, layers=reading.layers(where), now=now, where=where)
        holds = in_force(reading.holds(where), now=now)
        stories: Any = plain(asdict(why))
        return Why.model_validate(
            {
                "tenant": tenant,
                "stories": stories["stories"],
                "risks": told(reading.standings(where).filter(tenant=tenant)),
                "recommendations": told(read_savings(where).filter(tenant=tenant)),
                "breaker": plain(breaker[0]) if breaker else None,
                "pins": told(pins.filter(tenant=tenant)),
                "holds": holds.filter(pl.col("tenant").is_in([tenant, ""])).to_dicts(),
            }
        )

    @routes.get("/risk", tags=["tenants"])
    def risk(
        tenant: TenantQuery = None, limit: LimitQuery = 100, offset: OffsetQuery = 0
    ) -> Page[Risk]:  # type: ignore[valid-type]
        """How every limit stands, the likeliest to be hit first."""
        found = reading.standings(desk.database).sort(
            "hit_probability", "tenant", "limit", descending=[True, False, False], nulls_last=True
        )
        return page(found, of=Risk, limit=limit, offset=offset, at=desk.clock(), tenant=tenant)


def _of_limits(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/recommendations", tags=["limits"])
    def recommendations(
        tenant: TenantQuery = None,
        outcome: Annotated[str | None, Query(max_length=100)] = None,
        limit: LimitQuery = 100,
        offset: OffsetQuery = 0,
    ) -> Page[Decision]:  # type: ignore[valid-type]
        """The newest decision on every limit."""
        found = reading.newest_decisions(desk.database)
        if outcome is not None:
            found = found.filter(outcome=outcome)
        return page(found, of=Decision, limit=limit, offset=offset, at=desk.clock(), tenant=tenant)

    @routes.get("/diff", tags=["limits"])
    def diff() -> Pending:
        """What would be published now and is not in force."""
        settings, where = desk.settings(), desk.database
        plan = fleet.pending(settings, where=where, now=desk.clock())
        return Pending.model_validate(
            {
                "changes": told(plan.changes),
                "problems": list(plan.problems),
                "paused": fleet.paused(settings, where=where),
            }
        )

    @routes.get("/revisions", tags=["limits"])
    def revisions(limit: LimitQuery = 50, offset: OffsetQuery = 0) -> Page[Revision]:  # type: ignore[valid-type]
        """What was published, the newest first."""
        found = reading.revisions(desk.database)
        return page(found, of=Revision, limit=limit, offset=offset, at=desk.clock())

    @routes.get("/revisions/{revision}", tags=["limits"])
    def revision_in_full(
        revision: NumberPath, limit: LimitQuery = 1_000, offset: OffsetQuery = 0
    ) -> Page[Published]:  # type: ignore[valid-type]
        """Each change of a revision, and why."""
        if revision not in reading.revisions(desk.database)["revision"]:
            raise HTTPException(status.HTTP_404_NOT_FOUND, f"there is no revision {revision}")
        found = reading.published_changes(desk.database).filter(revision=revision)
        return page(found, of=Published, limit=limit, offset=offset, at=desk.clock())

    @routes.get("/pins", tags=["limits"])
    def pins(limit: LimitQuery = 1_000, offset: OffsetQuery = 0) -> Page[PinnedLimit]:  # type: ignore[valid-type]
        """What is pinned, by whom, why and until when."""
        now, where = desk.clock(), desk.database
        found = pins_now(desk.settings(), layers=reading.layers(where), now=now, where=where)
        return page(found, of=PinnedLimit, limit=limit, offset=offset, at=now)

    @routes.get("/holds", tags=["limits"])
    def holds(limit: LimitQuery = 1_000, offset: OffsetQuery = 0) -> Page[HeldTenant]:  # type: ignore[valid-type]
        """Who is held at an earlier revision; an empty tenant is everyone."""
        now = desk.clock()
        found = in_force(reading.holds(desk.database), now=now)
        return page(found, of=HeldTenant, limit=limit, offset=offset, at=now)


def _of_costs(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/cost", tags=["cost"])
    def cost(
        window_: Annotated[
            str, Query(alias="window", max_length=100, description="As `mlo cost --window`.")
        ] = "month",
        by: Annotated[str, Query(pattern="^(team|tenant)$")] = "tenant",
        limit: LimitQuery = 1_000,
        offset: OffsetQuery = 0,
    ) -> Page[Cost]:  # type: ignore[valid-type]
        """What every tenant or team cost in a window, the dearest first, and what nobody used."""
        now, where = desk.clock(), desk.database
        zone = ZoneInfo(desk.settings().cost_control.time_zone)
        asked = window(window_, now=now, zone=zone)
        found = report(
            spending.spent(where, [asked], by_team=by == "team"),
            idle=spending.idle(where, [asked]),
            by=("team",) if by == "team" else ("tenant",),
            shared="none",
        )
        return page(_filled(found, REPORT), of=Cost, limit=limit, offset=offset, at=now)

    @routes.get("/budgets", tags=["cost"])
    def budgets(limit: LimitQuery = 1_000, offset: OffsetQuery = 0) -> Page[Budget]:  # type: ignore[valid-type]
        """How each budget stood at the newest run of `cost`, the one with the least left first."""
        found = read_budgets(desk.database)
        return page(found, of=Budget, limit=limit, offset=offset, at=desk.clock())

    @routes.get("/savings", tags=["cost"])
    def savings(
        tenant: TenantQuery = None, limit: LimitQuery = 1_000, offset: OffsetQuery = 0
    ) -> Page[Saving]:  # type: ignore[valid-type]
        """What could be saved, with what to do for it."""
        found = read_savings(desk.database)
        return page(found, of=Saving, limit=limit, offset=offset, at=desk.clock(), tenant=tenant)


def _of_events(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/alerts", tags=["alerts"])
    def alerts(
        state: Annotated[str | None, Query(max_length=100)] = None,
        limit: LimitQuery = 100,
        offset: OffsetQuery = 0,
    ) -> Page[Incident]:  # type: ignore[valid-type]
        """The incidents, those that go on first."""
        found = alert_reading.incidents(desk.database)
        if state is not None:
            found = found.filter(state=state)
        return page(found, of=Incident, limit=limit, offset=offset, at=desk.clock())

    @routes.get("/audit", tags=["audit"])
    def audit(
        tenant: Annotated[str | None, Query(max_length=1_000)] = None,
        action: Annotated[str | None, Query(max_length=100)] = None,
        failed: Annotated[bool, Query(description="Only what did not work.")] = False,  # noqa: FBT002 - a query
        since: datetime | None = None,
        limit: LimitQuery = 100,
    ) -> Page[Entry]:  # type: ignore[valid-type]
        """Who did what, the newest first; `details` is JSON."""
        asked = Asked(tenant=tenant, action=action, failed=failed, since=since, newest=limit)
        found = entries(desk.database, asked)
        return page(found, of=Entry, limit=limit, offset=0, at=desk.clock())

    @routes.get("/config", tags=["process"])
    def config() -> dict[str, Any]:
        """The settings in force; secrets are masked."""
        shown: dict[str, Any] = json.loads(json.dumps(plain(desk.settings().masked())))
        return shown


def _filled(found: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    missing = [
        pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in schema.items()
        if name not in found.columns
    ]
    return found.with_columns(missing).select(schema.names())
