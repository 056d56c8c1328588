"""What each tenant asked of the cluster, from one scrape and the one before it.

Demand is what was asked for, not what was let through: a tenant at its limit would otherwise
look content. What was not measured gives no row. Rows carry the share of the pods that they
were measured on, so that a partial view can be told from a quiet tenant.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from policy import discards, signals
from policy import scrape as families
from policy.detected import product
from policy.essential import withheld
from policy.frames import SAMPLES
from policy.measures import MEASURES, METERED, RECEIVED, REQUESTS, Measure
from policy.rates import rates, seconds_between
from policy.reduction import TERMS, reduced, weights
from policy.scrape import Scrape
from policy.series import ZONE, Copies, series_demand

# Each signal of discards is a measure too, without families: discards come sorted by reason.
_DISCARDED: Final = tuple(
    Measure(name=signal, families={}, told_as={"sum": signal}, rate=True)
    for signal in signals.DISCARD_SIGNALS
    if signal != signals.DISCARDED_ALERTS
)
_MEASURES: Final = (*MEASURES, *_DISCARDED)
_PLACE: Final = {measure.name: place for place, measure in enumerate(_MEASURES)}
# A ruler writes through a distributor of its own, past the limiter.
_LIMITED: Final = [*METERED.families, *REQUESTS.families]
# Without the first of its families a measure would be a small part that passes for the whole. A
# pod never leaves one out; a Prometheus that keeps only some families does.
_ESSENTIAL: Final = {METERED.name: families.SAMPLES_IN, REQUESTS.name: families.REQUESTS_IN}
# What a refused request carried is counted nowhere: as much as one that was let in. But a client
# that sends each refused one again and again asks for no more, so all of them together count at
# most as much as what was let in.
_MOST_SCALE: Final = 2.0
_SCALED: Final = (signals.SAMPLES_ASKED, signals.INGESTION_RATE, signals.INGESTION_BURST_SIZE)
# An ingester that has just started creates the series of its log anew, one tenant at once: the
# counter appears with all of them. None of these is new.
_REPLAYS_FOR: Final = timedelta(minutes=30)
# What the derived signals are made of.
_PARTS: Final = (
    signals.SAMPLES_ASKED,
    signals.REQUESTS_ASKED,
    signals.DISCARDED_REQUESTS,
    signals.NATIVE_HISTOGRAM_BUCKETS,
    signals.BUCKETS_PER_NATIVE_HISTOGRAM,
)
_COUNTERS: Final = frozenset(
    [family for measure in MEASURES if measure.rate for family in measure.families]
    + list(discards.FAMILIES)
)


def demand(
    current: Scrape, previous: Scrape | None, *, limits: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Every signal of policy.measures, of policy.discards and of the series, for every tenant.

    Args:
        current: the scrape that is judged.
        previous: the scrape before it, or None: then there are levels and no rates.
        limits: LIMITS that the ingesters had loaded when they were scraped (the effective ones,
            defaults included). With it the series demand follows the fullest ingester, and
            refused active series press on the limit that refused them.

    Returns:
        SAMPLES at `current.at`. The rates are what the limits must be to let the busiest
        distributor pass, `samples_asked_per_second` and `requests_asked_per_second` what was
        asked for. In Cortex they are the same: its limit is each distributor's own unless a
        setting divides it, which no page tells. `ingestion_burst_size` is the busiest
        distributor's rate over the interval and so a lower bound: neither the peak second nor the
        largest request is measured. The coverage of a rate counts only the pods that answered
        both times. Federated queries, which are of several tenants, are left out, and so is what
        would be wrong for want of a family (policy.essential).
    """
    copies = Copies.of(current, previous)
    terms = [_levels(current)]
    paired = 0.0
    cortex = product(current) == "cortex"
    if previous is not None:
        seconds = seconds_between(previous.readings, current.readings)
        per_second = rates(previous.readings, current.readings, families=_COUNTERS, seconds=seconds)
        replayed = _replayed(previous, current)
        if not replayed.is_empty():
            per_second = per_second.join(replayed, on=["pod", "family", "user"], how="anti")
        unlimited = pl.col("pod").is_in(_rulers(current)) & pl.col("family").is_in(_LIMITED)
        terms += _rates(
            per_second.filter(~unlimited).drop_nulls("user"), cortex=cortex, limits=limits
        )
        paired = _paired(previous, current, timed=seconds)
    found = reduced(pl.concat(terms), measures=_MEASURES, copies=copies, shared=not cortex)
    series = series_demand(current, copies=copies, limits=limits)
    return (
        pl.concat([_derived(found), series.with_columns(pl.lit(False).alias("rate"))])
        .filter(~pl.col("user").str.contains("|", literal=True))
        .join(withheld(current), on=["user", "signal"], how="anti")
        .select(
            pl.lit(current.at, dtype=SAMPLES["at"]).alias("at"),
            pl.col("user").alias("tenant"),
            "signal",
            "value",
            pl.when("rate")
            .then(pl.lit(paired))
            .otherwise(pl.lit(current.coverage))
            .alias("coverage"),
        )
    )


def _paired(previous: Scrape, current: Scrape, *, timed: pl.DataFrame) -> float:
    """The share of the known pods that answered both times, some time apart, 0..1."""
    known = len(current.answered) + len(current.failed)
    both = set(current.answered) & set(previous.answered)
    untimed = both - set(timed["pod"])
    if untimed:
        # A pod without any reading (a page with nothing for us) has no rate to miss.
        untimed &= _pods(current) & _pods(previous)
    return len(both - untimed) / known if known else 0.0


def _replayed(previous: Scrape, current: Scrape) -> pl.DataFrame:
    """Columns pod, family, user: counters of new series that began with those of a log."""
    created = pl.col("family") == families.SERIES_CREATED
    age = pl.col("at").dt.epoch("ms") / 1000 - pl.col("value")
    young = (
        current.readings.filter(pl.col("family") == families.STARTED)
        .filter(age < _REPLAYS_FOR.total_seconds())
        .get_column("pod")
        .unique()
        .implode()
    )
    key = ["pod", "family", "user"]
    now, before = (
        one.readings.filter(created & pl.col("pod").is_in(young)).select(*key, "value")
        for one in (current, previous)
    )
    return (
        now.join(before, on=key, how="left", suffix="_before")
        .filter(pl.col("value_before").is_null() | (pl.col("value") < pl.col("value_before")))
        .select(key)
    )


def _pods(scrape: Scrape) -> frozenset[str]:
    return frozenset(scrape.readings.get_column("pod").unique())


def _rulers(scrape: Scrape) -> list[str]:
    """The pods that run rules and hold no series: no process of everything in one."""
    is_ingester = pl.col("family") == families.SERIES_CREATED
    return (
        scrape.readings.filter(
            is_ingester | pl.col("family").is_in([families.RULES, families.RULER_QUERY_SECONDS])
        )
        .group_by("pod")
        .agg(is_ingester.any().alias("is_ingester"))
        .filter(~pl.col("is_ingester"))
        .get_column("pod")
        .to_list()
    )


def _levels(current: Scrape) -> pl.DataFrame:
    """TERMS of what is as it is now."""
    table = weights(_MEASURES, rate=False)
    wanted = [*table.get_column("family").unique(), families.SERIES_ACTIVE_LOADING]
    rows = current.readings.filter(pl.col("family").is_in(wanted), pl.col("user").is_not_null())
    # While an ingester reloads its trackers, what it says of active series is not to be used.
    loading = rows.filter(
        (pl.col("family") == families.SERIES_ACTIVE_LOADING) & (pl.col("value") > 0)
    )
    if not loading.is_empty():
        unsettled = pl.col("user").is_in(loading.get_column("user").unique().implode())
        rows = rows.filter(~(unsettled & (pl.col("family") == families.SERIES_ACTIVE)))
    tracked = pl.col("family") == families.SERIES_TRACKED
    zone = pl.col("pod").cast(pl.String).str.extract(ZONE).fill_null("").cast(TERMS["pod"])
    return rows.join(table, on="family", maintain_order="none").select(
        "measure",
        "copied",
        pl.when(tracked).then(zone).otherwise("pod").alias("pod"),
        "user",
        (pl.col("value") * pl.col("weight")).alias("value"),
    )


def _rates(
    per_second: pl.DataFrame, *, cortex: bool, limits: pl.DataFrame | None
) -> list[pl.DataFrame]:
    """TERMS of what grew between the scrapes; `per_second` are RATES with a user."""
    table = weights(_MEASURES, rate=True)
    refused = discards.told_apart(
        per_second.filter(pl.col("family").is_in(list(discards.FAMILIES)))
    ).select(
        _by_the_limit_that_refused(limits)
        .replace_strict(_PLACE, return_dtype=TERMS["measure"])
        .alias("measure"),
        "copied",
        "pod",
        "user",
        pl.col("per_second").alias("value"),
        "family",
        "reason",
    )
    known = per_second.join(table, on="family", maintain_order="none").select(
        "measure",
        "copied",
        "pod",
        "user",
        (pl.col("per_second") * pl.col("weight")).alias("value"),
    )
    terms = [
        known.filter(~_without_the_essential(per_second)),
        refused.select(TERMS.names()),
    ]
    if cortex:
        # Cortex counts a sample as received before its limiter sees it, Mimir after.
        limited = refused.filter(
            (pl.col("family") == families.DISCARDED)
            & pl.col("reason").is_in(["rate_limited", "native_histogram_rate_limited"])
        )
        place = pl.lit(_PLACE[RECEIVED.name], dtype=TERMS["measure"]).alias("measure")
        terms.append(limited.with_columns(place, -pl.col("value")).select(TERMS.names()))
    return terms


def _by_the_limit_that_refused(limits: pl.DataFrame | None) -> pl.Expr:
    """The signal of a discard; without a limit on active series, the one on all series refused."""
    limited = pl.Series(dtype=pl.String())
    if limits is not None:
        own = (pl.col("limit") == signals.ACTIVE_SERIES_LIMIT) & (pl.col("value") > 0)
        limited = limits.filter(own).get_column("tenant")
    fallen_back = (pl.col("signal") == signals.DISCARDED_ACTIVE_SERIES) & ~pl.col("user").is_in(
        limited.implode()
    )
    return pl.when(fallen_back).then(pl.lit(signals.DISCARDED_SERIES_LIMIT)).otherwise("signal")


def _without_the_essential(per_second: pl.DataFrame) -> pl.Expr:
    """Whether a term is of a measure whose essential family its pod does not tell."""
    lacking = pl.lit(value=False)
    for name, family in _ESSENTIAL.items():
        pods = per_second.filter(pl.col("family") == family).get_column("pod").unique()
        lacking |= (pl.col("measure") == _PLACE[name]) & ~pl.col("pod").is_in(pods.implode())
    return lacking


def _derived(found: pl.DataFrame) -> pl.DataFrame:
    """The signals, and those that one signal divided by another gives."""

    def of(signal: str) -> pl.Expr:
        return pl.col("value").filter(pl.col("signal") == signal).first()

    parts = (
        found.filter(pl.col("signal").is_in(list(_PARTS)))
        .group_by("user")
        .agg(of(signal).alias(signal) for signal in _PARTS)
    )
    refused = pl.col(signals.DISCARDED_REQUESTS).fill_null(0.0)
    admitted = pl.col(signals.REQUESTS_ASKED) - refused
    means = {
        signals.SAMPLES_PER_REQUEST: pl.col(signals.SAMPLES_ASKED) / admitted,
        signals.BUCKETS_PER_NATIVE_HISTOGRAM: pl.col(signals.NATIVE_HISTOGRAM_BUCKETS)
        / pl.col(signals.BUCKETS_PER_NATIVE_HISTOGRAM),
    }
    scale = (pl.col(signals.REQUESTS_ASKED) / admitted).clip(upper_bound=_MOST_SCALE)
    blind = parts.filter(refused > 0, admitted > 0).select("user", scale.alias("scale"))
    rest = found.filter(pl.col("signal") != signals.BUCKETS_PER_NATIVE_HISTOGRAM)
    if not blind.is_empty():
        rest = (
            rest.join(blind, on="user", how="left", maintain_order="none")
            .with_columns(
                pl.when(pl.col("signal").is_in(_SCALED))
                .then(pl.col("value") * pl.col("scale").fill_null(1.0))
                .otherwise("value")
                .alias("value")
            )
            .drop("scale")
        )
    return pl.concat(
        [
            rest,
            *(
                parts.select(
                    "user",
                    pl.lit(signal).alias("signal"),
                    mean.alias("value"),
                    pl.lit(True).alias("rate"),
                ).filter(pl.col("value").is_finite(), pl.col("value") > 0)
                for signal, mean in means.items()
            ),
        ]
    )
