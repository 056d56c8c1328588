"""`/api/v1/circuit-breaker`: what `mlo breaker` says and does, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, StringConstraints

from deployments import switching
from deployments.api.access import Access
from deployments.api.desk import Desk
from deployments.switching import Word, whose
from policy.pinnable import spoken
from storage import reading

Text = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class Order(BaseModel):
    """What a person asks for.

    Attributes:
        tenant: whose breaker; null is everyone's.
        reason: why; it stands in the audit log.
        by: who, for the audit log.
    """

    model_config = ConfigDict(extra="forbid")

    tenant: Text | None = None
    reason: Text
    by: Text = "an operator, over HTTP"


class ResetOrder(Order):
    """A reset, which is always of one tenant."""

    tenant: Text


class Breaker(BaseModel):
    """A breaker that is not plainly closed."""

    tenant: str
    state: str
    since: datetime
    kinds: str
    because: str
    openings: int


class SwitchedOff(BaseModel):
    """Whose breaker a person switched off; an empty tenant is everyone."""

    tenant: str
    by: str
    reason: str


class Status(BaseModel):
    """Where the breakers stand.

    Attributes:
        mode: of the process; in `dry-run` no breaker caps anybody.
        enabled: `circuitBreaker.enabled` and `circuitBreaker.runtimeEnabled`.
        breakers: those that are not plainly closed.
        switched_off: by the word of a person.
    """

    mode: str
    enabled: bool
    breakers: list[Breaker]
    switched_off: list[SwitchedOff]


class Done(BaseModel):
    """What was done, in one line."""

    done: str


def breaker_routes(desk: Desk, *, access: Access) -> APIRouter:
    """The routes.

    Args:
        desk: what they work on.
        access: who may use them.
    """
    routes = APIRouter(prefix="/circuit-breaker", tags=["circuit breaker"])
    look, act = [Depends(access.look)], [Depends(access.act)]

    @routes.get("/status", dependencies=look)
    def status() -> Status:
        """Every breaker that is not plainly closed, and who switched which off."""
        settings = desk.settings()
        breaker = settings.circuit_breaker
        off = reading.breakers_off(desk.database).select("tenant", "by", "reason")
        return Status(
            mode=settings.mode,
            enabled=breaker.enabled and breaker.runtime_enabled,
            breakers=[Breaker(**row) for row in reading.breakers(desk.database).to_dicts()],
            switched_off=[SwitchedOff(**row) for row in off.to_dicts()],
        )

    @routes.post("/enable", dependencies=act)
    def enable(order: Order) -> Done:
        """Let the breaker of a tenant, or of everyone, work again."""
        tenant = switching.named(order.tenant)
        switching.switch_on(desk.database, tenant=tenant, word=_word(desk, order))
        return Done(done=f"{whose(tenant)} works again")

    @routes.post("/disable", dependencies=act)
    def disable(order: Order) -> Done:
        """Let the breaker of a tenant, or of everyone, cap nobody; blasts are told as before."""
        tenant = switching.named(order.tenant)
        switching.switch_off(desk.database, tenant=tenant, word=_word(desk, order))
        return Done(done=f"{whose(tenant)} caps nobody until it is enabled")

    @routes.post("/reset", dependencies=act)
    def reset(order: ResetOrder) -> Done:
        """Close the breaker of a tenant at once, lift its caps, forget its openings."""
        tenant = switching.named(order.tenant)
        switching.reset(desk.database, tenant=tenant, word=_word(desk, order))
        return Done(done=f"{whose(tenant)} is closed")

    return routes


def _word(desk: Desk, order: Order) -> Word:
    return Word(
        by=spoken(order.by, of="by"),
        reason=spoken(order.reason, of="the reason"),
        at=desk.clock(),
        audit=desk.settings().audit_log.enabled,
    )
