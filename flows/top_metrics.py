"""Name the metrics of tenants that blast, after the caps were published and never before."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from flows.auditing import allowed
from flows.breaking import Guarded
from flows.runtime import Run, Runtime
from policy.frames import empty
from policy.scrape import QUERIES, QUERY_SECONDS, Scrape
from policy.settings import Settings
from policy.top_metrics import TOP_METRICS, growing, newest, to_ask, top_words
from storage.audit import append_audit
from storage.breaker_metrics import add_metrics, read_metrics
from tasks.metric_entries import metrics_named
from tasks.say import say
from tasks.tell import table
from tasks.top_metrics import ask_metrics

SHOWN: Final = 3  # metrics of a tenant in the report; all are in the history
NOT_ASKED_AGAIN_FOR: Final = timedelta(minutes=10)  # who refused


async def name_metrics(
    runtime: Runtime, run: Run, settings: Settings, *, guarded: Guarded, seen: Scrape
) -> pl.DataFrame:
    """Ask for the metrics of those whose breaker has just turned; TOP_METRICS, as far as known."""
    if guarded.breakers.is_empty():
        return empty(TOP_METRICS)
    now, refused = runtime.clock(), runtime.memory.metrics_refused
    known = read_metrics(runtime.database)
    asked = [
        tenant
        for tenant in to_ask(
            guarded.breakers, turns=guarded.turns, known=known, blasts=guarded.blasts
        )
        if now - refused.get(tenant, now - NOT_ASKED_AGAIN_FOR) >= NOT_ASKED_AGAIN_FOR
    ]
    if not asked:
        return known
    answers = await ask_metrics(asked, urls=_who_tells(runtime, seen), settings=settings, at=now)
    runtime.memory.metrics_url = answers.url or runtime.memory.metrics_url
    say(
        f"{tenant}  its metrics are not known: {why}"
        for tenant, why in answers.refused.items()
        if tenant not in refused
    )
    refused |= dict.fromkeys(answers.refused, now)
    for tenant in set(asked) - answers.refused.keys():
        refused.pop(tenant, None)
    if answers.metrics.is_empty():
        return known
    news = _news(answers.metrics, known=known)
    entries = metrics_named(news, run_id=run.run_id, at=now)
    with runtime.database.transaction():
        add_metrics(runtime.database, answers.metrics, run_id=run.run_id)
        append_audit(runtime.database, allowed(settings, entries))
    told = top_words(news)
    say(f"{tenant}  most series: {words}" for tenant, words in told.iter_rows())
    return pl.concat([known, answers.metrics])


def _news(metrics: pl.DataFrame, *, known: pl.DataFrame) -> pl.DataFrame:
    """Of TOP_METRICS those of tenants whose first metrics are others than were told before.

    They are asked for again to tell which of them grow; that is no news by itself.
    """
    first, before = (
        each.group_by("tenant", maintain_order=True).agg(pl.col("metric").head(SHOWN).sort())
        for each in (metrics, newest(known))
    )
    same = first.join(before, on=["tenant", "metric"], how="semi")
    return metrics.join(same, on="tenant", how="anti", maintain_order="left")


def metrics_section(known: pl.DataFrame) -> str:
    """The section of the report about TOP_METRICS; empty where nothing is known."""
    if known.is_empty():
        return ""
    grows = growing(known).select("tenant", "metric", share=(pl.col("share") * 100).round())
    rows = (
        newest(known)
        .join(grows, on=["tenant", "metric"], how="left", maintain_order="left")
        .group_by("tenant", maintain_order=True)
        .head(SHOWN)
        .select(
            "tenant",
            "metric",
            pl.col("series").cast(pl.Float64),
            pl.when(pl.col("share").is_not_null())
            .then(pl.format("{} %", pl.col("share").cast(pl.Int64)))
            .otherwise(pl.lit("")),
        )
        .rows()
    )
    return "## Most series\n\n" + table(["tenant", "metric", "series", "of what came"], rows)


def _who_tells(runtime: Runtime, seen: Scrape) -> list[str]:
    """URLs, who told before first, then those that a query comes to, then any."""
    reads = seen.readings.filter(pl.col("family").cast(pl.String).is_in([QUERIES, QUERY_SECONDS]))
    readers = reads["pod"].cast(pl.String).unique().sort().to_list()
    urls = [
        runtime.memory.metrics_url,
        *(seen.addresses.get(pod) for pod in readers),
        *seen.urls,
    ]
    return list(dict.fromkeys(url for url in urls if url))
