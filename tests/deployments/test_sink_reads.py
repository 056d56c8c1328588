"""What the doctor says of a sink that is no file: one line, and how to mend it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from deployments.checks.check import Check
from deployments.checks.here import check_sink
from policy.settings import parse_settings


def checked(tmp_path: Path, *, mode: str = "prod", **publish: object) -> Check:
    files = {"file": {"path": str(tmp_path / "overrides.yaml")}}
    return check_sink(parse_settings({"mode": mode, "publish": {**files, **publish}}))


def test_a_folder_that_is_no_clone_fails_in_one_line(tmp_path: Path) -> None:
    check = checked(tmp_path, sink="git", git={"repository": str(tmp_path)})

    assert check.outcome == "failed"
    assert "publish.git" in (check.mend or "")


def test_a_clone_is_told_with_its_branch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    (tmp_path / "overrides.yaml").write_text("overrides: {a: {ingestion_rate: 5}}\n")
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *who, *command], check=True)

    check = checked(tmp_path, sink="git", git={"repository": str(tmp_path)})

    assert check.outcome == "ok"
    assert "branch mimir-limits" in check.found
    assert "1 limits of 1 tenants" in check.found


def test_a_cortex_without_a_claim_of_ours_is_told(tmp_path: Path) -> None:
    state = tmp_path / "claims.json"
    state.write_text(json.dumps({}))

    check = checked(tmp_path, sink="cortex-api", cortexApi={"state": str(state)})

    assert (check.outcome, "nothing of ours" in check.found) == ("ok", True)


def test_in_a_dry_run_no_sink_is_built(tmp_path: Path) -> None:
    check = checked(tmp_path, mode="dry-run", sink="git", git={"repository": str(tmp_path / "x")})

    assert check.outcome == "skipped"


def test_a_document_that_is_served_need_not_exist_yet(tmp_path: Path) -> None:
    check = checked(tmp_path, sink="http")

    assert check.outcome == "ok"
    assert "/runtime-config/overrides.yaml" in check.found
