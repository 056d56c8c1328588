"""Ask PromQL over HTTP: one client, one question, asked again while there is time.

What is refused becomes one sentence that names the setting to correct; no sentence carries a
header, a password or a token. A 429, a 5xx and silence are asked again within the time for the
whole look, after Retry-After where that was told: here, so the step around it does not.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import httpx
from pydantic import SecretStr

from policy.errors import ConfigError, RetriableError
from policy.settings.performance import UNTUNED, Performance
from policy.settings.promql import Promql, Tls
from tasks.exposition import UnreadablePage
from tasks.http import (
    MimirUnavailable,
    accepted,
    ahead_seconds,
    check,
    failure,
    fit_for_header,
    patience,
    pool_limits,
    revealed_headers,
    shown,
)
from tasks.packing import Packed, packed, unpacked

MOST_SHOWN: Final = 200  # characters of the other side's own words
_FIRST_WAIT_SECONDS: Final = 0.5
_MOST_TRIES: Final = 5

_WAY_OUT: Final = {
    400: "it does not understand the query: check promql.matchers",
    401: "set promql.tenant where it has tenants; else correct promql.basicAuth or "
    "promql.bearerToken",
    403: "these credentials may not ask it: correct promql.basicAuth, promql.bearerToken or "
    "promql.tenant",
    404: "no PromQL is served there: promql.url needs the prefix, which is /prometheus for Mimir "
    "and Cortex (http://mimir:8080/prometheus)",
    405: "it takes no POST there: promql.url is the address of another program",
    422: "the query is beyond its limits: lower promql.maxSeriesPerQuery or promql.window, or "
    "raise its limits",
}


class PromqlUnavailable(MimirUnavailable):
    """PromQL was not answered, or not wholly, and may be the next time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """All questions of one look: where, as of when, and how patiently.

    Attributes:
        at: the moment that every question is about, aware UTC; the last one, of a range.
        clock: the time now, aware UTC.
        deadline: the event loop's time at which the look is over.
        sleep: waits so many seconds.
        chance: gives a number from 0 to 1, so that many who failed together do not return so.
        since: the first moment of a range; None asks about the one moment.
        every: how far apart the moments of a range are.
        turns: holds the questions to `promql.maxConcurrentQueries` at once.
        ahead: seconds that the other side's clock is ahead of ours, once it answered.
    """

    promql: Promql
    client: httpx.AsyncClient
    at: datetime
    clock: Callable[[], datetime]
    deadline: float
    sleep: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]
    since: datetime | None = None
    every: timedelta = timedelta(hours=1)
    turns: asyncio.Semaphore = field(init=False)
    ahead: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        turns = asyncio.Semaphore(self.promql.max_concurrent_queries)
        object.__setattr__(self, "turns", turns)

    async def body(self, query: str) -> bytes:
        """The whole body of the answer.

        Raises:
            PromqlUnavailable: no whole answer came in the time that there is.
            ConfigError: the address, the credentials or the query are wrong.
        """
        return self.unpacked(await self.packed(query))

    def unpacked(self, answer: Packed) -> bytes:
        """The body of an answer of `packed`.

        Raises:
            PromqlUnavailable: it is broken, or packed in a way nobody asked for.
        """
        try:
            return unpacked(answer)
        except UnreadablePage as error:
            raise PromqlUnavailable(
                f"{self.promql.url} gave an answer that cannot be unpacked ({error})"
            ) from error

    async def packed(self, query: str) -> Packed:
        """The answer as it came, for one that is big: it packs to a twentieth.

        Raises:
            PromqlUnavailable: no answer came in the time that there is.
            ConfigError: the address, the credentials or the query are wrong.
        """
        tries = 1
        while True:
            try:
                async with self.turns:
                    return await self._once(query)
            except RetriableError as refusal:
                asked = refusal.retry_after_seconds
                wait = _FIRST_WAIT_SECONDS * 2 ** (tries - 1) if asked is None else asked
                wait *= 1.0 + self.chance() / 2  # never sooner than it asked for
                left = self.deadline - asyncio.get_running_loop().time()
                if tries == _MOST_TRIES or wait >= left:
                    raise
            tries += 1
            await self.sleep(wait)

    async def _once(self, query: str) -> Packed:
        url = f"{self.promql.url}/api/v1/query{'' if self.since is None else '_range'}"
        seconds = self.promql.timeout.total_seconds()
        form = {
            "query": query,
            **self._moments(),
            "timeout": f"{max(1, round(seconds * 1000))}ms",
        }
        try:
            async with (
                asyncio.timeout(seconds),
                self.client.stream("POST", url, data=form) as answer,
            ):
                if not answer.is_success:
                    await answer.aread()
                    _refuse(answer)
                ahead = ahead_seconds(answer, at=self.clock())
                if ahead is not None:
                    self.ahead.setdefault(self.promql.url, ahead)
                return await packed(answer)
        except TimeoutError as error:
            raise PromqlUnavailable(
                f"{url} gave no whole answer within {seconds:g} s (promql.timeout)"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise ConfigError(
                    f"{url} shows a certificate that is not trusted: set promql.tls.caFile"
                ) from error
            raise failure(error, url=url) from error

    def _moments(self) -> dict[str, str]:
        at = f"{self.at.timestamp():.3f}"
        if self.since is None:
            return {"time": at}
        start, step = f"{self.since.timestamp():.3f}", f"{self.every.total_seconds():g}"
        return {"start": start, "end": at, "step": step}


def promql_client(
    promql: Promql,
    *,
    performance: Performance = UNTUNED,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """The client that the settings describe; close it, or use it in `async with`.

    Nothing that PromQL answers is kept: every question is about a moment of its own, so no
    answer would ever be asked for again.

    Args:
        promql: where, and as whom.
        performance: how answers are packed, how many connections are open, and for how long.
        transport: takes the place of the network.

    Raises:
        ConfigError: a file with a password, a token or a certificate cannot be read.
    """
    own = {"Accept": "application/json", "Accept-Encoding": accepted(performance)}
    return httpx.AsyncClient(
        verify=_context(promql.tls),
        headers={**own, **_headers(promql)},
        auth=_basic(promql),
        timeout=patience(promql.timeout.total_seconds()),
        limits=pool_limits(performance),
        follow_redirects=False,
        transport=transport,
    )


def _headers(promql: Promql) -> dict[str, str]:
    headers = revealed_headers(promql.headers, key="promql.headers")
    if promql.tenant is not None:
        headers["X-Scope-OrgID"] = fit_for_header(promql.tenant, key="promql.tenant")
    token = _secret(promql.bearer_token, promql.bearer_token_file, key="promql.bearerTokenFile")
    if token is not None:
        headers["Authorization"] = f"Bearer {fit_for_header(token, key='the token for promql.url')}"
    return headers


def _basic(promql: Promql) -> httpx.BasicAuth | None:
    auth = promql.basic_auth
    password = _secret(auth.password, auth.password_file, key="promql.basicAuth.passwordFile")
    if auth.username is None or password is None:
        return None
    return httpx.BasicAuth(auth.username, password)


def _secret(value: SecretStr | None, path: Path | None, *, key: str) -> str | None:
    """The secret itself, or what the file holds now: such files are renewed under us."""
    if value is not None or path is None:
        return value.get_secret_value() if value is not None else None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{key}: {path} cannot be read: {why}") from None


def _context(tls: Tls) -> ssl.SSLContext:
    files = [path for path in (tls.ca_file, tls.cert_file, tls.key_file) if path is not None]
    try:
        changed = tuple(path.stat().st_mtime_ns for path in files)
        return _context_of(tls, changed)
    except OSError as error:  # ssl.SSLError is one too
        named = ", ".join(map(str, files))
        why = error.strerror or type(error).__name__
        raise ConfigError(f"promql.tls: {named} cannot be used: {why}") from None


@lru_cache(maxsize=4)
def _context_of(tls: Tls, _changed: tuple[int, ...]) -> ssl.SSLContext:
    """Made once for each state of the files: it costs 25 ms of CPU."""
    context = httpx.create_ssl_context(verify=not tls.insecure_skip_verify)
    if tls.ca_file is not None:
        context.load_verify_locations(cafile=tls.ca_file)
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def _refuse(answer: httpx.Response) -> None:
    """Refuse the answer, which is no success, with what the other side says of it."""
    said = _said(answer)
    way_out = _WAY_OUT.get(answer.status_code)
    if way_out is not None:
        where = shown(answer.request.url)
        status = f"{answer.status_code} {answer.reason_phrase}".strip()
        raise ConfigError(f"{where} answered {status}{said}: {way_out}")
    try:
        check(answer)
    except MimirUnavailable as refusal:
        raise PromqlUnavailable(
            f"{refusal}{said}", retry_after_seconds=refusal.retry_after_seconds
        ) from None


def _said(answer: httpx.Response) -> str:
    """The error that the API tells, in brackets and on one line; nothing of any other body."""
    try:
        told = json.loads(answer.content)
    except ValueError:
        return ""
    error = told.get("error") if isinstance(told, dict) else None
    return f" ({' '.join(error.split())[:MOST_SHOWN]})" if isinstance(error, str) else ""
