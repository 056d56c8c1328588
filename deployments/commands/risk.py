"""`mlo risk`: every limit by how likely it is hit, what is too high, and a grade of the whole."""

from __future__ import annotations

import asyncio
import re
import sys
from fnmatch import translate
from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.options import Code, ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from deployments.snippet import Snippet, snippet_of
from deployments.unknown import refuse_unknown_limit
from policy.errors import ConfigError
from policy.figures import grouped
from policy.grade import grade
from policy.standing_words import why
from policy.standings import by_risk
from storage import reading

COLUMNS: Final = (
    Column(name="tenant", heading="tenant"),
    Column(name="limit", heading="limit"),
    Column(name="value", heading="now"),
    Column(name="recommended", heading="recommended", missing="-"),
    Column(name="used", heading="used", missing="-"),
    Column(name="hit", heading="P(hit)", missing="-"),
    Column(name="judged", heading="severity", wraps=True),
)

TenantOption = Annotated[
    str | None, typer.Option("--tenant", metavar="GLOB", help="Only these tenants: team-*.")
]
LimitOption = Annotated[
    str | None, typer.Option("--limit", metavar="LIMIT", help="Only this limit.")
]
TopOption = Annotated[
    int | None, typer.Option("--top", metavar="N", min=1, help="Only the first N.")
]
OverOption = Annotated[
    bool, typer.Option("--over", help="Only what is higher than needed, the farthest first.")
]
UnderOption = Annotated[bool, typer.Option("--under", help="Only what should be raised.")]
SnippetOption = Annotated[
    bool,
    typer.Option(
        "--snippet", help="Print what is recommended and not in force as `overrides:` to copy."
    ),
]


def risk(  # noqa: PLR0913 - the options of a command line
    tenant: TenantOption = None,
    limit: LimitOption = None,
    top: TopOption = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
    *,
    over: OverOption = False,
    under: UnderOption = False,
    snippet: SnippetOption = False,
) -> None:
    """List every limit, the one at most risk first, and grade the whole.

    Critical is what was refused since yesterday or is likely hit within a day, a warning what is
    nearly full or far too high. It is as of the newest run of optimize, before its own changes.
    """
    if over and under:
        raise typer.BadParameter("--over and --under exclude each other; give one of them")
    settings = settings_of(config)
    known = reading.standings(settings.storage.url)
    found = _chosen(known, tenant=tenant, limit=limit, provision=_provision(over, under))
    found = found if top is None else found.head(top)
    if snippet:
        _print(asyncio.run(snippet_of(found, settings=settings)))
        return
    told = found.with_columns(why=why())
    show(told, form=output, columns=COLUMNS, table=_told(told))
    say(_summary(known) if known.height else "nothing was judged yet; `mlo up` does at its start")


def _provision(over: bool, under: bool) -> str | None:  # noqa: FBT001 - two options of one choice
    if over:
        return "over"
    return "under" if under else None


def _chosen(
    known: pl.DataFrame, *, tenant: str | None, limit: str | None, provision: str | None
) -> pl.DataFrame:
    """The STANDINGS that were asked for, in their order.

    Raises:
        ConfigError: no tenant matches, or the limit is not judged.
    """
    found = by_risk(known)
    if limit is not None:
        found = found.filter(limit=limit)
        if known.height:
            refuse_unknown_limit(limit, known=known["limit"].unique().sort().to_list())
    if tenant is not None:
        pattern = re.compile(translate(tenant))
        ids = [each for each in found["tenant"].unique() if pattern.match(each)]
        found = found.filter(pl.col("tenant").is_in(ids))
        if found.is_empty() and known.height:
            raise ConfigError(f"no tenant matches {tenant!r}; `mlo tenants` lists all")
    if provision is not None:
        found = found.filter(provision=provision)
    if provision == "over":
        found = found.sort(
            pl.col("value") / pl.col("recommended"), descending=True, maintain_order=True
        )
    return found


def _told(found: pl.DataFrame) -> pl.DataFrame:
    """With shares in percent, of which no chance shows as none, and the severity with its why."""
    chance = (pl.col("hit_probability") * 100).round(0)
    return found.with_columns(
        used=pl.concat_str(grouped((pl.col("utilisation") * 100).round(0)), pl.lit(" %")),
        hit=pl.when(chance < 1)
        .then(pl.lit("< 1 %"))
        .when(chance.is_not_null())
        .then(pl.concat_str(grouped(chance), pl.lit(" %"))),
        judged=pl.when(pl.col("why") == "")
        .then("severity")
        .otherwise(pl.concat_str("severity", pl.lit(": "), "why")),
    ).with_columns(used=pl.when(pl.col("utilisation").is_not_null()).then("used"))


def _summary(known: pl.DataFrame) -> str:
    """`grade C (65 %) at 10:40 UTC: of 20 tenants 3 critical, 6 warning, 9 ok, 2 unknown`."""
    whole = grade(known)
    judged = str(known["at"].dt.strftime("%H:%M UTC").max())
    counts = ", ".join(f"{number} {severity}" for severity, number in whole.tenants.items())
    if whole.score is None:
        return f"no grade at {judged}: no tenant can be judged yet; {counts}"
    of_all = f"of {sum(whole.tenants.values())} tenants {counts}"
    return f"grade {whole.letter} ({whole.score * 100:.0f} %) at {judged}: {of_all}"


def _print(snippet: Snippet) -> None:
    if snippet.problems:
        for problem in snippet.problems:
            say(f"error: Mimir would not take it: {problem}")
        raise typer.Exit(Code.ERROR)
    if snippet.document is None:
        say("nothing is recommended that is not in force")
        return
    sys.stdout.write(snippet.document)
