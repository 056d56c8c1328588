"""Cortex's overrides API: limits written tenant by tenant, beside those of the operator.

The API merges on POST, drops everything of a tenant on DELETE, and has no versions. So what is
ours is kept in a file of our own, written down before the first request and after the last:
each limit, and what stood there before it. A limit is withdrawn by its former value; a tenant is
deleted only where nobody but us has set anything for it. The API cannot tell a change between
our look and our write, but each write names our limits alone and is read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Final

import httpx
import polars as pl

from policy.document import digest, parse, render
from policy.errors import ConfigError, Conflict, OptimizerError, RetriableError
from policy.frames import LIMITS
from policy.settings import Settings
from tasks.http import patience, revealed_headers, shown
from tasks.sinks.base import Published
from tasks.sinks.cortex_claims import Claim, Claims, ClaimsFile, Values
from tasks.sinks.cortex_client import CortexOverrides
from tasks.sinks.cortex_session import Change, Session

_ARRIVES_WITHIN: Final = timedelta(minutes=2)
_NAMED: Final = 3  # refused tenants that a sentence lists before it says "and more"


class CortexApiSink:
    """The limits of ours among the overrides of a Cortex."""

    def __init__(
        self,
        base_url: str,
        *,
        connect: Callable[[], httpx.Client],
        claims: ClaimsFile,
        concurrency: int,
    ) -> None:
        """A sink.

        Args:
            base_url: of the Cortex.
            connect: opens a client, with credentials and time-outs.
            claims: what is ours.
            concurrency: most tenants asked, or written, at once.
        """
        self._base_url = base_url
        self._connect = connect
        self._claims = claims
        self._concurrency = concurrency

    @property
    def arrives_within(self) -> timedelta:
        """Cortex reads its bucket every 10 s; two minutes leave it time to be slow."""
        return _ARRIVES_WITHIN

    def describe(self) -> str:
        """The address of the API."""
        return f"the overrides API at {shown(httpx.URL(self._base_url))}"

    def read(self) -> Published:
        """Our limits as Cortex has them now; `document` is None where there have been none.

        Raises:
            ConfigError: the file of claims cannot be read, or the API refuses us.
            RetriableError: the API does not answer.
        """
        claims = self._claims.load()
        with self._session() as session:
            return _held(claims, told=session.told(claims))

    def write(self, document: bytes, *, if_version: str) -> str:
        """Make our limits those of the document; tenants that do not change are not written.

        Raises:
            Conflict: our limits are others than those that were read.
            ConfigError: the API refused some tenants, each told; all others are written.
            RetriableError: some tenants could not be written just now; all others are.
        """
        claims = self._claims.load()
        with self._session() as session:
            told = session.told(claims)
            held = _held(claims, told=told)
            if held.version != if_version:
                raise Conflict(
                    f"{self.describe()} was changed by someone else since it was read; "
                    "read it again and decide again"
                )
            wanted = by_tenant(parse(document))
            changes = _changes(claims, told=told, held=held, wanted=wanted, session=session)
            claimed = claims | {change.tenant: change.claim for change in changes}
            # Written down first: whatever ends us now, the next look knows what may be ours.
            self._claims.save(claimed)

            outcomes = session.make(changes)
            claimed |= {name: left for name, left in outcomes.items() if isinstance(left, Claim)}
            self._claims.save({name: claim for name, claim in claimed.items() if claim.before})
            _raise_failures([left for left in outcomes.values() if not isinstance(left, Claim)])
        return self.read().version

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self._connect() as client:
            api = CortexOverrides(self._base_url, client=client)
            yield Session(api=api, concurrency=self._concurrency)


def _held(claims: Claims, *, told: Mapping[str, Values]) -> Published:
    if not claims:
        return Published(document=None, version="nothing claimed")
    ours = [
        (tenant, limit, told[tenant][limit])
        for tenant, claim in claims.items()
        for limit in claim.before
        if limit in told[tenant]
    ]
    document = render(pl.DataFrame(ours, schema=LIMITS, orient="row"))
    owned = repr(sorted((tenant, sorted(claim.before)) for tenant, claim in claims.items()))
    return Published(document=document, version=digest(document + owned.encode()))


def _changes(
    claims: Claims,
    *,
    told: Mapping[str, Values],
    held: Published,
    wanted: Mapping[str, Values],
    session: Session,
) -> list[Change]:
    stands = by_tenant(parse(held.document)) if held.document else {}
    names = sorted({*claims, *wanted})
    changing = [name for name in names if stands.get(name, {}) != wanted.get(name, {})]
    found = {**told, **session.told(name for name in changing if name not in claims)}
    return [
        Change(
            tenant=name,
            claim=_claimed(claims.get(name), told=found[name], wanted=wanted.get(name, {})),
            wanted=wanted.get(name, {}),
            told=found[name],
        )
        for name in changing
    ]


def by_tenant(limits: pl.DataFrame) -> dict[str, dict[str, float]]:
    """LIMITS as values by tenant and limit."""
    found: dict[str, dict[str, float]] = {}
    for tenant, limit, value in limits.select("tenant", "limit", "value").iter_rows():
        found.setdefault(tenant, {})[limit] = value
    return found


def _claimed(claim: Claim | None, *, told: Values, wanted: Values) -> Claim:
    """The claim with every limit of `wanted`, and what stood where one is new."""
    known = claim or Claim(before={}, created=not told)
    # A tenant that we made shows the defaults that Cortex froze; none of them was set.
    new = {limit: told.get(limit) for limit in wanted if limit not in known.before}
    return replace(known, before={**known.before, **new})


def _raise_failures(failures: Sequence[OptimizerError]) -> None:
    if not failures:
        return
    shown_lines = "; ".join(map(str, failures[:_NAMED])) + (
        " and more" if failures[_NAMED:] else ""
    )
    said = f"not written: {len(failures)} of the tenants that change; all others are: {shown_lines}"
    passing = all(isinstance(refusal, RetriableError) for refusal in failures)
    raise RetriableError(said) if passing else ConfigError(said)


def cortex_api_sink(settings: Settings) -> CortexApiSink:
    """The sink that the settings describe; nothing is asked yet."""
    chosen, mimir = settings.publish.cortex_api, settings.mimir

    def connect() -> httpx.Client:
        return httpx.Client(
            headers=revealed_headers(mimir.headers, key="mimir.headers"),
            timeout=patience(mimir.timeout.total_seconds()),
            follow_redirects=False,
        )

    return CortexApiSink(
        chosen.url,
        connect=connect,
        claims=ClaimsFile(chosen.state),
        concurrency=chosen.concurrency,
    )
