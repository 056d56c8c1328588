"""The commands that read the history, on a history that was filled as the flows fill it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from deployments.cli import app
from deployments.commands.explain import show_explanation
from policy.document import render
from policy.explain import Explanation, Step, Story, Voice
from policy.frames import COMPOSED, DECISIONS, LAYERS, LIMITS, SAMPLES, empty
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE, SERIES
from storage.database import Database
from storage.decisions import record_decisions
from storage.layers import replace_layer
from storage.limits import observe_limits
from storage.revisions import Intent, begin_revision
from storage.samples import append_samples
from storage.tenants import seen

NOW = datetime.now(UTC)  # the commands look at the clock
STEPS = json.dumps([{"name": "peak", "before": None, "after": 10_310.0, "because": "the most"}])

DECIDED = [
    ("acme", INGESTION_RATE, "raise", 10_000.0, 13_000.0, "peak 10,310/s"),
    ("acme", SERIES, "hold", 150_000.0, 150_000.0, "near enough"),
    ("beta", INGESTION_RATE, "lower", 10_000.0, 2_000.0, "peak 1,600/s"),
    ("beta", SERIES, "withheld", 150_000.0, None, "measured for 2 h only"),
    ("acme", INGESTION_BURST_SIZE, "raise", None, 130_000.0, "10 times the rate"),
]
OWN = [
    ("", INGESTION_RATE, 10_000.0),
    ("", INGESTION_BURST_SIZE, 200_000.0),
    ("", SERIES, 150_000.0),
    ("beta", SERIES, 0.0),
]
ASKED = [
    ("acme", INGESTION_RATE, 9_500.0, NOW),
    ("acme", SERIES, 30_000.0, NOW),
    ("beta", INGESTION_RATE, 1_000.0, NOW),
    ("beta", SERIES, 30_000.0, NOW),
    ("late", INGESTION_RATE, 9_999.0, NOW - timedelta(minutes=20)),
]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with nothing of ours in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    monkeypatch.delenv("MODE", raising=False)
    (tmp_path / "data").mkdir()
    return tmp_path


def word(tenant: str, limit: str, value: float, **told: object) -> dict[str, object]:
    return {
        "tenant": tenant,
        "limit": limit,
        "layer": "optimized",
        "kind": "set",
        "value": value,
        "reason": "peak and buffer",
        "evidence": "[]",
        "written_at": NOW,
        "expires_at": None,
    } | told


@pytest.fixture
def history(work: Path) -> Path:
    """Two decided tenants and one that went silent."""
    path = work / "data" / "history.duckdb"
    decisions = pl.DataFrame(
        [(NOW, *row[:3], "code", row[5], *row[3:5], STEPS) for row in DECIDED],
        schema=DECISIONS.names(),
        orient="row",
    ).select(DECISIONS.names())
    samples = [(at, tenant, signal, value, 1.0) for tenant, signal, value, at in ASKED]
    words = [word("acme", INGESTION_RATE, 13_000.0), word("beta", INGESTION_RATE, 2_000.0)]
    with Database.open(str(path), clock=lambda: NOW) as database:
        seen(database, ["acme", "beta", "late"], at=NOW)
        record_decisions(database, decisions.cast(DECISIONS), run_id="1", flow="optimize")
        observe_limits(database, pl.DataFrame(OWN, schema=LIMITS, orient="row"), at=NOW)
        append_samples(database, pl.DataFrame(samples, schema=SAMPLES, orient="row"))
        replace_layer(database, "optimized", pl.DataFrame(words, schema=LAYERS), run_id="1")
    return path


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


def rows(result: Result) -> list[dict[str, object]]:
    assert result.exit_code in {0, 3}, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, list)
    return found


@pytest.mark.usefixtures("history")
def test_recommend_puts_the_largest_change_first_and_the_withheld_last() -> None:
    """What was unknown and is something now counts as the largest change."""
    found = rows(run("recommend", "-o", "json"))

    assert [(row["tenant"], row["outcome"]) for row in found] == [
        ("acme", "raise"),
        ("beta", "lower"),
        ("acme", "raise"),
        ("acme", "hold"),
        ("beta", "withheld"),
    ]
    assert [row["change_percent"] for row in found] == [None, -80.0, 30.0, None, None]
    assert found[0]["steps"] == json.loads(STEPS)


@pytest.mark.usefixtures("history")
def test_recommend_as_a_table_says_now_recommended_and_why() -> None:
    result = run("recommend", "beta")

    assert [line.split() for line in result.stdout.splitlines()] == [
        ["tenant", "limit", "now", "recommended", "change", "why"],
        ["beta", INGESTION_RATE, "10,000", "2,000", "-80", "%", "peak", "1,600/s"],
        ["beta", SERIES, "150,000", "-", "withheld", "measured", "for", "2", "h", "only"],
    ]


@pytest.mark.usefixtures("history")
def test_in_a_dry_run_everything_the_layers_change_is_pending() -> None:
    result = run("diff", "-o", "json")

    assert result.exit_code == 3
    assert [(row["tenant"], row["limit"], row["before"], row["after"]) for row in rows(result)] == [
        ("acme", INGESTION_RATE, 10_000.0, 13_000.0),
        ("beta", INGESTION_RATE, 10_000.0, 2_000.0),
    ]


def published(path: Path, limits: list[tuple[str, str, float]]) -> None:
    path.write_bytes(render(pl.DataFrame(limits, schema=LIMITS, orient="row")))


@pytest.mark.usefixtures("history")
def test_in_prod_only_what_the_sink_does_not_say_is_pending(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODE", "prod")
    published(work / "overrides.yaml", [("acme", INGESTION_RATE, 13_000.0)])

    found = rows(run("diff", "-o", "json"))

    assert [(row["tenant"], row["after"]) for row in found] == [("beta", 2_000.0)]


@pytest.mark.usefixtures("history")
def test_nothing_pending_is_exit_code_0(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODE", "prod")
    published(
        work / "overrides.yaml",
        [("acme", INGESTION_RATE, 13_000.0), ("beta", INGESTION_RATE, 2_000.0)],
    )

    result = run("diff")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing is pending" in result.stderr


def test_in_a_dry_run_what_stands_is_what_was_written_last(history: Path) -> None:
    """
    After a simulation too, whose file the settings of another terminal do not know.
    """
    written = pl.DataFrame([("acme", INGESTION_RATE, 13_000.0)], schema=LIMITS, orient="row")
    intent = Intent(
        run_id="1",
        actor="optimizer",
        sink="the file elsewhere.yaml",
        document=render(written).decode(),
        changes=pl.DataFrame(),
        composed=empty(COMPOSED),
    )
    with Database.open(str(history), clock=lambda: NOW) as database:
        begin_revision(database, intent, at=NOW)

    found = rows(run("diff", "-o", "json"))

    assert [(row["tenant"], row["after"]) for row in found] == [("beta", 2_000.0)]


@pytest.mark.usefixtures("history")
def test_a_document_that_is_not_ours_is_one_line_and_left_alone(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODE", "prod")
    (work / "overrides.yaml").write_text("overrides: {}\nmulti_kv_config: {}\n")

    result = run("diff")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: the file overrides.yaml holds a document")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.usefixtures("history")
def test_explain_tells_layers_decision_and_steps() -> None:
    lines = run("explain", "acme").stdout.splitlines()

    said = [" ".join(line.split()) for line in lines]
    assert said[0] == "acme"
    assert "* optimized set 13,000 → 13,000 peak and buffer" in said
    assert "newest decision: acme ingestion_rate 10,000 → 13,000 +30 % peak 10,310/s" in said
    assert "peak: 10,310, the most" in said


@pytest.mark.parametrize("width", [80, 140])
def test_an_explanation_fits_the_terminal_and_marks_the_last_word(width: int) -> None:
    voice = Voice(
        layer="breaker",
        kind="cap",
        value=9_000.0,
        after=9_000.0,
        decides=True,
        reason="it sends six times its usual rate, " * 3,
        expires_at=NOW,
    )
    step = Step(name="peak", before=None, after=10_310.0, because="the most")
    story = Story(limit=INGESTION_RATE, voices=(voice,), decision="acme  told", steps=(step,))
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)

    show_explanation(Explanation(tenant="acme", stories=(story,)), console=console)

    assert isinstance(console.file, io.StringIO)
    raw = console.file.getvalue().splitlines()
    lines = [" ".join(line.split()) for line in raw]
    assert max(map(len, raw)) <= width
    assert any(line.startswith("* breaker cap 9,000 → 9,000 it sends") for line in lines)
    assert "peak → 10,310 the most" in lines


@pytest.mark.usefixtures("history")
def test_explain_as_json_is_the_same_story_as_data() -> None:
    told = json.loads(run("explain", "acme", "-o", "json").stdout)

    story = next(story for story in told["stories"] if story["limit"] == INGESTION_RATE)
    assert told["tenant"] == "acme"
    assert [(voice["layer"], voice["after"]) for voice in story["voices"]] == [
        ("defaults", 10_000.0),
        ("optimized", 13_000.0),
    ]
    assert story["steps"][0]["after"] == 10_310.0


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("command", ["explain", "recommend"])
def test_an_unknown_tenant_is_answered_with_the_nearest_known(command: str) -> None:
    result = run(command, "acmee")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "error: nothing is known of a tenant 'acmee'; did you mean acme?\n"


@pytest.mark.usefixtures("history")
def test_tenants_are_sorted_by_how_much_of_a_limit_they_use() -> None:
    """
    A limit of 0 series is unlimited and used by nobody; old demand is not the demand now.
    """
    found = rows(run("tenants", "-o", "json"))

    assert [(row["tenant"], row["used_percent"], row["used_of"]) for row in found] == [
        ("acme", 95.0, INGESTION_RATE),
        ("beta", 10.0, INGESTION_RATE),
        ("late", None, None),
    ]
    assert found[1][f"{SERIES}_limit"] == 0
    assert found[1][f"{SERIES}_used_percent"] is None
    assert found[2][f"{INGESTION_RATE}_demand"] is None


@pytest.mark.usefixtures("history")
def test_the_table_of_tenants_calls_unknown_what_is_not_known() -> None:
    head, acme, beta, late = run("tenants").stdout.splitlines()

    assert "tier" not in head
    assert "95 % of samples/s" in acme
    assert "9,500 of 10,000" in acme
    assert "30,000 of unlimited" in beta
    assert late.split()[:3] == ["late", "seen", "unknown"]


@pytest.mark.usefixtures("history")
def test_tenants_are_told_by_the_limits_that_are_asked_for() -> None:
    found = rows(run("tenants", "--limit", SERIES, "--limit", INGESTION_RATE, "-o", "json"))
    head, acme, *_ = run("tenants", "--limit", "request_rate").stdout.splitlines()

    assert list(found[0])[6:] == [
        f"{limit}_{what}"
        for limit in (SERIES, INGESTION_RATE)
        for what in ("demand", "limit", "used_percent")
    ]
    assert head.split()[-4:] == ["request_rate", "last", "seen", "(UTC)"]
    assert "unknown of unknown" in acme


@pytest.mark.usefixtures("history")
def test_a_limit_that_is_none_is_refused_with_the_nearest() -> None:
    result = run("tenants", "--limit", "ingestion_rat")

    assert result.exit_code == 1
    assert result.stderr == (
        "error: nothing is known of a limit 'ingestion_rat'; did you mean ingestion_rate?\n"
    )


@pytest.mark.usefixtures("history")
def test_tenants_show_their_tier_where_tiers_are_set(work: Path) -> None:
    (work / "config.yaml").write_text(
        "limits: {tenantTiers: {gold: {limits: {}}}}\ntenantTierMapping: {'ac*': gold}\n"
    )

    found = rows(run("tenants", "-o", "json"))
    head = run("tenants").stdout.splitlines()[0]

    assert [row["tier"] for row in found] == ["gold", None, None]
    assert "tier" in head.split()


@pytest.mark.usefixtures("history")
def test_sql_answers_from_an_argument_or_from_stdin() -> None:
    question = "select tenant from tenants order by tenant"

    from_argument = run("sql", question, "-o", "csv")
    from_stdin = run("sql", "-o", "csv", stdin=question)

    assert from_argument.stdout == "tenant\nacme\nbeta\nlate\n"
    assert from_stdin.stdout == from_argument.stdout


@pytest.mark.usefixtures("history")
def test_sql_writes_only_when_it_is_told_to() -> None:
    statement = "delete from tenants where tenant = 'late'"

    refused = run("sql", statement)
    done = run("sql", statement, "--write")
    left = rows(run("sql", "select count(*) as left from tenants", "-o", "json"))

    assert refused.exit_code == 1
    assert refused.stderr.startswith("error: SQL: DELETE would change something")
    assert done.exit_code == 0
    assert left == [{"left": 2}]


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("command", [["tenants"], ["recommend"], ["diff"], ["sql", "select 1"]])
def test_without_a_history_the_commands_say_so_in_one_line(command: list[str]) -> None:
    result = run(*command)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "does not exist; has mlo run yet" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_up_hands_over_what_it_was_told(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def run_up(**arguments: object) -> int:
        asked.append(arguments)
        return 7

    monkeypatch.setattr("deployments.up.run_up", run_up)
    (work / "other.yaml").touch()

    result = run("up", "--simulate", "--config", "other.yaml")

    assert result.exit_code == 7
    assert asked == [{"config": Path("other.yaml"), "simulate": True}]


@pytest.mark.usefixtures("work")
def test_a_wrong_command_line_is_exit_code_2() -> None:
    assert run("tenants", "-o", "xml").exit_code == 2
    assert run("nonsense").exit_code == 2


@pytest.mark.usefixtures("work")
def test_the_version_is_one_line() -> None:
    assert run("--version").stdout.split()[0] == "mlo"
    assert len(run("--version").stdout.splitlines()) == 1


def test_a_reader_that_goes_away_is_no_error(history: Path) -> None:
    """
    `mlo sql … | head` must not end in a traceback.
    """
    question = "select repeat('x', 100) from range(20000)"
    code = "from deployments.__main__ import main; main()"
    command = f"{sys.executable} -c '{code}' sql \"{question}\" | head -1"

    ended = subprocess.run(
        command, shell=True, cwd=history.parent.parent, capture_output=True, text=True, check=False
    )

    assert len(ended.stdout.splitlines()) == 1
    assert ended.stderr == ""


def test_looking_does_not_import_prefect(history: Path) -> None:
    """
    Prefect takes longer to import than a question to the history takes to be answered.
    """
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from deployments.cli import app\n"
        "words = 'config show,tenants,recommend,diff,explain acme,budget,savings,report'\n"
        "for words in words.split(','):\n"
        "    result = CliRunner().invoke(app, words.split())\n"
        "    assert result.exit_code in (0, 3), result.output\n"
        "assert not {'prefect', 'httpx', 'kubernetes'} & sys.modules.keys()\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=history.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
