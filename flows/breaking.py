"""Look for blasts, step the breakers, and hold with caps what is out of the usual."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

import polars as pl

from flows.auditing import allowed, note, turned_holds
from flows.breaker_words import switched_event, thresholds_event, turn_events, why_off
from flows.in_force import limits_in_force, operator_limits
from flows.metric_caps import per_metric
from flows.runtime import Run, Runtime
from policy.breaker_caps import HELD_FOR, CapRules, breaker_caps, renewed
from policy.breakers import BLASTS, IN_BLAST, TRIPPED, stepped
from policy.burst_threshold import LIMITS_OF_BURST, within_burst
from policy.detection import KIND_OF, SIGNAL_OF, detect, uncensored
from policy.effective import beneath, overlaid
from policy.frames import LAYERS, LIMITS, empty
from policy.settings import Settings
from policy.signals import (
    DISCARDED_RATE_LIMITED,
    DISCARDED_REQUESTS,
    INGESTION_BURST_SIZE,
    INGESTION_RATE,
    REQUESTS_ASKED,
    SAMPLES_ASKED,
    SAMPLES_PER_REQUEST,
    SERIES,
)
from policy.thresholds import (
    adapted,
    from_limits,
    from_usual,
    in_force,
    named,
    sensitivity,
    timing_of,
)
from policy.tuned import catalogue_of
from policy.usual import levels
from policy.versions import known_to_all
from storage.audit import append_audit
from storage.breakers import (
    reached,
    read_breakers,
    read_thresholds,
    replace_breakers,
    replace_thresholds,
    switched_off,
    thresholds_at,
)
from storage.database import read_frame
from storage.usual import usual, weekly
from tasks.audit_entries import breakers_turned
from tasks.record import record_layer
from tasks.say import say

BUCKET: Final = timedelta(minutes=5)
LOOKED_BACK: Final = timedelta(hours=1)
WATCHED: Final = [*SIGNAL_OF.values(), REQUESTS_ASKED, SERIES]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guarded:
    """What a look came to.

    Attributes:
        blasts: BLASTS of the tenants that are watched or capped.
        breakers: BREAKERS.
        turns: TURNS.
    """

    blasts: pl.DataFrame
    breakers: pl.DataFrame
    turns: pl.DataFrame


async def guard(
    runtime: Runtime,
    run: Run,
    settings: Settings,
    *,
    samples: pl.DataFrame,
    layers: pl.DataFrame,
) -> Guarded:
    """Detect, step the breakers, and in production hold with caps what they say.

    Args:
        runtime: the history, the limits in force, the memory of what is usual.
        run: the run that looks.
        settings: what counts, and whether anything may be done.
        samples: SAMPLES of this look.
        layers: LAYERS that have not expired.
    """
    now = runtime.clock()
    normal = usual_now(runtime)
    previous = read_breakers(runtime.database)
    asked = uncensored(samples, breakers=previous)
    detected = _detected(runtime, settings, samples=asked, normal=normal)
    breakers, turns = stepped(
        previous,
        detected=detected,
        failing=_failing(samples, settings=settings),
        now=now,
        timing=timing_of(settings),
    )
    if not breakers.equals(previous):
        seen = {row["tenant"]: row for row in detected.to_dicts()}
        replace_breakers(
            runtime.database, breakers, turns=turns, evidence=seen, at=now, run_id=run.run_id
        )
    _tell(runtime, run, settings, turns=turns, breakers=breakers)
    await _hold(
        runtime, run, settings, breakers=breakers, samples=samples, normal=normal, layers=layers
    )
    return Guarded(blasts=_blasts(breakers, detected=detected), breakers=breakers, turns=turns)


def in_blast(runtime: Runtime) -> list[str]:
    """The tenants whose breaker watches or caps them: none of their limits is raised."""
    found = read_breakers(runtime.database)
    return found.filter(pl.col("state").is_in(IN_BLAST))["tenant"].to_list()


def usual_now(runtime: Runtime) -> pl.DataFrame:
    """USUAL, asked for once in five minutes; what past weeks were, once in an hour."""
    now, memory = runtime.clock(), runtime.memory
    ask = partial(read_frame, runtime.database)
    hour, bucket = int(now.timestamp() // 3600), int(now.timestamp() // BUCKET.total_seconds())
    if memory.weekly is None or memory.weekly[0] != hour:
        memory.weekly = (hour, weekly(ask, now=now, signals=WATCHED))
    if memory.usual is None or memory.usual[0] != bucket:
        found = usual(ask, now=now, signals=WATCHED, weeks=memory.weekly[1])
        memory.usual = (bucket, found)
    return memory.usual[1]


def _detected(
    runtime: Runtime, settings: Settings, *, samples: pl.DataFrame, normal: pl.DataFrame
) -> pl.DataFrame:
    tenants = samples["tenant"].unique()
    limits = limits_in_force(runtime, tenants, limits=(*LIMITS_OF_BURST, SERIES))
    automatic = _thresholds(runtime, settings, limits=limits, normal=normal)
    automatic = within_burst(automatic, samples=samples, limits=limits, settings=settings)
    breaker = settings.circuit_breaker
    told = tenants if breaker.mode != "auto" else sorted(named(settings) & {*tenants})
    found = detect(
        samples,
        usual=normal,
        thresholds=in_force(automatic, tenants=list(told), settings=settings),
        limits=limits,
        sensitivity=sensitivity(settings),
    )
    for (kind,), rows in found.group_by("kind"):
        runtime.telemetry.blast_detections.labels(kind).inc(rows.height)
    runtime.telemetry.fleet.show_spikes(found.filter("sure"), most=settings.server.tenant_metrics)
    return found


def _thresholds(
    runtime: Runtime, settings: Settings, *, limits: pl.DataFrame, normal: pl.DataFrame
) -> pl.DataFrame:
    """THRESHOLDS that follow from the limits, and from the traffic where that is asked for."""
    auto = settings.circuit_breaker.auto_config
    anchors = from_limits(limits, settings=settings)
    others = from_usual(levels(normal), settings=settings)
    if not auto.enabled:
        return anchors.clear()
    before = runtime.memory.anchors
    moved = anchors if before is None else anchors.join(before, on=anchors.columns, how="anti")
    if not moved.is_empty():
        say([thresholds_event(moved, action="recalculated thresholds")])
    runtime.memory.anchors = anchors
    if not auto.realtime_adaptation.enabled:
        return pl.concat([anchors, others])
    now, how, memory = runtime.clock(), auto.realtime_adaptation, runtime.memory
    if memory.thresholds is None:
        memory.thresholds = (thresholds_at(runtime.database), read_thresholds(runtime.database))
    since, known = memory.thresholds
    if since is None or now - since >= how.interval:
        busy = reached(
            runtime.database,
            since=now - LOOKED_BACK,
            signals=[SAMPLES_ASKED],
            percentile=how.percentile,
        ).with_columns(kind=pl.col("signal").replace_strict(KIND_OF, return_dtype=pl.String))
        calm = busy.filter(~pl.col("tenant").is_in(in_blast(runtime)))
        known = adapted(known, anchors=anchors, reached=calm, settings=settings)
        replace_thresholds(runtime.database, known, at=now)
        memory.thresholds = (now, known)
        say([thresholds_event(known, action="adapted thresholds")])
    fresh = anchors.join(known, on=["tenant", "kind"], how="anti")
    return pl.concat([known.join(anchors, on=["tenant", "kind"], how="semi"), fresh, others])


def _failing(samples: pl.DataFrame, *, settings: Settings) -> pl.DataFrame:
    """Columns tenant, share: of what was asked for, refused; of those with enough requests."""
    window = settings.protect_interval.total_seconds()
    least = settings.circuit_breaker.request_volume_threshold / window

    def of(signal: str) -> pl.Expr:
        return pl.col("value").filter(pl.col("signal") == signal).first()

    return (
        samples.group_by("tenant")
        .agg(
            asked=of(SAMPLES_ASKED),
            refused=of(DISCARDED_RATE_LIMITED).fill_null(0.0),
            requests=of(REQUESTS_ASKED),
            turned_away=of(DISCARDED_REQUESTS).fill_null(0.0),
        )
        .filter((pl.col("requests") >= least) & (pl.col("asked") > 0))
        .select(
            "tenant",
            share=pl.max_horizontal(
                pl.col("refused") / pl.col("asked"),
                pl.col("turned_away") / pl.col("requests"),
            ),
        )
    )


async def _hold(
    runtime: Runtime,
    run: Run,
    settings: Settings,
    *,
    breakers: pl.DataFrame,
    samples: pl.DataFrame,
    normal: pl.DataFrame,
    layers: pl.DataFrame,
) -> None:
    """Write the layer `breaker` where it says something else than before."""
    now = runtime.clock()
    off = switched_off(runtime.database)
    why = why_off(settings, off=off)
    on = not why
    if why != runtime.memory.held_back and (why or runtime.memory.held_back):
        say([switched_event(why)])
    runtime.memory.held_back = why
    known = layers.filter(pl.col("layer") == "breaker")
    breaker = settings.circuit_breaker
    spared = [
        *off["tenant"],
        *(
            name
            for name, own in breaker.per_tenant_config.items()
            if breaker.per_tenant_enabled and not own.enabled
        ),
    ]
    tripped = breakers.filter(pl.col("state").is_in(TRIPPED) & ~pl.col("tenant").is_in(spared))
    new = (
        _caps(runtime, settings, breakers=tripped, samples=samples, normal=normal, layers=layers)
        if on and not tripped.is_empty()
        else empty(LAYERS)
    )
    if on and not tripped.is_empty():
        of_metrics = per_metric(runtime, settings, breakers=tripped, expires_at=now + HELD_FOR)
        new = pl.concat([new, of_metrics])
    wanted = renewed(known, caps=new, now=now)
    entries = allowed(settings, turned_holds(runtime, run, held=wanted, known=known, on=on))
    if wanted.equals(known.sort("tenant", "limit")):
        append_audit(runtime.database, entries)
    else:
        await record_layer(
            wanted, layer="breaker", database=runtime.database, run_id=run.run_id, audit=entries
        )
    runtime.memory.held = frozenset(wanted["tenant"])


def _caps(
    runtime: Runtime,
    settings: Settings,
    *,
    breakers: pl.DataFrame,
    samples: pl.DataFrame,
    normal: pl.DataFrame,
    layers: pl.DataFrame,
) -> pl.DataFrame:
    now = runtime.clock()
    tenants = breakers["tenant"]
    limits = [INGESTION_RATE, INGESTION_BURST_SIZE, SERIES]
    # Without our own caps, which would else cut what they have cut before.
    words = layers.filter(pl.col("tenant").is_in(tenants.implode()))
    without = beneath(operator_limits(runtime), tenants=tenants, limits=limits)
    for layer in ("tier", "optimized"):
        without = overlaid(without, above=words.filter(layer=layer).select(LIMITS.names()))
    requests = samples.filter(signal=SAMPLES_PER_REQUEST).select("tenant", samples="value")
    limited = settings.circuit_breaker.rate_limit
    return breaker_caps(
        breakers,
        beneath=without,
        usual=levels(normal),
        per_request=requests,
        rules=CapRules(
            known=known_to_all(runtime.memory.versions, catalogue=catalogue_of(settings.limits)),
            requests_per_second=limited.requests_per_second if limited.enabled else None,
            burst=float(limited.burst_capacity) if limited.enabled else None,
        ),
        written_at=now,
        expires_at=now + HELD_FOR,
    )


def _blasts(breakers: pl.DataFrame, *, detected: pl.DataFrame) -> pl.DataFrame:
    found = breakers.filter(pl.col("state").is_in(IN_BLAST)).select("tenant", "because")
    values = detected.group_by("tenant").agg(pl.col("value", "threshold").max())
    return found.join(values, on="tenant", how="left").select(BLASTS.names()).cast(BLASTS)


def _tell(
    runtime: Runtime, run: Run, settings: Settings, *, turns: pl.DataFrame, breakers: pl.DataFrame
) -> None:
    """Say, count and enter how the breakers turned."""
    say(turn_events(turns))
    note(
        runtime,
        settings,
        breakers_turned(
            turns, acting=settings.mode == "prod", run_id=run.run_id, at=runtime.clock()
        ),
    )
    for (kinds,) in turns.filter(pl.col("after") == "open").select("kinds").iter_rows():
        for kind in kinds.split(","):
            runtime.telemetry.spikes.labels(kind).inc()
    counts = dict(breakers.group_by("state").len().iter_rows())
    for state in ("watch", "open", "half_open", "growth"):
        runtime.telemetry.breaker_states.labels(state).set(counts.get(state, 0))
    run.summary["blasting"] = breakers.filter(pl.col("state").is_in(IN_BLAST))["tenant"].to_list()
