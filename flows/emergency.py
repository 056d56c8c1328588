"""Where the emergency stands after a look, and the layer that follows.

A dry run goes through all of it, detects, tells and simulates the recovery, and writes no layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from flows.auditing import allowed, note
from flows.in_force import limits_beneath, limits_of
from flows.runtime import Run, Runtime
from policy.cost.enforcement import LAYER as BUDGET
from policy.emergency.caps import (
    LAYER,
    QUERIES,
    REDUCED,
    Ground,
    base_of,
    emergency_layer,
    same,
)
from policy.emergency.machine import Advanced, advance
from policy.emergency.needs import needs
from policy.emergency.readings import look_of, worst
from policy.emergency.rules import Terms, rank, terms_of
from policy.emergency.state import State, as_json, from_json
from policy.emergency.words import capped_words, event_line, listed
from policy.frames import LAYERS, empty
from policy.layers import LAST_WORDS
from policy.scrape import Scrape
from policy.settings import Settings
from policy.signals import DISCARD_SIGNALS, SAMPLES_PER_REQUEST
from policy.tenancy import in_scope
from policy.tuned import bounds_of, catalogue_of, tuned
from policy.versions import known_to_all
from storage.emergency import read_emergency
from storage.needs import usually
from storage.revisions import newest_revision
from tasks.emergency_entries import (
    emergency_switched_off,
    emergency_turned,
    garbage_collected,
)
from tasks.garbage import force_gc
from tasks.record import record_emergency
from tasks.say import say
from tasks.tell import table

HOUR: Final = timedelta(hours=1)
LINGERS: Final = timedelta(minutes=3)
_RECOVERY: Final = ("stepped", "stepped_back", "relapsed", "recovered")
# The layers that a cap is a share of. What holds a blast comes and goes by itself.
_BENEATH: Final = ("tier", "optimized", "budget")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Emergency:
    """Where the emergency stands after a look.

    Attributes:
        state: of it.
        caps: LAYERS that follow, or would in production.
        terms: what it goes by.
        simulated: nothing of it was done: a dry run.
    """

    state: State
    caps: pl.DataFrame
    terms: Terms
    simulated: bool


async def see_emergency(
    runtime: Runtime,
    run: Run,
    settings: Settings,
    *,
    seen: Scrape,
    samples: pl.DataFrame,
    resources: pl.DataFrame,
    layers: pl.DataFrame,
) -> Emergency:
    """Take one look further, write the layer where it changed, and tell what happened.

    Args:
        runtime: the history, the clock, the metrics.
        run: this run.
        settings: `emergency` of it.
        seen: the look.
        samples: SAMPLES of it.
        resources: RESOURCES of it.
        layers: LAYERS that have not expired; those of the emergency are of the look before.
    """
    rules = settings.emergency
    terms = terms_of(rules, look_every=settings.protect_interval)
    look = look_of(
        resources,
        samples=samples,
        at=seen.at,
        network_bytes_per_second=rules.network_bytes_per_second,
    )
    runtime.telemetry.usage.show(worst(look))
    stored = read_emergency(runtime.database)
    before = State() if stored is None else from_json(stored)
    simulated = settings.mode != "prod"
    off = not rules.enabled
    in_force = not simulated and before.level == "panic" and _in_force(runtime, layers=layers)
    advanced = (
        Advanced(state=State()) if off else advance(before, look, terms=terms, in_force=in_force)
    )
    state = advanced.state
    caps = (
        _caps(runtime, settings, state, samples=samples, layers=layers)
        if state.is_emergency
        else empty(LAYERS)
    )
    now = Emergency(state=state, caps=caps, terms=terms, simulated=simulated)
    await _keep(runtime, run, settings, now, advanced=advanced, before=before, layers=layers)
    _show(runtime, run, now, before=before, advanced=advanced)
    if advanced.collect and not simulated:
        await _collect(runtime, run, settings, pods=advanced.collect, seen=seen)
    return now


def evidence(
    runtime: Runtime, samples: pl.DataFrame, *, layers: pl.DataFrame, at: datetime
) -> pl.DataFrame:
    """SAMPLES without what our own caps refuse: it says nothing of what a tenant needs.

    Mimir refuses by a cap for some time after it is gone.
    """
    capped = layers.filter(pl.col("layer").is_in([LAYER, BUDGET]))["tenant"].unique()
    lately = {
        tenant: since for tenant, since in runtime.memory.capped.items() if at - since < LINGERS
    }
    lately |= dict.fromkeys(capped, at)
    runtime.memory.capped = lately
    refused = pl.col("signal").is_in(DISCARD_SIGNALS) & pl.col("tenant").is_in(list(lately))
    return samples.filter(~refused) if lately else samples


def emergency_section(now: Emergency) -> str:
    """A section of the artifact of `protect` in Markdown; empty without a level."""
    if now.state.level == "none":
        return ""
    rows = listed(now.state, terms=now.terms).select("kind", "what", "told").rows()
    capped = capped_words(now.caps)
    rows.append(("caps", f"would be {capped}" if now.simulated else capped, ""))
    return f"## Emergency: {now.state.level}\n\n{table(['', '', 'why'], rows)}"


def _caps(
    runtime: Runtime,
    settings: Settings,
    state: State,
    *,
    samples: pl.DataFrame,
    layers: pl.DataFrame,
) -> pl.DataFrame:
    known = layers.filter(layer=LAYER)
    tenants = pl.concat([samples["tenant"], known["tenant"]]).unique().sort()
    patterns = settings.emergency.critical_tenants
    critical = in_scope(tenants, skip=(), include=patterns).to_list() if patterns else []
    catalogue, now = catalogue_of(settings.limits), runtime.clock()
    bounds = bounds_of(settings.limits)
    wanted = sorted({*tuned(settings.limits)} & {*REDUCED}) + list(QUERIES)
    remembered = base_of(known)
    fresh = limits_beneath(
        runtime,
        tenants=tenants,
        limits=wanted,
        words=layers.filter(pl.col("layer").is_in(_BENEATH)),
        bounds=bounds,
    ).join(remembered, on=["tenant", "limit"], how="anti")
    requests = samples.filter(signal=SAMPLES_PER_REQUEST)
    ground = Ground(
        base=pl.concat([remembered, fresh]),
        critical=critical,
        needs=_needs(runtime, begun=state.begun or state.since or now),
        requests=requests.group_by("tenant").agg(request=pl.col("value").max()),
        spoken=layers.filter(pl.col("layer").is_in(LAST_WORDS)).select("tenant", "limit").unique(),
        queries=sorted({*QUERIES} & known_to_all(runtime.memory.versions, catalogue=catalogue)),
        bounds=bounds,
    )
    return emergency_layer(state, ground=ground, written_at=now)


def _needs(runtime: Runtime, *, begun: datetime) -> pl.DataFrame:
    """NEEDS, read once an hour of each emergency."""
    now, memory = runtime.clock(), runtime.memory
    asked = (begun, int(now.timestamp() // HOUR.total_seconds()))
    if memory.needs is None or memory.needs[0] != asked:
        memory.needs = (asked, needs(usually(runtime.database, begun=begun, now=now)))
    return memory.needs[1]


def _in_force(runtime: Runtime, *, layers: pl.DataFrame) -> bool:
    """Whether every process has loaded what the layer says now."""
    newest = newest_revision(runtime.database)
    if newest is None or newest.outcome != "confirmed":
        return False
    caps = layers.filter(layer=LAYER).select("tenant", "limit", cap="value")
    loaded = limits_of(runtime, caps["tenant"].unique(), caps["limit"].unique())
    spoken = layers.filter(pl.col("layer").is_in(LAST_WORDS))
    found = caps.join(spoken, on=["tenant", "limit"], how="anti").join(
        loaded, on=["tenant", "limit"], how="left"
    )
    return bool((found["value"] <= found["cap"]).fill_null(value=False).all())


async def _keep(
    runtime: Runtime,
    run: Run,
    settings: Settings,
    now: Emergency,
    *,
    advanced: Advanced,
    before: State,
    layers: pl.DataFrame,
) -> None:
    known = layers.filter(layer=LAYER)
    wanted = empty(LAYERS) if now.simulated else now.caps
    changed = not same(wanted, known)
    if not changed and now.state == before:
        return
    at = runtime.clock()
    entries = list(
        emergency_turned(
            advanced.events, state=now.state, simulated=now.simulated, run_id=run.run_id, at=at
        )
    )
    if before.level != "none" and not settings.emergency.enabled:
        entries = [emergency_switched_off(run_id=run.run_id, at=at)]
    await record_emergency(
        None if now.state == State() else as_json(now.state),
        at=at,
        entries=wanted if changed else None,
        database=runtime.database,
        run_id=run.run_id,
        audit=allowed(settings, entries),
    )


def _show(runtime: Runtime, run: Run, now: Emergency, *, before: State, advanced: Advanced) -> None:
    telemetry = runtime.telemetry
    telemetry.emergency_level.set(rank(now.state.level))
    if now.state.level == "panic" and before.level != "panic":
        telemetry.panics.inc()
    for action in advanced.began:
        telemetry.emergency_actions.labels(action).inc()
    for event in advanced.events:
        if event.kind in _RECOVERY:
            telemetry.recovery_attempts.labels(event.kind).inc()
    if now.state.level != "none":
        run.summary["emergency"] = now.state.level
    prefix = "dry run: " if now.simulated else ""
    say(
        f"{prefix}{event_line(event, before=before, after=now.state, terms=now.terms)}"
        for event in advanced.events
    )


async def _collect(
    runtime: Runtime, run: Run, settings: Settings, *, pods: tuple[str, ...], seen: Scrape
) -> None:
    """Have the processes collect garbage; one that cannot is told once."""
    addresses: Mapping[str, str] = {
        pod: seen.addresses[pod] for pod in pods if pod in seen.addresses
    }
    if not addresses:
        return
    answers = await force_gc(addresses, settings=settings)
    note(runtime, settings, garbage_collected(answers, run_id=run.run_id, at=runtime.clock()))
    for pod, problem in answers.items():
        runtime.say_once(f"the garbage collection of {pod}", problem=problem)
    say(f"{pod} collected garbage" for pod, problem in answers.items() if problem is None)
