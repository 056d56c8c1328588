"""Slack: an incoming webhook, or a bot whose messages of one incident are one thread."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient
from slack_sdk.webhook.webhook_response import WebhookResponse

from policy.alerting.alert import Message
from policy.alerting.blocks import blocks, color, digest, digest_title, escaped
from policy.alerting.words import headline
from policy.settings.channels import Slack
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable, MessageRefused
from tasks.channels.http import address as http_address
from tasks.channels.http import secret, secrets_of, tls
from tasks.channels.slack_answers import KEY, OF_THE_FIRST, OF_THE_MESSAGE, refused, unreached

NAME: Final = "slack"
_FALLBACK: Final = 1_000  # characters of what a notification shows
_OK, _BAD_REQUEST = 200, 400
# What the SDK lets through: that of aiohttp, and of an answer that is no text or no object.
_NO_ANSWER: Final = (
    aiohttp.ClientError,
    OSError,
    SlackClientError,
    ValueError,
    AttributeError,
    TypeError,
)

# What the SDK logs holds the address of the webhook, which is a secret.
_silent = logging.getLogger("mlo.slack")
_silent.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SlackWebhook:
    """An incoming webhook, which has no threads; that of an app posts to its one channel."""

    client: AsyncWebhookClient
    channel: str
    username: str
    name: str = NAME
    takes_many: bool = True
    resends_every: timedelta | None = None

    async def send(self, messages: Sequence[Message], *, address: str | None) -> str | None:
        """Post the message, or one list of several."""
        where = {"username": self.username, "channel": address or self.channel}
        answered = await self._post({**_body(messages), **where})
        if answered.status_code != _OK or answered.body != "ok":
            raise self._refused(answered, address=address)
        return None

    async def check(self) -> None:
        """Post nothing: Slack refuses an empty message only where the webhook is right."""
        answered = await self._post({"text": ""})
        if answered.status_code != _BAD_REQUEST or answered.body not in OF_THE_MESSAGE:
            raise self._refused(answered)

    async def _post(self, body: Mapping[str, object]) -> WebhookResponse:
        try:
            return await self.client.send_dict(dict(body))
        except _NO_ANSWER as exc:
            raise unreached(exc) from None

    def _refused(
        self, answered: WebhookResponse, *, address: str | None = None
    ) -> ChannelMisconfigured | ChannelUnavailable | MessageRefused:
        return refused(
            answered.status_code,
            answered.body,
            headers=answered.headers,
            secrets=secrets_of(self.client.url),
            address=address,
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SlackBot:
    """A bot: the first message of an incident begins a thread, and is marked when it is over."""

    client: AsyncWebClient
    channel: str
    username: str
    name: str = NAME
    takes_many: bool = True
    resends_every: timedelta | None = None

    async def send(self, messages: Sequence[Message], *, address: str | None) -> str | None:
        """Post the message, into the thread of its incident; returns `channel/timestamp`.

        A list of several is in no thread. Where somebody deleted the first message, there is none
        to mark and none to answer.
        """
        first = messages[0]
        known = first.thread if len(messages) == 1 else None
        room, _, thread = (known or "").rpartition("/")
        where = {"channel": room or address or self.channel}
        body = {**_body(messages), **where}
        if thread and first.state == "resolved":
            # Before it is told: another try marks it once more, and tells it once.
            await self._call("chat.update", {**body, "ts": thread}, allow=OF_THE_FIRST)
        post = {**body, "username": self.username}
        posted: Mapping[str, Any] = {}
        if thread:
            answer = {**post, "thread_ts": thread}
            posted = await self._call(
                "chat.postMessage", answer, allow=OF_THE_FIRST, address=address
            )
        if not posted:
            posted = await self._call("chat.postMessage", post, address=address)
        if known is not None or not {"channel", "ts"} <= posted.keys():
            return known
        return f"{posted['channel']}/{posted['ts']}"

    async def check(self) -> None:
        """Ask Slack who we are: it proves the way and the token, not the right to post."""
        await self._call("auth.test", {})

    async def _call(
        self,
        method: str,
        body: Mapping[str, object],
        *,
        allow: Collection[str] = (),
        address: str | None = None,
    ) -> Mapping[str, Any]:
        """What Slack answered; nothing where it refused with a word of `allow`."""
        try:
            answered = await self.client.api_call(method, json=dict(body))
        except SlackApiError as exc:
            status, said, headers = _said(exc.response)
            if said in allow:
                return {}
            secrets = [self.client.token or ""]
            raise refused(status, said, headers=headers, secrets=secrets, address=address) from None
        except _NO_ANSWER as exc:
            raise unreached(exc) from None
        return answered.data if isinstance(answered.data, dict) else {}


def slack_channel(settings: Slack) -> SlackWebhook | SlackBot:
    """The channel that the settings describe.

    Raises:
        ChannelMisconfigured: they are not enough.
    """
    seconds = max(1, round(settings.timeout.total_seconds()))
    if settings.bot_token is not None:
        return SlackBot(
            client=AsyncWebClient(
                token=secret(settings.bot_token, key=f"{KEY}.botToken"),
                base_url=settings.api_url,
                timeout=seconds,
                ssl=tls(),
                logger=_silent,
                retry_handlers=[],
            ),
            channel=settings.channel,
            username=settings.username,
        )
    if settings.webhook_url is None:
        raise ChannelMisconfigured(f"{KEY}: neither webhookURL nor botToken is set")
    return SlackWebhook(
        client=AsyncWebhookClient(
            http_address(settings.webhook_url, key=f"{KEY}.webhookURL"),
            timeout=seconds,
            ssl=tls(),
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
    fallback = escaped(text, most=_FALLBACK)
    bar = {"color": color(first), "blocks": shown, "fallback": fallback}
    return {"text": "", "attachments": [bar], "unfurl_links": False, "unfurl_media": False}


def _said(response: Any) -> tuple[int, str, Mapping[str, str]]:  # noqa: ANN401 - the SDK knows two
    """The status, Slack's word and the headers: of an answer of the SDK's, or one of aiohttp's."""
    if isinstance(response, aiohttp.ClientResponse):
        return response.status, "", response.headers
    word = response.data.get("error", "") if isinstance(response.data, dict) else response.data
    return response.status_code, str(word), response.headers
