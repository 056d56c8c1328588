"""What a report says, and what it never does: a page without a browser."""

from __future__ import annotations

import json
import re
import stat
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli import app
from policy.errors import ConfigError
from policy.settings import parse_settings
from storage.database import Database
from tasks.report import gathered, make_report, report_file
from tasks.report_page import report_page
from tests.deployments.reported import (
    ACME,
    DEMAND,
    HOSTILE,
    HOUR,
    HOURS,
    NOW,
    QUIET,
    TREE,
    TURNED,
    data_of,
    fill,
)

SECTIONS = ("glance", "tenants", "usage", "blasts", "cost", "recommendations")
VENDOR = Path(__file__).parents[2] / "tasks" / "templates" / "vendor"


class Read(HTMLParser):
    """The text of a page by section, its tags, and the rows of the table of tenants."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.section = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.tags.append((tag, told))
        if tag == "section":
            self.section = str(told["id"])
        if tag == "tr" and "data-severity" in told:
            self.rows.append([])
        if tag == "td" and self.section == "tenants":
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.text[self.section] = self.text.get(self.section, "") + " ".join(data.split()) + " "
        if self.section == "tenants" and self.rows and self.lasttag != "section":
            self.rows[-1][-1] = (self.rows[-1][-1] + data).strip() if self.rows[-1] else data


@pytest.fixture
def database() -> Iterator[Database]:
    with Database.open(":memory:", clock=lambda: NOW) as opened:
        yield opened


def page_of(database: Database, *, days: int = 7) -> str:
    settings = parse_settings(TREE)
    return report_page(gathered(settings, where=database, days=days, now=NOW))


@pytest.fixture
def html(database: Database) -> str:
    fill(database)
    return page_of(database)


def test_a_history_without_anything_is_said_to_have_nothing_in_each_section(
    database: Database,
) -> None:
    read = Read(page_of(database))

    said = {
        "glance": "No demand was measured in this window yet.",
        "tenants": "No tenant was seen yet",
        "usage": "Nothing was judged yet",
        "blasts": "No breaker turned in this window.",
        "cost": "Nothing is priced in this window",
        "recommendations": "Nothing was judged yet.",
    }
    assert [name for name in SECTIONS if said[name] not in read.text[name]] == []
    assert "grade of the limits unknown" in " ".join(read.text["glance"].split())


def test_tenants_come_by_risk_with_team_tier_changes_openings_and_cost(html: str) -> None:
    rows = {row[0]: row[1:] for row in Read(html).rows}

    assert list(rows) == [HOSTILE, ACME, QUIET]
    team, _, state, severity, why, limit, used, hit, changes, openings, cost = rows[HOSTILE]
    assert (state, severity, why) == ("seen", "critical", "refused today")
    assert (limit, used, hit) == ("ingestion_rate", "50 %", "40 %")
    assert (changes, openings) == ("0", "1")
    assert cost == f"{24 * 0.5 * DEMAND[HOSTILE] * 3600 / 1e6:,.2f} EUR"
    assert team == TURNED.replace("\u202e", "\\u202e")
    assert rows[ACME][1] == "standard"
    assert rows[ACME][8] == "1"


def test_what_is_not_known_is_called_unknown_and_is_no_zero(html: str) -> None:
    (quiet,) = [row for row in Read(html).rows if row[0] == QUIET]

    assert quiet[4] == "unknown"
    assert quiet[7:9] == ["unknown", "unknown"]
    assert quiet[-1] == "unknown"


def test_usage_is_drawn_by_the_hour_where_it_was_measured(html: str) -> None:
    data = data_of(html)

    assert (data["step"], data["until"]) == (3600, int(NOW.timestamp()))
    hostile, acme = data["charts"]
    assert [value for value in acme["usage"] if value is not None] == [DEMAND[ACME]] * HOURS
    assert len(acme["usage"]) == 7 * 24
    known = [place for place, value in enumerate(hostile["usage"]) if value is not None]
    assert known == list(range(7 * 24 - HOURS, 7 * 24))
    assert data["asked"][-1] == sum(DEMAND.values())
    assert data["asked"][0] is None


def test_a_limit_is_drawn_from_when_it_is_known_and_decisions_are_marked(html: str) -> None:
    _, acme = data_of(html)["charts"]

    def moment(hours_ago: int) -> int:
        return int((NOW - hours_ago * HOUR).timestamp())

    assert acme["decided"] == [[moment(2), 13_000.0, "raise"]]
    assert acme["limit"] == [
        [moment(2), 10_000.0],
        [moment(1), 13_000.0],
        [moment(0), 13_000.0],
    ]


def test_an_opening_is_a_span_of_its_length(html: str) -> None:
    hostile, _ = data_of(html)["charts"]

    start = int((NOW - 5 * HOUR).timestamp())
    assert hostile["held"] == [[start, start + 3600, "open"]]
    (rect,) = [told for tag, told in Read(html).tags if tag == "rect" and told.get("class")]
    assert rect["class"] == "open"
    assert float(str(rect["width"])) == pytest.approx(1000 / (7 * 24), abs=0.1)
    assert float(str(rect["x"])) == pytest.approx(1000 * (1 - 5 / (7 * 24)), abs=0.1)


def test_days_of_cost_are_stacked_by_team(html: str) -> None:
    cost = data_of(html)["cost"]

    a_day = 24 * 0.5 * 3600 / 1e6
    assert cost["currency"] == "EUR"
    assert len(cost["days"]) == 2
    assert sum(map(sum, cost["amounts"])) == pytest.approx(a_day * sum(DEMAND.values()), rel=1e-3)


def test_a_budget_has_its_forecast_and_the_day_on_which_it_is_over(html: str) -> None:
    told = " ".join(Read(html).text["cost"].split())

    assert "9.00 EUR 8.10 90 % 10.25 9.50 to 11.75 97 % 2026-11-25" in told


def test_limits_that_would_be_set_otherwise_and_what_could_be_saved_are_listed(html: str) -> None:
    told = " ".join(Read(html).text["recommendations"].split())

    assert f"{HOSTILE} ingestion_rate 10,000 13,000 10,000 40 % critical" in told
    assert "12.50 unknown" in told
    assert "mlo pin" in told


def test_names_are_text_whatever_they_are(html: str) -> None:
    read = Read(html)

    assert [tag for tag, _ in read.tags if tag == "img"] == []
    assert [tag for tag, _ in read.tags].count("script") == 2
    assert "\u202e" not in html
    for section in ("tenants", "usage", "blasts", "recommendations"):
        assert HOSTILE in read.text[section]


def test_the_block_of_data_holds_no_character_of_html(html: str) -> None:
    (block,) = re.findall(r'id="data">(.*?)</script>', html)

    assert not set("<>&") & set(block)
    assert json.loads(block)["cost"]["teams"]


def test_the_page_lets_a_browser_run_what_is_in_it_and_nothing_else(html: str) -> None:
    tags = Read(html).tags
    (policy,) = [
        str(told["content"])
        for tag, told in tags
        if tag == "meta" and told.get("http-equiv") == "Content-Security-Policy"
    ]

    for tag, kind in (("script", "script-src"), ("style", "style-src")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
        digest = b64encode(sha256(inside.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not any("style" in told or "onclick" in told for _, told in tags)


def test_nothing_of_the_page_is_elsewhere(html: str) -> None:
    links = [
        told[name] for _, told in Read(html).tags for name in ("src", "href") if told.get(name)
    ]

    assert links
    assert all(str(link).startswith("#") for link in links)


def test_the_charts_come_with_their_licence() -> None:
    assert "MIT License" in (VENDOR / "uplot.LICENSE").read_text(encoding="utf-8")
    assert "uPlot" in (VENDOR / "uplot.js").read_text(encoding="utf-8")[:100]


def test_a_long_window_has_no_more_points_than_a_fortnight(database: Database) -> None:
    fill(database)

    data = data_of(page_of(database, days=400))

    assert len(data["asked"]) <= 14 * 24 + 1
    assert sum(value is not None for value in data["charts"][0]["usage"]) >= 2


def test_the_command_writes_the_file_beside_the_history_for_us_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    Path("config.yaml").write_text(json.dumps(TREE), encoding="utf-8")
    with Database.open("data/history.duckdb", clock=lambda: NOW) as database:
        fill(database)

    beside = CliRunner().invoke(app, ["report"])
    other = CliRunner().invoke(app, ["report", "--output", "other.html", "--days", "30"])

    assert (beside.exit_code, other.exit_code) == (0, 0), beside.output + other.output
    assert beside.stderr == f"3 tenants in {tmp_path}/data/report.html\n"
    assert HOSTILE in Read(Path("data/report.html").read_text(encoding="utf-8")).text["tenants"]
    assert stat.S_IMODE(Path("data/report.html").stat().st_mode) == 0o600
    assert Path("other.html").is_file()


def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.mkdir()

    with pytest.raises(ConfigError, match=r"report\.html cannot be written"):
        make_report(parse_settings(TREE), where=database, days=1, path=path, clock=lambda: NOW)

    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("days", [0, 401])
def test_days_that_are_not_kept_are_refused(database: Database, tmp_path: Path, days: int) -> None:
    with pytest.raises(ConfigError, match="1 to 400"):
        make_report(
            parse_settings(TREE),
            where=database,
            days=days,
            path=tmp_path / "report.html",
            clock=lambda: NOW,
        )


def test_a_history_that_another_machine_serves_has_no_place_beside_it() -> None:
    with pytest.raises(ConfigError, match="--output"):
        report_file("quack:elsewhere:9494")


def test_a_report_of_one_day_begins_a_day_ago(database: Database) -> None:
    fill(database)

    data = data_of(page_of(database, days=1))

    assert data["from"] == int((NOW - timedelta(days=1)).timestamp())
    assert (data["step"], len(data["asked"])) == (300, 288)
    known = [value for value in data["charts"][1]["usage"] if value is not None]
    assert known == [DEMAND[ACME]] * 24
