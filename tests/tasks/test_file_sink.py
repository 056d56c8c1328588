"""The file sink: whole files, one writer at a time, nothing in dry-run."""

from __future__ import annotations

import fcntl
import stat
import threading
from pathlib import Path
from typing import get_args

import pytest

from policy.errors import ConfigError, Conflict
from policy.settings import Settings, parse_settings
from policy.settings.connection import Publish
from tasks.sinks import SINKS, FileSink, build_sink
from tasks.sinks.file import ABSENT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runtime.yaml"


def test_a_file_that_is_not_there_yet_is_absent_and_can_be_written(path: Path) -> None:
    sink = FileSink(path)
    before = sink.read()

    version = sink.write(b"new", if_version=before.version)

    assert (before.document, before.version) == (None, ABSENT)
    assert path.read_bytes() == b"new"
    assert sink.read().version == version


def test_a_new_file_is_readable_by_mimir(path: Path) -> None:
    FileSink(path).write(b"new", if_version=ABSENT)

    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_the_mode_of_a_file_is_kept(path: Path) -> None:
    path.write_bytes(b"old")
    path.chmod(0o640)
    sink = FileSink(path)

    sink.write(b"new", if_version=sink.read().version)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_that_somebody_changed_is_left_alone(path: Path) -> None:
    path.write_bytes(b"old")
    sink = FileSink(path)
    version = sink.read().version
    path.write_bytes(b"theirs")

    with pytest.raises(Conflict, match="was changed by someone else"):
        sink.write(b"ours", if_version=version)

    assert path.read_bytes() == b"theirs"


def test_a_file_that_appeared_meanwhile_is_left_alone(path: Path) -> None:
    path.write_bytes(b"theirs")

    with pytest.raises(Conflict):
        FileSink(path).write(b"ours", if_version=ABSENT)


def test_the_file_is_replaced_and_never_written_in_place(path: Path) -> None:
    """A reader that has the old file open still reads all of it."""
    path.write_bytes(b"old")
    sink = FileSink(path)

    with path.open("rb") as reader:
        sink.write(b"new", if_version=sink.read().version)
        assert reader.read() == b"old"

    assert path.read_bytes() == b"new"


def test_only_the_file_and_its_lock_remain(path: Path) -> None:
    FileSink(path).write(b"new", if_version=ABSENT)

    assert sorted(left.name for left in path.parent.iterdir()) == [
        ".runtime.yaml.lock",
        "runtime.yaml",
    ]


def test_of_many_writers_of_one_version_one_wins(path: Path) -> None:
    path.write_bytes(b"old")
    version = FileSink(path).read().version
    barrier = threading.Barrier(8)
    won: list[bytes] = []

    def write(document: bytes) -> None:
        barrier.wait(timeout=5)
        try:
            FileSink(path).write(document, if_version=version)
        except Conflict:
            return
        won.append(document)

    writers = [threading.Thread(target=write, args=(b"%d" % order,)) for order in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=5)

    assert won == [path.read_bytes()]


def test_a_writer_that_finds_the_lock_taken_does_not_wait(path: Path) -> None:
    """A writer that was stopped while it held the lock must not stop the others."""
    with (path.parent / ".runtime.yaml.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(Conflict, match="another process is writing"):
            FileSink(path).write(b"new", if_version=ABSENT)

    assert not path.exists()


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    (folder / "data.yaml").write_bytes(b"old")
    link = tmp_path / "runtime.yaml"
    link.symlink_to(folder / "data.yaml")
    sink = FileSink(link)

    sink.write(b"new", if_version=sink.read().version)

    assert link.is_symlink()
    assert (folder / "data.yaml").read_bytes() == b"new"


def test_a_folder_is_no_runtime_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder; name the runtime file in it"):
        FileSink(tmp_path).read()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "missing" / "runtime.yaml")

    with pytest.raises(ConfigError, match=r"missing does not exist; create it"):
        sink.read()
    with pytest.raises(ConfigError, match=r"missing does not exist; create it"):
        sink.write(b"new", if_version=ABSENT)


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    loop = tmp_path / "runtime.yaml"
    loop.symlink_to(loop)

    with pytest.raises(ConfigError, match="name another path"):
        FileSink(loop).read()


def test_a_folder_that_takes_no_files_is_refused_with_the_way_out() -> None:
    """/proc takes no new files from anybody, not even from root."""
    sink = FileSink(Path("/proc/runtime.yaml"))

    with pytest.raises(ConfigError, match="give this process the right to that folder"):
        sink.write(b"new", if_version=ABSENT)


def test_a_failed_write_leaves_the_file_and_no_litter(path: Path) -> None:
    path.write_bytes(b"old")
    sink = FileSink(path)
    version = sink.read().version

    with pytest.raises(TypeError):
        sink.write("not bytes", if_version=version)  # type: ignore[arg-type]

    assert path.read_bytes() == b"old"
    assert {left.name for left in path.parent.iterdir()} <= {"runtime.yaml", ".runtime.yaml.lock"}


def test_dry_run_never_constructs_a_sink(path: Path) -> None:
    built: list[Settings] = []

    def building(settings: Settings) -> FileSink:
        built.append(settings)
        return FileSink(path)

    production = Settings(mode="prod")
    dry = build_sink(Settings(mode="dry-run"), kinds={"file": building})
    wet = build_sink(production, kinds={"file": building})

    assert dry is None
    assert isinstance(wet, FileSink)
    assert built == [production]


def test_the_file_of_the_settings_is_the_one_that_is_written(path: Path) -> None:
    settings = parse_settings({"mode": "prod", "publish": {"file": {"path": str(path)}}})

    sink = build_sink(settings)

    assert sink is not None
    assert sink.describe() == f"the file {path}"


def test_every_sink_that_may_be_named_can_be_built() -> None:
    assert set(SINKS) == set(get_args(Publish.model_fields["sink"].annotation))
