"""What Slack says of a message, as one of the three ways in which a channel fails."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
import httpx

from policy.alerting.words import excerpt
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable, MessageRefused
from tasks.http import retry_after_seconds

KEY: Final = "alerting.slack"
# What Slack says of a message; every other word of its own is about the channel or the app.
OF_THE_MESSAGE: Final = frozenset(
    {
        "invalid_attachments",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_payload",
        "missing_text_or_fallback_or_attachments",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "too_many_attachments",
    }
)
_OF_THE_ROOM: Final = frozenset(
    {"channel_is_archived", "channel_not_found", "is_archived", "not_in_channel", "user_not_found"}
)
# Of the first message of a thread: somebody deleted it, or it is too old to be changed.
OF_THE_FIRST: Final = frozenset(
    {
        "cannot_reply_to_message",
        "cant_update_message",
        "edit_window_closed",
        "message_not_found",
        "thread_not_found",
    }
)
_LATER: Final = frozenset(
    {
        "fatal_error",
        "internal_error",
        "message_limit_exceeded",
        "org_login_required",
        "rate_limited",
        "ratelimited",
        "request_timeout",
        "rollup_error",
        "service_unavailable",
        "team_added_to_org",
    }
)
_WORD: Final = re.compile(r"[a-z][a-z0-9_]*")
_REDIRECT, _TOO_LARGE, _UNFIT, _TOO_MANY, _SERVER_ERROR = 300, 413, 422, 429, 500


def refused(
    status: int,
    said: str,
    *,
    headers: Mapping[str, str],
    secrets: Sequence[str],
    address: str | None = None,
) -> ChannelMisconfigured | ChannelUnavailable | MessageRefused:
    """What an answer means that is not a success.

    Args:
        status: of HTTP; Slack says most of what is wrong with 200.
        said: its word for it, like `channel_not_found`, or whatever else came.
        headers: of the answer.
        secrets: what no error may repeat.
        address: where to, if a route names it.
    """
    line = f"{KEY}: Slack answered {status}: {excerpt(said, secrets=secrets) or 'nothing'}"
    if status == _TOO_MANY or status >= _SERVER_ERROR or said in _LATER:
        wait = retry_after_seconds(httpx.Headers(dict(headers)))
        return ChannelUnavailable(line, retry_after_seconds=wait)
    if said in OF_THE_MESSAGE or status in {_TOO_LARGE, _UNFIT}:
        return MessageRefused(line)
    if address is not None and said in _OF_THE_ROOM:
        # A route to where nobody is must not keep the channel from everybody else.
        return MessageRefused(f"{line}; a route names {excerpt(address)}: correct it")
    if status < _REDIRECT and not _WORD.fullmatch(said):
        return ChannelUnavailable(f"{line}; that is not Slack")
    return ChannelMisconfigured(f"{line}; check the webhook or the token, and the channel")


def unreached(error: Exception) -> ChannelUnavailable:
    """What kept us from an answer. Most of aiohttp's texts hold the address, which is a secret."""
    if isinstance(error, TimeoutError):
        return ChannelUnavailable(f"{KEY}: Slack did not answer in time", timeout=True)
    tells_only_the_host = isinstance(
        error, aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError
    )
    why = excerpt(str(error)) if tells_only_the_host else type(error).__name__
    return ChannelUnavailable(f"{KEY}: Slack cannot be reached: {why}")
