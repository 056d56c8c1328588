"""The API of a process over ASGI, with a history of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from deployments.api.access import Access
from deployments.api.alerting import alerting_routes
from deployments.api.desk import Desk
from deployments.api.profiles import profile_routes
from deployments.api.rate import Buckets
from deployments.api.routes import api_routes
from deployments.endpoint import application
from deployments.report_route import report_routes
from flows.vitals import Vitals
from policy.settings import Settings, parse_settings
from storage.database import Database
from tasks.telemetry import Telemetry

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
VIEWER, OPERATOR = "viewer-token-0123456789", "operator-token-0123456789"
TOKENS = {"viewerToken": VIEWER, "operatorToken": OPERATOR}


@dataclass(slots=True, kw_only=True)
class Process:
    """A process that answers; `seconds` is the clock of its rate limit."""

    database: Database
    tree: dict[str, Any] = field(default_factory=lambda: {"mode": "prod", "server": TOKENS})
    clock: Callable[[], datetime] = lambda: NOW
    seconds: Callable[[], float] = lambda: 0.0
    buckets: Buckets | None = None
    prefect_url: str | None = None

    def settings(self) -> Settings:
        return parse_settings(self.tree)

    def app(self) -> FastAPI:
        vitals = Vitals(born_at=NOW, coverage=1.0, store=self.database.problem)
        access = Access(server=lambda: self.settings().server)
        desk = Desk(
            database=self.database,
            settings=self.settings,
            clock=self.clock,
            prefect_url=self.prefect_url,
        )
        self.buckets = self.buckets or Buckets(seconds=self.seconds)
        return application(
            vitals=vitals,
            telemetry=Telemetry(CollectorRegistry()),
            protect_interval=lambda: timedelta(seconds=15),
            clock=self.clock,
            api=api_routes(desk, access=access, vitals=vitals, buckets=self.buckets),
            others=(
                report_routes(desk, access=access),
                alerting_routes(desk, access=access),
                profile_routes(access=access),
            ),
        )

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = OPERATOR,
        json: object = None,
        root: str = "/api/v1",
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app())
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await client.request(method, f"{root}{path}", headers=headers, json=json)

        return asyncio.run(ask())

    def get(self, path: str, **more: Any) -> Any:  # noqa: ANN401 - JSON
        answer = self.call("GET", path, **more)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()
