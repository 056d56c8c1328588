"""The policy that settings make, as a backtest tries it, and what tells one from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Final

import polars as pl

from policy.backtest_walk import Candidate
from policy.estimate import estimate_rules
from policy.settings import Settings
from policy.tenancy import tiers
from policy.tuned import rules_of

# Whatever decides a limit once its demand is known, and nothing of where it comes from.
_DECIDING: Final = (
    "bufferPercentage",
    "limits",
    "tenantTierMapping",
    "trendAnalysis",
    "eventSpike",
    "movement",
)


def candidate_of(
    settings: Settings,
    *,
    name: str,
    tenants: pl.Series,
    limits: Collection[str],
    every: timedelta,
) -> Candidate:
    """The policy that the settings make.

    Args:
        settings: all of them.
        name: what the policy is called.
        tenants: that it is tried on.
        limits: that it decides.
        every: from one decision to the next.

    Raises:
        ConfigError: the settings contradict each other.
    """
    members = tiers(tenants, mapping=settings.tenant_tier_mapping)
    return Candidate(
        name=name,
        rules=rules_of(settings, members=members, limits=limits),
        estimating=replace(estimate_rules(settings), evaluation_lag=every),
        reversal_window=settings.movement.reversal_window,
    )


def digest(settings: Settings) -> str:
    """The same for settings that decide limits alike: 16 characters of a SHA-256."""
    told = settings.masked()
    deciding = {key: told.get(key) for key in _DECIDING}
    text = json.dumps(deciding, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
