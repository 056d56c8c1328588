"""On demand: what the settings would have come to on the stored past, kept for who asks later."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Final

from prefect import flow

from flows.elsewhere import runtime_anywhere
from flows.parameters import Length
from flows.run_names import run_name
from policy.backtest import Result, Verdict, gate
from policy.backtest_policy import digest
from policy.errors import ConfigError
from policy.figures import figure
from policy.settings import parse_duration
from storage.backtests import record_backtest
from storage.database import read_frame
from tasks.replay import Asked, Replayed, replay, worst
from tasks.say import say
from tasks.tell import table, tell

LIVE: Final = "live"
WORST_KEPT: Final = 50


@flow(name="backtest", timeout_seconds=4 * 3600, validate_parameters=False, persist_result=False)
async def backtest(since: Length = "60d") -> None:
    """Replay the stored past through the settings of now, store what comes of it, and tell.

    Args:
        since: how far back, like 60d; less where less is stored.
    """
    with runtime_anywhere() as runtime, runtime.run("backtest") as run:
        settings, now = runtime.settings(), runtime.clock()
        found = await asyncio.to_thread(
            replay,
            partial(read_frame, runtime.database),
            policies={LIVE: settings},
            asked=Asked(back=_length(since)),
            now=now,
        )
        result = found.results[0]
        verdict = gate(result.totals)
        number = record_backtest(
            runtime.database,
            at=now,
            since=found.since,
            until=found.until,
            policy=digest(settings),
            passed=verdict.passed,
            result=stored(result, verdict=verdict),
            run_id=run.run_id,
        )
        run.summary.update(backtest=number, passed=verdict.passed)
        say([f"backtest {number}: {'passed' if verdict.passed else '; '.join(verdict.why)}"])
        await tell(
            report(found, verdict=verdict, number=number),
            key="backtest",
            description="What the settings would have come to on the stored past.",
            name=run_name("backtest", run.summary),
        )


def stored(result: Result, *, verdict: Verdict) -> dict[str, object]:
    """What is kept: the totals, what stands against the policy, and where it refused most."""
    return {
        "totals": asdict(result.totals),
        "why": list(verdict.why),
        "worst": worst(result, count=WORST_KEPT).to_dicts(),
    }


def report(found: Replayed, *, verdict: Verdict, number: int) -> str:
    """The Markdown of the artifact."""
    totals = found.results[0].totals
    figures = [
        ("days", figure(totals.days)),
        ("tenants, limits", f"{totals.tenants:,}, {totals.limits:,}"),
        ("hours refused", f"{totals.hours_refused:,}"),
        ("of the time, at most", f"{totals.refused_share * 100:.4f} %"),
        ("limit / demand", figure(totals.headroom)),
        ("changes a week of a limit", figure(totals.changes_per_week)),
        ("changes a week of nine tenants in ten, at most", figure(totals.changes_per_week_p90)),
        ("reversals", f"{totals.reversals:,}"),
        ("largest step", f"{totals.largest_step * 100:.0f} %"),
    ]
    says = "The policy passes." if verdict.passed else "The policy does not pass:"
    parts = [
        f"# Backtest {number}",
        f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC. {says}",
        *(f"- {why}" for why in verdict.why),
        "",
        table(["what", "figure"], figures),
    ]
    refused = worst(found.results[0], count=WORST_KEPT).select(
        "tenant", "limit", "hours_refused", "minutes_refused", "limit_at_end"
    )
    if not refused.is_empty():
        headings = ["tenant", "limit", "hours refused", "minutes at most", "limit at the end"]
        rows = (
            (tenant, limit, hours, figure(minutes), figure(at_end))
            for tenant, limit, hours, minutes, at_end in refused.iter_rows()
        )
        parts += ["", "## Where most was refused", "", table(headings, rows)]
    return "\n".join(parts)


def _length(since: str) -> timedelta:
    try:
        return parse_duration(since)
    except ValueError as refusal:
        raise ConfigError(f"since: {refusal}") from refusal
