"""`mlo cost`: what every tenant or team cost in a window, and what nobody used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import polars as pl
import typer

from deployments.commands.cost_output import (
    Columns,
    ColumnsOption,
    Output,
    OutputOption,
    hand_over,
    refuse_options,
    refuse_what_does_not_fit,
)
from deployments.commands.options import ConfigOption, say, settings_of
from deployments.cost_exports import PAGE, focus_rows, write_chargeback
from deployments.output import Column
from deployments.unknown import refuse_unknown
from policy.cost.periods import Period, Unit, pieces, window
from policy.cost.report import REPORT, By, Shared, report
from policy.figures import figure
from policy.settings import Settings
from storage import reading, spending

DEFAULT_WINDOW: Final = "month"


class Each(StrEnum):
    """What the windows of a report are cut into."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Whose(StrEnum):
    """What a row of a report is of."""

    TENANT = "tenant"
    TEAM = "team"


class Share(StrEnum):
    """How what nobody used is shared out."""

    NONE = "none"
    EVEN = "even"
    WEIGHTED = "weighted"


class Component(StrEnum):
    """A part of what is booked, at list price."""

    SAMPLES = "samples"
    SERIES = "series"
    QUERIES = "queries"
    STORAGE = "storage"
    RESOURCE = "resource"


WindowOption = Annotated[
    str,
    typer.Option(
        "--window",
        metavar="WINDOW",
        help="today, yesterday, week, lastweek, month, lastmonth, year, lastyear, a length like "
        "7d, or two days like 2026-11-01..2026-12-01.",
    ),
]
ByOption = Annotated[
    list[Whose] | None, typer.Option("--by", help="What a row is of; may be given twice.")
]
EachOption = Annotated[
    Each | None, typer.Option("--each", help="Cut the window into days, weeks or months.")
]
ShareOption = Annotated[
    Share, typer.Option("--share-idle", help="Share out what the bill has and nobody used.")
]
OfOption = Annotated[
    Component | None,
    typer.Option("--of", help="This part at list price, rather than what is booked."),
]
ReservedOption = Annotated[
    bool, typer.Option("--reserved", help="Beside it, what the limits in force would cost in full.")
]
TenantOption = Annotated[str | None, typer.Option("--tenant", metavar="TENANT", help="Only its.")]
ExportOption = Annotated[
    Path | None,
    typer.Option(
        "--export",
        metavar="FILE",
        help="Write the report: FILE.csv or .parquet, or FILE.html to charge teams.",
    ),
]


def cost(  # noqa: PLR0913, PLR0917 - the options of a command line
    window_: WindowOption = DEFAULT_WINDOW,
    by: ByOption = None,
    each: EachOption = None,
    share_idle: ShareOption = Share.NONE,
    of: OfOption = None,
    reserved: ReservedOption = False,  # noqa: FBT002 - a switch
    tenant: TenantOption = None,
    export: ExportOption = None,
    columns: ColumnsOption = Columns.OWN,
    config: ConfigOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say what every tenant or team cost in a window, the dearest first."""
    page = export is not None and export.suffix.lower() == PAGE
    focused = columns is Columns.FOCUS
    refuse_what_does_not_fit(export, output, focused=focused)
    whose = by or []
    refuse_options(
        {
            "--by tenant": (page or focused) and Whose.TENANT in whose,
            "--by team": focused and Whose.TEAM in whose,
            "--each": (page or focused) and each is not None,
            "--share-idle": focused and share_idle is not Share.NONE,
            "--of": (page or focused) and of is not None,
            "--tenant": page and tenant is not None,
            "--columns": page and focused,
        },
        where="a chargeback" if page else "the columns of FOCUS",
    )
    settings = settings_of(config)
    url, zone = settings.storage.url, ZoneInfo(settings.cost_control.time_zone)
    now = datetime.now(UTC)
    asked = window(window_, now=now, zone=zone)
    if tenant is not None:
        refuse_unknown(tenant, known=reading.known_tenants(url))
    if export is not None and page:
        write_chargeback(export, settings, asked=asked, shared=_shared(share_idle), now=now)
        say(f"what each team is charged is in {export}")
        return
    if focused:
        rows = focus_rows(settings, asked=asked, tenant=tenant)
        if rows.is_empty():
            say(_nothing(url, asked=asked, zone=zone))
        hand_over(rows, export=export, output=output)
        return
    windows = [asked] if each is None else pieces(asked, unit=_unit(each), zone=zone)
    spent = spending.spent(url, windows, by_team=Whose.TEAM in whose)
    if of is not None:
        spent = spent.with_columns(amount=f"{of}_amount", unknown=pl.lit(None, dtype=pl.String))
    if tenant is not None:
        spent = spent.filter(pl.col("tenant") == tenant)
    whole = of is None and tenant is None
    idle = spending.idle(url, windows)
    found = report(
        spent,
        idle=idle if whole else idle.clear(),
        by=_by(by),
        shared=_shared(share_idle),
    )
    dated = _dated(found, windows=windows, zone=zone)
    if found.is_empty() and export is None:
        say(_nothing(url, asked=asked, zone=zone))
    hand_over(
        dated,
        export=export,
        output=output,
        columns=_columns(found, by=_by(by), cut=each is not None, reserved=reserved),
        table=_told(dated, each=each, by=_by(by)),
    )
    if not found.is_empty() and export is None and output is Output.TABLE:
        say(_sum(found, settings=settings, asked=asked, zone=zone, of=of))
        for line in _of_the_bill(found, idle=idle, of=of):
            say(line)


def _by(by: list[Whose] | None) -> tuple[By, ...]:
    chosen = dict.fromkeys(each.value for each in by or [Whose.TENANT])
    order: tuple[By, ...] = ("team", "tenant")
    return tuple(each for each in order if each in chosen)


def _unit(each: Each) -> Unit:
    units: dict[Each, Unit] = {Each.DAY: "day", Each.WEEK: "week", Each.MONTH: "month"}
    return units[each]


def _shared(share: Share) -> Shared:
    shares: dict[Share, Shared] = {
        Share.NONE: "none",
        Share.EVEN: "even",
        Share.WEIGHTED: "weighted",
    }
    return shares[share]


def _dated(found: pl.DataFrame, *, windows: Sequence[Period], zone: ZoneInfo) -> pl.DataFrame:
    """REPORT with the first and the last moment of each row's window in place of its number."""
    moments = pl.DataFrame(
        [(number, each.start, each.end) for number, each in enumerate(windows)],
        schema={"number": REPORT["number"], "starts": _TIME, "ends": _TIME},
        orient="row",
    )
    local = pl.col("starts", "ends").dt.convert_time_zone(str(zone))
    return (
        found.join(moments, on="number", how="left", maintain_order="left")
        .with_columns(local)
        .select("starts", "ends", pl.exclude("number", "starts", "ends"))
    )


_REST: Final = {"idle": "(idle)", "excess": "(beyond the bill)"}
_TIME: Final = pl.Datetime("us", "UTC")


_RESERVED: Final = (
    Column(name="reserved", heading="reserved", missing=""),
    Column(name="used", heading="used of it", missing=""),
    Column(name="reserved_of", heading="hours known", missing=""),
)


def _columns(found: pl.DataFrame, *, by: tuple[By, ...], cut: bool, reserved: bool) -> list[Column]:
    currency = found["currency"][0] if found.height else "cost"
    unknown = found["unknown"].null_count() < found.height
    return [
        *([Column(name="starts", heading="from")] if cut else []),
        *(Column(name=each, heading=each, missing="") for each in by),
        *([Column(name="tenants", heading="tenants", missing="")] if by == ("team",) else []),
        Column(name="amount", heading=currency),
        Column(name="share", heading="share", missing=""),
        *(_RESERVED if reserved else []),
        Column(name="measured", heading="hours measured", missing=""),
        *([Column(name="unknown", heading="not priced", missing="")] if unknown else []),
    ]


def _told(dated: pl.DataFrame, *, each: Each | None, by: tuple[By, ...]) -> pl.DataFrame:
    """The report in words: what idles has its name where the others have theirs."""
    first = by[0]
    charged = pl.col("kind") == "charged"
    rest = pl.col("kind").replace_strict(_REST, default=None, return_dtype=pl.String)
    return dated.with_columns(
        pl.when(charged).then(pl.col(first)).otherwise(rest).alias(first),
        starts=pl.col("starts").dt.strftime("%Y-%m" if each is Each.MONTH else "%Y-%m-%d"),
        amount=pl.col("amount").map_elements(money, return_dtype=pl.String(), skip_nulls=True),
        share=pl.when(pl.col("share").is_not_null()).then(
            pl.format("{} %", (pl.col("share") * 100).round(1))
        ),
        measured=pl.when(charged).then(
            pl.format("{} of {}", pl.col("covered_hours").round(1), _hours_of(by))
        ),
        reserved=pl.when(charged).then(
            pl.col("reserved")
            .map_elements(money, return_dtype=pl.String(), skip_nulls=True)
            .fill_null("unknown")
        ),
        used=pl.when(pl.col("reserved_used").is_not_null()).then(
            pl.format("{} %", (pl.col("reserved_used") * 100).round(1))
        ),
        reserved_of=pl.when(charged).then(pl.format("{} of {}", "reserved_hours", _hours_of(by))),
    )


def _hours_of(by: tuple[By, ...]) -> pl.Expr:
    """The hours that a row could have been measured: of a team, of each of its tenants."""
    return pl.col("hours") if "tenant" in by else pl.col("hours") * pl.col("tenants")


def money(amount: Decimal) -> str:
    """`1,234.50`; of small amounts as many digits as say something."""
    digits = 2 if abs(amount) >= 1 else 4
    return f"{amount:,.{digits}f}"


def _sum(
    found: pl.DataFrame,
    *,
    settings: Settings,
    asked: Period,
    zone: ZoneInfo,
    of: Component | None,
) -> str:
    total = sum(found["amount"].drop_nulls(), Decimal(0))
    what = f"of {of}, at list price" if of else f"by {settings.cost_control.cost_method}"
    begins, ends = (f"{each.astimezone(zone):%Y-%m-%d %H:%M}" for each in (asked.start, asked.end))
    return f"together {money(total)} {found['currency'][0]} {what}, {begins} to {ends} {zone}"


def _of_the_bill(found: pl.DataFrame, *, idle: pl.DataFrame, of: Component | None) -> list[str]:
    """How what is charged was made to meet the bill, or that it exceeds it."""
    listed, scaled = (sum(idle[name].drop_nulls(), Decimal(0)) for name in ("listed", "scaled"))
    lines = []
    if listed and of is None:
        lines.append(
            f"scaled to the bill: {money(listed)} at list price are {money(scaled)}, "
            f"{scaled / listed:.3g} times as much"
        )
    if found["kind"].eq("excess").any():
        lines.append(
            "tenants are charged more than the bill; `calibrate: true` in the price list charges "
            "the bill and no more"
        )
    return lines


def _nothing(url: str, *, asked: Period, zone: ZoneInfo) -> str:
    known = spending.priced(url)
    if known["first"][0] is None:
        return "nothing is priced yet; the flow `cost` does so every hour"
    first, last = (known[name][0].astimezone(zone) for name in ("first", "last"))
    hours = figure(asked.hours)
    return (
        f"nothing is priced in these {hours} hours; what is priced is from "
        f"{first:%Y-%m-%d %H:%M} to {last + timedelta(hours=1):%Y-%m-%d %H:%M}"
    )
