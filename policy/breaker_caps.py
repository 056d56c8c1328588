"""What an open breaker comes to in Mimir's terms: caps, each no lower than what is usually needed.

There is no proxy in the traffic: Mimir's own limits refuse what is above them. A cap of the rate
refuses whole requests (429), one of the series only new series (400), one of the queriers makes
queries of the tenant wait for each other.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.breakers import TRIPPED
from policy.frames import LAYERS, UTC_TIME
from policy.signals import (
    INGESTION_BURST_SIZE,
    INGESTION_RATE,
    REQUEST_BURST_SIZE,
    REQUEST_RATE,
    REQUESTS_ASKED,
    SAMPLES_ASKED,
    SERIES,
)

HELD_FOR: Final = timedelta(minutes=5)  # a cap that nobody renews lapses after that
QUERIERS: Final = "max_queriers_per_tenant"
LEFT: Final = {"open": 0.10, "half_open": 0.50}  # of the limit
QUERIERS_LEFT: Final = {"open": 1.0, "half_open": 2.0}
USUAL_MARGIN: Final = 1.25  # above what is usual
SERIES_MARGIN: Final = 1.10
REQUESTS_IN_BURST: Final = 2.0
_SLACK: Final = 1e-9  # of what floating point adds to a round number


@dataclass(frozen=True, slots=True, kw_only=True)
class CapRules:
    """What may be capped, and how far.

    Attributes:
        known: the limits that the oldest running Mimir knows.
        requests_per_second, burst: what is left of the requests while a breaker is open; None:
            they are not capped.
    """

    known: Collection[str]
    requests_per_second: float | None
    burst: float | None


def breaker_caps(
    breakers: pl.DataFrame,
    *,
    beneath: pl.DataFrame,
    usual: pl.DataFrame,
    per_request: pl.DataFrame,
    rules: CapRules,
    written_at: datetime,
    expires_at: datetime,
) -> pl.DataFrame:
    """The layer `breaker`.

    Args:
        breakers: BREAKERS.
        beneath: LIMITS without this layer, of these tenants; 0 where it means unlimited.
        usual: tenant, signal, level: what each usually asks for, in the signal's unit.
        per_request: tenant, samples: in one of its requests.
        rules: what may be capped.
        written_at: stamp of the entries, aware UTC.
        expires_at: when they lapse by themselves, aware UTC.

    Returns:
        LAYERS, sorted. A limit that is unlimited, or of which nothing is known, is only capped
        where what is usual is known.
    """
    tripped = breakers.filter(pl.col("state").is_in(TRIPPED))
    if tripped.is_empty():
        return pl.DataFrame(schema=LAYERS)
    rows = _with_levels(tripped, beneath=beneath, usual=usual, per_request=per_request)
    left = pl.col("state").replace_strict(LEFT, return_dtype=pl.Float64)
    is_kind = {
        kind: pl.col("kinds").str.contains(kind, literal=True)
        for kind in ("ingestion", "queries", "series")
    }
    rate = pl.max_horizontal(pl.col(INGESTION_RATE) * left, pl.col(SAMPLES_ASKED) * USUAL_MARGIN)
    burst = pl.max_horizontal(
        pl.col(INGESTION_BURST_SIZE) * left, rate, pl.col("per_request") * REQUESTS_IN_BURST
    )
    requests = pl.max_horizontal(
        pl.lit(rules.requests_per_second, dtype=pl.Float64),
        pl.col(REQUESTS_ASKED) * USUAL_MARGIN,
    )
    series = pl.max_horizontal(pl.col(SERIES) * left, pl.col(f"usual_{SERIES}") * SERIES_MARGIN)
    # Without a word on what is usual a cap of requests could refuse what is none.
    asked = pl.col(REQUESTS_ASKED).is_not_null() & pl.lit(rules.requests_per_second is not None)
    caps = {
        INGESTION_RATE: pl.when(is_kind["ingestion"]).then(rate),
        INGESTION_BURST_SIZE: pl.when(is_kind["ingestion"]).then(burst),
        REQUEST_RATE: pl.when(is_kind["ingestion"] & asked).then(requests),
        REQUEST_BURST_SIZE: pl.when(is_kind["ingestion"] & asked).then(
            pl.max_horizontal(pl.lit(rules.burst, dtype=pl.Float64), requests)
        ),
        SERIES: pl.when(is_kind["series"]).then(series),
        QUERIERS: pl.when(is_kind["queries"]).then(
            pl.col("state").replace_strict(QUERIERS_LEFT, return_dtype=pl.Float64)
        ),
    }
    told = {limit: _rounded(cap) for limit, cap in caps.items() if limit in set(rules.known)}
    return (
        rows.select("tenant", "state", "kinds", "because", **told)
        .unpivot(
            index=["tenant", "state", "kinds", "because"],
            variable_name="limit",
            value_name="value",
        )
        .drop_nulls("value")
        .filter(pl.col("value") > 0)
        .select(
            "tenant",
            "limit",
            layer=pl.lit("breaker"),
            kind=pl.lit("cap"),
            value="value",
            reason=pl.format("breaker {}: {}", pl.col("state").str.replace("_", "-"), "because"),
            evidence=pl.struct("state", "kinds").struct.json_encode(),
            written_at=pl.lit(written_at).cast(UTC_TIME),
            expires_at=pl.lit(expires_at).cast(UTC_TIME),
        )
        .cast(LAYERS)
        .sort("tenant", "limit")
    )


def renewed(known: pl.DataFrame, *, caps: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The layer `breaker` after a look: what says the same and lasts for long enough stays.

    The document stays as it is, too, while nothing else is said.

    Args:
        known: LAYERS of the breaker as they stand.
        caps: LAYERS as they are to be.
        now: aware UTC.
    """
    lasting = known.filter(pl.col("expires_at") > now + HELD_FOR / 2)
    same = lasting.join(caps, on=["tenant", "limit", "value"], how="semi")
    new = caps.join(same, on=["tenant", "limit"], how="anti")
    return pl.concat([same, new]).sort("tenant", "limit")


def _rounded(value: pl.Expr) -> pl.Expr:
    """Up to three digits: with two of them a cap would be up to a tenth above what is fair."""
    size = pl.lit(10.0).pow((value.log10() - 2).floor()).clip(1.0)
    return (value / size - _SLACK).ceil() * size


def _with_levels(
    tripped: pl.DataFrame,
    *,
    beneath: pl.DataFrame,
    usual: pl.DataFrame,
    per_request: pl.DataFrame,
) -> pl.DataFrame:
    """The breakers with a column for each limit beneath, and for each usual level."""
    limits = (INGESTION_RATE, INGESTION_BURST_SIZE, SERIES)
    levels = (SAMPLES_ASKED, REQUESTS_ASKED, SERIES)
    rows = tripped.join(
        per_request.select("tenant", per_request="samples"), on="tenant", how="left"
    )
    for limit in limits:
        its = beneath.filter(pl.col("limit") == limit).select("tenant", **{limit: "value"})
        rows = rows.join(its, on="tenant", how="left")
    for signal in levels:
        name = f"usual_{SERIES}" if signal == SERIES else signal
        its = usual.filter(pl.col("signal") == signal).select("tenant", **{name: "level"})
        rows = rows.join(its, on="tenant", how="left")
    return rows
