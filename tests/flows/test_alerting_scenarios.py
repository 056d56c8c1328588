"""Slack is broken, PagerDuty is set wrongly, nothing works: limits are looked after all the same.

The whole loop before a simulated Mimir, with channels that answer over HTTP.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flows.deliver import deliver
from flows.optimize import optimize
from flows.protect import protect
from storage import outbox
from storage.alerts import raise_alerts
from storage.audit import newest_entries
from tests.flows.conftest import INTERVAL, World
from tests.policy.alerts import alert
from tests.tasks.receiver import Got, Receiver, Says, receiving

NewWorld = Callable[..., World]
KEY = "0123456789abcdef0123456789abcdef"
FIVE_MINUTES = 300.0


def pagerduty(got: Got) -> Says:
    """Events are taken; one without a payload, which is a check, is refused."""
    if "payload" in got.json:
        return Says(status=202, body=b'{"status": "success"}')
    problem = b'{"status": "invalid event", "errors": ["\'payload\' is missing or blank"]}'
    return Says(status=400, body=problem)


@pytest.fixture
def slack() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def pager() -> Iterator[Receiver]:
    with receiving(pagerduty) as receiver:
        yield receiver


def alerting(slack: Receiver, pager: Receiver) -> dict[str, Any]:
    return {
        "slack": {"enabled": True, "webhookURL": f"{slack.url}/services/T/B/key", "timeout": "1s"},
        "pagerduty": {
            "enabled": True,
            "integrationKey": KEY,
            "url": pager.url,
            "timeout": "1s",
        },
        "escalation": {"P0": "24h", "P1": "24h"},
    }


def events(pager: Receiver) -> list[tuple[str, str]]:
    return [
        (got.json["event_action"], got.json["dedup_key"])
        for got in pager.got
        if "payload" in got.json or got.json["event_action"] != "trigger"
    ]


def told(world: World, name: str, /, **labels: str) -> float:
    registry = world.runtime.telemetry.registry
    value = registry.get_sample_value(f"mimir_limit_optimizer_{name}", labels)
    assert value is not None, name
    return float(value)


async def test_slack_does_not_work(
    new_world: NewWorld, slack: Receiver, pager: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    slack.says(500, b"no_service")
    world = new_world(tree={"mode": "prod", "alerting": alerting(slack, pager)})
    await world.run(protect)
    for n in range(6):
        raise_alerts(world.database, [alert(f"breaker:{n}", at=world.clock())])
    for _ in range(12):
        await world.run(deliver, after=30)
    said = await world.decided(optimize, after=INTERVAL)

    assert said[-1].startswith("revision 2 written")
    assert {subject for _, subject in events(pager)} >= {f"breaker:{n}" for n in range(6)}
    assert told(world, "alert_channel_health", channel="slack") == 0
    assert told(world, "alert_channel_health", channel="pagerduty") == 1
    assert told(world, "alert_channel_circuit_breaker_state", channel="slack") == 1
    assert any("alerting: slack error: " in line for line in caplog.messages)
    tried = len(slack.got)
    await world.run(deliver, after=30)
    assert len(slack.got) == tried


async def test_pagerduty_is_set_wrongly_and_is_mended_without_a_restart(
    new_world: NewWorld, slack: Receiver, pager: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    tree = {"mode": "prod", "alerting": alerting(slack, pager)}
    del tree["alerting"]["pagerduty"]["integrationKey"]
    world = new_world(tree=tree)
    await world.run(protect)
    raise_alerts(world.database, [alert(priority="P0", at=world.clock())])
    await world.run(deliver, after=15)
    posts = [got for got in slack.got if b"blasts" in got.body]
    unhealthy = told(world, "alert_channel_health", channel="pagerduty")
    errors = told(
        world,
        "alert_configuration_errors_total",
        channel="pagerduty",
        config_error_type="incomplete",
    )

    tree["alerting"]["pagerduty"]["integrationKey"] = KEY
    await world.run(deliver, after=15)

    assert len(posts) == 1
    assert (unhealthy, errors) == (0, 1)
    assert "alerting: pagerduty config error: alerting.pagerduty.integrationKey is not set" in (
        caplog.messages
    )
    assert ("trigger", "breaker:acme") in events(pager)
    assert told(world, "alert_channel_health", channel="pagerduty") == 1


async def test_no_channel_works_and_what_waited_is_told_once_they_do(
    new_world: NewWorld, slack: Receiver, pager: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    slack.answer = lambda _: Says(resets=True)
    pager.says(503)
    caplog.set_level(logging.WARNING)
    world = new_world(tree={"mode": "prod", "alerting": alerting(slack, pager)})
    await world.run(protect)
    raise_alerts(world.database, [alert(at=world.clock())])
    for _ in range(8):
        await world.run(deliver, after=60)
    said = await world.decided(optimize, after=INTERVAL)
    settled = await world.decided(protect, after=INTERVAL)
    waits = outbox.waiting(world.database)

    slack.says(200)
    pager.answer = pagerduty
    for _ in range(4):
        await world.run(deliver, after=FIVE_MINUTES)

    assert said[-1].startswith("revision 2 written")
    assert settled[0].startswith("revision 2 confirmed")
    assert set(waits["channel"]) == {"slack", "pagerduty"}
    entered = newest_entries(world.database, newest=1_000)["action"].to_list()
    assert {"alert_failed", "alert_sent", "limit_changed", "channel_down"} <= set(entered)
    assert any("alerting: pagerduty error: " in line for line in caplog.messages)
    assert ("trigger", "breaker:acme") in events(pager)
    assert [got for got in slack.got if b"blasts" in got.body]
    assert outbox.waiting(world.database).is_empty()
