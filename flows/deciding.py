"""Decide every limit from what is known, and store what follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

import polars as pl

from flows.breaking import in_blast
from flows.estimating import Estimated, estimated
from flows.holding import overruled
from flows.in_force import limits_of, operator_limits, standing_limits
from flows.proving import unproven
from flows.runtime import Run, Runtime
from flows.standing import keep_standings
from policy.activity import GONE, states
from policy.automation import modes
from policy.canary import proven
from policy.capacity import Capacity, capacity_of
from policy.effective import as_optimized, beneath, overlaid
from policy.evidence import Evidence
from policy.frames import LIMITS
from policy.recommend import optimized_layer, recommend
from policy.rules import Rules
from policy.settings import Settings
from policy.signals import SAMPLES_PER_REQUEST
from policy.sustained import sustained_for
from policy.tenancy import looked_after, tier_layer, tiers
from policy.tuned import catalogue_of, rules_of, tuned
from policy.versions import known_to_all
from storage.layers import read_layers
from storage.moves import leanings, moves
from storage.resources import ingesters_changed_at
from storage.revisions import newest_revision
from storage.tenants import activity as tenant_activity
from tasks.record import record, rolled_up


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scene:
    """What one run decides on: who is there, what they asked for, what was said before.

    Attributes:
        estimated: what the history says, also of tenants out of scope.
        estimates: ESTIMATES of the tenants in scope.
        tenants: in scope.
        activity: STATES of all tenants.
        tiers: LAYERS, the layer `tier` as the settings have it now.
        previous: LAYERS, the layer `optimized` as it counts.
        set_by_us: LIMITS that we set beneath the caps and pins.
        pins: LAYERS of the layers `pin` and `hold`.
        rules: by which is decided.
    """

    estimated: Estimated
    estimates: pl.DataFrame
    tenants: pl.Series
    members: pl.DataFrame
    activity: pl.DataFrame
    tiers: pl.DataFrame
    previous: pl.DataFrame
    set_by_us: pl.DataFrame
    pins: pl.DataFrame
    rules: Rules


async def decide(
    runtime: Runtime, run: Run, settings: Settings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decide every limit and store what follows; all DECISIONS, and those that are news."""
    now = runtime.clock()
    await rolled_up(runtime.database, at=now, sustained_for=sustained_for(settings))
    scene = _scene(runtime, settings, now=now)
    found = recommend(
        _evidence(runtime, settings, scene=scene, now=now), rules=scene.rules, now=now
    )
    news = await record(
        found,
        optimized=optimized_layer(found.decisions, previous=scene.previous, written_at=now),
        tiers=scene.tiers,
        database=runtime.database,
        run_id=run.run_id,
        flow=run.flow,
        moved=settings.mode == "prod",
    )
    await keep_standings(
        runtime,
        found,
        estimated=scene.estimated,
        rules=scene.rules,
        now=now,
        moved=settings.mode == "prod",
        shown=settings.server.tenant_metrics,
    )
    run.summary["decisions"] = dict(found.decisions.group_by("outcome").len().iter_rows())
    return found.decisions, news


def _scene(runtime: Runtime, settings: Settings, *, now: datetime) -> _Scene:
    before = read_layers(runtime.database, now=now)
    ours = tuned(settings.limits)
    known = known_to_all(runtime.memory.versions, catalogue=catalogue_of(settings.limits))
    sized = {limit: signal for limit, signal in ours.items() if limit in known}
    known_of_all = estimated(
        runtime.database,
        settings=settings,
        limits={**sized, SAMPLES_PER_REQUEST: SAMPLES_PER_REQUEST},
        in_force=partial(limits_of, runtime),
        now=now,
    )
    estimates = known_of_all.estimates
    tenants = looked_after(
        pl.concat([estimates["tenant"], before["tenant"]]).unique(), settings=settings
    )
    activity = _activity(runtime, settings)
    members = tiers(tenants, mapping=settings.tenant_tier_mapping)
    tier_rows = tier_layer(
        members,
        limits={name: tier.limits for name, tier in settings.limits.tenant_tiers.items()},
        written_at=now,
    )
    in_scope_now = pl.col("tenant").is_in(tenants.implode())
    # What was decided for a tenant that is gone ends: who returns is met as it is then.
    there = ~pl.col("tenant").is_in(activity.filter(state=GONE)["tenant"].implode())
    is_ours = pl.col("limit").is_in(list(ours))
    # What a tier says too is the tier's word, and changes with it.
    optimized = before.filter(
        (pl.col("layer") == "optimized") & in_scope_now & there & is_ours
    ).join(tier_rows, on=LIMITS.names(), how="anti")
    ours_now = overlaid(tier_rows, above=optimized)
    pins = overruled(runtime, tenants, limits=sorted(sized), layers=before)
    if settings.mode == "prod":
        previous, set_by_us = optimized, ours_now
    else:
        stands = standing_limits(runtime).filter(in_scope_now & there)
        set_by_us = _beneath_pins(stands, pins=pins, ours=ours_now)
        lost = set_by_us.filter(is_ours)
        previous = _published(runtime, lost, optimized=optimized, tiers=tier_rows)
    return _Scene(
        estimated=known_of_all,
        estimates=estimates.filter(in_scope_now),
        tenants=tenants,
        members=members,
        activity=activity,
        tiers=tier_rows,
        previous=previous,
        set_by_us=set_by_us,
        pins=pins,
        rules=rules_of(settings, members=members, limits=sized),
    )


def _evidence(runtime: Runtime, settings: Settings, *, scene: _Scene, now: datetime) -> Evidence:
    automation, limits = settings.automation, scene.rules.limits
    own = beneath(operator_limits(runtime), tenants=scene.tenants, limits=limits)
    lately = moves(runtime.database, now=now, window=settings.movement.reversal_window)
    names = pl.DataFrame({"limit": limits}, schema={"limit": pl.String()})
    steering = modes(
        scene.members.select("tenant").join(names, how="cross"),
        members=scene.members,
        automation=automation,
    )
    return Evidence(
        estimates=scene.estimates,
        current=overlaid(own, above=scene.set_by_us),
        coverage=runtime.vitals.coverage or 0.0,
        in_blast=in_blast(runtime),
        activity=scene.activity,
        changed=scene.previous.select("tenant", "limit", changed_at="written_at"),
        moves=lately,
        leanings=leanings(runtime.database),
        modes=steering,
        pins=scene.pins,
        canary_proven=proven(
            steering, moves=lately, proven_after=automation.canary.proven_after, now=now
        ),
        capacity=_capacity(runtime, settings),
        unproven=unproven(runtime.database, settings, now=now),
        ingesters_changed_at=ingesters_changed_at(
            runtime.database, now=now, within=scene.rules.ring_settled
        ),
    )


def _capacity(runtime: Runtime, settings: Settings) -> Capacity:
    seen = runtime.memory.scrape
    if seen is None:
        return Capacity()
    return capacity_of(seen, share=settings.movement.capacity_percent / 100)


def _activity(runtime: Runtime, settings: Settings) -> pl.DataFrame:
    """STATES of all tenants."""
    scoping = settings.tenant_scoping
    return states(
        tenant_activity(runtime.database),
        inactive_after=scoping.inactive_after,
        gone_after=scoping.gone_after,
    )


def _beneath_pins(stands: pl.DataFrame, *, pins: pl.DataFrame, ours: pl.DataFrame) -> pl.DataFrame:
    """LIMITS of what stands, with what we say ourselves in the place of what is pinned.

    A pin that stands there is an operator's, and ends with it.
    """
    keys = ["tenant", "limit"]
    return pl.concat([stands.join(pins, on=keys, how="anti"), ours.join(pins, on=keys, how="semi")])


def _published(
    runtime: Runtime, stands: pl.DataFrame, *, optimized: pl.DataFrame, tiers: pl.DataFrame
) -> pl.DataFrame:
    """The `optimized` layer (LAYERS) as Mimir has it; in a dry run all later words never happened.

    So a dry run decides each time from what Mimir has, and leaves to the next run in production
    what was published before it.
    """
    kept = optimized.join(stands, on=LIMITS.names(), how="semi")
    said = pl.concat([kept.select(LIMITS.names()), tiers.select(LIMITS.names())])
    lost = stands.join(said, on=LIMITS.names(), how="anti")
    newest = newest_revision(runtime.database)
    since = newest.at if newest else runtime.clock()
    return pl.concat([kept, as_optimized(lost, reason="as it was published", written_at=since)])
