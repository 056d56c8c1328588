"""`mlo cost` for other programs, and for those who are charged."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from policy.cost.bills import BILLS
from policy.cost.pricing import priced
from policy.cost.teams import TEAMS
from policy.cost.terms import terms_of
from policy.cost.usage import USAGE
from policy.settings import parse_settings
from storage.costs import replace_costs, replace_teams
from storage.database import Database
from storage.tenants import seen

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 30, 22, tzinfo=UTC)  # midnight in Berlin
WINDOW = "2026-03-31..2026-04-02"  # two days, of two months
HOSTILE, TURNED = "<script>alert(1)</script>", 'blue\u202e"><img src=x>'
SIZES = {HOSTILE: 4, "acme": 2, "beta": 1}  # millions of samples an hour
TREE = {
    "costMethod": "samples",
    "timeZone": "Europe/Berlin",
    "globalBudget": {"currency": "EUR"},
    "serviceProvider": "Platform team",
    "prices": [{"from": "2026-01-01", "perMillionSamples": "0.5"}],
}


@pytest.fixture(autouse=True)
def _history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two days of 2, 1 and 0.5 an hour, whose bill is 4; the last hour is missing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    Path("config.yaml").write_text(json.dumps({"costControl": TREE}), encoding="utf-8")
    hours = [START + n * HOUR for n in range(47)]
    usage = [
        (at, tenant, 3600.0, size * 1e6 / 3600, *[None] * 5)
        for at in hours
        for tenant, size in SIZES.items()
    ]
    terms = terms_of(parse_settings({"costControl": TREE}).cost_control)
    teams = [(HOSTILE, TURNED), ("acme", TURNED)]
    with Database.open("data/history.duckdb", clock=lambda: START) as database:
        seen(database, list(SIZES), at=START)
        replace_costs(
            database,
            priced(pl.DataFrame(usage, schema=USAGE, orient="row"), terms=terms),
            bills=pl.DataFrame(
                [(at, "EUR", Decimal(4)) for at in hours], schema=BILLS, orient="row"
            ),
            start=START,
            end=START + 47 * HOUR,
            run_id="r",
        )
        replace_teams(database, pl.DataFrame(teams, schema=TEAMS, orient="row"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["cost", "--window", WINDOW, *arguments])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("columns", ["own", "focus"])
def test_what_is_printed_is_what_a_file_would_have(kind: str, columns: str) -> None:
    printed = run("-o", kind, "--columns", columns)
    run("--export", f"costs.{kind}", "--columns", columns)

    assert printed.exit_code == 0
    assert printed.stdout_bytes == Path(f"costs.{kind}").read_bytes()


def test_a_time_has_the_offset_of_its_zone() -> None:
    read = pl.read_csv(BytesIO(run("--by", "team", "-o", "csv").stdout_bytes))

    assert read["starts"].to_list() == ["2026-03-31T00:00:00+02:00"] * 3


def test_parquet_is_not_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.cost_files.sys", _Terminal)

    result = run("-o", "parquet")

    assert result.exit_code == 1
    assert not result.stdout_bytes
    assert "--export costs.parquet" in result.stderr


class _Terminal:
    class stdout:  # noqa: N801 - it stands for sys.stdout
        """Says that it is a terminal."""

        @staticmethod
        def isatty() -> bool:
            return True


def test_what_is_billed_in_the_columns_of_focus_is_what_all_of_it_cost() -> None:
    rows = pl.read_parquet(BytesIO(run("--columns", "focus", "-o", "parquet").stdout_bytes))

    assert rows["BilledCost"].sum() == 4 * 47
    assert rows.group_by("ChargeCategory").agg(pl.col("BilledCost").sum()).sort(
        "ChargeCategory"
    ).rows() == [("Adjustment", Decimal("23.5")), ("Usage", Decimal("164.5"))]
    assert set(rows["ServiceProviderName"]) == {"Platform team"}
    assert set(rows["BillingAccountId"]) == {"mimir"}


def test_csv_of_focus_has_times_in_utc_and_numbers_without_exponents() -> None:
    text = run("--columns", "focus", "-o", "csv").stdout

    head, first, *_ = text.splitlines()
    cells = dict(zip(head.split(","), first.split(","), strict=False))
    assert cells["BilledCost"] == "48.000000000"  # 24 hours of the first tenant by name
    assert cells["BillingPeriodStart"] == "2026-02-28T23:00:00Z"
    assert re.search(r"\d[eE][+-]?\d", text) is None


def test_the_columns_of_focus_of_one_tenant_leave_out_what_idles() -> None:
    rows = pl.read_parquet(
        BytesIO(run("--columns", "focus", "--tenant", "beta", "-o", "parquet").stdout_bytes)
    )

    assert rows["SubAccountId"].to_list() == ["beta", "beta"]
    assert rows["BilledCost"].to_list() == [12, Decimal("11.5")]
    assert rows["x_HoursPriced"].to_list() == [24, 23]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--columns", "focus"), "-o csv"),
        (("--columns", "focus", "-o", "csv", "--by", "team"), "cannot be had with --by team"),
        (("--columns", "focus", "-o", "csv", "--share-idle", "even"), "with --share-idle"),
        (("--export", "c.html", "--each", "day"), "a chargeback cannot be had with --each"),
        (("--export", "c.html", "--of", "samples"), "with --of"),
        (("--export", "c.html", "--tenant", "beta"), "with --tenant"),
        (("--export", "c.html", "--columns", "focus"), "with --columns"),
        (("--export", "c.pdf"), "let it be .csv, .parquet, .html"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not list(Path().glob("c.*"))


class Read(HTMLParser):
    """The elements of a page, their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.lasttag != "style" and data.strip():
            self.words.append(data.strip())


def page(*arguments: str) -> Read:
    result = run("--by", "team", "--export", "charged.html", *arguments)
    assert result.exit_code == 0, result.output
    return Read(Path("charged.html").read_text(encoding="utf-8"))


def test_a_page_says_what_each_team_and_its_tenants_are_charged() -> None:
    words = page().words

    told = " ".join(words)
    assert "2026-03-31 00:00 to 2026-04-02 00:00, Europe/Berlin" in told
    assert "together 188.00" in told
    assert "141.00 EUR" in told  # 94 and 47, of the one team
    assert "unattributed 1 23.50" in told
    assert "(idle) 23.50 12.5 %" in told
    assert "per million samples" in told
    assert "Hours of the window that are not priced: 1." in told


def test_a_page_shares_out_what_idles() -> None:
    told = " ".join(page("--share-idle", "weighted").words)

    assert "(idle)" not in told
    assert "unattributed 1 26.86 3.36" in told  # a seventh of 188, of which a seventh of 23.5
    assert "together 188.00" in told


def test_names_are_text_and_what_cannot_be_seen_of_them_is_spelled_out() -> None:
    read = page()

    assert HOSTILE in read.words
    assert 'blue\\u202e"><img src=x>' in read.words
    assert "\u202e" not in Path("charged.html").read_text(encoding="utf-8")
    assert {"script", "img"}.isdisjoint(tag for tag, _ in read.elements)


def test_a_page_needs_nothing_but_itself() -> None:
    read = page()

    addresses = [
        value
        for _, attributes in read.elements
        for name, value in attributes.items()
        if name in {"src", "href"}
    ]
    assert addresses
    assert all(value is not None and value.startswith("#") for value in addresses)
    assert {"script", "link", "iframe"}.isdisjoint(tag for tag, _ in read.elements)
    text = Path("charged.html").read_text(encoding="utf-8")
    assert "url(" not in text
    assert "@import" not in text


def test_a_page_of_a_window_without_costs_says_so() -> None:
    result = CliRunner().invoke(
        app, ["cost", "--window", "2025-01-01..2025-01-02", "--export", "none.html"]
    )

    assert result.exit_code == 0
    told = " ".join(Read(Path("none.html").read_text(encoding="utf-8")).words)
    assert "Nothing is priced in this window." in told
    assert "Hours of the window that are not priced: 24." in told
