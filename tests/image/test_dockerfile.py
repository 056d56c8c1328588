"""The Dockerfile copies what there is, and what comes out of it runs as nobody in particular."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.image import dry
from tests.image.dry import ROOT, Broken, Build, built, context, instructions

PACKAGES = ("policy", "storage", "tasks", "flows", "deployments", "simulator")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Everything but the RUN lines."""
    return built(folder=tmp_path_factory.mktemp("image"), run=False)


def test_an_engine_is_sent_the_program_and_nothing_else() -> None:
    sent = {file.parts[0] for file in context(ROOT)}

    assert sent == {*PACKAGES, "pyproject.toml", "requirements.lock", "README.md", "LICENSE"}


def test_every_package_of_the_wheel_is_copied_with_all_its_files(build: Build) -> None:
    copied = build.stages["build"] / "src"

    tracked = {str(file) for file in context(ROOT)}
    assert {
        str(file.relative_to(copied)) for file in copied.rglob("*") if file.is_file()
    } == tracked


def test_it_runs_as_a_number_without_rights_and_gets_signals_itself(build: Build) -> None:
    user, _, group = build.stage.user.partition(":")

    assert int(user) >= 10_001
    assert int(group) >= 10_001
    assert build.stage.entrypoint == ["mlo"]
    assert build.stage.command == ["up"]


def test_nothing_is_installed_in_the_last_stage() -> None:
    names = [name for name, _ in instructions(ROOT / "Dockerfile")]
    last = instructions(ROOT / "Dockerfile")[len(names) - names[::-1].index("FROM") :]

    ran = [value for name, value in last if name == "RUN"]
    assert [word for value in ran for word in ("pip", "apt", "gcc") if word in value] == []
    assert {"VERSION", "COMMIT", "BUILD_DATE"} <= {
        value.partition("=")[0] for name, value in last if name == "ARG"
    }


def test_only_wheels_are_installed() -> None:
    (locked,) = [
        value
        for name, value in instructions(ROOT / "Dockerfile")
        if name == "RUN" and "requirements.lock" in value
    ]

    assert "--only-binary :all:" in locked


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("COPY nowhere/ nowhere/", "nowhere/ is not among the files that an engine is sent"),
        ("COPY tests/ tests/", "tests/ is not among the files that an engine is sent"),
        ("COPY --from=other /opt/mlo /opt/mlo", "there is no stage other"),
        ("ENTRYPOINT mlo", "signals would not reach the program"),
        ("ONBUILD RUN true", "is not known here"),
        ("FROM debian:12", "this machine has Python"),
    ],
)
def test_a_broken_line_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, why: str
) -> None:
    for name in (".dockerignore", "Dockerfile"):
        shutil.copy2(ROOT / name, tmp_path / name)
    with (tmp_path / "Dockerfile").open("a") as file:
        file.write(f"{line}\n")
    files = context(ROOT)
    monkeypatch.setattr(dry, "context", lambda _: files)
    monkeypatch.setattr(dry, "instructions", lambda _: instructions(tmp_path / "Dockerfile"))
    folder = tmp_path / "built"
    folder.mkdir()

    with pytest.raises(Broken, match=why):
        built(folder=folder, run=False)
