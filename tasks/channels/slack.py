"""Slack: an incoming webhook, or a bot whose messages of one incident are one thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar
from urllib.error import URLError

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.webhook import WebhookClient

from policy.alerting.alert import Message
from policy.alerting.blocks import blocks, color, digest, digest_title
from policy.alerting.words import excerpt, headline
from policy.settings.channels import Slack
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable, MessageRefused
from tasks.channels.http import address as http_address
from tasks.channels.http import secret

R = TypeVar("R")

NAME: Final = "slack"
KEY: Final = "alerting.slack"
# What Slack says of a message; everything else that it refuses is about the channel or the app.
_OF_THE_MESSAGE: Final = frozenset(
    {
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_attachments",
        "invalid_payload",
        "msg_too_long",
        "no_text",
        "too_many_attachments",
    }
)
_LATER: Final = frozenset(
    {
        "fatal_error",
        "internal_error",
        "ratelimited",
        "rate_limited",
        "request_timeout",
        "rollup_error",
        "service_unavailable",
    }
)
_OK, _BAD_REQUEST, _TOO_MANY, _SERVER_ERROR = 200, 400, 429, 500

# What the SDK logs holds the address of the webhook, which is a secret.
_silent = logging.getLogger("mlo.slack")
_silent.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SlackWebhook:
    """An incoming webhook, which has no threads; that of an app posts to its one channel."""

    client: WebhookClient
    channel: str
    username: str
    name: str = NAME
    takes_many: bool = True
    resends_every: timedelta | None = None

    async def send(self, messages: Sequence[Message], *, address: str | None) -> str | None:
        """Post the message, or one list of several."""
        body = _body(messages)
        answered = await _in_thread(
            lambda: self.client.send_dict(
                {**body, "username": self.username, "channel": address or self.channel}
            ),
            secrets=[self.client.url],
        )
        if answered.status_code != _OK or answered.body != "ok":
            raise _refused(
                answered.status_code,
                answered.body,
                headers=answered.headers,
                secrets=[self.client.url],
            )
        return None

    async def check(self) -> None:
        """Post nothing: Slack refuses an empty message only where the webhook is right."""
        answered = await _in_thread(lambda: self.client.send_dict({}), secrets=[self.client.url])
        if answered.status_code == _BAD_REQUEST and answered.body in _OF_THE_MESSAGE:
            return
        raise _refused(
            answered.status_code, answered.body, headers=answered.headers, secrets=[self.client.url]
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SlackBot:
    """A bot: the first message of an incident begins a thread, and is marked when it is over."""

    client: WebClient
    channel: str
    username: str
    name: str = NAME
    takes_many: bool = True
    resends_every: timedelta | None = None

    async def send(self, messages: Sequence[Message], *, address: str | None) -> str | None:
        """Post the message, into the thread of its incident; returns `channel/timestamp`."""
        body = _body(messages)
        first = messages[0]
        room, _, thread = (first.thread or "").rpartition("/")
        posted = await self._call(
            "chat.postMessage",
            {
                **body,
                "channel": room or address or self.channel,
                "username": self.username,
                **({"thread_ts": thread} if thread else {}),
            },
        )
        if thread and first.state == "resolved":
            await self._call("chat.update", {**body, "channel": room, "ts": thread})
        return first.thread or f"{posted['channel']}/{posted['ts']}"

    async def check(self) -> None:
        """Ask Slack who we are: it proves the way and the token, not the right to post."""
        await self._call("auth.test", {})

    async def _call(self, method: str, body: Mapping[str, object]) -> Mapping[str, Any]:
        token = self.client.token or ""
        try:
            answered = await _in_thread(
                lambda: self.client.api_call(method, json=dict(body)), secrets=[token]
            )
        except SlackApiError as exc:
            response = exc.response
            if isinstance(response, dict):
                headers, status, said = response["headers"], response["status"], response["body"]
            else:
                headers, status = response.headers, response.status_code
                said = str(response.get("error", ""))
            raise _refused(status, said, headers=headers, secrets=[token]) from None
        return answered.data if isinstance(answered.data, dict) else {}


def slack_channel(settings: Slack) -> SlackWebhook | SlackBot:
    """The channel that the settings describe.

    Raises:
        ChannelMisconfigured: they are not enough.
    """
    seconds = max(1, round(settings.timeout.total_seconds()))
    if settings.bot_token is not None:
        return SlackBot(
            client=WebClient(
                token=secret(settings.bot_token, key=f"{KEY}.botToken"),
                base_url=settings.api_url,
                timeout=seconds,
                logger=_silent,
                retry_handlers=[],
            ),
            channel=settings.channel,
            username=settings.username,
        )
    if settings.webhook_url is None:
        raise ChannelMisconfigured(f"{KEY}: neither webhookURL nor botToken is set")
    return SlackWebhook(
        client=WebhookClient(
            http_address(settings.webhook_url, key=f"{KEY}.webhookURL"),
            timeout=seconds,
            logger=_silent,
            retry_handlers=[],
        ),
        channel=settings.channel,
        username=settings.username,
    )


def _body(messages: Sequence[Message]) -> dict[str, object]:
    first = messages[0]
    if len(messages) > 1:
        shown, text = digest(messages), digest_title(messages)
    else:
        shown, text = blocks(first), headline(first)
    bar = {"color": color(first), "blocks": shown, "fallback": text}
    return {"text": "", "attachments": [bar], "unfurl_links": False, "unfurl_media": False}


async def _in_thread(work: Callable[[], R], *, secrets: Sequence[str]) -> R:
    """The SDK waits in a thread; its sockets have time-outs of their own."""
    try:
        return await asyncio.to_thread(work)
    except SlackApiError:
        raise
    except TimeoutError:
        raise ChannelUnavailable(f"{KEY}: Slack did not answer in time", timeout=True) from None
    except (OSError, URLError, SlackClientError, ValueError) as exc:
        reason = getattr(exc, "reason", exc)
        if isinstance(reason, TimeoutError):
            line = f"{KEY}: Slack did not answer in time"
            raise ChannelUnavailable(line, timeout=True) from None
        said = excerpt(f"{type(exc).__name__}: {reason}", secrets=secrets)
        raise ChannelUnavailable(f"{KEY}: Slack cannot be reached: {said}") from None


def _refused(
    status: int, said: str, *, headers: Mapping[str, str], secrets: Sequence[str]
) -> ChannelMisconfigured | ChannelUnavailable | MessageRefused:
    line = f"{KEY}: Slack answered {status}: {excerpt(said, secrets=secrets) or 'nothing'}"
    if status == _TOO_MANY or status >= _SERVER_ERROR or said in _LATER:
        return ChannelUnavailable(line, retry_after_seconds=_retry_after(headers))
    if said in _OF_THE_MESSAGE:
        return MessageRefused(line)
    if status == _OK and not said:
        return ChannelUnavailable(line)
    return ChannelMisconfigured(f"{line}; check the webhook or the token, and the channel")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    by_name = {name.lower(): value for name, value in headers.items()}
    asked = by_name.get("retry-after", "")
    return float(asked) if str(asked).isdecimal() else None
