"""What runs are called in the UI."""

from __future__ import annotations

from typing import Any

import pytest

from flows.run_names import run_name
from policy.figures import TIMES


@pytest.mark.parametrize(
    ("flow", "summary", "name"),
    [
        (
            "optimize",
            {"decisions": {"hold": 16, "raise": 3, "lower": 1}, "publish": "nothing"},
            "optimize · 3 raised, 1 lowered, 16 held",
        ),
        (
            "optimize",
            {"decisions": {"withheld": 1_200}, "publish": "refused"},
            "optimize · 1,200 withheld, not published",
        ),
        ("protect", {"blasting": [], "emergency": "none", "publish": "nothing"}, None),
        (
            "protect",
            {"blasting": ["acme"], "emergency": "panic", "publish": "written"},
            "protect · acme blasts, panic, published",
        ),
        ("protect", {"blasting": ["a", "b", "c", "d"]}, "protect · a, b and 2 more blast"),
        ("cost", {"hours_priced": 1, "over_budget": 2}, "cost · 1 hour priced, 2 budgets used up"),
        ("deliver", {"alerts": 0, "escalated": 0, "waiting": 0}, None),
        ("deliver", {"alerts": 3, "waiting": 1}, "deliver · 3 alerts, 1 waits"),
        (
            "maintain",
            {"deleted": {"samples": 1_000, "runs": 1}, "leaks": ["acme"]},
            "maintain · 1,001 rows forgotten, acme creeps up",
        ),
        ("backtest", {"backtest": 7, "passed": False}, "backtest · not passed"),
        ("report", {"days": 14, "tenants": 2_000}, "report · 2,000 tenants"),
        ("rollback", {"rollback": 7, "tenant": None}, "rollback · revision 7 of everyone"),
        ("backfill", {"days": 90, "rows": 2_000}, "backfill · 90 days, 2,000 rows"),
        ("drill", {"drill": "acme", "factor": 10.0}, f"drill · acme 10 {TIMES}"),
        ("something else", {"a": 1}, None),
    ],
)
def test_a_run_is_called_by_what_happened_in_it(
    flow: str, summary: dict[str, Any], name: str | None
) -> None:
    assert run_name(flow, summary) == name
