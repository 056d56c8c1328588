"""The fleet as it stands: who asks for what, why each limit is what it is, what is pending.

For commands and for the API alike; `where` is the history, as in `storage.reading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from deployments.planning import planned
from deployments.standing import standing_limits
from policy.activity import states
from policy.catalogue import unlimited_at_zero
from policy.effective import beneath, overlaid
from policy.explain import Explanation
from policy.explain import explain as explanation_of
from policy.frames import DECISIONS
from policy.holds import EVERYONE
from policy.plan import Plan, plan_of_nothing
from policy.settings import Settings
from policy.stack import stack
from policy.tenancy import tiers
from policy.tuned import bounds_of, catalogue_of, tuned
from storage import reading
from storage.database import Database

FIRST: Final = ("tenant", "tier", "state", "used_percent", "used_of", "last_seen")
LEAST_FRESH: Final = timedelta(minutes=5)
INTERVALS_FRESH: Final = 3


def tenants_now(
    settings: Settings, *, where: str | Database, limits: Sequence[str], now: datetime
) -> pl.DataFrame:
    """What every tenant asks for and may, the one that is nearest to a limit first; see `used`.

    Raises:
        StorageError: the history cannot be reached.
    """
    seen, scoping = reading.activity(where), settings.tenant_scoping
    signals = {name: tuned(settings.limits).get(name, name) for name in limits}
    own = beneath(reading.observed(where), tenants=seen["tenant"], limits=limits)
    return used(
        reading.demand(where),
        signals=signals,
        in_force=overlaid(own, above=reading.in_force(where)),
        activity=seen.select("tenant", "last_seen").join(
            states(seen, inactive_after=scoping.inactive_after, gone_after=scoping.gone_after),
            on="tenant",
        ),
        settings=settings,
        fresh_since=now - max(LEAST_FRESH, INTERVALS_FRESH * settings.protect_interval),
    )


def used(
    demand: pl.DataFrame,
    *,
    signals: Mapping[str, str],
    in_force: pl.DataFrame,
    activity: pl.DataFrame,
    settings: Settings,
    fresh_since: datetime,
) -> pl.DataFrame:
    """One row per tenant, the one that is nearest to a limit first.

    Args:
        demand: `storage.reading.DEMAND`.
        signals: the limits to tell of, each with the signal that its demand is read from.
        in_force: LIMITS.
        activity: tenant, last_seen, state.
        settings: for the tier of each tenant, and for which limits 0 means unlimited.
        fresh_since: older demand is not the demand now, and null.

    Returns:
        tenant, tier, state, used_percent (the highest), used_of (of which limit), last_seen, and
        of each limit `…_demand`, `…_limit` and `…_used_percent`.
    """
    asked = demand.filter(pl.col("demand_at") >= fresh_since)
    endless = unlimited_at_zero(catalogue_of(settings.limits))
    found = tiers(activity["tenant"], mapping=settings.tenant_tier_mapping).join(
        activity, on="tenant"
    )
    for limit, signal in signals.items():
        bounded = pl.col("value") > 0 if limit in endless else pl.col("value") >= 0
        percent = (pl.col("demand") / pl.col("value") * 100).round(2)
        of_limit = (
            found.select("tenant")
            .join(asked.filter(signal=signal), on="tenant", how="left")
            .join(in_force.filter(limit=limit), on="tenant", how="left")
            .select(
                "tenant",
                pl.col("demand").alias(f"{limit}_demand"),
                pl.col("value").alias(f"{limit}_limit"),
                pl.when(bounded & percent.is_finite()).then(percent).alias(f"{limit}_used_percent"),
            )
        )
        found = found.join(of_limit, on="tenant", how="left")
    names = list(signals)
    shares = pl.concat_list(f"{name}_used_percent" for name in names)
    return (
        found.with_columns(used_percent=pl.max_horizontal(f"{name}_used_percent" for name in names))
        .with_columns(
            used_of=pl.when(pl.col("used_percent").is_not_null()).then(
                shares.list.arg_max().replace_strict(
                    dict(enumerate(names)), default=None, return_dtype=pl.String
                )
            )
        )
        .select(*FIRST, pl.selectors.exclude(*FIRST))
        .sort("used_percent", "tenant", descending=[True, False], nulls_last=True)
    )


def explained(
    tenant: str, *, settings: Settings, where: str | Database, now: datetime
) -> tuple[Explanation, pl.DataFrame]:
    """Why the limits of a tenant are what they are, and its STACK.

    Raises:
        StorageError: the history cannot be reached.
    """
    its = pl.col("tenant") == tenant
    layers = reading.layers(where).filter(its)
    decisions = reading.newest_decisions(where).filter(its).select(DECISIONS.names())
    limits = pl.concat([layers["limit"], decisions["limit"]]).unique().sort().to_list()
    voices = stack(
        tenant,
        layers=layers,
        beneath=beneath(reading.observed(where), tenants=[tenant], limits=limits),
        bounds=bounds_of(settings.limits),
        now=now,
        holds=reading.holds(where).filter(pl.col("tenant").is_in([tenant, EVERYONE])),
    )
    return explanation_of(tenant, stack=voices, decisions=decisions), voices


def pending(settings: Settings, *, where: str | Database, now: datetime) -> Plan:
    """What would be published now and is not in force.

    Raises:
        ConfigError: the sink cannot be read, or holds what is not ours.
        StorageError: the history cannot be reached.
    """
    stands = standing_limits(settings, where=where)
    if (withdrawn := reading.withdrawal(where)) is not None:
        return plan_of_nothing(stands, reason=withdrawn)
    return planned(
        settings,
        layers=reading.layers(where),
        holds=reading.holds(where),
        stands=stands,
        now=now,
        where=where,
    )


def paused(settings: Settings, *, where: str | Database) -> str | None:
    """Why nothing is published now; None: nobody paused."""
    return "publish.paused is true" if settings.publish.paused else reading.pause(where)


def stopped(settings: Settings, *, where: str | Database) -> str | None:
    """Why nothing is published, or nothing but that our limits are gone; None: nobody said so."""
    return paused(settings, where=where) or reading.withdrawal(where)
