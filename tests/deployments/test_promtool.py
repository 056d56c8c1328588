"""What we serve to Prometheus, in the eyes of Prometheus' own linter."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import polars as pl
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from policy.frames import DECISIONS
from policy.resources import RESOURCES
from tasks.telemetry import Telemetry
from tests.policy.stood import standing, standings_of

FLAPS = ("withheld", "flapping")


STOOD = standing("a", utilisation=0.5, confidence=0.9)
DECIDED = pl.DataFrame(
    [
        dict.fromkeys(DECISIONS.names())
        | {"tenant": tenant, "limit": "ingestion_rate", "outcome": outcome, "reason": reason}
        for tenant, outcome, reason in (("a", "raise", "above_dead_band"), ("b", *FLAPS))
    ],
    schema=DECISIONS,
)


@pytest.fixture
def promtool(debian_tool: Callable[[str, str], str]) -> str:
    return debian_tool("promtool", "prometheus")


def test_our_metrics_pass_the_linter_of_prometheus(promtool: str) -> None:
    telemetry = Telemetry(CollectorRegistry())
    telemetry.reconciles.labels("protect", "success").inc()
    telemetry.reconcile_seconds.labels("protect").observe(0.2)
    telemetry.last_reconcile.labels("protect").set(1.0)
    telemetry.errors.labels("protect").inc()
    telemetry.limits_applied.labels("ingestion_rate").inc()
    telemetry.reverts.labels("ingestion_rate").inc()
    telemetry.revisions.labels("confirmed").inc()
    telemetry.quality.show(standings_of(STOOD), decisions=DECIDED, changed=DECIDED)
    names = ("up", "cpu_cores", "memory_bytes", "disk_bytes", "ingester_max_series", "restarts")
    seen = [("ingester-0", "ingester", resource, 1.0, 2.0) for resource in names]
    telemetry.resources.show(pl.DataFrame(seen, schema=RESOURCES, orient="row"))

    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=generate_latest(telemetry.registry),
        capture_output=True,
        check=False,
        timeout=30,
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
