"""Speak HTTP with Mimir: one client, one way to read its refusals.

Whatever httpx raises or Mimir answers becomes one sentence of our error tree, here and nowhere
else. The headers' secrets are unmasked here and nowhere else; no message carries a header, a
query or the user part of an address. Redirects are not followed: they lead to login pages.
"""

from __future__ import annotations

import ssl
from collections.abc import Collection, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Final

import httpx
from pydantic import SecretStr

from policy.errors import ConfigError, RetriableError
from policy.settings.connection import MimirSettings
from policy.settings.performance import UNTUNED, Performance
from tasks.cache import cache_of
from tasks.caching_client import CachingClient

_CONNECT_SECONDS: Final = 5.0
_TOO_MANY_REQUESTS: Final = 429

# Mimir 2.14 to 2.16 and Prometheus 3.0 to 3.2 pack metrics pages with zstd; newer ones do so only
# where they were built for it, and answer with gzip otherwise.
_ENCODINGS: Final = {"zstd": "zstd, gzip;q=0.5"}

_WAY_OUT: Final = {
    401: "credentials are missing or wrong: check the Authorization header in the settings",
    403: "the credentials lack the right, or the X-Scope-OrgID header names a tenant they may "
    "not see",
    404: "nothing is served there: check the path prefix, and that this pod runs the component",
}


class MimirUnavailable(RetriableError):  # noqa: N818 - named for what was met
    """Mimir did not answer, or asked to be left alone for a while."""


def mimir_client(
    *,
    timeout_seconds: float,
    headers: Mapping[str, SecretStr],
    performance: Performance = UNTUNED,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """The client that all calls to Mimir share. Close it, or use it in `async with`.

    Args:
        timeout_seconds: longest silence of the other side; connecting may take 5 s of it.
        headers: sent with every request, such as Authorization and X-Scope-OrgID.
        performance: how answers are packed, how many connections are open, what is kept.
        transport: takes the place of the network.
    """
    revealed = revealed_headers(headers, key="mimir.headers")
    return CachingClient(
        cache=cache_of(performance.in_force.cache),
        verify=_tls(),
        headers={"Accept-Encoding": accepted(performance), **revealed},
        timeout=patience(timeout_seconds),
        limits=pool_limits(performance),
        follow_redirects=False,
        transport=transport,
    )


def pool_limits(performance: Performance) -> httpx.Limits:
    """How many connections one look may open, and how long idle ones stay."""
    pool = performance.in_force.connection_pool
    return httpx.Limits(
        max_connections=pool.max_connections,
        max_keepalive_connections=pool.max_keepalive,
        keepalive_expiry=pool.keep_alive.total_seconds(),
    )


def patience(timeout_seconds: float) -> httpx.Timeout:
    """The longest silence of the other side; connecting may take 5 s of it."""
    return httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, _CONNECT_SECONDS))


def accepted(performance: Performance) -> str:
    """The Accept-Encoding that the settings describe."""
    compression = performance.in_force.compression
    if not compression.enabled:
        return "identity"
    return _ENCODINGS.get(compression.algorithm, "gzip")


def revealed_headers(headers: Mapping[str, SecretStr], *, key: str) -> dict[str, str]:
    """The headers as they are sent; a line break at the end, as files often have, is left out.

    Raises:
        ConfigError: a value cannot be sent. What is underneath would say so with the value.
    """
    return {
        name: fit_for_header(value.get_secret_value(), key=f"{key}.{name}")
        for name, value in headers.items()
    }


def fit_for_header(value: str, *, key: str) -> str:
    """The value without the white space around it.

    Raises:
        ConfigError: it cannot be sent; `key` is told, the value is not.
    """
    fit = value.strip()
    if not (fit.isascii() and fit.isprintable()):
        raise ConfigError(
            f"{key} holds a line break or another character that no header may have: correct it"
        )
    return fit


@cache
def _tls() -> ssl.SSLContext:
    """The certificates that are trusted, read once: reading them costs 25 ms of CPU."""
    return httpx.create_ssl_context()


def client_of(mimir: MimirSettings, *, performance: Performance = UNTUNED) -> httpx.AsyncClient:
    """The client that the settings describe; close it, or use it in `async with`."""
    return mimir_client(
        timeout_seconds=mimir.timeout.total_seconds(),
        headers=mimir.headers,
        performance=performance,
    )


def check(response: httpx.Response) -> None:
    """Refuse every answer that is not a success.

    Raises:
        MimirUnavailable: 429 or 5xx, with the Retry-After that came along.
        ConfigError: a redirect or any other 4xx.
    """
    if response.is_success:
        return
    where = shown(response.request.url)
    status = f"{response.status_code} {response.reason_phrase}".strip()
    if response.status_code == _TOO_MANY_REQUESTS or response.is_server_error:
        raise MimirUnavailable(
            f"{where} answered {status}: it is overloaded or starting, try again later",
            retry_after_seconds=retry_after_seconds(response.headers),
        )
    if response.is_redirect:
        target = shown(response.request.url.join(response.headers["Location"]))
        raise ConfigError(
            f"{where} answered {status} to {target}: use the address behind the login page or proxy"
        )
    way_out = _WAY_OUT.get(
        response.status_code, "Mimir does not take this request: check the address"
    )
    raise ConfigError(f"{where} answered {status}: {way_out}")


def failure(
    error: httpx.HTTPError | httpx.InvalidURL, *, url: str
) -> ConfigError | MimirUnavailable:
    """What httpx raised, as one of our errors."""
    if isinstance(error, httpx.InvalidURL):
        return ConfigError(f"an address of Mimir is not a URL ({error}): check it in the settings")
    where = shown(httpx.URL(url))
    if isinstance(error, httpx.UnsupportedProtocol):
        return ConfigError(f"{where} is not an http:// or https:// address: check it")
    if isinstance(error, httpx.TimeoutException):
        return MimirUnavailable(f"{where} did not answer in time ({type(error).__name__})")
    return MimirUnavailable(f"{where} could not be read: {type(error).__name__}: {error}")


async def get(
    client: httpx.AsyncClient,
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    allow: Collection[int] = (),
) -> httpx.Response:
    """A successful answer, read to its end, or one with a status of `allow`.

    `headers` go over those of the client, such as the tenant that is asked about.

    Raises:
        MimirUnavailable: no answer, 429 or 5xx.
        ConfigError: the address is wrong, a redirect or any other 4xx.
    """
    try:
        response = await client.get(url, params=params, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise failure(error, url=url) from error
    if response.status_code not in allow:
        check(response)
    return response


def ahead_seconds(response: httpx.Response, *, at: datetime) -> float | None:
    """How far the other side's clock is ahead of ours, by its Date; None where it has none.

    Args:
        response: an answer that comes from there and from no cache.
        at: our time when its headers were here, aware UTC.
    """
    try:
        told_at = parsedate_to_datetime(response.headers.get("Date", ""))
        return (told_at - at).total_seconds()
    except (TypeError, ValueError):
        return None


def shown(url: httpx.URL) -> str:
    """An address fit for a message: without user, password, query and fragment."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


def retry_after_seconds(headers: httpx.Headers) -> float | None:
    """Retry-After as seconds, from now or, for a date, from the answer's own Date."""
    asked = headers.get("Retry-After", "").strip()
    if asked.isdecimal():
        return float(asked)
    try:
        until = parsedate_to_datetime(asked)
        told_at = parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (until - told_at).total_seconds())
    except (TypeError, ValueError):
        return None
