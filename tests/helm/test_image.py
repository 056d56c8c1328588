"""The Dockerfile names what there is; `make image-dry` carries it out."""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path

import pytest

from image.dry import WITHOUT_EFFECT, context, ignored, instructions
from tests.helm.rendering import ROOT, render

STEPS = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def told(name: str) -> list[str]:
    return [step.text for step in STEPS if step.name == name]


def copied() -> set[str]:
    """What is copied from the repository, by name in it."""
    words = [shlex.split(text) for text in told("COPY") if "--from=" not in text]
    return {source for *sources, _ in words for source in sources}


def test_what_is_copied_is_sent_to_the_build_and_nothing_else_is() -> None:
    sent = {file.parts[0] for file in context()}

    assert sent == copied()


def test_every_package_of_the_program_is_copied() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert set(wheel) <= copied()
    assert {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]} <= copied()


def test_the_python_of_the_image_is_one_that_the_program_runs_on() -> None:
    (python,) = [text.partition("=")[2] for text in told("ARG") if text.startswith("PYTHON=")]

    assert f">={python.removesuffix('-slim')}" == PROJECT["project"]["requires-python"]


def test_the_pod_starts_the_program_of_the_image_as_its_user() -> None:
    pod = render().pod()["spec"]
    (container,) = pod["containers"]
    (user,) = told("USER")

    assert json.loads(told("ENTRYPOINT")[0]) == ["mlo"]
    assert json.loads(told("CMD")[0]) == container["args"] == ["up"]
    assert "command" not in container
    who = pod["securityContext"]
    assert user == f"{who['runAsUser']}:{who['runAsGroup']}"


def test_the_last_stage_only_copies_what_was_built() -> None:
    last = max(place for place, step in enumerate(STEPS) if step.name == "FROM")

    assert [step.text for step in STEPS[last:] if step.name == "COPY"] == [
        "--from=build /opt/mlo /opt/mlo"
    ]
    assert not any("pip" in step.text for step in STEPS[last:])


def test_version_commit_and_date_are_arguments_and_become_labels() -> None:
    (labels,) = told("LABEL")

    for name in ("VERSION", "COMMIT", "BUILD_DATE"):
        assert f"{name}=unknown" in told("ARG")
        assert f'"${{{name}}}"' in labels


def test_every_package_is_pinned_to_the_version_that_was_tested() -> None:
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()

    assert all("==" in line for line in locked if not line.startswith("#"))
    assert any("--no-deps -r requirements.lock" in text for text in told("RUN"))


def test_only_instructions_that_the_dry_build_knows_are_used() -> None:
    known = {"ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT"}

    assert {step.name for step in STEPS} <= known | set(WITHOUT_EFFECT)


@pytest.mark.parametrize(
    ("name", "out"),
    [
        ("policy/a.py", False),
        ("policy/__pycache__/a.pyc", True),
        ("data/history.duckdb", True),
        ("requirements.lock", False),
        ("requirements-dev.lock", True),
        ("tests/policy/a.py", True),
    ],
)
def test_the_last_rule_of_dockerignore_that_names_a_file_decides(name: str, *, out: bool) -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert ignored(name, rules) is out


def test_lines_that_go_on_are_one_instruction() -> None:
    (found,) = instructions("# a comment\nRUN a \\\n  && b\n")

    assert found.text.split() == ["a", "&&", "b"]


def test_the_chart_has_the_version_of_the_program() -> None:
    chart = (Path(ROOT) / "helm/mimir-limit-optimizer/Chart.yaml").read_text(encoding="utf-8")

    assert f'appVersion: "{PROJECT["project"]["version"]}"' in chart
