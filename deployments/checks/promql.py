"""Check the second source: PromQL answers, as whom we ask, about pods of Mimir, and lately."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from deployments.checks.check import Check, failed, ok, skipped, warning
from deployments.checks.families import check_families
from deployments.checks.mimir import KINDS
from policy.errors import ConfigError, OptimizerError
from policy.settings import Settings
from tasks.promql import ask_promql
from tasks.promql_http import promql_client
from tasks.promql_pair import Pair

_MOST_NAMED = 3


async def check_promql(settings: Settings) -> list[Check]:
    """One look as `protect` takes it; nothing is asked where PromQL is not the source."""
    if settings.metrics_source != "promql":
        return []
    promql = settings.promql
    name = f"promql {promql.url}"
    try:
        async with promql_client(promql, performance=settings.performance) as client:
            pair = await ask_promql(promql, client=client, clock=lambda: datetime.now(UTC))
    except ConfigError as refusal:
        return [failed(name, str(refusal), mend="correct the settings that it names")]
    except OptimizerError as refusal:
        mend = "start it, or correct promql.url, promql.matchers or promql.timeout"
        return [failed(name, str(refusal), mend=mend)]
    tenant = f" as the tenant {promql.tenant}" if promql.tenant else ""
    return [
        ok(name, f"answers{tenant}"),
        _pods(pair),
        *(_demand(pair, kind=kind) for kind in ("distributor", "ingester")),
        check_families(
            pair.current.readings,
            source="promql",
            mend="let the relabelling of the scrapes, or the remote write, keep it",
        ),
        _rates(pair, settings),
    ]


def _pods(pair: Pair) -> Check:
    name, seen = "promql pods", pair.current
    known = len(seen.answered) + len(seen.failed)
    if not seen.failed:
        return ok(name, f"all {known} pods are heard")
    named = "; ".join(f"{pod}: {why}" for pod, why in [*seen.failed.items()][:_MOST_NAMED])
    more = " …" if len(seen.failed) > _MOST_NAMED else ""
    told = f"{len(seen.answered)} of {known} pods are heard; {named}{more}"
    mend = "mend their scrapes, or leave out what is not Mimir's with promql.matchers"
    tell = warning if seen.answered else failed
    return tell(name, told, mend=mend)


def _demand(pair: Pair, *, kind: str) -> Check:
    name, family = f"promql {kind}s", KINDS[kind][1]
    rows = pair.current.readings.filter(pl.col("family") == family)
    pods, tenants = rows["pod"].n_unique(), rows["user"].n_unique()
    if pods:
        return ok(name, f"{pods} pods tell {family} of {tenants} tenants")
    return failed(
        name, f"no pod tells {family}", mend=f"let promql.matchers match the {kind}s' targets too"
    )


def _rates(pair: Pair, settings: Settings) -> Check:
    """Two scrapes of a pod lie within the window, or there are no rates."""
    name, promql = "promql rates", settings.promql
    alone = set(pair.current.answered) - set(pair.previous.answered)
    if not pair.current.answered:
        return skipped(name, "no pod is heard, so none has a rate")
    if not alone:
        return ok(name, "every pod that is heard has two scrapes in promql.window")
    window = promql.window.total_seconds()
    return warning(
        name,
        f"{len(alone)} pods have fewer than two scrapes in {window:g} s: {min(alone)}",
        mend="nothing, if they have just started; else make promql.window longer than two "
        "scrape intervals",
    )
