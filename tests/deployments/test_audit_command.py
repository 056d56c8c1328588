"""`mlo audit`, as it is typed."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from policy.audit import AuditEntry, Category
from policy.pins import Pin
from storage.audit import AUDIT, append_audit, newest_entries
from storage.database import Database
from storage.pins import pin, unpin
from storage.serve import serving

NOW = datetime.now(UTC).replace(microsecond=0)  # the command looks at the clock
HOUR = timedelta(hours=1)
HOSTILE = "\r\n\"quoted\", 'o''brien'; drop table audit; -- <script>alert(1)</script> | =1+1"
URL = "data/history.duckdb"


def entry(
    action: str,
    *,
    hours: float,
    category: Category = "system",
    component: str = "publish",
    tenant: str | None = None,
    success: bool = True,
    **details: object,
) -> AuditEntry:
    return AuditEntry(
        at=NOW - hours * HOUR,
        category=category,
        component=component,
        action=action,
        tenant=tenant,
        actor="optimizer",
        run_id="r",
        success=success,
        details=details,
    )


CHANGED = entry(
    "limit_changed",
    hours=3,
    tenant="acme",
    limit="ingestion_rate",
    before=10_000.0,
    after=13_000.0,
    reason="peak and buffer",
)
HELD = entry(
    "tenant_held",
    hours=2,
    category="security",
    component="breaker",
    tenant=HOSTILE,
    limits={"ingestion_rate": 10_000.0},
    reason=HOSTILE * 100,
)
FAILED = entry(
    "run_failed",
    hours=1,
    category="performance",
    component="protect",
    success=False,
    detail="nobody answered",
)


@pytest.fixture(autouse=True)
def _history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    with Database.open(URL, clock=lambda: NOW) as database:
        append_audit(database, [FAILED, CHANGED, HELD])


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", *arguments])


def listed(*arguments: str) -> list[dict[str, object]]:
    result = run(*arguments, "-o", "json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, list)
    return found


def actions(*arguments: str) -> list[object]:
    return [row["action"] for row in listed(*arguments)]


def test_the_newest_comes_first_in_words() -> None:
    head, failed, held, changed = run().stdout.splitlines()

    assert head.split() == ["at", "(UTC)", "what", "tenant", "by", "details"]
    assert failed.split()[2:5] == ["run_failed", "-", "optimizer"]
    assert failed.endswith("failed: nobody answered")
    assert "ingestion_rate at 10,000: " in held
    assert held.endswith("…")
    assert changed.endswith("optimizer  ingestion_rate 10,000 → 13,000: peak and buffer")
    assert "acme" in changed


def test_programs_get_every_field_and_the_whole_details() -> None:
    (changed,) = listed("acme")

    assert list(changed) == AUDIT.names()
    assert changed["details"] == dict(CHANGED.details)
    (held,) = listed(HOSTILE)
    assert held["details"] == dict(HELD.details)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("acme",), ["limit_changed"]),
        ((HOSTILE,), ["tenant_held"]),
        (("--category", "security"), ["tenant_held"]),
        (("--category", "cost"), []),
        (("--component", "protect"), ["run_failed"]),
        (("--action", "limit_changed"), ["limit_changed"]),
        (("--since", "150m"), ["run_failed", "tenant_held"]),
        (("--failed",), ["run_failed"]),
        (("--newest", "1"), ["run_failed"]),
        (("acme", "--failed"), []),
        (("nobody at all",), []),
    ],
)
def test_what_is_asked_for_is_what_is_listed(arguments: tuple[str, ...], found: list[str]) -> None:
    assert actions(*arguments) == found


def test_the_running_owner_is_asked(tmp_path: Path) -> None:
    with Database.open(str(tmp_path / URL), clock=lambda: NOW) as database, serving(database):
        append_audit(database, [entry("fresh", hours=0)])

        assert actions()[0] == "fresh"
        assert actions(HOSTILE) == ["tenant_held"]


def test_without_entries_there_is_an_empty_list_and_a_word_on_stderr() -> None:
    result = run("--category", "cost", "-o", "json")

    assert json.loads(result.stdout) == []
    assert result.stderr == "nothing of that was entered\n"
    Path("config.yaml").write_text("auditLog: {enabled: false}", encoding="utf-8")
    assert "auditLog.enabled is false" in run("--category", "cost").stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--action", "limit_changd"), "did you mean limit_changed?"),
        (("--component", "brekaer"), "did you mean breaker?"),
        (("acne",), "did you mean acme?"),
        (("--since", "7"), "--since: 7 has no unit"),
        (("--category", "limits"), "security"),
        (("--newest", "0"), "--newest"),
        (("--export", "audit.txt"), "let it be .jsonl, .csv, .parquet"),
        (("--export", "missing/audit.csv"), "cannot be written"),
    ],
)
def test_what_cannot_be_is_refused_with_a_way_out(arguments: tuple[str, ...], problem: str) -> None:
    result = run(*arguments)

    assert result.exit_code != 0
    assert problem in result.stderr
    assert list(Path().glob("audit.*")) == []


@pytest.mark.parametrize("name", ["audit.jsonl", "audit.csv", "audit.parquet"])
def test_an_export_has_all_that_match_in_the_order_of_time(name: str) -> None:
    with Database.open(URL, clock=lambda: NOW) as database:
        append_audit(database, [entry(f"a{n}", hours=4) for n in range(60)])

    result = run("--export", name, "--newest", "2")

    assert result.exit_code == 0, result.output
    assert (result.stdout, result.stderr) == ("", f"63 entries in {name}\n")
    rows = read(Path(name))
    assert [row["action"] for row in rows[-3:]] == ["limit_changed", "tenant_held", "run_failed"]
    assert rows[-2]["tenant"] == HOSTILE
    assert rows[-2]["details"]["reason"] == HOSTILE * 100
    assert [entry.name for entry in Path().iterdir() if entry.name.startswith(f".{name}")] == []


def read(path: Path) -> list[dict[str, dict[str, object]]]:
    match path.suffix:
        case ".jsonl":
            return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
        case ".csv":
            with path.open(encoding="utf-8", newline="") as stream:
                rows = list(csv.DictReader(stream))
        case _:
            frame = pl.read_parquet(path)
            assert frame.schema == AUDIT
            rows = frame.to_dicts()
    return [row | {"details": json.loads(row["details"])} for row in rows]


def test_an_export_can_be_filtered_and_replaces_the_file() -> None:
    Path("audit.jsonl").write_text("older\n", encoding="utf-8")

    run("acme", "--export", "audit.jsonl")

    (line,) = Path("audit.jsonl").read_text(encoding="ascii").splitlines()
    assert json.loads(line)["tenant"] == "acme"


def test_a_pin_tells_what_it_replaces_and_what_it_was_taken_back_from() -> None:
    for value, hours in ((5_000.0, 0), (7_000.0, 0.5)):
        pin(
            URL,
            Pin(
                tenant="acme",
                limit="ingestion_rate",
                value=value,
                reason="load test",
                by="anna",
                since=NOW + hours * HOUR,
                until=None,
            ),
        )
    unpin(URL, tenant="acme", limit="ingestion_rate", by="ben", reason=None, at=NOW + HOUR)

    told = [
        line.split("  ")[-1].strip() for line in run("--category", "user").stdout.splitlines()[1:]
    ]

    assert told == [
        "ingestion_rate 7,000 → not pinned",
        "ingestion_rate 5,000 → 7,000: load test",
        "ingestion_rate not pinned → 5,000: load test",
    ]
    with Database.open(URL, clock=lambda: NOW) as database:
        assert newest_entries(database, newest=1)["actor"].item() == "ben"
