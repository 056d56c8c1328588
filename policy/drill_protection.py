"""The protection that a drill rehearses: the breakers, by their settings, look by look."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from policy.breaker_caps import CapRules, breaker_caps
from policy.breakers import BREAKERS, stepped
from policy.detection import USUAL, detect
from policy.drill import Look, Protection
from policy.settings import Settings
from policy.signals import SAMPLES_ASKED
from policy.thresholds import from_limits, in_force, sensitivity, timing_of
from policy.tuned import catalogue_of
from policy.versions import known_to_all

HELD_FOR: Final = timedelta(minutes=5)  # as `protect` writes it
_NOBODY_FAILS: Final = pl.DataFrame(schema={"tenant": pl.String(), "share": pl.Float64()})
_UNKNOWN_REQUESTS: Final = pl.DataFrame(schema={"tenant": pl.String(), "samples": pl.Float64()})


def breaker_of(settings: Settings) -> Protection:
    """The breakers of these settings, whatever the mode: a drill is no matter of permission.

    A tenant is taken as one without past weeks. What comes of a look depends on those before it:
    one rehearsal takes one of these.
    """
    limited = settings.circuit_breaker.rate_limit
    rules = CapRules(
        known=known_to_all((), catalogue=catalogue_of(settings.limits)),
        requests_per_second=limited.requests_per_second if limited.enabled else None,
        burst=float(limited.burst_capacity) if limited.enabled else None,
    )
    breakers = pl.DataFrame(schema=BREAKERS)

    def protect(look: Look) -> pl.DataFrame:
        nonlocal breakers
        tenants = look.demand["tenant"].unique().to_list()
        detected = detect(
            look.demand,
            usual=_young(look.baseline),
            thresholds=in_force(
                from_limits(look.in_force, settings=settings), tenants=tenants, settings=settings
            ),
            limits=look.in_force,
            sensitivity=sensitivity(settings),
        )
        breakers, _ = stepped(
            breakers,
            detected=detected,
            failing=_NOBODY_FAILS,
            now=look.at,
            timing=timing_of(settings),
        )
        caps = breaker_caps(
            breakers,
            beneath=look.beneath,
            usual=look.baseline.select(
                "tenant", signal=pl.lit(SAMPLES_ASKED), level=pl.col("baseline")
            ),
            per_request=_UNKNOWN_REQUESTS,
            rules=rules,
            written_at=look.at,
            expires_at=look.at + HELD_FOR,
        )
        lasting = look.known.filter(pl.col("expires_at") > look.at + HELD_FOR / 2)
        same = lasting.join(caps, on=["tenant", "limit", "value"], how="semi")
        return pl.concat([same, caps.join(same, on=["tenant", "limit"], how="anti")])

    return protect


def _young(baseline: pl.DataFrame) -> pl.DataFrame:
    """USUAL of which only the last hours are known."""
    return baseline.select(
        "tenant",
        signal=pl.lit(SAMPLES_ASKED),
        mid=None,
        spread=None,
        points=pl.lit(0),
        recent=pl.col("baseline"),
        peak=None,
    ).cast(USUAL)
