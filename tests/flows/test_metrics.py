"""Every metric that is emitted is in the page of metrics, and every one in the page is emitted."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from deployments.health_metrics import HealthStatus
from flows.cost import cost
from flows.deliver import deliver
from flows.maintain import maintain
from flows.optimize import optimize
from flows.protect import protect
from storage.alerts import raise_alerts
from tests.flows.alerting import hook
from tests.flows.conftest import INTERVAL, World
from tests.policy.alerts import alert
from tests.tasks.receiver import receiving

NewWorld = Callable[..., World]
PREFIX = "mimir_limit_optimizer_"
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(\w+)` \| (gauge|counter|histogram) \| ([^|]*) \|", re.MULTILINE)

# What a calm hour and one blast do not bring about, and what would.
NOT_HERE = {
    "lowerings_reverted_total": "a lowering that refuses something",
    "audit_export_failing": "a target of the audit that fails",
    "emergency_actions_total": "an emergency",
    "recovery_attempts_total": "the end of one",
    "budget_violations_total": "a budget that is used up",
    "alert_configuration_errors_total": "a channel without its address",
    "errors_total": "a run that fails",
    "mimir_disk_bytes": "the kubelet",
    "mimir_disk_ratio": "the kubelet",
    "mimir_memory_ratio": "a container with a limit",
    "mimir_network_receive_bytes_per_second": "cAdvisor",
    "mimir_network_transmit_bytes_per_second": "cAdvisor",
}


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of each metric in the page."""
    found = ROW.findall(PAGE.read_text(encoding="utf-8"))
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in found}


async def emitted(new_world: NewWorld) -> bytes:
    """What is told after some looks, a decision, a blast, alerts that are taken and not, costs."""
    with receiving() as works, receiving() as fails:
        fails.says(503)
        hooks = {"works": hook(works.url), "fails": hook(fails.url)}
        world = new_world(
            tree={
                "mode": "prod",
                "alerting": {"webhooks": hooks},
                "costControl": {"enabled": True, "globalBudget": {"monthly": 400}},
            }
        )
        world.runtime.telemetry.registry.register(HealthStatus(world.runtime.vitals))
        for _ in range(2):
            await world.run(protect, after=INTERVAL)
        await world.run(optimize, after=INTERVAL)
        await world.run(protect, after=INTERVAL)
        world.cluster.blast("steady-1", factor=30.0, seconds=600.0)
        for _ in range(4):
            await world.run(protect, after=INTERVAL)
        raise_alerts(world.database, [alert(f"breaker:{n}", at=world.clock()) for n in range(6)])
        for _ in range(3):
            await world.run(deliver, after=60)
        await world.run(cost, after=3600)
        await world.run(maintain)
        return generate_latest(world.runtime.telemetry.registry)


async def test_the_page_and_the_process_tell_of_the_same_metrics(
    new_world: NewWorld, debian_tool: Callable[[str, str], str]
) -> None:
    page = await emitted(new_world)

    families = {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(page.decode())
        if family.name.startswith(PREFIX)
    }
    told = {name.removeprefix(PREFIX): family for name, family in families.items()}
    known = documented()
    assert set(told) == set(known)
    assert {name: family.type for name, family in told.items()} == {
        name: kind for name, (kind, _) in known.items()
    }
    labels = {
        name: {label for sample in family.samples for label in sample.labels} - {"le"}
        for name, family in told.items()
    }
    silent = {name for name, family in told.items() if not family.samples}
    assert silent == set(NOT_HERE)
    for name, found in labels.items():
        if name not in silent and told[name].samples:
            assert found == known[name][1], name

    promtool = debian_tool("promtool", "prometheus")
    checked = await asyncio.to_thread(
        subprocess.run,
        [promtool, "check", "metrics"],
        input=page,
        capture_output=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
