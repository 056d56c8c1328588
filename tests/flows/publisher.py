"""A process that publishes once what the layers of a history say, and ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from flows.publishing import publish_layers
from flows.runtime import Run, Runtime
from flows.vitals import Vitals
from flows.writing import release_pen
from policy.settings import parse_settings
from storage.database import Database
from tasks.telemetry import Telemetry


def now() -> datetime:
    return datetime.now(UTC)


def publish_once(url: str, tree: dict[str, object]) -> None:
    settings = parse_settings(tree)
    with Database.open(url, clock=now) as database:
        runtime = Runtime(
            settings=lambda: settings,
            database=database,
            clock=now,
            telemetry=Telemetry(CollectorRegistry()),
            vitals=Vitals(born_at=now()),
        )
        run = Run(run_id="r", flow="protect", started_at=now())
        asyncio.run(publish_layers(runtime, run, settings))
        release_pen(runtime)
