"""The slow loop: from the history of demand to the limit of every tenant."""

from __future__ import annotations

import polars as pl
from prefect import flow

from flows.blasts import blasts_now
from flows.in_force import operator_limits, standing_limits
from flows.publishing import publish_layers, take_stock
from flows.runtime import Run, Runtime, current, look
from flows.words import optimize_lines, optimize_report, publication_lines
from policy.activity import GONE, states
from policy.document import parse
from policy.effective import as_optimized, beneath, observed_beneath, overlaid
from policy.frames import LIMITS
from policy.recommend import optimized_layer, recommend
from policy.settings import Settings, format_duration
from policy.sources import disagreements, told_by_us
from policy.tenancy import looked_after, tier_layer, tiers
from policy.tuned import catalogue_of, rules_of, tuned
from policy.versions import known_to_all
from storage.layers import read_layers
from storage.maintenance import snapshot
from storage.revisions import newest_confirmed, newest_revision
from storage.samples import history
from storage.tenants import activity as tenant_activity
from tasks.collect import LoadedLimits, read_limits
from tasks.record import record, record_observed, rolled_up
from tasks.say import say
from tasks.tell import tell


@flow(name="optimize", timeout_seconds=600, validate_parameters=False, persist_result=False)
async def optimize() -> None:
    """Read the limits in force, decide every limit from its history, record, publish, tell."""
    runtime = current()
    with runtime.run("optimize") as run:
        settings = runtime.settings()
        if runtime.memory.scrape is None:
            runtime.memory.scrape = await look(runtime, settings)
        # What stands must be known first: in Mimir's answer our own word looks like any other.
        stands = await take_stock(runtime, run, settings)
        loaded = await read_limits(settings, clock=runtime.clock, seen=runtime.memory.scrape)
        await observe(runtime, loaded, stands=stands)
        decisions, news = await decide(runtime, run, settings)
        say(optimize_lines(news, decisions=decisions))
        publication = await publish_layers(runtime, run, settings)
        say(publication_lines(publication, memory=runtime.memory))
        await tell(
            optimize_report(
                decisions,
                publication=publication,
                differing=disagreements([*loaded.told, told_by_us(stands)]),
                window=format_duration(settings.trend_analysis.analysis_window),
                now=runtime.clock(),
            ),
            key="optimize",
            description="What was decided, and what was published.",
        )
        if runtime.database.path is not None:
            snapshot(runtime.database)


async def observe(runtime: Runtime, loaded: LoadedLimits, *, stands: pl.DataFrame) -> None:
    """Keep the operator's own limits, apart from the echo of ours.

    Mimir may still have loaded the newest revision, also one that was taken back, or the newest
    confirmed one.
    """
    written = (newest_revision(runtime.database), newest_confirmed(runtime.database))
    published = pl.concat(
        [stands, *(parse(revision.document.encode()) for revision in written if revision)]
    )
    observed = observed_beneath(
        loaded.overrides,
        published=published,
        defaults=loaded.defaults,
        remembered=operator_limits(runtime),
        known=loaded.known,
    )
    runtime.memory.versions = loaded.versions
    try:
        await record_observed(observed, database=runtime.database, at=runtime.clock())
    finally:
        runtime.memory.observed = None


async def decide(
    runtime: Runtime, run: Run, settings: Settings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decide every limit and store what follows; all DECISIONS, and those that are news."""
    now = runtime.clock()
    await rolled_up(runtime.database, at=now)
    before = read_layers(runtime.database, now=now)
    window = settings.trend_analysis.analysis_window
    ours = tuned(settings.limits)
    known = known_to_all(runtime.memory.versions, catalogue=catalogue_of(settings.limits))
    sized = {limit: signal for limit, signal in ours.items() if limit in known}
    measured = history(runtime.database, now=now, window=window, limits=sized)
    tenants = looked_after(
        pl.concat([measured["tenant"], before["tenant"]]).unique(), settings=settings
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
    if settings.mode == "prod":
        previous, set_by_us = optimized, overlaid(tier_rows, above=optimized)
    else:
        set_by_us = standing_limits(runtime).filter(in_scope_now & there)
        lost = set_by_us.filter(is_ours)
        previous = _published(runtime, lost, optimized=optimized, tiers=tier_rows)
    rules = rules_of(settings, members=members, limits=sized)
    own = beneath(operator_limits(runtime), tenants=tenants, limits=rules.limits)
    decisions = recommend(
        measured.filter(in_scope_now),
        current=overlaid(own, above=set_by_us),
        in_blast=blasts_now(runtime, settings, now=now)["tenant"].to_list(),
        coverage=runtime.vitals.coverage or 0.0,
        rules=rules,
        now=now,
        changed=previous.select("tenant", "limit", changed_at="written_at"),
        activity=activity,
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


def _activity(runtime: Runtime, settings: Settings) -> pl.DataFrame:
    """STATES of all tenants."""
    scoping = settings.tenant_scoping
    return states(
        tenant_activity(runtime.database),
        inactive_after=scoping.inactive_after,
        gone_after=scoping.gone_after,
    )


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
