"""What each gate says: one sentence that a person can act on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.activity import GONE, IDLE
from policy.catalogue import blocked_at_zero
from policy.figures import TIMES, grouped
from policy.rules import Rules
from policy.signals import SIZED

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)


def detail(rules: Rules, *, now: datetime) -> pl.Expr:
    """One sentence on the outcome; it reads the columns that `policy.gates` adds."""
    by_reason, by_outcome = pl.col("reason"), pl.col("outcome")
    held_back = pl.col("lowered") > pl.col("target")
    down = pl.when(held_back).then(
        pl.lit(f", at most {rules.max_lower_step * 100:g} % lower at once")
    )
    up = pl.when(pl.col("raised") < pl.col("target")).then(
        pl.lit(f", at most {rules.max_raise_step * 100:g} % higher at once")
    )
    held = pl.concat_str(
        pl.lit("the target of "),
        grouped(pl.col("target")),
        pl.lit(" is too near to change it: "),
        pl.col("basis"),
    )
    said = {
        **_of_evidence(rules, now=now),
        **_of_lowering(rules, now=now),
        **_of_people(rules),
    }
    spoken = [pl.when(by_reason == reason).then(why) for reason, why in said.items()]
    return pl.coalesce(
        *spoken,
        pl.when(by_outcome == "raise").then(pl.concat_str("basis", up.otherwise(pl.lit("")))),
        pl.when(by_outcome == "lower").then(pl.concat_str("basis", down.otherwise(pl.lit("")))),
        pl.when(by_outcome == "hold").then(held),
    )


def _of_evidence(rules: Rules, *, now: datetime) -> dict[str, pl.Expr]:
    hours, needed = grouped(pl.col("hours")), f"{rules.min_history / _HOUR:g}"
    minutes = ((pl.lit(now) - pl.col("last_at")) / _MINUTE).floor()
    return {
        "unknown_current": pl.lit("the limit in force is not known"),
        "pinned": pl.col("pinned_words"),
        "unlimited": pl.lit("the limit is 0, which means unlimited, and stays so"),
        "blocked": pl.when(pl.col("limit").is_in(list(blocked_at_zero(rules.catalogue))))
        .then(pl.lit("the limit or its rate is 0, which blocks the tenant, and stays so"))
        .otherwise(pl.lit("the limit is 0, which switches it off, and stays so")),
        GONE: pl.lit("the tenant is gone: it was on no page for longer than goneAfter"),
        IDLE: pl.lit("the tenant is idle: no demand for longer than inactiveAfter"),
        "no_data": pl.lit("no demand was measured in the window"),
        "short_history": pl.concat_str(hours, pl.lit(f" h of history; {needed} h are needed")),
        "stale": pl.concat_str(
            pl.lit("the newest measurement is "), grouped(minutes), pl.lit(" minutes old")
        ),
        "in_blast": pl.concat_str(
            pl.lit("the tenant is in a blast, so the limit is not raised to "),
            grouped(pl.col("target")),
        ),
    }


def _of_lowering(rules: Rules, *, now: datetime) -> dict[str, pl.Expr]:
    target = grouped(pl.col("target"))
    percent = grouped((pl.col("seen") * 100).floor())
    quiet = f"{rules.quiet_before_lowering / _DAY:g}"
    answered = pl.when(pl.col("coverage").is_null()).then(
        pl.lit("it is not known how many pods answered, so the limit is not lowered")
    )

    def ago(column: str, unit: timedelta) -> pl.Expr:
        return grouped(((pl.lit(now) - pl.col(column)) / unit).floor())

    return {
        "only_raised": pl.concat_str(
            pl.lit("what was seen is the least that is needed and not the most, so it is not "),
            pl.lit("lowered to "),
            target,
        ),
        "under_pressure": pl.concat_str(
            pl.when(pl.col("limit").is_in(SIZED))
            .then(pl.lit("samples were"))
            .otherwise(pl.lit("something was")),
            pl.lit(f" refused for want of this limit in the last {quiet} days (up to "),
            grouped(pl.col("pressure")),
            pl.lit("/s), so it is not lowered to "),
            target,
        ),
        "believable": pl.concat_str(
            pl.lit("the limit is not above what the demand may still turn out to be ("),
            grouped(pl.col("upper") * pl.col("buffer")),
            pl.lit(" with the buffer), so it is not lowered to "),
            target,
        ),
        "little_confidence": pl.concat_str(
            grouped(pl.col("days")),
            pl.lit(" days of history give a confidence of "),
            grouped((pl.col("confidence") * 100).floor()),
            pl.lit(f" %, and {rules.min_confidence * 100:g} % is needed to lower it to "),
            target,
        ),
        "raised_lately": pl.concat_str(
            pl.lit("raised "),
            ago("raised_at", _HOUR),
            pl.lit(f" h ago; not before {quiet} days after that is it lowered to "),
            target,
        ),
        "ring_changed": pl.concat_str(
            pl.lit("the number of ingesters changed "),
            ago("ring_changed_at", _HOUR),
            pl.lit(" h ago, and with it each one's share of the limits; not before "),
            pl.lit(f"{rules.ring_settled / _HOUR:g} h after that is it lowered to "),
            target,
        ),
        "degraded": pl.concat_str(
            grouped(pl.col("failed")),
            pl.lit(" of its last five lowerings had to be taken back; it is not lowered to "),
            target,
            pl.lit(" before they are older than 90 days"),
        ),
        "cooling_down": pl.concat_str(
            pl.lit("changed "),
            ago("changed_at", _HOUR),
            pl.lit(" h ago; lowered to "),
            target,
            pl.lit(" step by step, one every "),
            grouped(pl.col("cooldown") / _HOUR),
            pl.lit(" h"),
            pl.when(pl.col("reverts") > 0)
            .then(
                pl.concat_str(
                    pl.lit(", because a lowering had to be taken back (in a row: "),
                    grouped(pl.col("reverts")),
                    pl.lit(")"),
                )
            )
            .otherwise(pl.lit("")),
        ),
        "partial_coverage": answered.otherwise(
            pl.concat_str(
                pl.lit("only "), percent, pl.lit(" % of the pods answered; not lowered to "), target
            )
        ),
        "bound_below_peak": pl.concat_str(
            pl.lit("the maximum of "),
            target,
            pl.lit(f" is below {rules.floor_factor:g} {TIMES} the recent peak"),
        ),
        "waiting_to_agree": pl.concat_str(
            pl.lit("found too high in "),
            grouped(pl.col("runs").fill_null(0) + 1),
            pl.lit(f" of the {rules.agreeing_runs} runs in a row that lower it to "),
            target,
        ),
    }


def _of_people(rules: Rules) -> dict[str, pl.Expr]:
    would = pl.concat_str(
        pl.lit("would be "),
        pl.when("rises").then(pl.lit("raised to ")).otherwise(pl.lit("lowered to ")),
        grouped(pl.when("rises").then("raised").otherwise("lowered")),
        pl.lit(" ("),
        pl.col("basis"),
        pl.lit("); "),
    )
    because = (
        pl.when(pl.col("mode_reason").is_not_null())
        .then(pl.concat_str(pl.lit(": "), "mode_reason"))
        .otherwise(pl.lit(""))
    )

    def left(words: str) -> pl.Expr:
        return pl.concat_str(would, pl.lit(words), because)

    return {
        "flapping": pl.concat_str(
            would,
            pl.lit("frozen, because its direction turned "),
            grouped(pl.col("reversals")),
            pl.lit(f" times lately and {rules.max_reversals} are allowed"),
        ),
        "only_up": left("it may only be raised"),
        "only_down": left("it may only be lowered"),
        "observed": left("it is only observed"),
        "recommended": left("that is left to people"),
        "frozen": left("it is frozen"),
        "backtest_needed": pl.concat_str(would, "unproven"),
        "canary_first": left("other tenants go first and have not proven it yet"),
    }
