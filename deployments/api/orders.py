"""What a person orders over HTTP; each is an audit entry, and the same as on the command line."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import polars as pl
from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from deployments.api.access import Access
from deployments.api.desk import Desk
from deployments.holding import held_plan, of_everyone, refuse_stranger, said_by
from deployments.pinning import pins_now, refuse_unpublishable
from deployments.unknown import refuse_unknown
from deployments.withdrawal import withdrawal
from policy.errors import ConfigError
from policy.holds import EVERYONE, Hold, in_force
from policy.pinnable import PinRefused, pinnable, spoken
from policy.pins import Pin
from policy.tuned import bounds_of, catalogue_of
from storage import alert_reading, holds, pauses, pins, reading
from storage.incidents import acknowledge

Text = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class Order(BaseModel):
    """What every order says.

    Attributes:
        reason: why; it stands in the audit log.
        by: who, for the audit log.
    """

    model_config = ConfigDict(extra="forbid")

    reason: Text
    by: Text = "an operator, over HTTP"


class Lasting(Order):
    """An order that may end by itself: at `until`, in any zone."""

    until: AwareDatetime | None = None


class PinOrder(Lasting):
    """Hold one limit of one tenant at a value.

    Attributes:
        even_if_it_blocks: also a tenant never seen, and a 0 that refuses everything.
    """

    tenant: Text
    limit: Text
    value: Annotated[float, Field(allow_inf_nan=False)]
    even_if_it_blocks: bool = False


class UnpinOrder(Order):
    """Take a pin back."""

    tenant: Text
    limit: Text


class RollbackOrder(Lasting):
    """Publish an earlier revision again, of one tenant or of everyone, and hold it."""

    revision: Annotated[int, Field(ge=1, le=2**53)]
    tenant: Text | None = None


class ReleaseOrder(Order):
    """End the hold of a tenant, or of everyone."""

    tenant: Text | None = None


class AckOrder(BaseModel):
    """Say that you see to an incident."""

    model_config = ConfigDict(extra="forbid")

    incident: Text
    by: Text = "an operator, over HTTP"


class Done(BaseModel):
    """What was done, in one line."""

    done: str


def order_routes(desk: Desk, *, access: Access) -> APIRouter:
    """The routes.

    Args:
        desk: what they work on.
        access: who may use them.
    """
    routes = APIRouter(dependencies=[Depends(access.act)])
    _of_pins(routes, desk)
    _of_publishing(routes, desk)

    @routes.post("/alerts/acknowledge", tags=["alerts"])
    def acknowledged(order: AckOrder) -> Done:
        """Say that somebody sees to it: it goes no further, and the channels are told."""
        where = desk.database
        going_on = alert_reading.incidents(where).filter(state="firing")["incident"]
        if order.incident not in going_on:
            raise ConfigError(f"{order.incident} waits for nobody")
        who = spoken(order.by, of="by")
        acknowledge(where, subject=order.incident, by=who, at=desk.clock(), audit=_audits(desk))
        return Done(done=f"{who} sees to {order.incident}")

    return routes


def _of_pins(routes: APIRouter, desk: Desk) -> None:
    @routes.post("/pins", tags=["limits"])
    def pin(order: PinOrder) -> Done:
        """Hold one limit of one tenant at a value, whatever else is decided."""
        settings, where = desk.settings(), desk.database
        number = pinnable(
            order.limit,
            str(order.value),
            catalogue=catalogue_of(settings.limits),
            bounds=bounds_of(settings.limits),
            blocking=order.even_if_it_blocks,
        )
        word = Pin(
            tenant=spoken(order.tenant, of="the tenant"),
            limit=order.limit,
            value=number,
            reason=spoken(order.reason, of="the reason"),
            by=spoken(order.by, of="by"),
            since=desk.clock(),
            until=_ahead(order.until, now=desk.clock()),
        )
        if not order.even_if_it_blocks:
            refuse_unknown(word.tenant, known=reading.known_tenants(where))
        layers = reading.layers(where)
        refuse_unpublishable(word, layers=layers, settings=settings, where=where)
        pins.pin(where, word, audit=_audits(desk))
        return Done(done=f"{word.limit} of {word.tenant} is pinned to {word.value:g}")

    @routes.post("/pins/remove", tags=["limits"])
    def unpin(order: UnpinOrder) -> Done:
        """Take a pin back: the limit is again what the other layers say."""
        where, now = desk.database, desk.clock()
        found = pins_now(desk.settings(), layers=reading.layers(where), now=now, where=where)
        if found.filter(tenant=order.tenant, limit=order.limit).is_empty():
            raise PinRefused(f"{order.limit} of {order.tenant} is not pinned")
        pins.unpin(
            where,
            tenant=order.tenant,
            limit=order.limit,
            by=spoken(order.by, of="by"),
            reason=spoken(order.reason, of="the reason"),
            at=now,
            audit=_audits(desk),
        )
        return Done(done=f"{order.limit} of {order.tenant} is no longer pinned")


def _of_publishing(routes: APIRouter, desk: Desk) -> None:
    @routes.post("/rollback", tags=["limits"])
    def rollback(order: RollbackOrder) -> Done:
        """Publish an earlier revision again, and hold it until it is released."""
        settings, where = desk.settings(), desk.database
        said = said_by(where, order.revision)
        word = Hold(
            tenant=EVERYONE if order.tenant is None else spoken(order.tenant, of="the tenant"),
            revision=order.revision,
            reason=spoken(order.reason, of="the reason"),
            by=spoken(order.by, of="by"),
            since=desk.clock(),
            until=_ahead(order.until, now=desk.clock()),
        )
        refuse_stranger(word.tenant, said=said, known=reading.known_tenants(where))
        plan = held_plan(settings, word=word, said=said, where=where)
        holds.hold(where, word, said=said, audit=_audits(desk))
        count = plan.changes.height
        whose = word.tenant or "everyone"
        return Done(done=f"{whose} is held at revision {word.revision}: {count} limits change")

    @routes.post("/release", tags=["limits"])
    def release(order: ReleaseOrder) -> Done:
        """End the hold of a rollback: the limits are again what the other layers say."""
        where, now = desk.database, desk.clock()
        found = in_force(reading.holds(where), now=now)
        whose = EVERYONE if order.tenant is None else spoken(order.tenant, of="the tenant")
        if found.is_empty() or (whose != EVERYONE and whose not in found["tenant"]):
            raise ConfigError(f"{whose or 'nobody'} is {'not ' if whose else ''}held")
        holds.release(
            where,
            tenant=whose,
            everyone=of_everyone(where, found.filter(pl.col("tenant") == EVERYONE)),
            by=spoken(order.by, of="by"),
            reason=spoken(order.reason, of="the reason"),
            at=now,
            audit=_audits(desk),
        )
        return Done(done=f"{whose or 'everyone'} is no longer held")

    @routes.post("/pause", tags=["limits"])
    def pause(order: Lasting) -> Done:
        """Publish nothing from now on; what is decided waits, what stands stays."""
        pauses.pause(
            desk.database,
            by=spoken(order.by, of="by"),
            reason=spoken(order.reason, of="the reason"),
            at=desk.clock(),
            until=_ahead(order.until, now=desk.clock()),
            audit=_audits(desk),
        )
        return Done(done="nothing is published")

    @routes.post("/withdraw", tags=["limits"])
    def withdraw(order: Order) -> Done:
        """Take every limit of ours away, and publish none until resumed."""
        settings, where = desk.settings(), desk.database
        by, reason = spoken(order.by, of="by"), spoken(order.reason, of="the reason")
        plan = withdrawal(settings, by=by, reason=reason, where=where)
        pauses.withdraw(where, by=by, reason=reason, at=desk.clock(), audit=_audits(desk))
        return Done(done=f"{plan.changes.height} limits of ours go, and none is published")

    @routes.post("/resume", tags=["limits"])
    def resume(order: Order) -> Done:
        """Publish again, also what was withdrawn."""
        if reading.pause(desk.database) is None and reading.withdrawal(desk.database) is None:
            raise ConfigError("nobody paused; publish.paused is a setting")
        pauses.resume(
            desk.database,
            by=spoken(order.by, of="by"),
            reason=spoken(order.reason, of="the reason"),
            at=desk.clock(),
            audit=_audits(desk),
        )
        return Done(done="what waits is published again")


def _ahead(until: datetime | None, *, now: datetime) -> datetime | None:
    """When an order ends.

    Raises:
        PinRefused: that is over already.
    """
    if until is not None and until <= now:
        raise PinRefused("until is not ahead; give a later time, or leave it out")
    return until


def _audits(desk: Desk) -> bool:
    return desk.settings().audit_log.enabled
