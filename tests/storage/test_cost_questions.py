"""The questions of docs/cost-questions.md, asked of a history whose answers are reckoned by hand.

September and October of three tenants, every hour: acme takes two million samples, beta and lonely
one; acme and beta are of the team blue. A million costs 1, and 2 from October 16th on. In October
acme has series besides, for half a unit an hour, which are not booked. beta came on October 2nd,
and half of lonely's October 5th was not measured. The bill is 6 an hour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from policy.cost.bills import BILLS
from policy.cost.pricing import COSTS
from policy.cost.teams import TEAMS
from policy.frames import UTC_TIME
from storage.budgets import STANDING, replace_budgets
from storage.client import check_statements
from storage.costs import replace_costs, replace_teams
from storage.database import Database

PAGE = (Path(__file__).parents[2] / "docs" / "cost-questions.md").read_text(encoding="utf-8")
QUESTIONS = dict(
    re.findall(r"^## (.+?)\n.*?```sql\n(.*?)```", PAGE, flags=re.MULTILINE | re.DOTALL)
)
START, END = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
OCTOBER, BETA_CAME = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC)
DEARER, HALF_SEEN = datetime(2026, 10, 16, tzinfo=UTC), date(2026, 10, 5)
MONEY = pl.Decimal(18, 9)


@pytest.fixture(scope="module")
def history() -> Iterator[Database]:
    with Database.open(":memory:", clock=lambda: END) as database:
        hours = pl.DataFrame(
            {"at": pl.datetime_range(START, END, "1h", closed="left", eager=True).cast(UTC_TIME)}
        )
        replace_costs(
            database,
            charges(hours),
            bills=hours.with_columns(
                currency=pl.lit("EUR"), amount=pl.lit(Decimal(6), dtype=MONEY)
            ).cast(BILLS),
            start=START,
            end=END,
            run_id="r",
        )
        teams = [("acme", "blue"), ("beta", "blue")]
        replace_teams(database, pl.DataFrame(teams, schema=TEAMS, orient="row"))
        replace_budgets(database, budgets(), at=END)
        yield database


def charges(hours: pl.DataFrame) -> pl.DataFrame:
    at, acme = pl.col("at"), pl.col("tenant") == "acme"
    half = (pl.col("tenant") == "lonely") & (at.dt.date() == HALF_SEEN)
    price = pl.when(at >= DEARER).then(2.0).otherwise(1.0)
    millions = pl.when(acme).then(2.0).when(half).then(0.5).otherwise(1.0)
    series = pl.when(acme & (at >= OCTOBER)).then(pl.lit(Decimal("0.5"), dtype=MONEY))
    missing = [
        pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in COSTS.items()
        if name not in {"at", "tenant"}
    ]
    return (
        hours.join(pl.DataFrame({"tenant": ["acme", "beta", "lonely"]}), how="cross")
        .filter((pl.col("tenant") != "beta") | (at >= BETA_CAME))
        .with_columns(missing)
        .with_columns(
            currency=pl.lit("EUR"),
            method=pl.lit("samples"),
            samples=millions * 1e6,
            amount=(millions * price).cast(MONEY),
            samples_amount=(millions * price).cast(MONEY),
            series_amount=series,
            covered_seconds=pl.when(half).then(1800.0).otherwise(3600.0),
        )
        .select(COSTS.names())
        .cast(COSTS)
    )


def budgets() -> pl.DataFrame:
    """Three quarters of blue's are used in half of the time, and a quarter of acme's."""
    whole = {"unit": "month", "starts": START, "ends": END, "currency": "EUR", "enforced": False}
    return pl.DataFrame(
        [
            {
                **whole,
                "scope": scope,
                "name": name,
                "budget": Decimal(budget),
                "spent": Decimal(spent),
                "left": Decimal(budget) - Decimal(spent),
                "used": spent / budget,
                "passed": 0.5,
                "hours": 360,
            }
            for scope, name, budget, spent in (
                ("team", "blue", 400, 300),
                ("tenant", "acme", 80, 20),
            )
        ],
        schema=STANDING,
    )


# Of October, acme: 2 an hour for 360 hours and 4 for 384, 2256. lonely: 1 and 2, without the 12 of
# the hours that were not seen, 1116. beta: the same without its first 24, 1104. Together 4476.
ANSWERS: dict[str, list[tuple[object, ...]]] = {
    "What did each team cost last month?": [
        ("blue", "EUR", 2, 3360.0),
        ("unattributed", "EUR", 1, 1116.0),
    ],
    "Who are the dearest tenants, and how much of all is that?": [
        ("acme", "blue", "EUR", 2256.0, 50.4),
        ("lonely", "unattributed", "EUR", 1116.0, 24.9),
        ("beta", "blue", "EUR", 1104.0, 24.7),
    ],
    # A day of September: 48 and 24. lonely: 1116 in 732 hours, 36.59 a day; acme: 2256 / 31.
    "Whose cost grew from month to month?": [
        ("lonely", 24.0, 36.59, 52.5),
        ("acme", 48.0, 72.77, 51.6),
        ("beta", None, 36.8, None),
    ],
    "What do samples, series, queries and storage cost?": [("EUR", 4476.0, 372.0, None, None)],
    "Which budgets are used faster than time passes?": [
        ("team", "blue", "month", 75.0, 50.0, 100.0)
    ],
    "How many hours was nobody looking?": [("beta", 24.0, 24), ("lonely", 12.0, 0)],
    # Four million an hour for 384 hours cost 2 instead of 1 each: 1536 more.
    "What did a new price change?": [(1.0, 2.0, 1536.0)],
    "Which tenants belong to no team?": [("lonely", "EUR", 1116.0, date(2026, 10, 1))],
    # 8 an hour; 192 times 30.4375.
    "What is the run rate?": [("EUR", 7, 192.0, 5844.0)],
}
# Charged are 3 an hour on the 1st, 4 from the 2nd on, 3.5 on the 5th, and 8 from the 16th on.
IDLE = {date(2026, 10, day): (72.0, 50.0) for day in (1,)}
IDLE |= {date(2026, 10, day): (48.0, 33.3) for day in range(2, 16)}
IDLE |= {date(2026, 10, day): (-48.0, -33.3) for day in range(16, 32)}
IDLE[HALF_SEEN] = (60.0, 41.7)
ANSWERS["Which part of the bill idles, day by day?"] = [
    (day, "EUR", 144.0, idle, percent) for day, (idle, percent) in sorted(IDLE.items())
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_by_what_can_be_reckoned_by_hand(
    history: Database, question: str
) -> None:
    check_statements(QUESTIONS[question])

    answer = history.cursor().execute(QUESTIONS[question]).fetchall()

    assert [tuple(map(plain, row)) for row in answer] == ANSWERS[question]


def plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value


def test_ten_questions_are_asked_and_no_answer_is_left_over() -> None:
    assert len(QUESTIONS) == 10
    assert set(ANSWERS) == set(QUESTIONS)


def test_the_history_is_two_months_of_whole_days(history: Database) -> None:
    """
    Else the sums above are of something else.
    """
    (rows,) = history.cursor().execute("select count(*) from costs").fetchone() or (0,)

    assert rows == 61 * 24 * 2 + 30 * 24
    assert timedelta(days=61) == END - START
