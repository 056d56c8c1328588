"""The protection that a drill rehearses: the breaker, by its settings, on looks."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from policy.breaker import blasting, breaker_layer
from policy.catalogue import unlimited_at_zero
from policy.drill import Look, Protection
from policy.settings import Settings
from policy.tuned import catalogue_of, tuned

HELD_FOR: Final = timedelta(minutes=5)  # as `protect` writes it


def breaker_of(settings: Settings) -> Protection:
    """The breaker of these settings, whatever the mode: a drill is no matter of permission."""
    breaker = settings.circuit_breaker
    limits = tuned(settings.limits)
    endless = unlimited_at_zero(catalogue_of(settings.limits))

    def protect(look: Look) -> pl.DataFrame:
        found = blasting(
            look.demand,
            baseline=look.baseline,
            current=look.in_force,
            multiplier=breaker.auto_config.limit_multipliers.ingestion_rate_multiplier,
            absolute_threshold=breaker.blast_protection.ingestion_spike_threshold,
        )
        if found.is_empty():
            return look.known
        held = breaker_layer(
            found,
            current=look.in_force,
            limits=limits,
            endless=endless,
            written_at=look.at,
            expires_at=look.at + HELD_FOR,
        )
        lasting = look.known.filter(pl.col("expires_at") > look.at + HELD_FOR / 2)
        new = held.join(lasting, on=["tenant", "limit", "value"], how="anti")
        kept = look.known.join(new, on=["tenant", "limit"], how="anti")
        return pl.concat([kept, new])

    return protect
