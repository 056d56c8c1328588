"""`/debug/alerting/status`: every channel, what waits for it, and what is wrong with it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from deployments.api.access import Access
from deployments.api.desk import Desk
from storage import alert_reading as reading


class Channel(BaseModel):
    """A channel that was tried, or that something waits for.

    Attributes:
        healthy: whether its newest try or check went well; null: it was never tried.
        circuit_breaker: closed, open or half-open.
    """

    healthy: bool | None
    circuit_breaker: str
    since: datetime | None
    consecutive_failures: int
    error: str | None
    last_success: datetime | None
    last_checked: datetime | None
    waiting: int
    retrying: int
    dead: int


class AlertingStatus(BaseModel):
    """Where alerting stands."""

    enabled: bool
    channels: dict[str, Channel]
    open_incidents: int
    queue_size: Annotated[int, Field(description="Messages that wait, retries among them.")]


def alerting_routes(desk: Desk, *, access: Access) -> APIRouter:
    """The route.

    Args:
        desk: what it works on.
        access: who may use it.
    """
    routes = APIRouter(prefix="/debug", tags=["alerting"])

    @routes.get("/alerting/status", dependencies=[Depends(access.look)])
    def status() -> AlertingStatus:
        """Every channel, what waits for it, and what is wrong with it."""
        rows = reading.channels(desk.database).to_dicts()
        going_on = reading.incidents(desk.database)["state"].is_in(["firing", "acknowledged"])
        return AlertingStatus(
            enabled=desk.settings().alerting.enabled,
            channels={row["channel"]: _channel(row) for row in rows},
            open_incidents=int(going_on.sum()),
            queue_size=sum(row["waiting"] + row["retrying"] for row in rows),
        )

    return routes


def _channel(row: dict[str, object]) -> Channel:
    tried = row["checked_at"] is not None or row["problem"] is not None
    return Channel.model_validate(
        {
            "healthy": row["problem"] is None if tried else None,
            "circuit_breaker": row["breaker"],
            "since": row["since"],
            "consecutive_failures": row["failures"],
            "error": row["problem"],
            "last_success": row["succeeded_at"],
            "last_checked": row["checked_at"],
            **{name: row[name] for name in ("waiting", "retrying", "dead")},
        }
    )
