"""`mlo config`: what is in force, who set it, and whether it can be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from deployments.cli import app

SECRET = "s3cret-of-the-test"
GOOD = f"""
mode: prod
mimir:
  endpoints: [http://mimir-0:8080]
  headers: {{Authorization: Bearer {SECRET}}}
alerting:
  slack: {{webhook_url: https://hooks.example/{SECRET}}}
performance:
  gc: {{percent: 50}}
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with nothing of ours in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    monkeypatch.delenv("MODE", raising=False)
    return tmp_path


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner(env=environ).invoke(app, list(arguments))


def port_of(result: Result) -> int:
    settings = json.loads(result.stdout)
    port = settings["server"]["port"]
    assert isinstance(port, int)
    return port


def with_port(path: Path, port: int) -> None:
    path.write_text(f"server: {{port: {port}}}\n")


def test_the_settings_in_force_are_yaml_that_reads_back(work: Path) -> None:
    (work / "config.yaml").write_text(GOOD)

    shown = YAML(typ="safe").load(run("config", "show").stdout)

    assert shown["mode"] == "prod"
    assert shown["mimir"]["endpoints"] == ["http://mimir-0:8080"]
    assert shown["updateInterval"] == "5m"


@pytest.mark.parametrize("form", ["yaml", "json", "table", "csv", "markdown"])
def test_no_format_shows_a_secret(work: Path, form: str) -> None:
    (work / "config.yaml").write_text(GOOD)

    result = run("config", "show", "-o", form)

    assert result.exit_code == 0
    assert "****" in result.stdout
    assert SECRET not in result.output


def test_the_table_lists_what_was_set_and_where_and_what_has_no_effect(work: Path) -> None:
    (work / "config.yaml").write_text(GOOD)

    result = run("config", "show", "-o", "table", MLO_SERVER__PORT="1234")

    by_key = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert set(by_key) == {
        "alerting.slack.webhookURL",
        "mimir.endpoints",
        "mimir.headers.Authorization",
        "mode",
        "performance.gc.percent",
        "server.port",
    }
    assert by_key["mode"].split() == ["mode", "prod", "config.yaml"]
    assert by_key["server.port"].endswith("environment MLO_SERVER__PORT")
    assert by_key["performance.gc.percent"].endswith("no effect")


def test_the_file_may_be_named_before_or_after_the_command_or_in_the_environment(
    work: Path,
) -> None:
    """What is nearest wins: the command's option, that of mlo, MLO_CONFIG, ./config.yaml."""
    for port, name in enumerate(("config.yaml", "env.yaml", "root.yaml", "own.yaml"), start=1):
        with_port(work / name, port)
    show = ("config", "show", "-o", "json")

    assert port_of(run(*show)) == 1
    assert port_of(run(*show, MLO_CONFIG="env.yaml")) == 2
    assert port_of(run("--config", "root.yaml", *show, MLO_CONFIG="env.yaml")) == 3
    assert port_of(run("--config", "root.yaml", *show, "--config", "own.yaml")) == 4


@pytest.mark.usefixtures("work")
def test_without_a_file_the_defaults_are_in_force() -> None:
    result = run("config", "show", "-o", "table")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "every setting has its default" in result.stderr


def test_good_settings_are_one_line_and_what_has_no_effect_is_a_warning(work: Path) -> None:
    (work / "good.yaml").write_text(GOOD)

    result = run("config", "validate", "good.yaml")

    assert result.exit_code == 0
    assert result.stdout == "good.yaml: can be used; the mode is prod\n"
    (warning,) = result.stderr.splitlines()
    assert warning.startswith("warning: performance.gc.percent: has no effect: ")


def test_every_fault_is_a_line_of_its_own(work: Path) -> None:
    (work / "bad.yaml").write_text("mode: prd\nserver: {prot: 1}\n")

    result = run("config", "validate", "bad.yaml")

    assert result.exit_code == 1
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first.startswith("error: mode: must be")
    assert second.startswith("error: server.prot: unknown key; did you mean port?")


@pytest.mark.usefixtures("work")
def test_a_file_that_is_not_there_is_refused() -> None:
    result = run("--config", "nowhere.yaml", "config", "show")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: nowhere.yaml: there is no such file")
