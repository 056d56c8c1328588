"""The protection that a drill rehearses: the breakers, by their settings, look by look."""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.breaker_caps import HELD_FOR, CapRules, breaker_caps, renewed
from policy.breakers import BREAKERS, stepped
from policy.detection import detect, uncensored
from policy.drill import Look, Protection
from policy.frames import SAMPLES
from policy.settings import Settings
from policy.signals import SAMPLES_ASKED, SERIES
from policy.thresholds import from_limits, from_usual, in_force, sensitivity, timing_of
from policy.tuned import catalogue_of
from policy.usual import USUAL, levels
from policy.versions import known_to_all

_EVERYBODY_ELSE: Final = ""  # no tenant is called that
_NOBODY_FAILS: Final = pl.DataFrame(schema={"tenant": pl.String(), "share": pl.Float64()})
_UNKNOWN_REQUESTS: Final = pl.DataFrame(schema={"tenant": pl.String(), "samples": pl.Float64()})


def breaker_of(
    settings: Settings, *, usual: pl.DataFrame | None = None, others: float | None = None
) -> Protection:
    """The breakers of these settings, whatever the mode: a drill is no matter of permission.

    What comes of a look depends on those before it: one rehearsal takes one of these.

    Args:
        settings: of the breakers.
        usual: USUAL of the tenant; without it, it is one of whom only the last hours are known.
        others: samples/s that all other tenants ask for, or series that they have in memory; None:
            the tenant is alone.
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
        normal = _young(look.baseline) if usual is None else usual
        detected = detect(
            uncensored(_among(others, demand=look.demand), breakers=breakers),
            usual=normal,
            thresholds=in_force(
                pl.concat(
                    [
                        from_limits(look.in_force, settings=settings),
                        from_usual(levels(normal), settings=settings),
                    ]
                ),
                tenants=tenants,
                settings=settings,
            ),
            limits=look.in_force,
            sensitivity=sensitivity(settings),
        )
        breakers, _ = stepped(
            breakers,
            detected=detected.filter(pl.col("tenant") != _EVERYBODY_ELSE),
            failing=_NOBODY_FAILS,
            now=look.at,
            timing=timing_of(settings),
        )
        caps = breaker_caps(
            breakers,
            beneath=look.beneath,
            usual=levels(normal),
            per_request=_UNKNOWN_REQUESTS,
            rules=rules,
            written_at=look.at,
            expires_at=look.at + HELD_FOR,
        )
        return renewed(look.known, caps=caps, now=look.at)

    return protect


def _among(others: float | None, *, demand: pl.DataFrame) -> pl.DataFrame:
    """SAMPLES with what everybody else asks for as one more tenant."""
    if others is None:
        return demand
    theirs = demand.filter(pl.col("signal").is_in([SAMPLES_ASKED, SERIES])).with_columns(
        tenant=pl.lit(_EVERYBODY_ELSE), value=pl.lit(others)
    )
    return pl.concat([demand, theirs.cast(SAMPLES)])


def _young(baseline: pl.DataFrame) -> pl.DataFrame:
    """USUAL of which only the last hours are known."""
    return (
        baseline.select(
            "tenant",
            signal=pl.lit(SAMPLES_ASKED),
            recent=pl.col("baseline"),
        )
        .select(
            pl.col(name) if name in {"tenant", "signal", "recent"} else pl.lit(None).alias(name)
            for name in USUAL
        )
        .cast(USUAL)
    )
