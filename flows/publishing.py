"""Plan what the layers say now and publish it; shared by every flow that writes a layer."""

from __future__ import annotations

import polars as pl

from flows.runtime import Run, Runtime
from policy.document import render
from policy.frames import CHANGES, COMPOSED, LAYERS, UTC_TIME, empty
from policy.layers import Bounds
from policy.plan import Plan, plan
from policy.settings import Settings
from policy.versions import known_to
from storage.layers import read_layers, replace_layer
from storage.limits import observed_limits
from storage.revisions import Intent, begin_revision, finish_revision
from tasks.mimir import reload_states
from tasks.publish import Publication, newest_revision, publish, standing
from tasks.sinks import DRY_RUN, Published, Sink, SinkOptions, build_sink


async def publish_layers(runtime: Runtime, run: Run, settings: Settings) -> Publication:
    """Publish what the layers say now, one flow at a time."""
    sink = sink_of(runtime, settings)
    with runtime.publishing:
        held, stands = standing(sink)
        runtime.memory.standing = stands
        if sink is not None:
            _take_over(runtime, run, sink=sink, held=held, stands=stands)
        publication = await publish(
            make_plan(runtime, settings, stands=stands),
            sink=sink,
            held=held,
            database=runtime.database,
            run_id=run.run_id,
            clock=runtime.clock,
            audit=settings.audit_log.enabled,
        )
        if publication.outcome == "written":
            _remember_hashes(runtime)
    _count(runtime, publication)
    run.summary["publish"] = publication.outcome
    return publication


def sink_of(runtime: Runtime, settings: Settings) -> Sink | None:
    """The sink of the settings; None in a dry run, and None when the tenants are made up.

    Raises:
        ConfigError: the settings name a sink that does not exist.
    """
    made_up = settings.synthetic.enabled and not runtime.simulated
    return build_sink(
        settings.publish.sink,
        mode=DRY_RUN if made_up else settings.mode,
        options=SinkOptions(path=settings.publish.file.path),
    )


def make_plan(runtime: Runtime, settings: Settings, *, stands: pl.DataFrame) -> Plan:
    """What the layers of this moment would publish over `stands` (LIMITS)."""
    now = runtime.clock()
    return plan(
        read_layers(runtime.database, now=now),
        observed=observed_limits(runtime.database),
        standing=stands,
        bounds=Bounds(minimum=settings.limits.min_limits, maximum=settings.limits.max_limits),
        known=known_to(runtime.memory.version),
        now=now,
    )


def _take_over(
    runtime: Runtime, run: Run, *, sink: Sink, held: Published, stands: pl.DataFrame
) -> None:
    """Before our first revision: what stands in the sink is the state to return to.

    When the history was lost, the document holds the limits that it knew; they become the
    `optimized` layer again, so that losing the file loses no limit.
    """
    if newest_revision(runtime.database) is not None:
        return
    now = runtime.clock()
    found = held.document or render(empty(COMPOSED))
    with runtime.database.transaction():
        revision = begin_revision(
            runtime.database,
            Intent(
                run_id=run.run_id,
                actor="found",
                sink=sink.describe(),
                document=found.decode(),
                changes=empty(CHANGES),
                composed=empty(COMPOSED),
            ),
            at=now,
        )
        finish_revision(
            runtime.database,
            revision=revision,
            outcome="confirmed",
            detail="found in place before the first publication",
            evidence={},
            at=now,
        )
        known = read_layers(runtime.database, now=now).filter(pl.col("layer") == "optimized")
        if known.is_empty() and not stands.is_empty():
            adopted = stands.with_columns(
                layer=pl.lit("optimized"),
                kind=pl.lit("set"),
                reason=pl.lit("read back from what is published"),
                evidence=pl.lit("[]"),
                written_at=pl.lit(now).cast(UTC_TIME),
                expires_at=pl.lit(None, dtype=UTC_TIME),
            ).select(LAYERS.names())
            replace_layer(runtime.database, "optimized", adopted, run_id=run.run_id)


def _remember_hashes(runtime: Runtime) -> None:
    seen = runtime.memory.scrape
    if seen is not None:
        states = reload_states(seen).select("pod", "sha256")
        runtime.memory.hashes_before = dict(states.iter_rows())


def _count(runtime: Runtime, publication: Publication) -> None:
    if publication.outcome != "written":
        return
    per_limit = publication.changes.group_by("limit").len()
    for limit, count in per_limit.iter_rows():
        runtime.telemetry.limits_applied.labels(limit).inc(count)
