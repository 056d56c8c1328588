"""The slow loop: from the history of demand to the limit of every tenant."""

from __future__ import annotations

import polars as pl
from prefect import flow

from flows.blasts import blasts_now
from flows.publishing import publish_layers
from flows.runtime import Run, Runtime, current, remember_scrape
from flows.words import optimize_lines, optimize_report, publication_lines
from policy.effective import beneath, observed_beneath, overlaid
from policy.frames import LAYERS, empty
from policy.recommend import optimized_layer, recommend
from policy.rules import Rules
from policy.settings import Settings, format_duration
from policy.signals import SIZED
from policy.tenancy import in_scope, tier_layer, tiers
from storage.layers import read_layers
from storage.limits import observed_limits
from storage.maintenance import snapshot
from storage.revisions import published_limits
from storage.rollups import roll_up
from storage.samples import history
from tasks.collect import LoadedLimits, collect, read_limits
from tasks.record import record, record_observed
from tasks.say import say
from tasks.tell import tell


@flow(name="optimize", timeout_seconds=600, validate_parameters=False)
async def optimize() -> None:
    """Read the limits in force, decide every limit from its history, record, publish, tell."""
    runtime = current()
    with runtime.run("optimize") as run:
        settings = runtime.settings()
        if runtime.memory.scrape is None:
            remember_scrape(runtime, await collect(settings.mimir, clock=runtime.clock))
        loaded = await read_limits(settings.mimir)
        await observe(runtime, loaded)
        decisions, news = await decide(runtime, run, settings)
        say(optimize_lines(news, decisions=decisions))
        publication = await publish_layers(runtime, run, settings)
        say(publication_lines(publication, memory=runtime.memory))
        await tell(
            optimize_report(
                decisions,
                publication=publication,
                window=format_duration(settings.trend_analysis.analysis_window),
                now=runtime.clock(),
            ),
            key="optimize",
            description="What was decided, and what was published.",
        )
        if runtime.database.path is not None:
            snapshot(runtime.database)


async def observe(runtime: Runtime, loaded: LoadedLimits) -> None:
    """Keep the operator's own limits, apart from the echo of ours."""
    published = pl.concat(
        limits.select("tenant", "limit", "value")
        for limits in (runtime.memory.standing, published_limits(runtime.database))
    )
    observed = observed_beneath(
        loaded.overrides,
        published=published,
        defaults=loaded.defaults,
        remembered=observed_limits(runtime.database),
    )
    runtime.memory.version = loaded.version
    await record_observed(observed, database=runtime.database, at=runtime.clock())


async def decide(
    runtime: Runtime, run: Run, settings: Settings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decide every limit and store what follows; all DECISIONS, and those that are news."""
    now = runtime.clock()
    roll_up(runtime.database, now=now)
    before = read_layers(runtime.database, now=now)
    window = settings.trend_analysis.analysis_window
    measured = history(runtime.database, now=now, window=window, limits=SIZED)
    tenants = _scope(pl.concat([measured["tenant"], before["tenant"]]).unique(), settings)
    members = tiers(tenants, mapping=settings.tenant_tier_mapping)
    tier_rows = tier_layer(
        members,
        limits={name: tier.limits for name, tier in settings.limits.tenant_tiers.items()},
        written_at=now,
    )
    optimized = before.filter(
        (pl.col("layer") == "optimized") & pl.col("tenant").is_in(tenants.implode())
    )
    # A dry run starts each time from what Mimir has: what it decided before never happened.
    previous = optimized if settings.mode == "prod" else empty(LAYERS)
    rules = _rules(settings, members)
    own = beneath(observed_limits(runtime.database), tenants=tenants, limits=rules.limits)
    set_by_us = overlaid(tier_rows, above=previous) if settings.mode == "prod" else previous
    decisions = recommend(
        measured.filter(pl.col("tenant").is_in(tenants.implode())),
        current=overlaid(own, above=set_by_us),
        in_blast=blasts_now(runtime, settings, now=now)["tenant"].to_list(),
        coverage=runtime.vitals.coverage or 0.0,
        rules=rules,
        now=now,
        changed=previous.select("tenant", "limit", changed_at="written_at"),
    )
    news = await record(
        decisions,
        optimized=optimized_layer(decisions, previous=previous, written_at=now),
        tiers=tier_rows,
        database=runtime.database,
        run_id=run.run_id,
        flow=run.flow,
    )
    run.summary["decisions"] = dict(decisions.group_by("outcome").len().iter_rows())
    return decisions, news


def _scope(tenants: pl.Series, settings: Settings) -> pl.Series:
    scoping = settings.tenant_scoping
    return in_scope(
        tenants,
        skip=scoping.skip_list,
        include=scoping.include_list,
        use_regex=scoping.use_regex,
    )


def _rules(settings: Settings, members: pl.DataFrame) -> Rules:
    percent = {
        name: tier.buffer_percentage
        for name, tier in settings.limits.tenant_tiers.items()
        if tier.buffer_percentage is not None
    }
    buffered = members.filter(pl.col("tier").is_in(list(percent)))
    return Rules(
        buffer_percentage=settings.buffer_percentage,
        buffer_by_tenant={tenant: percent[tier] for tenant, tier in buffered.iter_rows()},
        min_limits=settings.limits.min_limits,
        max_limits=settings.limits.max_limits,
        default_limits=settings.limits.default_limits,
        min_history=settings.trend_analysis.min_history,
    )
