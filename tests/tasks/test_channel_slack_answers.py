"""Slack: what each of its answers means, and what of it is repeated."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from policy.settings.channels import Slack
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable, MessageRefused
from tasks.channels.slack import SlackBot, SlackWebhook, slack_channel
from tests.policy.alerts import message
from tests.tasks.receiver import Receiver, Says, receiving
from tests.tasks.slack import TOKEN, bot, says_json, webhook

Talks = Callable[..., SlackWebhook | SlackBot]
SOON = timedelta(seconds=1)  # the shortest that the SDK knows


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b"invalid_payload", MessageRefused),
        (400, b"invalid_blocks", MessageRefused),
        (413, b"<html>too large</html>", MessageRefused),
        (400, b"user_not_found", ChannelMisconfigured),
        (403, b"invalid_token", ChannelMisconfigured),
        (403, b"action_prohibited", ChannelMisconfigured),
        (404, b"no_service", ChannelMisconfigured),
        (404, b"channel_not_found", ChannelMisconfigured),
        (410, b"channel_is_archived", ChannelMisconfigured),
        (500, b"rollup_error", ChannelUnavailable),
        (503, b"", ChannelUnavailable),
        (200, b"<html>please log in</html>", ChannelUnavailable),
        (200, b"", ChannelUnavailable),
        (200, b"\xff\xfe\xff", ChannelUnavailable),
    ],
)
async def test_an_answer_to_a_webhook_is_told_apart(
    receiver: Receiver, status: int, body: bytes, error: type[Exception]
) -> None:
    receiver.says(status, body)

    with pytest.raises(error, match=r"^alerting\.slack: Slack "):
        await webhook(receiver.url).send([message()], address=None)


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("not_authed", ChannelMisconfigured),
        ("invalid_auth", ChannelMisconfigured),
        ("token_revoked", ChannelMisconfigured),
        ("missing_scope", ChannelMisconfigured),
        ("channel_not_found", ChannelMisconfigured),
        ("not_in_channel", ChannelMisconfigured),
        ("is_archived", ChannelMisconfigured),
        ("msg_too_long", MessageRefused),
        ("invalid_blocks", MessageRefused),
        ("too_many_attachments", MessageRefused),
        ("ratelimited", ChannelUnavailable),
        ("internal_error", ChannelUnavailable),
        ("team_added_to_org", ChannelUnavailable),
    ],
)
async def test_a_word_to_a_bot_is_told_apart(
    receiver: Receiver, word: str, error: type[Exception]
) -> None:
    says_json(receiver, f'{{"ok": false, "error": "{word}"}}'.encode())

    with pytest.raises(error, match=word):
        await bot(receiver.url).send([message()], address=None)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<html>please log in</html>"),
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'"ok"'),
        ("text/plain", b"ok"),
        ("text/plain", b"\xff\xfe"),
    ],
)
async def test_what_no_slack_says_to_a_bot_may_be_another_answer_later(
    receiver: Receiver, kind: str, body: bytes
) -> None:
    receiver.says(200, body, Content_Type=kind)

    with pytest.raises(ChannelUnavailable, match=r"^alerting\.slack: "):
        await bot(receiver.url).send([message()], address=None)


@pytest.mark.parametrize("channel", [bot, webhook])
async def test_a_route_to_a_channel_that_is_none_keeps_nobody_else_from_slack(
    receiver: Receiver, channel: Talks
) -> None:
    body = b'{"ok": false, "error": "channel_not_found"}'
    if channel is bot:
        says_json(receiver, body)
    else:
        receiver.says(404, b"channel_not_found")

    with pytest.raises(MessageRefused, match="a route names #typo"):
        await channel(receiver.url).send([message()], address="#typo")


@pytest.mark.parametrize("channel", [bot, webhook])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "17"}, 17.0),
        # A date counts from that of the answer, which is long after it: there is nothing to wait.
        ({"Retry_After": "Thu, 26 Nov 2015 12:02:00 GMT"}, 0.0),
        ({}, None),
    ],
    ids=["seconds", "date", "none"],
)
async def test_slack_is_left_alone_for_as_long_as_it_asks(
    receiver: Receiver, channel: Talks, headers: dict[str, str], seconds: float | None
) -> None:
    says_json(receiver, b'{"ok": false, "error": "ratelimited"}', status=429, **headers)

    with pytest.raises(ChannelUnavailable) as raised:
        await channel(receiver.url).send([message()], address=None)

    assert raised.value.retry_after_seconds == seconds


@pytest.mark.parametrize("channel", [bot, webhook])
@pytest.mark.parametrize("says", [Says(hangs=True), Says(drips=True)], ids=["silent", "drips"])
async def test_a_slack_that_is_silent_or_drips_is_given_up_in_time_and_leaves_nothing_behind(
    receiver: Receiver, channel: Talks, says: Says
) -> None:
    receiver.answer = lambda _: says
    threads = {thread for thread in threading.enumerate() if "asyncio" in thread.name}
    tasks = asyncio.all_tasks()

    async with asyncio.timeout(3):
        with pytest.raises(ChannelUnavailable, match="did not answer in time") as raised:
            await channel(receiver.url, timeout=SOON).send([message()], address=None)

    assert raised.value.timeout
    assert {t for t in threading.enumerate() if "asyncio" in t.name} == threads
    assert asyncio.all_tasks() == tasks


@pytest.mark.parametrize("channel", [bot, webhook])
@pytest.mark.parametrize("says", [Says(resets=True), Says(raw=b"SSH-2.0-OpenSSH_9\r\n")])
async def test_a_connection_that_is_cut_or_is_no_http_is_an_outage(
    receiver: Receiver, channel: Talks, says: Says
) -> None:
    receiver.answer = lambda _: says

    with pytest.raises(ChannelUnavailable, match="cannot be reached"):
        await channel(receiver.url).send([message()], address=None)


async def test_a_slack_that_is_not_there_is_an_outage() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"

        with pytest.raises(ChannelUnavailable, match="cannot be reached"):
            await webhook(url).send([message()], address=None)


@pytest.mark.parametrize(
    "settings",
    [
        Slack(enabled=True),
        Slack(enabled=True, bot_token=SecretStr(" ")),
        Slack(enabled=True, webhook_url=SecretStr("hooks.slack.com/services/very/secret")),
    ],
    ids=["neither", "an empty token", "no address"],
)
def test_settings_that_are_not_enough_are_said_without_what_is_secret(settings: Slack) -> None:
    with pytest.raises(ChannelMisconfigured, match=r"^alerting\.slack") as raised:
        slack_channel(settings)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("does", ["check", "send"])
@pytest.mark.parametrize(
    ("channel", "secrets"),
    [(bot, [TOKEN]), (webhook, ["/services/T0/B0/verysecretkey"])],
    ids=["bot", "webhook"],
)
@pytest.mark.parametrize("fails", ["echoes", "resets", "redirects"])
async def test_neither_an_error_nor_a_log_nor_a_repr_repeats_a_secret(
    receiver: Receiver,
    channel: Talks,
    secrets: list[str],
    fails: str,
    does: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    echo = f"not known: {secrets[0]} at {receiver.url}{secrets[0]}".encode()
    receiver.answer = lambda _: {
        "echoes": Says(status=404, body=echo, headers={"Content-Type": "text/plain"}),
        "resets": Says(resets=True),
        "redirects": Says(status=307, headers={"Location": "/services/T0/B0/verysecretkey"}),
    }[fails]
    talks = channel(receiver.url)

    with caplog.at_level(logging.DEBUG), pytest.raises(Exception, match="slack") as raised:
        await (talks.check() if does == "check" else talks.send([message()], address=None))

    told = f"{raised.value!r} {talks!r} {caplog.text}"
    assert not [secret for secret in secrets if secret in told]
