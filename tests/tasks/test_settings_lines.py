"""A fault in the settings is shown the line and the column that it was written in."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy.settings import SettingsError
from tasks.settings import load_settings
from tasks.settings_lines import place

PRICES = """\
mode: dry-run
cost_control:
  globalBudget: {currency: EUR}
  prices:
    - from: 2026-01-01
      perQuery: 0.1
    - validFrom: 2026-02-01
      perQuery: 0.2
"""


def refusal(folder: Path, text: str) -> list[str]:
    """Every fault, without the name of the file."""
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load_settings(path, environ={})
    return str(refused.value).replace(f"{path}, ", "").splitlines()


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        pytest.param(
            "perQuery: 0.2",
            "perQuery: -0.2",
            "costControl.prices[1].perQuery: must be at least 0 (in line 8, column 17)",
            id="a negative price",
        ),
        pytest.param(
            "perQuery: 0.1",
            "perQuery: cheap",
            "costControl.prices[0].perQuery: must be a number (in line 6, column 17)",
            id="a price that is no number",
        ),
        pytest.param(
            "- from: 2026-01-01\n      perQuery",
            "- perQuery",
            "costControl.prices[0].from: is missing (in line 5, column 7)",
            id="a list without a day",
        ),
        pytest.param(
            "2026-02-01",
            "2026-01-01",
            "costControl.prices[1].from: 2026-01-01 begins another list already; keep one "
            "(in line 7, column 18)",
            id="two lists of one day",
        ),
        pytest.param(
            "2026-02-01",
            "2025-12-01",
            "costControl.prices[1].from: 2025-12-01 is before 2026-01-01 of the list above it; "
            "write the older list first (in line 7, column 18)",
            id="lists out of order",
        ),
        pytest.param(
            "perQuery: 0.2",
            "currency: USD",
            "costControl.prices[1].currency: is USD, and globalBudget.currency, which holds for "
            "all prices and budgets, is EUR (in line 8, column 17)",
            id="a list in another currency",
        ),
        pytest.param(
            "  prices:",
            "  teamBudgets: {a: {monthly: 1, currency: CHF}}\n  prices:",
            "costControl.teamBudgets.a.currency: is CHF, and globalBudget.currency, which holds "
            "for all prices and budgets, is EUR (in line 4, column 43)",
            id="a budget in another currency",
        ),
        pytest.param(
            "{currency: EUR}",
            "{currency: EUR, monthly: 0}",
            "costControl.globalBudget.monthly: must be above 0: nothing can be spent of it; "
            "leave it out for no budget (in line 3, column 42)",
            id="a budget of nothing",
        ),
        pytest.param(
            "perQuery: 0.2",
            "calibrate: true",
            "costControl.prices[1].calibrate: needs a monthlyBill above 0 in the same list "
            "(in line 8, column 18)",
            id="a calibration without a bill",
        ),
        pytest.param(
            "mode: dry-run",
            "mode: live",
            "mode: must be 'dry-run' or 'prod' (in line 1, column 7)",
            id="anything else",
        ),
    ],
)
def test_a_fault_names_its_line(tmp_path: Path, written: str, instead: str, said: str) -> None:
    assert written in PRICES

    assert refusal(tmp_path, PRICES.replace(written, instead, 1)) == [said]


def test_names_with_dots_are_found_in_a_map() -> None:
    text = (
        "tenantTierMapping:\n  a.b: gold\ncostControl:\n  tenantBudgets:\n    a.b-*: {daily: x}\n"
    )

    assert place(text, "tenantTierMapping.a.b") == "line 2, column 8"
    assert place(text, "costControl.tenantBudgets.a.b-*.daily") == "line 5, column 20"


@pytest.mark.parametrize("text", ["", "[", "- 1\n"])
def test_what_is_written_nowhere_has_no_place(text: str) -> None:
    assert not place(text, "mode")
