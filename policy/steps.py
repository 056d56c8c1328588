"""The steps of a decision as data: each number, the one before it, and why it changed.

Text for people is rendered from these steps; nothing is explained that was not computed.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.figures import TIMES, figure, grouped
from policy.rules import Rules
from policy.signals import INGESTION_BURST_SIZE, SERIES

_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_HOURS: Final = 24
_DIGITS: Final = 6  # what is further behind the point is noise of the arithmetic


def steps(*, rules: Rules) -> pl.Expr:
    """The column `steps` of DECISIONS: a JSON list of {name, before, after, because}.

    It reads the columns that `policy.sizing` and `policy.gates` add; a step that changed
    nothing is left out, and where nothing was measured or is in force, the list says only that.
    """
    sized = pl.col("target").is_not_null() & pl.col("before").is_not_null()
    parts = [*_of_estimate(), *_of_size(rules), *_of_outcome(rules)]
    shown = [pl.when(sized).then(part) for part in parts]
    because = pl.when(pl.col("outcome") == "withheld").then("detail")
    withheld = _step("withheld", "target", "after", because)
    body = pl.concat_str(
        [*shown, pl.when(pl.col("outcome") == "withheld").then(withheld)],
        separator=",",
        ignore_nulls=True,
    )
    return pl.concat_str(pl.lit("["), body, pl.lit("]"))


def _of_estimate() -> list[pl.Expr]:
    """How the demand came about, see `policy.estimate`."""
    calendar, season, lead = pl.col("calendar"), pl.col("season"), pl.col("lead")
    lifted = pl.max_horizontal("base", "calendar")
    level = pl.max_horizontal("base", "calendar", "season")
    hour = pl.col("season_hour")
    day = (hour // _HOURS).replace_strict(dict(enumerate(_WEEKDAYS)), default=None)
    clock = (hour % _HOURS).cast(pl.String).str.zfill(2)
    return [
        pl.when(pl.col("base").is_not_null()).then(
            _step("estimate", None, "base", pl.col("because"))
        ),
        pl.when(pl.col("event").is_not_null()).then(
            _step(
                "event",
                "event",
                "event_counted",
                "a short peak far above what lasts counts for less",
            )
        ),
        pl.when(calendar.is_not_null()).then(
            _step("month's end", "base", "calendar", "the first or last of the month is higher")
        ),
        pl.when(season.is_not_null()).then(
            _step(
                "week",
                lifted,
                "season",
                pl.concat_str(pl.lit("as high as "), day, pl.lit(" "), clock, pl.lit(":00 UTC")),
            )
        ),
        pl.when(lead.is_not_null()).then(
            _step(
                "growth",
                level,
                level + lead,
                pl.concat_str(
                    pl.lit("it grows by "), grouped(pl.col("slope")), pl.lit(" a day, looked ahead")
                ),
            )
        ),
        pl.when(pl.col("time_factor").is_not_null()).then(
            _step(
                "hours",
                level + lead.fill_null(0.0),
                "demand",
                pl.concat_str(pl.lit(f"timeOfDayBuffers {TIMES} "), grouped(pl.col("time_factor"))),
            )
        ),
    ]


def _of_size(rules: Rules) -> list[pl.Expr]:
    burst = pl.col("limit") == INGESTION_BURST_SIZE
    wanted, floor = pl.col("wanted"), pl.col("floor")
    at_least = pl.max_horizontal("wanted", "floor")
    percent = grouped((pl.col("buffer") - 1) * 100)
    return [
        pl.when("bites").then(
            _step(
                "refused",
                "demand",
                "bumped",
                pl.concat_str(
                    pl.when(pl.col("limit") == SERIES)
                    .then(pl.lit("series are refused and"))
                    .otherwise(pl.lit("what is refused")),
                    pl.lit(f" cannot be counted: {rules.refused_series_factor:g} times"),
                ),
            )
        ),
        pl.when(pl.col("wide") > pl.col("bumped")).then(
            _step(
                "confidence",
                "bumped",
                "wide",
                pl.concat_str(
                    pl.lit("wider, because there are only "),
                    grouped(pl.col("days")),
                    pl.lit(" days of history"),
                ),
            )
        ),
        pl.when(pl.col("own").is_not_null()).then(
            _step("buffer", "wide", "own", pl.concat_str(percent, pl.lit(" % above it")))
        ),
        pl.when(burst).then(
            _step(
                "rate",
                "rate",
                "wanted",
                f"at least {rules.burst_factor:g} times the rate, {rules.request_factor:g} times "
                f"the mean request, and Mimir's default of {figure(rules.burst_floor)}",
            )
        ),
        pl.when(~burst & (wanted > pl.col("own"))).then(
            _step("least", "own", "wanted", "no less than Mimir's default, or a limit below it")
        ),
        pl.when(floor > wanted).then(
            _step(
                "floor",
                "wanted",
                "floor",
                f"at least {rules.floor_factor:g} times the highest peak of 8 days",
            )
        ),
        _step("rounding", at_least, "rounded", "up to two significant digits"),
        pl.when(pl.col("target") != pl.col("rounded")).then(
            _step("bounds", "rounded", "target", "the hard bounds of this limit")
        ),
    ]


def _of_outcome(rules: Rules) -> list[pl.Expr]:
    lowering = pl.col("outcome") == "lower"
    band = f"the dead band is -{rules.lower_band * 100:g} % to +{rules.raise_band * 100:g} %"
    taken = pl.concat_str(pl.col("outcome"), pl.lit(f": {band}"))
    return [
        _step("compare", "before", "target", taken),
        pl.when((pl.col("outcome") == "raise") & (pl.col("raised") < pl.col("target"))).then(
            _step(
                "step",
                "target",
                "raised",
                f"at most {rules.max_raise_step * 100:g} % higher at once",
            )
        ),
        pl.when(lowering & (pl.col("lowered") > pl.col("target"))).then(
            _step(
                "step",
                "target",
                "lowered",
                f"at most {rules.max_lower_step * 100:g} % lower at once",
            )
        ),
    ]


def _step(
    name: str, before: str | pl.Expr | None, after: str | pl.Expr, because: str | pl.Expr
) -> pl.Expr:
    return pl.struct(
        name=pl.lit(name),
        before=_number(before),
        after=_number(after),
        because=pl.lit(because) if isinstance(because, str) else because,
    ).struct.json_encode()


def _number(value: str | pl.Expr | None) -> pl.Expr:
    if value is None:
        return pl.lit(None, dtype=pl.Float64)
    return (pl.col(value) if isinstance(value, str) else value).round(_DIGITS)
