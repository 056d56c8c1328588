"""One writer by a lock on a file, among processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from policy.errors import ConfigError
from policy.settings import parse_settings
from tasks.writer import LockedFile, NotTheWriter
from tasks.writers import build_writer

HOLDER = """
import sys
from pathlib import Path
from tasks.writer import LockedFile
LockedFile(Path(sys.argv[1])).hold()
print("held", flush=True)
sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_another_process_stands_by_until_the_first_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = holder(path)
    ours = LockedFile(path)

    with pytest.raises(NotTheWriter, match=f"process {process.pid} on .* this one stands by"):
        ours.hold()
    process.kill()
    process.communicate()

    assert ours.hold() == 0


def test_a_process_that_is_stopped_still_holds_it(tmp_path: Path) -> None:
    """It may go on at any moment, and a lock cannot shut it out."""
    path = tmp_path / "lock"
    process = holder(path)
    os.kill(process.pid, signal.SIGSTOP)

    with pytest.raises(NotTheWriter):
        LockedFile(path).hold()

    process.kill()
    process.communicate()


def test_it_is_kept_from_run_to_run_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    ours, theirs = LockedFile(path), LockedFile(path)
    ours.hold()
    ours.hold()

    with pytest.raises(NotTheWriter):
        theirs.hold()
    ours.release()
    ours.release()

    assert theirs.hold() == 0


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="cannot be made"):
        LockedFile(tmp_path / "file" / "lock").hold()


@pytest.mark.parametrize(
    ("sink", "path"),
    [
        ("file", "limits/.overrides.yaml.writer"),
        ("http", "limits/.overrides.yaml.writer"),
        ("cortex-api", "data/.claims.json.writer"),
        ("git", "clone/.git/mimir-limit-optimizer.mimir-limits.writer"),
    ],
)
def test_two_that_write_to_the_same_place_find_the_same_lock(
    tmp_path: Path, sink: str, path: str
) -> None:
    (tmp_path / "limits").mkdir()
    (tmp_path / "clone" / ".git").mkdir(parents=True)
    settings = parse_settings(
        {
            "publish": {
                "sink": sink,
                "file": {"path": str(tmp_path / "limits/overrides.yaml")},
                "cortexApi": {"state": str(tmp_path / "data/claims.json")},
                "git": {"repository": str(tmp_path / "clone")},
            }
        }
    )

    build_writer(settings, identity="a", clock=lambda: None).hold()  # type: ignore[arg-type,return-value]

    with pytest.raises(NotTheWriter):
        LockedFile(tmp_path / path).hold()


def test_a_lock_whose_file_was_removed_holds_nobody_off(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    ours, theirs = LockedFile(path), LockedFile(path)
    ours.hold()
    path.unlink()
    theirs.hold()

    with pytest.raises(NotTheWriter):
        ours.hold()


def test_a_clone_within_another_is_locked_where_git_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a submodule, whose `.git` is a file with a path that counts from there."""
    kept = tmp_path / "parent" / ".git" / "modules" / "clone"
    kept.mkdir(parents=True)
    clone = tmp_path / "parent" / "clone"
    clone.mkdir()
    (clone / ".git").write_text("gitdir: ../.git/modules/clone\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    settings = parse_settings({"publish": {"sink": "git", "git": {"repository": str(clone)}}})

    build_writer(settings, identity="a", clock=lambda: None).hold()  # type: ignore[arg-type,return-value]

    assert [path.name for path in kept.iterdir()] == ["mimir-limit-optimizer.mimir-limits.writer"]
