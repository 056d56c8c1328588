"""PagerDuty: the events that it is sent, and what each of its answers means."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from policy.settings.channels import PagerDuty, Priority
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable, MessageRefused
from tasks.channels.pagerduty import PagerDutyChannel, pagerduty_channel
from tests.policy.alerts import alert, message
from tests.tasks.receiver import Receiver, Says, receiving

KEY = "0123456789abcdef0123456789abcdef"
ANOTHER = "fedcba9876543210fedcba9876543210"
NO_KEY = (
    b'{"status": "invalid event", "message": "Event object is invalid", '
    b'"errors": ["Length of \'routing_key\' is incorrect (should be 32 characters)"]}'
)
NO_EVENT = (
    b'{"status": "invalid event", "message": "Event object is invalid", '
    b'"errors": ["\'payload\' is missing or blank"]}'
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(lambda _: Says(status=202, body=b'{"status": "success"}')) as server:
        yield server


def channel(url: str, *, timeout: timedelta = timedelta(seconds=5)) -> PagerDutyChannel:
    settings = PagerDuty(enabled=True, integration_key=SecretStr(KEY), url=url, timeout=timeout)
    return pagerduty_channel(settings)


@pytest.mark.parametrize(
    ("priority", "severity"),
    [("P0", "critical"), ("P1", "error"), ("P2", "warning"), ("P3", "info")],
)
async def test_an_alert_that_fires_triggers_with_its_severity(
    receiver: Receiver, priority: Priority, severity: str
) -> None:
    await channel(receiver.url).send([message(priority=priority)], address=None)

    (got,) = receiver.got
    assert got.path == "/v2/enqueue"
    assert got.json["routing_key"] == KEY
    assert got.json["event_action"] == "trigger"
    assert got.json["dedup_key"] == "breaker:acme"
    payload = got.json["payload"]
    assert payload["severity"] == severity
    assert (payload["component"], payload["group"]) == ("acme", "circuit-breaker")
    assert (payload["class"], payload["source"]) == ("breaker", "mimir-prod")
    assert payload["timestamp"] == "2026-11-26T12:00:00Z"
    assert payload["custom_details"]["samples/s"] == "40,000"
    assert payload["custom_details"]["reason"].startswith("it sends 40,000")
    assert [link["href"] for link in got.json["links"]] == [
        "https://prefect.example/runs/flow-run/1",
        "https://runbooks.example#breaker",
    ]


async def test_an_incident_is_acknowledged_and_resolved_by_the_key_that_triggered_it(
    receiver: Receiver,
) -> None:
    about = alert("breaker:" + "日本" * 300)
    talks = channel(receiver.url)

    for state in ("firing", "acknowledged", "resolved"):
        await talks.send([message(about, state=state)], address=None)

    told = [got.json for got in receiver.got]
    assert [each["event_action"] for each in told] == ["trigger", "acknowledge", "resolve"]
    assert len({each["dedup_key"] for each in told}) == 1
    assert len(told[0]["dedup_key"]) <= 255


async def test_long_incidents_that_begin_alike_have_keys_of_their_own(receiver: Receiver) -> None:
    talks = channel(receiver.url)

    for end in "ab":
        await talks.send([message(alert("breaker:" + "x" * 300 + end))], address=None)

    first, second = (got.json["dedup_key"] for got in receiver.got)
    assert first != second


async def test_written_limits_are_a_change_event_that_pages_nobody(receiver: Receiver) -> None:
    written = alert("limits:7", kind="limits_changed", title="3 limits written", tenant=None)

    await channel(receiver.url).send([message(written)], address=None)

    (got,) = receiver.got
    assert got.path == "/v2/change/enqueue"
    assert got.json["payload"]["summary"] == "3 limits written"
    assert "event_action" not in got.json


async def test_evidence_called_reason_does_not_hide_the_reason(receiver: Receiver) -> None:
    told = replace(alert(), evidence={"reason": "another"})

    await channel(receiver.url).send([message(told)], address=None)

    (got,) = receiver.got
    assert got.json["payload"]["custom_details"]["reason"].startswith("it sends 40,000")


@pytest.mark.parametrize(
    ("says", "error"),
    [
        (Says(status=400, body=NO_EVENT), MessageRefused),
        (Says(status=400, body=NO_KEY), ChannelMisconfigured),
        (Says(status=403), ChannelMisconfigured),
        (Says(status=404), ChannelMisconfigured),
        (Says(status=413), MessageRefused),
        (Says(status=302, headers={"Location": "/login"}), ChannelMisconfigured),
        (Says(status=429), ChannelUnavailable),
        (Says(status=500), ChannelUnavailable),
        (Says(resets=True), ChannelUnavailable),
        (Says(raw=b"SSH-2.0-OpenSSH_9\r\n"), ChannelUnavailable),
    ],
    ids=lambda of: f"{of.status}" if isinstance(of, Says) else "",
)
async def test_an_answer_is_told_apart(
    receiver: Receiver, says: Says, error: type[Exception]
) -> None:
    receiver.answer = lambda _: says

    with pytest.raises(error, match=r"^alerting\.pagerduty"):
        await channel(receiver.url).send([message()], address=None)


async def test_pagerduty_is_left_alone_for_as_long_as_it_asks(receiver: Receiver) -> None:
    receiver.says(429, Retry_After="17")

    with pytest.raises(ChannelUnavailable) as raised:
        await channel(receiver.url).send([message()], address=None)

    assert raised.value.retry_after_seconds == 17


@pytest.mark.parametrize("says", [Says(hangs=True), Says(drips=True)], ids=["silent", "drips"])
async def test_silence_and_a_byte_now_and_then_end_in_time(receiver: Receiver, says: Says) -> None:
    receiver.answer = lambda _: says
    talks = channel(receiver.url, timeout=timedelta(milliseconds=300))

    with pytest.raises(ChannelUnavailable, match=r"did not answer in 0\.3s") as raised:
        await talks.send([message()], address=None)

    assert raised.value.timeout


async def test_a_route_with_a_key_that_is_none_keeps_nobody_else_from_pagerduty(
    receiver: Receiver,
) -> None:
    receiver.says(400, NO_KEY)

    with pytest.raises(MessageRefused, match="a route names"):
        await channel(receiver.url).send([message()], address="short")


async def test_a_route_may_name_another_key(receiver: Receiver) -> None:
    await channel(receiver.url).send([message()], address=ANOTHER)

    assert [got.json["routing_key"] for got in receiver.got] == [ANOTHER]


async def test_the_check_sends_what_can_page_nobody(receiver: Receiver) -> None:
    receiver.says(400, NO_EVENT)

    await channel(receiver.url).check()

    (got,) = receiver.got
    assert "payload" not in got.json


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, NO_KEY, ChannelMisconfigured),
        (503, b"", ChannelUnavailable),
        (202, b"", ChannelUnavailable),
    ],
)
async def test_the_check_fails_where_a_message_would(
    receiver: Receiver, status: int, body: bytes, error: type[Exception]
) -> None:
    receiver.says(status, body)

    with pytest.raises(error, match=r"^alerting\.pagerduty"):
        await channel(receiver.url).check()


def test_a_channel_without_a_key_says_which_setting_is_missing() -> None:
    with pytest.raises(ChannelMisconfigured, match=r"alerting\.pagerduty\.integrationKey is not"):
        pagerduty_channel(PagerDuty(enabled=True))


@pytest.mark.parametrize("address", [None, ANOTHER])
@pytest.mark.parametrize("status", [400, 403, 500])
async def test_neither_an_error_nor_a_log_nor_a_repr_repeats_a_key(
    receiver: Receiver, status: int, address: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.says(status, f"not known: {address or KEY} {KEY}".encode())
    talks = channel(receiver.url)

    with caplog.at_level(logging.DEBUG), pytest.raises(Exception, match="pagerduty") as raised:
        await talks.send([message()], address=address)

    told = f"{raised.value!r} {talks!r} {caplog.text}"
    assert KEY not in told
    assert ANOTHER not in told
