"""Webhooks: what each template sends and where, how it is signed, what an answer means."""

from __future__ import annotations

import hmac
import json
import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from policy.settings.channels import Webhook
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable, MessageRefused
from tasks.channels.webhook import WebhookChannel, webhook_channel
from tests.policy.alerts import NOON, alert, message
from tests.tasks.receiver import Receiver, Says, receiving

ALERTING = Path(__file__).parents[2] / "docs" / "alerting.md"
SYS_ID = "a83820b58f723300e7e16c7827bdeed2"
CREATED = json.dumps(
    {"result": {"parent": "", "opened_by": {"value": "b" * 32}, "sys_id": SYS_ID}}
).encode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def hook(address: str, **of: Any) -> WebhookChannel:  # noqa: ANN401 - of Webhook
    plain: dict[str, Any] = {"enabled": True, "timeout": timedelta(seconds=5)}
    settings = Webhook(**{**plain, "url": SecretStr(address), **of})
    return webhook_channel(settings, name="desk", clock=lambda: NOON)


async def test_ours_is_the_message_by_its_names(receiver: Receiver) -> None:
    await hook(f"{receiver.url}/in?key=1").send([message()], address=None)

    (got,) = receiver.got
    assert (got.method, got.path) == ("POST", "/in?key=1")
    assert got.headers["Content-Type"] == "application/json; charset=utf-8"
    assert got.json == {
        "version": "1",
        "id": "0f0e7f3c-2c8b-5d0e-9c7d-3f2b8f1d2a11",
        "incident": "breaker:acme",
        "state": "firing",
        "kind": "breaker",
        "priority": "P1",
        "severity": "critical",
        "component": "circuit-breaker",
        "tenant": "acme",
        "team": "payments",
        "cluster": "mimir-prod",
        "title": "acme blasts: its breaker caps it",
        "reason": "it sends 40,000 samples/s, usual are 4,000",
        "evidence": {"samples/s": "40,000"},
        "dry_run": False,
        "at": "2026-11-26T12:00:00Z",
        "opened_at": "2026-11-26T12:00:00Z",
        "times": 1,
        "run_url": "https://prefect.example/runs/flow-run/1",
        "runbook_url": "https://runbooks.example#breaker",
    }


async def test_a_signature_is_that_of_the_time_and_the_body(receiver: Receiver) -> None:
    await hook(receiver.url, secret=SecretStr("s3cret\n")).send([message()], address=None)

    (got,) = receiver.got
    stamp = got.headers["X-Mlo-Timestamp"].encode()
    expected = "sha256=" + hmac.new(b"s3cret", stamp + b"." + got.body, sha256).hexdigest()
    assert int(stamp) == NOON.timestamp()
    assert hmac.compare_digest(expected, got.headers["X-Mlo-Signature"])


async def test_the_lines_that_the_documentation_gives_tell_ours_from_a_forged_one(
    receiver: Receiver,
) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", ALERTING.read_text(), re.DOTALL)
    await hook(receiver.url, secret=SecretStr("s3cret")).send([message()], address=None)
    (got,) = receiver.got
    known = {
        "secret": b"s3cret",
        "timestamp": got.headers["X-Mlo-Timestamp"].encode(),
        "signature": got.headers["X-Mlo-Signature"],
    }

    ours, forged = {**known, "body": got.body}, {**known, "body": got.body + b" "}
    exec(lines, ours)
    exec(lines, forged)

    assert ours["genuine"] is True
    assert forged["genuine"] is False


async def test_headers_and_the_method_are_those_of_the_settings(receiver: Receiver) -> None:
    headers = {"content-type": SecretStr("application/problem+json"), "X-Key": SecretStr("k\n")}

    await hook(receiver.url, method="PUT", headers=headers).send([message()], address=None)

    (got,) = receiver.got
    sent = [(name.lower(), value) for name, value in got.headers.items()]
    assert got.method == "PUT"
    assert ("x-key", "k") in sent
    assert [value for name, value in sent if name == "content-type"] == ["application/problem+json"]


async def test_a_cloudevent_is_structured(receiver: Receiver) -> None:
    await hook(receiver.url, template="cloudevents").send([message()], address=None)

    (got,) = receiver.got
    event = got.json
    assert got.headers["Content-Type"].startswith("application/cloudevents+json")
    assert (event["specversion"], event["id"]) == ("1.0", "0f0e7f3c-2c8b-5d0e-9c7d-3f2b8f1d2a11")
    assert event["source"] == "/mimir-limit-optimizer/mimir-prod"
    assert event["subject"] == event["data"]["incident"] == "breaker:acme"
    assert event["type"] == "mimir-limit-optimizer.alert.firing"


@pytest.mark.parametrize("query", ["", "region=eu"])
async def test_opsgenie_creates_acknowledges_and_closes_by_alias(
    receiver: Receiver, query: str
) -> None:
    talks = hook(f"{receiver.url}/v2/alerts{'?' if query else ''}{query}", template="opsgenie")

    for state in ("firing", "acknowledged", "resolved"):
        await talks.send([message(state=state)], address=None)

    created = receiver.got[0].json
    by_alias = f"?{query}{'&' if query else ''}identifierType=alias"
    assert [got.path for got in receiver.got] == [
        f"/v2/alerts{'?' if query else ''}{query}",
        f"/v2/alerts/breaker%3Aacme/acknowledge{by_alias}",
        f"/v2/alerts/breaker%3Aacme/close{by_alias}",
    ]
    assert (created["alias"], created["priority"]) == ("breaker:acme", "P2")


async def test_servicenow_has_one_record_of_an_incident_and_notes_on_it(
    receiver: Receiver,
) -> None:
    receiver.says(201, CREATED)
    talks = hook(f"{receiver.url}/api/now/table/incident", template="servicenow")

    record = await talks.send([message()], address=None)
    await talks.send([message(state="resolved", thread=record)], address=None)

    created, noted = receiver.got
    assert record == SYS_ID
    assert (created.method, created.json["correlation_id"]) == ("POST", "breaker:acme")
    assert (created.json["urgency"], created.json["impact"]) == ("1", "1")
    assert (noted.method, noted.path) == ("PATCH", f"/api/now/table/incident/{SYS_ID}")
    assert list(noted.json) == ["work_notes"]
    assert "resolved" in noted.json["work_notes"]


async def test_servicenow_gets_no_record_of_what_is_over(receiver: Receiver) -> None:
    talks = hook(receiver.url, template="servicenow")

    await talks.send([message(state="resolved")], address=None)

    assert receiver.got == []


async def test_a_record_that_somebody_deleted_is_no_fault_of_the_address(
    receiver: Receiver,
) -> None:
    receiver.says(404, b'{"error": {"message": "No Record found"}}')
    talks = hook(receiver.url, template="servicenow")

    with pytest.raises(MessageRefused, match="is gone"):
        await talks.send([message(thread=SYS_ID)], address=None)


async def test_an_answer_without_a_record_is_no_reference(receiver: Receiver) -> None:
    hostile = json.dumps({"result": {"description": f'"sys_id": "{SYS_ID}"'}}).encode()
    receiver.says(201, hostile)

    assert await hook(receiver.url, template="servicenow").send([message()], address=None) is None


async def test_teams_gets_a_card_in_which_text_is_no_markdown(receiver: Receiver) -> None:
    told = alert(title="[click](https://evil.example) *now*")

    await hook(receiver.url, template="teams").send([message(told)], address=None)

    (got,) = receiver.got
    (attached,) = got.json["attachments"]
    card = attached["content"]
    assert attached["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert card["body"][0]["text"].endswith(r"\[click\]\(https://evil.example\) \*now\*")
    assert [action["title"] for action in card["actions"]] == ["Run", "What to do"]


@pytest.mark.parametrize(
    ("says", "error"),
    [
        (Says(status=400, body=b"bad\r\nfield"), MessageRefused),
        (Says(status=413), MessageRefused),
        (Says(status=422), MessageRefused),
        (Says(status=401), ChannelMisconfigured),
        (Says(status=403), ChannelMisconfigured),
        (Says(status=404), ChannelMisconfigured),
        (Says(status=410), ChannelMisconfigured),
        (Says(status=302, headers={"Location": "/login"}), ChannelMisconfigured),
        (Says(status=408), ChannelUnavailable),
        (Says(status=429), ChannelUnavailable),
        (Says(status=500), ChannelUnavailable),
        (Says(resets=True), ChannelUnavailable),
        (Says(raw=b"\x15\x03\x01"), ChannelUnavailable),
        (Says(headers={"Content-Encoding": "gzip"}), ChannelUnavailable),
    ],
    ids=lambda of: f"{of.status}" if isinstance(of, Says) else "",
)
async def test_an_answer_is_told_apart_in_one_line(
    receiver: Receiver, says: Says, error: type[Exception]
) -> None:
    receiver.answer = lambda _: says

    with pytest.raises(error, match=r"^alerting\.webhooks\.desk: ") as raised:
        await hook(receiver.url).send([message()], address=None)

    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ({"Retry_After": "120"}, 120),
        ({"Retry_After": "Thu, 26 Nov 2015 12:02:00 GMT"}, 0),
        ({"Retry_After": "soon"}, None),
    ],
)
async def test_an_endpoint_is_left_alone_for_as_long_as_it_asks(
    receiver: Receiver, asked: dict[str, str], seconds: float | None
) -> None:
    receiver.says(503, **asked)

    with pytest.raises(ChannelUnavailable) as raised:
        await hook(receiver.url).send([message()], address=None)

    assert raised.value.retry_after_seconds == seconds


@pytest.mark.parametrize("says", [Says(hangs=True), Says(drips=True)], ids=["silent", "drips"])
async def test_silence_and_a_byte_now_and_then_end_in_time(receiver: Receiver, says: Says) -> None:
    receiver.answer = lambda _: says
    talks = hook(receiver.url, timeout=timedelta(milliseconds=300))

    with pytest.raises(ChannelUnavailable, match=r"did not answer in 0\.3s") as raised:
        await talks.send([message()], address=None)

    assert raised.value.timeout


async def test_a_server_without_tls_is_told_as_what_it_is(receiver: Receiver) -> None:
    talks = hook(receiver.url.replace("http:", "https:"))

    with pytest.raises(ChannelUnavailable, match=r"cannot be reached: .*SSL"):
        await talks.send([message()], address=None)


@pytest.mark.parametrize("status", [200, 204, 401, 404, 405])
async def test_the_check_asks_with_options_and_takes_any_answer_of_a_server(
    receiver: Receiver, status: int
) -> None:
    receiver.says(status, b"")

    await hook(receiver.url).check()

    assert [(got.method, got.body) for got in receiver.got] == [("OPTIONS", b"")]


async def test_the_check_of_what_is_down_fails(receiver: Receiver) -> None:
    receiver.says(502)

    with pytest.raises(ChannelUnavailable, match="answered 502"):
        await hook(receiver.url).check()


@pytest.mark.parametrize(
    ("of", "says"),
    [
        ({"url": None}, "url is not set"),
        ({"url": SecretStr("ftp://h/verysecret")}, "url is not an http"),
        ({"url": SecretStr("http://[::1/verysecret")}, "url is not an http"),
        ({"headers": {"Authorization": SecretStr("very\nsecret")}}, "headers.Authorization holds"),
        ({"headers": {"Not a name": SecretStr("verysecret")}}, "'Not a name' is no name"),
        ({"secret": SecretStr("")}, "secret is not set"),
    ],
)
def test_settings_that_are_not_enough_are_said_without_what_is_secret(
    of: dict[str, Any], says: str
) -> None:
    with pytest.raises(ChannelMisconfigured, match=says) as raised:
        hook("http://localhost", **of)

    assert "secret" not in str(raised.value).replace("desk.secret", "")


@pytest.mark.parametrize("does", ["check", "send"])
@pytest.mark.parametrize("says", ["echoes", "redirects", "resets"])
async def test_neither_an_error_nor_a_log_nor_a_repr_repeats_a_secret(
    receiver: Receiver, says: str, does: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, query, key, sign = "/hook/verysecretpath", "t=verysecretquery", "verysecretkey", "signkey"
    echo = f"{key} {sign} {path} {query} at {receiver.url}{path}?{query}".encode()
    receiver.answer = lambda _: {
        "echoes": Says(status=500, body=echo),
        "redirects": Says(status=302, headers={"Location": f"{path}?{query}"}, body=echo),
        "resets": Says(resets=True),
    }[says]
    talks = hook(
        f"{receiver.url}{path}?{query}",
        headers={"X-Key": SecretStr(key)},
        secret=SecretStr(sign),
    )

    told = repr(talks)
    with caplog.at_level(logging.INFO):
        try:
            await (talks.check() if does == "check" else talks.send([message()], address=None))
        except (ChannelMisconfigured, ChannelUnavailable) as exc:
            told += f"{exc!r} {caplog.text}"

    assert not [each for each in ("verysecret", sign) if each in told]
