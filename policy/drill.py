"""Rehearse a blast in memory: what protection would do to one tenant, and when, changing nothing.

Time is made of looks, as often as `protect` takes them. Each look shows protection what it would
see, and what protection says is composed with the limits in force; Mimir has loaded it a while
later. How blasts are told from growth is no matter of this module: see `Protection`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

import polars as pl

from policy.figures import TIMES, figure
from policy.frames import LAYERS, LIMITS, SAMPLES, empty
from policy.layers import Bounds, compose
from policy.signals import (
    DISCARDED_SERIES_LIMIT,
    INGESTION_BURST_SIZE,
    INGESTION_RATE,
    SAMPLES_ASKED,
    SERIES,
    SERIES_CREATED_RATE,
)

# After the blast: a protection that still holds by then is told as one that did not let go.
LONGEST_RECOVERY: Final = timedelta(hours=2)
EXPLODES_WITHIN: Final = timedelta(minutes=5)
_INFINITY: Final = float("inf")

Kind = Literal["samples", "series"]
LIMIT_OF: Final[Mapping[Kind, str]] = {"samples": INGESTION_RATE, "series": SERIES}
UNIT_OF: Final[Mapping[Kind, str]] = {"samples": "/s", "series": " series"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What protection goes by at one moment.

    Attributes:
        at: aware, UTC.
        demand: SAMPLES of what is asked for.
        baseline: tenant, baseline: what is usual, samples/s or series in memory.
        in_force: LIMITS that Mimir has loaded.
        beneath: LIMITS as they are without protection.
        known: LAYERS that protection said before, and that have not expired.
    """

    at: datetime
    demand: pl.DataFrame
    baseline: pl.DataFrame
    in_force: pl.DataFrame
    beneath: pl.DataFrame
    known: pl.DataFrame


Protection = Callable[[Look], pl.DataFrame]
"""What decides: the LAYERS that hold after a look; the same as before where nothing is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blast:
    """What is rehearsed: one tenant asks for `factor` times its usual for so long.

    Attributes:
        usual: samples/s, or series in memory.
        kind: samples; or series, so many times as many within five minutes and on at that rate.
        known_by: what told the usual, in words after it.
    """

    tenant: str
    usual: float
    factor: float
    lasts: timedelta
    kind: Kind = "samples"
    known_by: str = ""

    @property
    def asked(self) -> float:
        """Samples/s, or new series/s, at its height."""
        if self.kind == "series":
            return self.usual * (self.factor - 1.0) / EXPLODES_WITHIN.total_seconds()
        return self.usual * self.factor

    @property
    def asked_in_calm(self) -> float:
        """Samples/s, or new series/s, before and after it."""
        return 0.0 if self.kind == "series" else self.usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast things happen: from look to look, and from a word of ours until it is loaded."""

    every: timedelta
    loaded_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened, and how long after the first sample of the blast."""

    after: timedelta
    kind: Literal["begins", "detected", "capped", "over", "let_go", "recovered"]
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What came of it.

    Attributes:
        kind: of the blast; samples, series and samples/s below are of that.
        timeline: what happened, in order.
        fair_share: samples/s, or series in memory, that the tenant may have at any time.
        detected_after: None: it was not told as a blast.
        capped_after: until Mimir had loaded a limit no higher than the fair share, or the lowest
            that protection asked for; None: no limit was lowered below what was in force, nor was
            it lower than the fair share before.
        lowest: the lowest limit that was in force, in its unit; None where none was known.
        admitted_above: samples let in above the fair share; the most series above it at a time.
        refused: samples, or new series, that were not let in.
        recovered_after: from the last sample of the blast until all limits were as before.
    """

    kind: Kind
    timeline: tuple[Event, ...]
    fair_share: float
    detected_after: timedelta | None
    capped_after: timedelta | None
    lowest: float | None
    admitted_above: float
    refused: float
    recovered_after: timedelta | None


@dataclass(slots=True)
class _Bucket:
    """The limiter of the tenant, as one for the whole cluster; it begins full."""

    tokens: float = _INFINITY

    def admit(self, asked: float, *, limits: pl.DataFrame, seconds: float) -> float:
        """How many of the samples of so many seconds pass."""
        burst = _limit(limits, INGESTION_BURST_SIZE)
        refilled = _limit(limits, INGESTION_RATE) * seconds
        available = min(self.tokens, burst) + refilled
        passed = min(asked, available)
        self.tokens = min(burst, available - passed)
        return passed


@dataclass(slots=True)
class _Memory:
    """The series of the tenant, as of one ingester; what is new stays for longer than a drill."""

    held: float

    def admit(self, asked: float, *, limits: pl.DataFrame, seconds: float) -> float:  # noqa: ARG002 - as a bucket
        """How many of the new series find room."""
        passed = min(asked, max(0.0, _limit(limits, SERIES) - self.held))
        self.held += passed
        return passed


def rehearse(
    blast: Blast,
    *,
    limits: pl.DataFrame,
    protection: Protection,
    pace: Pace,
    bounds: Bounds,
    margin: float,
    now: datetime,
) -> Rehearsal:
    """Live through a blast, look by look.

    Args:
        blast: whose, how large, how long.
        limits: LIMITS of the tenant without protection.
        protection: what decides.
        pace: how often it looks, and how soon it has an effect.
        bounds: hard bounds of whatever is published.
        margin: what the fair share is above the usual, 0.25 for a quarter.
        now: when it begins, aware UTC.
    """
    fair = blast.usual * (1.0 + margin)
    trial = _Trial(blast=blast, limits=limits, fair=fair, pace=pace, bounds=bounds, now=now)
    for at in _looks(blast, pace=pace, now=now):
        trial.live(at, protection=protection)
        if trial.recovered is not None:
            break
    own = _limit(limits, LIMIT_OF[blast.kind])
    return Rehearsal(
        kind=blast.kind,
        timeline=tuple(trial.events),
        fair_share=fair,
        detected_after=_first(trial.events, kind="detected"),
        capped_after=timedelta(0) if own <= fair else _first(trial.events, kind="capped"),
        lowest=None if trial.lowest == _INFINITY else trial.lowest,
        admitted_above=trial.above,
        refused=trial.refused,
        recovered_after=trial.recovered,
    )


@dataclass(slots=True, kw_only=True)
class _Trial:
    """A rehearsal on its way: what protection says now, what is loaded, what has passed."""

    blast: Blast
    limits: pl.DataFrame
    fair: float
    pace: Pace
    bounds: Bounds
    now: datetime
    events: list[Event] = field(init=False)
    known: pl.DataFrame = field(default_factory=lambda: empty(LAYERS))
    said: list[tuple[datetime, pl.DataFrame]] = field(default_factory=list)
    loaded: pl.DataFrame = field(init=False)
    lowest: float = field(init=False)
    meter: _Bucket | _Memory = field(init=False)
    came: float = 0.0
    above: float = 0.0
    refused: float = 0.0
    recovered: timedelta | None = None

    def __post_init__(self) -> None:
        """No limit is lowered yet, and all is as usual."""
        self.events = [Event(after=timedelta(0), kind="begins", words=_begins(self.blast))]
        self.loaded = self.limits
        self.lowest = _limit(self.limits, LIMIT_OF[self.blast.kind])
        self.meter = _Memory(self.blast.usual) if self.blast.kind == "series" else _Bucket()

    def live(self, at: datetime, *, protection: Protection) -> None:
        """Live until a look, take it, and see what Mimir has loaded by then."""
        after = at - self.now
        blasts = after <= self.blast.lasts
        asked = self.blast.asked if blasts else self.blast.asked_in_calm
        self._meter(asked)
        if not blasts and not any(event.kind == "over" for event in self.events):
            over = Event(after=self.blast.lasts, kind="over", words="the blast is over")
            self.events.append(over)
        self._look(at, asked=asked, protection=protection)
        self._load(at)
        if not blasts and self.known.is_empty() and self.loaded.equals(self.limits):
            self.recovered = after - self.blast.lasts
            words = "every limit is what it was before"
            self.events.append(Event(after=after, kind="recovered", words=words))

    def _meter(self, asked: float) -> None:
        """Count what the limits that are loaded let in since the look before."""
        seconds = self.pace.every.total_seconds()
        self.came = self.meter.admit(asked * seconds, limits=self.loaded, seconds=seconds)
        if isinstance(self.meter, _Memory):
            self.above = max(self.above, self.meter.held - self.fair)
        else:
            self.above += max(0.0, self.came - self.fair * seconds)
        self.refused += asked * seconds - self.came

    def _demand(self, *, asked: float, at: datetime) -> pl.DataFrame:
        """SAMPLES; of new series Mimir tells apart what found room and what did not."""
        told = {SAMPLES_ASKED: asked}
        if isinstance(self.meter, _Memory):
            new = self.came / self.pace.every.total_seconds()
            told = {
                SERIES_CREATED_RATE: new,
                DISCARDED_SERIES_LIMIT: asked - new,
                SERIES: self.meter.held,
            }
        rows = [(at, self.blast.tenant, signal, value, 1.0) for signal, value in told.items()]
        return pl.DataFrame(rows, schema=SAMPLES, orient="row")

    def _look(self, at: datetime, *, asked: float, protection: Protection) -> None:
        """Ask protection, and remember what it would have."""
        before, known = self.known, _standing(self.known, at=at)
        seen = Look(
            at=at,
            demand=self._demand(asked=asked, at=at),
            baseline=pl.DataFrame({"tenant": [self.blast.tenant], "baseline": [self.blast.usual]}),
            in_force=self.loaded,
            beneath=self.limits,
            known=known,
        )
        self.known = protection(seen)
        self.events += _turned(before, self.known, after=at - self.now)
        wanted = _composed(self.known, limits=self.limits, bounds=self.bounds, at=at)
        self.said.append((at, wanted))

    def _load(self, at: datetime) -> None:
        """Load what was said long enough ago."""
        self.loaded = _loaded(self.said, limits=self.limits, at=at - self.pace.loaded_after)
        name, unit = LIMIT_OF[self.blast.kind], UNIT_OF[self.blast.kind]
        loaded = _limit(self.loaded, name)
        if loaded < self.lowest:
            self.lowest = loaded
            own = figure(_limit(self.limits, name))
            words = f"Mimir has loaded {figure(loaded)}{unit} instead of {own}{unit}"
            self.events.append(Event(after=at - self.now, kind="capped", words=words))


def _looks(blast: Blast, *, pace: Pace, now: datetime) -> Iterator[datetime]:
    at = now + pace.every
    while at <= now + blast.lasts + LONGEST_RECOVERY:
        yield at
        at += pace.every


def _standing(known: pl.DataFrame, *, at: datetime) -> pl.DataFrame:
    return known.filter(pl.col("expires_at").is_null() | (pl.col("expires_at") > at))


def _turned(before: pl.DataFrame, after_it: pl.DataFrame, *, after: timedelta) -> Iterator[Event]:
    """What protection began or ceased to say."""
    if before.is_empty() and not after_it.is_empty():
        yield Event(after=after, kind="detected", words=str(after_it["reason"][0]))
    if after_it.is_empty() and not before.is_empty():
        yield Event(after=after, kind="let_go", words="protection holds nothing any more")


def _composed(
    known: pl.DataFrame, *, limits: pl.DataFrame, bounds: Bounds, at: datetime
) -> pl.DataFrame:
    """LIMITS as protection would have them."""
    words = compose(known, beneath=limits, bounds=bounds, now=at).select(LIMITS.names())
    return pl.concat([limits.join(words, on=["tenant", "limit"], how="anti"), words]).sort(
        "tenant", "limit"
    )


def _loaded(
    said: list[tuple[datetime, pl.DataFrame]], *, limits: pl.DataFrame, at: datetime
) -> pl.DataFrame:
    """LIMITS of the newest word that had arrived by then."""
    return next((words for when, words in reversed(said) if when <= at), limits)


def _limit(limits: pl.DataFrame, name: str) -> float:
    """One limit, endless where it is unknown: nothing that is not known refuses anything."""
    found = limits.filter(limit=name)["value"]
    return float(found[0]) if len(found) else _INFINITY


def _first(events: list[Event], *, kind: str) -> timedelta | None:
    return next((event.after for event in events if event.kind == kind), None)


def _begins(blast: Blast) -> str:
    unit = UNIT_OF[blast.kind]
    usual = f"{figure(blast.factor)} {TIMES} its usual {figure(blast.usual)}{unit}{blast.known_by}"
    if blast.kind == "series":
        return f"{blast.tenant} creates {figure(blast.asked)} new series/s, in five minutes {usual}"
    return f"{blast.tenant} asks for {figure(blast.asked)}/s, {usual}"
