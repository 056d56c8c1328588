"""The fast loop: look at Mimir, hold what blasts, prove or take back what was published."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl
from prefect import flow

from flows.auditing import allowed, hand_out, note, note_settings, turned_holds
from flows.blasts import blasts_of
from flows.emergency import emergency_section, evidence, see_emergency
from flows.in_force import limits_in_force, limits_loaded
from flows.publishing import publish_layers, sink_of
from flows.resources import resources_now
from flows.reverting import take_back
from flows.runtime import Run, Runtime, current, look
from flows.words import protect_report, publication_lines
from flows.writing import is_writer
from policy.breaker import breaker_layer
from policy.catalogue import unlimited_at_zero
from policy.demand import demand
from policy.discards import DISCARDS, discards
from policy.frames import LAYERS, SAMPLES, empty
from policy.scrape import Scrape
from policy.settings import Settings
from policy.signals import BLASTING, DISCARD_SIGNALS, SAMPLES_ASKED
from policy.tenancy import looked_after
from policy.tuned import catalogue_of, tuned
from storage.audit import append_audit
from storage.layers import read_layers
from storage.revisions import Revision, newest_revision
from tasks.audit_entries import blasts_turned
from tasks.propagate import roll_out
from tasks.record import record_layer, record_samples
from tasks.say import say
from tasks.settle import settle, waiting_revision
from tasks.tell import tell

HELD_FOR: Final = timedelta(minutes=5)
NOTED_EVERY: Final = timedelta(minutes=1)


@flow(name="protect", timeout_seconds=120, validate_parameters=False, persist_result=False)
async def protect() -> None:
    """Collect, hold the limits of tenants that blast, settle the newest revision, publish, tell."""
    runtime = current()
    try:
        with runtime.run("protect") as run:
            await protect_once(runtime, run)
    finally:
        await hand_out(runtime)


async def protect_once(runtime: Runtime, run: Run) -> None:
    """One look at Mimir and what follows from it."""
    settings = runtime.settings()
    note_settings(runtime, run, settings)
    seen = await look(runtime, settings)
    previous = earlier(runtime, seen, settings)
    newest = newest_revision(runtime.database)
    samples = measure(runtime, seen, settings, previous=previous, newest=newest)
    kept = evidence(runtime, samples, at=seen.at)
    await record_samples(
        kept, database=runtime.database, at=seen.at, note=noteworthy(runtime, samples, seen)
    )
    blasts = await hold_blasts(runtime, run, settings, samples=samples)
    if not blasts.is_empty():
        marks = marked(blasts, like=samples)
        await record_samples(marks, database=runtime.database, at=seen.at, note=False)
    using = await resources_now(runtime, settings, seen=seen, previous=previous)
    emergency = await see_emergency(
        runtime, run, settings, seen=seen, samples=samples, resources=using
    )
    await take_back(runtime, run, settings, samples=kept, in_blast=blasts["tenant"].to_list())
    waiting = waiting_revision(newest, now=runtime.clock())
    sink = sink_of(runtime, settings)
    if waiting and not await is_writer(runtime, settings, sink=sink):
        waiting = None  # whoever writes now settles what is theirs
    settled = waiting and await settle(
        waiting,
        seen=seen,
        settings=settings,
        sink=sink,
        before=runtime.memory.before,
        database=runtime.database,
        clock=runtime.clock,
    )
    if settled:
        say([settled.line])
        runtime.telemetry.revisions.labels(settled.outcome).inc()
        if settled.outcome == "confirmed":
            runtime.telemetry.revision.set(settled.revision)
            if settings.mimir.trigger_rollout and sink is not None:
                say(await roll_out(revision=settled.revision, settings=settings))
    publication = await publish_layers(runtime, run, settings)
    say(publication_lines(publication, memory=runtime.memory))
    await tell(
        protect_report(
            seen,
            samples=samples,
            refused=refused(seen, previous, samples=samples),
            blasts=blasts,
            resources=using,
            emergency=emergency_section(emergency),
            publication=publication,
        ),
        key="protect",
        description="What the newest look at Mimir saw and did.",
    )


def earlier(runtime: Runtime, seen: Scrape, settings: Settings) -> Scrape | None:
    """The scrape that rates are taken from; this one is remembered for the next.

    Tenants send in batches. Over a look that follows another at once, as when late runs are caught
    up with, one batch would look like a blast: then there are no rates, and the older scrape stays.
    """
    known = runtime.memory.scrape
    too_soon = known is not None and seen.at - known.at < settings.protect_interval / 2
    if too_soon and settings.metrics_source == "scrape":
        return None
    runtime.memory.scrape = seen
    return known


def measure(
    runtime: Runtime,
    seen: Scrape,
    settings: Settings,
    *,
    previous: Scrape | None,
    newest: Revision | None,
) -> pl.DataFrame:
    """SAMPLES of the tenants in scope, by this scrape and the one before it."""
    tenants = seen.readings["user"].drop_nulls().unique()
    loaded = limits_loaded(runtime, tenants, newest=newest)
    samples = demand(seen, previous, limits=loaded)
    wanted = looked_after(samples["tenant"].unique(), settings=settings)
    runtime.telemetry.tenants.set(wanted.len())
    return samples.filter(pl.col("tenant").is_in(wanted.implode()))


def noteworthy(runtime: Runtime, samples: pl.DataFrame, seen: Scrape) -> bool:
    """Whether the tenants are to be noted as seen: they are to the minute, and at their first."""
    tenants = frozenset(samples["tenant"])
    noted = runtime.memory.noted
    if noted and seen.at - noted[0] < NOTED_EVERY and tenants <= noted[1]:
        return False
    runtime.memory.noted = (seen.at, tenants)
    return True


def refused(seen: Scrape, previous: Scrape | None, *, samples: pl.DataFrame) -> pl.DataFrame:
    """DISCARDS of the tenants of `samples` between the two looks, the most first."""
    said = samples.filter(pl.col("signal").is_in(DISCARD_SIGNALS) & (pl.col("value") > 0))
    if previous is None or said.is_empty():
        return empty(DISCARDS)
    found = discards(seen, previous).filter(pl.col("tenant").is_in(said["tenant"].implode()))
    return found.sort("per_second", "tenant", "reason", descending=[True, False, False])


def marked(blasts: pl.DataFrame, *, like: pl.DataFrame) -> pl.DataFrame:
    """SAMPLES that say who blasts, so that what is asked for in a blast is no evidence later."""
    newest = like.group_by("tenant").agg(pl.col("at").max(), pl.col("coverage").max())
    return (
        blasts.select("tenant")
        .join(newest, on="tenant")
        .with_columns(signal=pl.lit(BLASTING), value=pl.lit(1.0))
        .select(SAMPLES.names())
    )


async def hold_blasts(
    runtime: Runtime, run: Run, settings: Settings, *, samples: pl.DataFrame
) -> pl.DataFrame:
    """BLASTS in these SAMPLES; in production their limits are held where they are."""
    now = runtime.clock()
    rates = samples.filter(pl.col("signal") == SAMPLES_ASKED)
    blasts = blasts_of(rates, runtime=runtime, settings=settings, now=now)
    before = runtime.memory.blasting
    say(
        f"{tenant}  blast: {because}"
        for tenant, because in blasts.select("tenant", "because").iter_rows()
        if tenant not in before
    )
    runtime.memory.blasting = frozenset(blasts["tenant"])
    run.summary["blasting"] = sorted(runtime.memory.blasting)
    breaker = settings.circuit_breaker
    on = settings.mode == "prod" and breaker.enabled and breaker.runtime_enabled
    if not on:
        note(runtime, settings, blasts_turned(blasts, before=before, run_id=run.run_id, at=now))
    known = read_layers(runtime.database, now=now).filter(pl.col("layer") == "breaker")
    wanted = breaker_words(runtime, settings, blasts=blasts, known=known) if on else empty(LAYERS)
    entries = allowed(settings, turned_holds(runtime, run, held=wanted, known=known, on=on))
    if wanted.equals(known):
        append_audit(runtime.database, entries)
    else:
        await record_layer(
            wanted, layer="breaker", database=runtime.database, run_id=run.run_id, audit=entries
        )
    runtime.memory.held = frozenset(wanted["tenant"])
    return blasts


def breaker_words(
    runtime: Runtime, settings: Settings, *, blasts: pl.DataFrame, known: pl.DataFrame
) -> pl.DataFrame:
    """LAYERS of the breaker: the limits of those that blast, held where they are.

    What says the same and holds for long enough stays: the document stays as it is, too.

    Args:
        runtime: the limits in force.
        settings: which limits are held.
        blasts: BLASTS of this moment.
        known: what the breaker says until now.
    """
    if blasts.is_empty():
        return known
    now = runtime.clock()
    ours = tuned(settings.limits)
    held = breaker_layer(
        blasts,
        current=limits_in_force(runtime, blasts["tenant"], limits=ours),
        limits=ours,
        endless=unlimited_at_zero(catalogue_of(settings.limits)),
        written_at=now,
        expires_at=now + HELD_FOR,
    )
    lasting = known.filter(pl.col("expires_at") > now + HELD_FOR / 2)
    new = held.join(lasting, on=["tenant", "limit", "value"], how="anti")
    if new.is_empty():
        return known
    return pl.concat([known.join(new, on=["tenant", "limit"], how="anti"), new])
