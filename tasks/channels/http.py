"""One request of a channel over HTTP, and its answer as one of the three ways in which it fails.

Of an address only the host is ever told: paths and queries hold keys.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Final

import httpx
from pydantic import SecretStr

from policy.alerting.words import excerpt
from policy.errors import ConfigError
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable, MessageRefused
from tasks.http import fit_for_header, patience, retry_after_seconds

MOST_READ: Final = 16_384  # of an answer; an error fits, and more is nothing that we asked for
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, token
_LATER: Final = frozenset({408, 425, 429})
_OUR_SETTINGS: Final = frozenset({401, 403, 404, 405, 410})


# httpx logs the address of each request, and that of a webhook is a secret.
_asking: Final = ContextVar("asking", default=False)
logging.getLogger("httpx").addFilter(lambda _: not _asking.get())


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Request:
    """What is sent. Not shown: it holds keys."""

    url: str
    content: bytes
    headers: Mapping[str, str]
    method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, cut to what is read of it."""

    status: int
    text: str


async def ask(
    request: Request,
    *,
    key: str,
    timeout_seconds: float,
    secrets: Sequence[str] = (),
    allow: Collection[int] = (),
) -> Answer:
    """The answer to the request: a success, or one with a status of `allow`.

    Args:
        request: what is sent.
        key: the setting of the channel, for errors.
        timeout_seconds: how long the whole of it may take.
        secrets: what no error may repeat, should the other side say it back.
        allow: statuses that the caller understands.

    Raises:
        ChannelMisconfigured: the address or the credentials are wrong.
        ChannelUnavailable: no answer, 429 or 5xx.
        MessageRefused: any other 4xx.
    """
    async with httpx.AsyncClient(
        timeout=patience(timeout_seconds), verify=tls(), follow_redirects=False
    ) as client:
        unheard = _asking.set(True)
        try:
            # Of the whole: a server that says a byte now and then is never silent.
            async with (
                asyncio.timeout(timeout_seconds),
                client.stream(
                    request.method, request.url, content=request.content, headers=request.headers
                ) as response,
            ):
                answer = Answer(status=response.status_code, text=await _read(response))
        except (httpx.TimeoutException, TimeoutError) as exc:
            raise ChannelUnavailable(
                f"{key}: {_host(request.url)} did not answer in {timeout_seconds:g}s", timeout=True
            ) from exc
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as exc:
            raise ChannelMisconfigured(
                f"{key}: the address is not an http(s) URL; correct it"
            ) from exc
        except httpx.HTTPError as exc:
            why = excerpt(str(exc), secrets=secrets) or type(exc).__name__
            raise ChannelUnavailable(
                f"{key}: {_host(request.url)} cannot be reached: {why}"
            ) from exc
        finally:
            _asking.reset(unheard)
    if not response.is_success and answer.status not in allow:
        raise _refusal(response, answer, key=key, secrets=secrets)
    return answer


def revealed(headers: Mapping[str, SecretStr], *, key: str) -> dict[str, str]:
    """The headers as they are sent.

    Raises:
        ChannelMisconfigured: a name or a value cannot be sent.
    """
    for name in headers:
        if not _HEADER_NAME.fullmatch(name):
            raise ChannelMisconfigured(f"{key}: {excerpt(name)!r} is no name of a header")
    return {name: secret(value, key=f"{key}.{name}") for name, value in headers.items()}


def secret(value: SecretStr | None, *, key: str) -> str:
    """The secret without the white space around it, which files often have.

    Raises:
        ChannelMisconfigured: there is none, or it cannot be sent.
    """
    if value is None or not value.get_secret_value().strip():
        raise ChannelMisconfigured(f"{key} is not set")
    try:
        return fit_for_header(value.get_secret_value(), key=key)
    except ConfigError as exc:
        raise ChannelMisconfigured(str(exc)) from None


def address(value: SecretStr | None, *, key: str) -> str:
    """An http(s) address that may hold a key.

    Raises:
        ChannelMisconfigured: there is none, or it is no such address.
    """
    url = secret(value, key=key)
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        parts = httpx.URL()
    if parts.scheme not in {"http", "https"} or not parts.host:
        raise ChannelMisconfigured(f"{key} is not an http(s) address; correct it")
    return url


def secrets_of(url: str) -> list[str]:
    """What of an address that may hold a key no error may repeat."""
    parts = httpx.URL(url)
    shown = [
        url,
        parts.raw_path.decode(),
        parts.path,
        parts.query.decode(),
        parts.userinfo.decode(),
    ]
    return [each for each in shown if len(each) > 1]


@cache
def tls() -> ssl.SSLContext:
    """The certificates that are trusted, read once: reading them costs 25 ms of CPU."""
    return httpx.create_ssl_context()


async def _read(response: httpx.Response) -> str:
    read = b""
    async for piece in response.aiter_bytes():
        read += piece
        if len(read) >= MOST_READ:
            break
    return read[:MOST_READ].decode(errors="replace")


def _refusal(
    response: httpx.Response, answer: Answer, *, key: str, secrets: Sequence[str]
) -> ChannelMisconfigured | ChannelUnavailable | MessageRefused:
    said = excerpt(answer.text, secrets=secrets)
    line = f"{key}: {response.url.host} answered {answer.status}"
    if said:
        line = f"{line}: {said}"
    if answer.status in _LATER or response.is_server_error:
        return ChannelUnavailable(line, retry_after_seconds=retry_after_seconds(response.headers))
    if answer.status in _OUR_SETTINGS or response.is_redirect:
        return ChannelMisconfigured(f"{line}; check its address and credentials")
    return MessageRefused(line)


def _host(url: str) -> str:
    try:
        return httpx.URL(url).host
    except httpx.InvalidURL:
        return "the address"
