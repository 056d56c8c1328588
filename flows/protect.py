"""The fast loop: look at Mimir, hold what blasts, prove or take back what was published."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl
from prefect import flow

from flows.attribution import see_attribution
from flows.auditing import hand_out, note_settings
from flows.breaking import guard
from flows.cluster import cluster_section, see_cluster
from flows.coverage import see_coverage
from flows.emergency import emergency_section, evidence, see_emergency
from flows.in_force import limits_loaded
from flows.publishing import publish_layers, settle_newest
from flows.resources import resources_now
from flows.reverting import take_back
from flows.run_names import run_name
from flows.runtime import Run, Runtime, current, look
from flows.top_metrics import metrics_section, name_metrics
from flows.words import look_event, protect_report, publication_lines
from policy.demand import demand
from policy.discards import DISCARDS, discards
from policy.frames import SAMPLES, empty
from policy.scrape import Scrape
from policy.settings import Settings
from policy.signals import BLASTING, DISCARD_SIGNALS, DISCARDED_REQUESTS, REQUESTS_ASKED
from policy.tenancy import looked_after
from storage.layers import read_layers
from storage.revisions import Revision, newest_revision
from tasks.propagate import roll_out
from tasks.record import record_samples
from tasks.say import say
from tasks.tell import tell

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
    see_coverage(runtime, run, settings, seen=seen)
    previous = earlier(runtime, seen, settings)
    newest = newest_revision(runtime.database)
    samples = measure(runtime, seen, settings, previous=previous, newest=newest)
    say_what_was_seen(runtime, seen, samples=samples)
    layers = read_layers(runtime.database, now=runtime.clock())
    kept = evidence(runtime, samples, layers=layers, at=seen.at)
    runtime.memory.told = await record_samples(
        kept,
        database=runtime.database,
        at=seen.at,
        note=noteworthy(runtime, samples, seen),
        told=runtime.memory.told,
    )
    guarded = await guard(runtime, run, settings, samples=samples, layers=layers)
    blasts = guarded.blasts
    if not blasts.is_empty():
        marks = marked(blasts, like=samples)
        await record_samples(marks, database=runtime.database, at=seen.at, note=False)
    rises = see_cluster(runtime, run, settings, samples=samples)
    using = await resources_now(runtime, settings, seen=seen, previous=previous)
    emergency = await see_emergency(
        runtime, run, settings, seen=seen, samples=samples, resources=using, layers=layers
    )
    await take_back(runtime, run, settings, samples=kept, in_blast=blasts["tenant"].to_list())
    settled = await settle_newest(runtime, settings, seen=seen, newest=newest)
    if settled:
        say([settled.line])
        runtime.telemetry.revisions.labels(settled.outcome).inc()
        if settled.outcome == "confirmed":
            runtime.telemetry.revision.set(settled.revision)
            if settings.mimir.trigger_rollout and settings.mode == "prod":
                say(await roll_out(revision=settled.revision, settings=settings))
    publication = await publish_layers(runtime, run, settings)
    say(publication_lines(publication, memory=runtime.memory, sink=settings.publish.sink))
    count_requests(runtime, samples, seconds=_between(previous, seen))
    shared = await see_attribution(runtime, settings, samples=samples)
    if not shared.is_empty():
        await record_samples(shared, database=runtime.database, at=seen.at, note=False)
    metrics = await name_metrics(runtime, run, settings, guarded=guarded, seen=seen)
    await tell(
        protect_report(
            seen,
            samples=samples,
            refused=refused(seen, previous, samples=samples),
            blasts=blasts,
            resources=using,
            sections=(
                emergency_section(emergency),
                cluster_section(rises),
                metrics_section(metrics),
            ),
            publication=publication,
        ),
        key="protect",
        description="What the newest look at Mimir saw and did.",
        name=run_name("protect", run.summary),
    )


def count_requests(runtime: Runtime, samples: pl.DataFrame, *, seconds: float) -> None:
    """Add the write requests of a look (SAMPLES, per second) to what is told of them."""
    held = {*(runtime.memory.held or ()), *runtime.memory.capped}
    telemetry = runtime.telemetry
    asked, refused = (
        samples.filter(signal=signal).drop_nulls("value")
        for signal in (REQUESTS_ASKED, DISCARDED_REQUESTS)
    )
    all_refused = float(refused["value"].sum())
    accepted = max(0.0, float(asked["value"].sum()) - all_refused)
    telemetry.write_requests.labels("accepted").inc(accepted * seconds)
    telemetry.write_requests.labels("refused").inc(all_refused * seconds)
    of_held = refused.filter(pl.col("tenant").is_in(list(held)))
    telemetry.throttled.inc(float(of_held["value"].sum()) * seconds)


def _between(previous: Scrape | None, seen: Scrape) -> float:
    return 0.0 if previous is None else max(0.0, (seen.at - previous.at).total_seconds())


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
    known = samples["tenant"].unique()
    wanted = looked_after(known, settings=settings)
    runtime.telemetry.tenants.set(wanted.len())
    if wanted.len() == known.len():
        return samples
    return samples.filter(pl.col("tenant").is_in(wanted.implode()))


def say_what_was_seen(runtime: Runtime, seen: Scrape, *, samples: pl.DataFrame) -> None:
    """Say how many tenants and processes there are, at the first look and when that changes."""
    event = look_event(seen, samples=samples)
    if runtime.memory.seen != event:
        runtime.memory.seen = event
        say([event])


def noteworthy(runtime: Runtime, samples: pl.DataFrame, seen: Scrape) -> bool:
    """Whether the tenants are to be noted as seen: they are to the minute, and at their first."""
    tenants = frozenset(samples["tenant"].unique())
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
