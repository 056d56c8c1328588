"""What a flow run is called in the UI: what happened in it, from its summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from policy.figures import TIMES

Summary = Mapping[str, Any]

MOST_NAMED: Final = 2
_OUTCOMES: Final = {
    "raise": "raised",
    "lower": "lowered",
    "hold": "held",
    "withheld": "withheld",
}


def run_name(flow: str, summary: Summary) -> str | None:
    """`optimize · 3 raised, 1 lowered, 16 held`; None: nothing happened that is worth a name."""
    words = _WORDS.get(flow)
    said = ", ".join(words(summary)) if words is not None else ""
    return f"{flow} · {said}" if said else None


def _protect(summary: Summary) -> Iterator[str]:
    blasting = summary.get("blasting") or []
    if blasting:
        yield f"{_named(blasting)} {'blasts' if len(blasting) == 1 else 'blast'}"
    level = summary.get("emergency")
    if level not in {None, "none"}:
        yield str(level)
    if summary.get("reverted"):
        yield _counted(summary["reverted"], "limit raised again", "limits raised again")
    yield from _published(summary)


def _optimize(summary: Summary) -> Iterator[str]:
    decisions = summary.get("decisions") or {}
    for outcome, word in _OUTCOMES.items():
        if decisions.get(outcome):
            yield f"{decisions[outcome]:,} {word}"
    yield from _published(summary)


def _published(summary: Summary) -> Iterator[str]:
    if summary.get("publish") == "written":
        yield "published"
    if summary.get("publish") == "refused":
        yield "not published"


def _cost(summary: Summary) -> Iterator[str]:
    if summary.get("hours_priced"):
        yield _counted(summary["hours_priced"], "hour priced", "hours priced")
    if summary.get("over_budget"):
        yield _counted(summary["over_budget"], "budget used up", "budgets used up")
    if summary.get("cost_alerts"):
        yield _counted(summary["cost_alerts"], "alert", "alerts")
    if summary.get("budget_caps"):
        yield _counted(summary["budget_caps"], "limit capped", "limits capped")


def _deliver(summary: Summary) -> Iterator[str]:
    if summary.get("alerts"):
        yield _counted(summary["alerts"], "alert", "alerts")
    if summary.get("escalated"):
        yield _counted(summary["escalated"], "went further", "went further")
    if summary.get("waiting"):
        yield _counted(summary["waiting"], "waits", "wait")


def _maintain(summary: Summary) -> Iterator[str]:
    forgotten = sum((summary.get("deleted") or {}).values())
    yield f"{_counted(forgotten, 'row', 'rows')} forgotten"
    if summary.get("leaks"):
        yield f"{_named(summary['leaks'])} creep{'s' if len(summary['leaks']) == 1 else ''} up"


def _backtest(summary: Summary) -> Iterator[str]:
    if "passed" in summary:
        yield "passed" if summary["passed"] else "not passed"


def _report(summary: Summary) -> Iterator[str]:
    if "tenants" in summary:
        yield _counted(summary["tenants"], "tenant", "tenants")


def _rollback(summary: Summary) -> Iterator[str]:
    yield f"revision {summary['rollback']} of {summary.get('tenant') or 'everyone'}"


def _backfill(summary: Summary) -> Iterator[str]:
    if "days" in summary:
        yield _counted(summary["days"], "day", "days")
        yield _counted(summary["rows"], "row", "rows")


def _drill(summary: Summary) -> Iterator[str]:
    yield f"{summary['drill']} {summary['factor']:g} {TIMES}"


_WORDS: Final[Mapping[str, Callable[[Summary], Iterator[str]]]] = {
    "protect": _protect,
    "optimize": _optimize,
    "cost": _cost,
    "deliver": _deliver,
    "maintain": _maintain,
    "backtest": _backtest,
    "report": _report,
    "rollback": _rollback,
    "backfill": _backfill,
    "drill": _drill,
}


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _named(tenants: list[str]) -> str:
    """The first few by name, and how many more there are."""
    rest = len(tenants) - MOST_NAMED
    named = ", ".join(tenants[:MOST_NAMED])
    return f"{named} and {rest:,} more" if rest > 0 else named
