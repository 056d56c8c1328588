"""`mlo backtest`: what settings would have come to on the stored past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.options import Code, ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from policy.backtest import Result, Verdict, gate
from policy.figures import figure
from policy.settings import parse_duration
from storage.client import query
from tasks.replay import Asked, Replayed, replay, worst

LIVE: Final = "live"
WORST_SHOWN: Final = 5
COLUMNS: Final = (
    Column(name="candidate", heading="policy"),
    Column(name="hours_refused", heading="refused h"),
    Column(name="refused_percent", heading="refused %"),
    Column(name="headroom", heading="limit/demand"),
    Column(name="changes_per_week", heading="changes/week"),
    Column(name="gate", heading="gate"),
)


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as refusal:
        raise typer.BadParameter(str(refusal)) from refusal


SinceOption = Annotated[
    str, typer.Option("--since", metavar="LENGTH", help="How far back; less where less is stored.")
]
PolicyOption = Annotated[
    Path | None,
    typer.Option(
        "--policy", metavar="PATH", help="Other settings, to be put beside the live ones."
    ),
]
TenantOption = Annotated[
    list[str] | None,
    typer.Option("--tenant", metavar="GLOB", help="Only these tenants; may be given again."),
]
LimitOption = Annotated[
    list[str] | None,
    typer.Option("--limit", metavar="NAME", help="Only these limits; may be given again."),
]
EveryOption = Annotated[
    str, typer.Option("--every", metavar="LENGTH", help="From one decision to the next.")
]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Exit code 4 when the newest policy does not pass.")
]


def backtest(  # noqa: PLR0913 - each is an option
    since: SinceOption = "60d",
    policy: PolicyOption = None,
    tenant: TenantOption = None,
    limit: LimitOption = None,
    every: EveryOption = "1h",
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
    *,
    check: CheckOption = False,
) -> None:
    """Show what the settings would have come to on the stored past.

    Every hour is decided with what was known when it began, and compared with what was asked for.

    The gate is what a policy has to pass to be left to itself: 28 days, refusals in 0.01 % of the
    time at most, and for nine tenants in ten no more than one change a week.
    """
    live = settings_of(config)
    policies = {LIVE: live} | ({} if policy is None else {policy.name: settings_of(policy)})
    found = replay(
        partial(query, live.storage.url),
        policies=policies,
        asked=Asked(
            back=_duration(since),
            every=_duration(every),
            tenants=tuple(tenant or ()),
            limits=tuple(limit or ()),
        ),
        now=datetime.now(UTC),
    )
    verdicts = [gate(result.totals) for result in found.results]
    show(comparison(found.results, verdicts), form=output, columns=COLUMNS)
    for line in told(found, verdicts):
        say(line)
    if check and not verdicts[-1].passed:
        raise typer.Exit(Code.NOT_PASSED)


def comparison(results: Sequence[Result], verdicts: Sequence[Verdict]) -> pl.DataFrame:
    """One row per policy: its totals, shares in percent, and whether it passes."""
    rows = [
        asdict(result.totals) | {"gate": "passed" if verdict.passed else "not passed"}
        for result, verdict in zip(results, verdicts, strict=True)
    ]
    share = pl.col("refused_share", "largest_step", "regret").cast(pl.Float64) * 100
    return (
        pl.DataFrame(rows)
        .with_columns(share)
        .rename(
            {
                "refused_share": "refused_percent",
                "largest_step": "largest_step_percent",
                "regret": "regret_percent",
            }
        )
    )


def told(found: Replayed, verdicts: Sequence[Verdict]) -> list[str]:
    """What a person wants to know besides: why a policy does not pass, and where it refused."""
    judged = found.results[0].totals
    time = f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC"
    lines = [f"judged {time}: tenants {judged.tenants:,}, limits {judged.limits:,}"]
    for result, verdict in zip(found.results, verdicts, strict=True):
        name = result.totals.candidate
        lines += [f"{name}: {why}" for why in verdict.why]
        lines += [
            f"{name}: {row['tenant']} {row['limit']}: {row['hours_refused']} hours refused, "
            f"{figure(row['minutes_refused'])} minutes at most"
            for row in worst(result, count=WORST_SHOWN).iter_rows(named=True)
        ]
    return lines
