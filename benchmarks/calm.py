"""Whether calm is left alone and a wave is told: a month of calm shapes, look by look.

    python -m benchmarks.calm [DAYS]

Tenants of six calm shapes (`benchmarks.shapes`) live on after ten weeks of their own past, through
the policy that decides in production: what is usual as DuckDB tells it from what was rolled up, the
thresholds that follow from the limits, the detection, the breakers. What a breaker would cap caps
nobody here.

The shapes know an hour by its mean and by its highest five minutes, so demand stands for five
minutes, one of twelve at the highest, and one look at it is as good as twenty. Where a look finds
somebody out of the usual, looks follow 15 s apart, at the same height, until all breakers are calm
again: whatever would be opened by looks 15 s apart is opened here, too. What is usual is asked anew
with each hour, so an hour's own peaks are known only after it: more opens than in production,
where it is asked every five minutes.

For recall each tenant has a wave of five minutes every day, at another hour from day to day: that
demand times the factor, in looks 15 s apart, of this tenant alone. It is told at the first look
that finds it out of the usual, and open when its breaker is.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

import polars as pl

from benchmarks.shapes import past
from policy.breakers import BREAKERS, IN_BLAST, stepped
from policy.detection import detect
from policy.frames import LIMITS, SAMPLES
from policy.settings import Settings
from policy.signals import INGESTION_RATE, SAMPLES_ASKED
from policy.sustained import sustained_for
from policy.thresholds import from_limits, in_force, sensitivity, timing_of
from storage.database import Database, read_frame
from storage.rollups import ROLLUPS, import_rollups
from storage.usual import usual, weekly

CALM: Final = ("flat", "growth", "weekly", "monthly", "random", "step")
FACTORS: Final = (1.5, 2.0, 3.0, 10.0)
BEGIN: Final = datetime(2026, 11, 10, tzinfo=UTC)  # of the judged time; the past lies before it
PAST_DAYS: Final = 70
DAYS: Final = 31  # as benchmarks.shapes places its step
TENANTS: Final = 2  # of each shape
SEED: Final = 1
LOOK: Final = timedelta(seconds=15)
BUCKET: Final = timedelta(minutes=5)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
UNEVEN: Final = 0.02  # the five minutes of an hour differ by as much
BUFFER: Final = 1.25  # a limit above the highest of two weeks
NOBODY_FAILS: Final = pl.DataFrame(schema={"tenant": pl.String(), "share": pl.Float64()})


@dataclass(slots=True)
class Told:
    """What came of the waves of one factor: seconds until each was told, and until it was open."""

    waves: int = 0
    told: list[float] = field(default_factory=list)
    opened: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Life:
    """What a month came to.

    Attributes:
        opens: by shape, how often a breaker opened on calm.
        watched: by shape, how often one look was out of the usual.
        recall: by factor.
    """

    opens: Counter[str] = field(default_factory=Counter)
    watched: Counter[str] = field(default_factory=Counter)
    recall: dict[float, Told] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Month:
    """The tenants, their past in a history, and the breakers as they stand.

    Attributes:
        database: the history, empty at first.
        hours: HOURS of past and judged time.
        begin: of the judged time.
        settings: the defaults.
    """

    database: Database
    hours: pl.DataFrame
    begin: datetime
    settings: Settings = field(default_factory=Settings)
    found: Life = field(default_factory=Life)
    breakers: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=BREAKERS))
    _usual: pl.DataFrame = field(init=False)
    _limits: pl.DataFrame = field(init=False)
    _thresholds: pl.DataFrame = field(init=False)

    def live(self, *, factors: tuple[float, ...] = FACTORS) -> Life:
        """Live through the judged time."""
        before = self.hours.filter(pl.col("at") < self.begin)
        self._remember(_by_the_hour(before), now=self.begin)
        ahead = self.hours.filter(pl.col("at") >= self.begin).partition_by(
            "at", maintain_order=True
        )
        for hour in ahead:
            began: datetime = hour["at"][0]
            if began.hour == 0:
                self._set_limits(began)
            ask = partial(read_frame, self.database)
            weeks = weekly(ask, now=began, signals=[SAMPLES_ASKED])
            self._usual = usual(ask, now=began, signals=[SAMPLES_ASKED], weeks=weeks)
            buckets = list(_buckets(hour))
            for at, demand in buckets:
                self._stand(at, demand)
            for at, demand in buckets:
                self._waves(at, demand, factors=factors)
            self._remember(_by_five_minutes(buckets), now=began + HOUR)
        return self.found

    def _stand(self, at: datetime, demand: Mapping[str, float]) -> None:
        """Look once at five minutes, and again while anybody is out of the usual."""
        end = at + BUCKET
        while at < end:
            at += LOOK
            detected = self._detected(demand, at=at)
            if detected.is_empty() and self.breakers.is_empty():
                return
            self.breakers, turns = self._stepped(self.breakers, detected=detected, at=at)
            for tenant, after in turns.select("tenant", "after").iter_rows():
                self.found.opens[_shape(tenant)] += after == "open"
                self.found.watched[_shape(tenant)] += after == "watch"
            if self.breakers.filter(pl.col("state").is_in(IN_BLAST)).is_empty():
                return

    def _waves(
        self, at: datetime, demand: Mapping[str, float], *, factors: tuple[float, ...]
    ) -> None:
        """Let each tenant whose moment it is ask for a multiple, five minutes long."""
        minutes = (at - self.begin) % DAY // timedelta(minutes=1)
        for number, tenant in enumerate(demand):
            if minutes != _moment(number, day=(at - self.begin) // DAY):
                continue
            for factor in factors:
                told = self.found.recall.setdefault(factor, Told())
                told.waves += 1
                asked = {**demand, tenant: demand[tenant] * factor}
                self._wave(asked, tenant=tenant, at=at, told=told)

    def _wave(self, asked: Mapping[str, float], *, tenant: str, at: datetime, told: Told) -> None:
        breakers, seen = pl.DataFrame(schema=BREAKERS), False
        for number in range(1, BUCKET // LOOK + 1):
            after = number * LOOK
            detected = self._detected(asked, at=at + after).filter(tenant=tenant)
            if detected.is_empty():
                return  # the demand stands: what one look does not see none does
            if not seen:
                told.told.append(after.total_seconds())
                seen = True
            breakers, _ = self._stepped(breakers, detected=detected, at=at + after)
            if not breakers.filter(tenant=tenant, state="open").is_empty():
                told.opened.append(after.total_seconds())
                return

    def _detected(self, demand: Mapping[str, float], *, at: datetime) -> pl.DataFrame:
        latest = pl.DataFrame(
            [(at, tenant, SAMPLES_ASKED, value, 1.0) for tenant, value in demand.items()],
            schema=SAMPLES,
            orient="row",
        )
        return detect(
            latest,
            usual=self._usual,
            thresholds=self._thresholds,
            limits=self._limits,
            sensitivity=sensitivity(self.settings),
        )

    def _stepped(
        self, breakers: pl.DataFrame, *, detected: pl.DataFrame, at: datetime
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        return stepped(
            breakers,
            detected=detected,
            failing=NOBODY_FAILS,
            now=at,
            timing=timing_of(self.settings),
        )

    def _set_limits(self, day: datetime) -> None:
        """Give each tenant a limit above its highest of two weeks."""
        weeks = self.hours.filter(pl.col("at").is_between(day - 14 * DAY, day, closed="left"))
        self._limits = (
            weeks.group_by("tenant")
            .agg(value=pl.col("peak").max() * BUFFER)
            .select("tenant", limit=pl.lit(INGESTION_RATE), value="value")
            .cast(LIMITS)
            .sort("tenant")
        )
        self._thresholds = in_force(
            from_limits(self._limits, settings=self.settings),
            tenants=self._limits["tenant"].to_list(),
            settings=self.settings,
        )

    def _remember(self, rollups: pl.DataFrame, *, now: datetime) -> None:
        import_rollups(self.database, rollups, now=now, sustained_for=sustained_for(self.settings))


@contextmanager
def month(
    folder: Path, *, begin: datetime = BEGIN, days: int = DAYS, tenants: int = TENANTS
) -> Iterator[Month]:
    """A month whose history lies in the folder, for as long as it is used."""
    whole = past(
        begin=begin - PAST_DAYS * DAY,
        days=PAST_DAYS + DAYS,
        tenants=tenants,
        seed=SEED,
        limit=SAMPLES_ASKED,
    )
    calm = pl.col("tenant").str.split("-").list.first().is_in(CALM)
    judged = pl.col("at") < begin + days * DAY
    with Database.open(str(folder / "history.duckdb"), clock=lambda: begin) as database:
        hours = whole.filter(calm & judged).sort("at", "tenant")
        yield Month(database=database, hours=hours, begin=begin)


def _shape(tenant: str) -> str:
    return tenant.partition("-")[0]


def _moment(number: int, *, day: int) -> int:
    """The minute of the day at which the tenant of that number has its wave."""
    return (day * 7 + number * 5) % 24 * 60 + (day * 3 + number) % 12 * 5


def _buckets(hour: pl.DataFrame) -> Iterator[tuple[datetime, dict[str, float]]]:
    """The twelve five minutes of an hour, with what each tenant asks for in them."""
    began: datetime = hour["at"][0]
    random = Random(f"{SEED}/{began.isoformat()}")
    rows = hour.select("tenant", "peak", "sustained").rows()
    highest = {tenant: random.randrange(12) for tenant, _, _ in rows}
    for number in range(12):
        yield (
            began + number * BUCKET,
            {
                tenant: peak
                if highest[tenant] == number
                else min(peak, held * (1 + random.gauss(0, UNEVEN)))
                for tenant, peak, held in rows
            },
        )


def _by_the_hour(hours: pl.DataFrame) -> pl.DataFrame:
    return _rollups(hours.select("at", "tenant", max="peak", mean="sustained"))


def _by_five_minutes(buckets: list[tuple[datetime, dict[str, float]]]) -> pl.DataFrame:
    rows = [
        (at, tenant, value, value) for at, demand in buckets for tenant, value in demand.items()
    ]
    return _rollups(pl.DataFrame(rows, schema=["at", "tenant", "max", "mean"], orient="row"))


def _rollups(rows: pl.DataFrame) -> pl.DataFrame:
    looks = BUCKET // LOOK
    return (
        rows.select(
            "at",
            "tenant",
            "max",
            "mean",
            signal=pl.lit(SAMPLES_ASKED),
            sum=pl.col("mean") * looks,
            count=pl.lit(looks),
            coverage=pl.lit(1.0),
        )
        .select(ROLLUPS.names())
        .cast(ROLLUPS)
    )


def report(found: Life) -> str:
    """The two tables."""
    lines = ["| shape | false opens | single looks |", "| --- | ---: | ---: |"]
    lines += [f"| {shape} | {found.opens[shape]} | {found.watched[shape]} |" for shape in CALM]
    lines += ["", "| wave | told | open | seconds until told | until open, median / longest |"]
    lines += ["| --- | ---: | ---: | ---: | ---: |"]
    for factor, told in found.recall.items():
        cells = [
            f"x{factor:g}",
            f"{len(told.told) / told.waves:.0%}",
            f"{len(told.opened) / told.waves:.0%}",
            f"{median(told.told):g}" if told.told else "-",
            f"{median(told.opened):g} / {max(told.opened):g}" if told.opened else "-",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(days: int) -> None:
    with tempfile.TemporaryDirectory() as folder, month(Path(folder), days=days) as one:
        print(report(one.live()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DAYS)
