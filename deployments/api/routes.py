"""Everything below `/api/v1`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel

from deployments.api.access import Access
from deployments.api.breakers import breaker_routes
from deployments.api.desk import Desk
from deployments.api.fleet import fleet_routes
from deployments.api.orders import order_routes
from deployments.api.process import process_routes
from deployments.api.rate import Buckets
from flows.vitals import Vitals

SCHEMA_PATH: Final = "/openapi.json"


class Refusal(BaseModel):
    """Why not, in one line."""

    error: str


_WHY: Final[Mapping[int, str]] = {
    400: "that is no JSON",
    401: "a token is needed",
    403: "this may not be done by whoever asks",
    404: "there is nothing of that name",
    409: "it cannot be done as things stand",
    422: "that is no order, or no question",
    429: "too many requests; Retry-After says when to ask again",
    503: "the history cannot be read or written just now",
}
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    code: {"model": Refusal, "description": why} for code, why in _WHY.items()
}


def api_routes(
    desk: Desk, *, access: Access, vitals: Vitals, buckets: Buckets | None = None
) -> APIRouter:
    """The routes.

    Args:
        desk: what they work on.
        access: who may use them.
        vitals: what the flows last did.
        buckets: how often somebody may ask.
    """
    admit = (buckets or Buckets(seconds=time.monotonic)).admit
    routes = APIRouter(dependencies=[Depends(admit)], responses=REFUSALS)
    routes.include_router(process_routes(desk, access=access, vitals=vitals))
    routes.include_router(fleet_routes(desk, access=access))
    routes.include_router(breaker_routes(desk, access=access))
    routes.include_router(order_routes(desk, access=access))

    @routes.get(SCHEMA_PATH, include_in_schema=False)
    def schema() -> dict[str, Any]:
        """OpenAPI of everything here."""
        described = FastAPI(title="Mimir Limit Optimizer", version="1")
        described.include_router(routes, prefix="/api/v1")
        return described.openapi()

    return routes
