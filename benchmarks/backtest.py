"""The recommender beside others on synthetic demand, as docs/backtest.md shows it.

    python -m benchmarks.backtest [TENANTS_OF_EACH_SHAPE [SEED]]

90 days by the hour, of which the last 62 are judged; every policy has the same gates (dead
band, steps, cool-downs). The peers are strategies as anybody may bring them, without what ours
adds: events, seasons of the week, growth. A cell is: hours in which more was asked for than the
limit, of all tenants / mean limit over mean demand / changes of a tenant in 62 days.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from benchmarks.shapes import SHAPES, past
from policy.backtest import Result, backtest
from policy.backtest_walk import Candidate
from policy.estimate import EstimateRules, SpikeRules, estimate_rules
from policy.estimate.quantiles import weighted_quantiles
from policy.estimate.strategies import BUILT_IN
from policy.frames import LIMITS
from policy.rules import Rules
from policy.settings import Settings
from policy.tuned import rules_of

DAYS, JUDGED = 90, 62
BEGIN: Final = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
LIMIT: Final = "ingestion_rate"
NONE: Final = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecayedQuantile:
    """A quantile of the daily peaks with the half-life of the rules, as VPA takes one."""

    share: float

    def demand(self, days: pl.DataFrame, *, rules: EstimateRules) -> pl.DataFrame:  # noqa: ARG002
        """The demand of each key."""
        return weighted_quantiles(
            days, value="counted", weight="weight", shares={"demand": self.share}
        ).with_columns(because=pl.lit("a quantile of daily peaks"))


def peer(
    name: str, *, strategy: str, window_days: int, half_life_days: int, buffer: float
) -> Candidate:
    return Candidate(
        name=name,
        rules=rules(buffer),
        estimating=EstimateRules(
            strategy=strategy,
            window=timedelta(days=window_days),
            half_life=timedelta(days=half_life_days),
            growth_lead=NONE,
            spike=SpikeRules(enabled=False),
        ),
        seasons=False,
    )


def rules(buffer: float | None = None) -> Rules:
    tree = {} if buffer is None else {"buffer_percentage": buffer}
    settings = Settings(**tree)
    members = pl.DataFrame(schema={"tenant": pl.String(), "tier": pl.String()})
    return rules_of(settings, members=members, limits=[LIMIT])


def candidates() -> list[Candidate]:
    return [
        peer(
            "VPA-like: half-life 1 d, p95, +15 %",
            strategy="p95",
            window_days=8,
            half_life_days=1,
            buffer=15,
        ),
        peer(
            "half-life 7 d, p99, +20 %", strategy="p99", window_days=35, half_life_days=7, buffer=20
        ),
        peer(
            "KRR-like: highest of 7 d, +15 %",
            strategy="max",
            window_days=7,
            half_life_days=7,
            buffer=15,
        ),
        peer(
            "highest of 28 d, +20 %", strategy="max", window_days=28, half_life_days=28, buffer=20
        ),
        peer(
            "daily peaks, half-life 14 d, p98, +25 %",
            strategy="decayed-peaks",
            window_days=60,
            half_life_days=14,
            buffer=25,
        ),
        Candidate(name="ours", rules=rules(), estimating=estimate_rules(Settings())),
    ]


def cells(result: Result, *, tenants: int) -> list[str]:
    by_shape = result.outcomes.group_by(shape=pl.col("tenant").str.split("-").list.first()).agg(
        pl.col("hours_refused").sum(), pl.col("headroom").mean(), pl.col("changes").sum()
    )
    told = {row["shape"]: row for row in by_shape.iter_rows(named=True)}
    return [
        f"{found['hours_refused']} / {found['headroom']:.2f} / {found['changes'] / tenants:.1f}"
        for shape in SHAPES
        for found in [told[shape]]
    ]


def main() -> None:
    tenants, seed = [*map(int, sys.argv[1:]), *(2, 1)[len(sys.argv) - 1 :]]
    BUILT_IN.update(p95=DecayedQuantile(share=0.95), p99=DecayedQuantile(share=0.99))
    hours = past(begin=BEGIN, days=DAYS, tenants=tenants, seed=seed, limit=LIMIT)
    end = BEGIN + timedelta(days=DAYS)
    # Everybody starts with twice the highest demand of the first two days.
    first = hours.filter(pl.col("at") < BEGIN + timedelta(days=2))
    start = first.group_by("tenant", "limit").agg(value=pl.col("peak").max() * 2)
    print(f"| policy | {' | '.join(SHAPES)} |")
    print(f"| --- | {' | '.join('---' for _ in SHAPES)} |")
    for candidate in candidates():
        began = time.process_time()
        result = backtest(
            hours,
            start=start.select(LIMITS.names()),
            candidate=candidate,
            begin=BEGIN + timedelta(days=1),
            since=end - timedelta(days=JUDGED),
            end=end,
        )
        print(f"| {candidate.name} | {' | '.join(cells(result, tenants=tenants))} |", flush=True)
        print(f"{candidate.name}: {time.process_time() - began:.0f} s of CPU", file=sys.stderr)


if __name__ == "__main__":
    main()
