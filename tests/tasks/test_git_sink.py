"""One open change in a Git repository: updated, never on the base, never over somebody else's."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from policy.document import render
from policy.errors import ConfigError, Conflict, OptimizerError, RetriableError
from policy.frames import LIMITS
from policy.settings import parse_settings
from policy.settings.connection import GitRepository
from tasks.sinks import build_sink
from tasks.sinks.git import GitSink
from tasks.sinks.git_message import commit_message
from tasks.sinks.git_program import Git

FILE = "mimir/overrides.yaml"
OURS = "mimir-limits"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")


@dataclass(frozen=True)
class Clone:
    """A clone with a working tree, and what a person does in it."""

    path: Path

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=A Person", "-c", "user.email=person@example.com")
        done = subprocess.run(
            ["git", "-C", str(self.path), *who, *arguments], capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    def commit(self, text: str, *, file: str = FILE) -> None:
        path = self.path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.git("add", file)
        self.git("commit", "-q", "-m", "by hand")

    def content(self, ref: str) -> str:
        return self.git("show", f"{ref}:{FILE}")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A repository whose base says nothing yet."""
    path = tmp_path / "clone"
    subprocess.run(["git", "init", "-q", "-b", "main", str(path)], check=True)
    clone = Clone(path)
    clone.commit("overrides: {}\n")
    return clone


@pytest.fixture
def remote(tmp_path: Path, clone: Clone) -> Clone:
    """A bare repository that the clone knows as its origin."""
    path = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
    clone.git("remote", "add", "origin", str(path))
    clone.git("push", "-q", "origin", "main")
    return Clone(path)


@pytest.fixture
def person(tmp_path: Path, remote: Clone) -> Clone:
    """Somebody else's clone of the same remote."""
    path = tmp_path / "person"
    subprocess.run(["git", "clone", "-q", str(remote.path), str(path)], check=True)
    return Clone(path)


def sink_in(clone: Clone, *, remote: str | None = None) -> GitSink:
    settings = GitRepository(repository=clone.path, file=FILE, remote=remote)
    return GitSink(settings, git=Git(clone.path, author="Optimizer", email="o@example.com"))


def document(**limits: float) -> bytes:
    rows = [(tenant, "ingestion_rate", value) for tenant, value in limits.items()]
    return render(pl.DataFrame(rows, schema=LIMITS, orient="row"))


def put(sink: GitSink, said: bytes) -> str:
    return sink.write(said, if_version=sink.read().version)


def test_a_change_is_one_commit_on_the_base(clone: Clone) -> None:
    base = clone.git("rev-parse", "main")

    put(sink_in(clone), document(a=1_000.0))

    assert clone.git("rev-parse", f"{OURS}^") == base
    assert clone.git("rev-parse", "main") == base
    assert clone.git("diff", "--name-only", "main", OURS) == FILE
    assert clone.content(OURS).encode() + b"\n" == document(a=1_000.0)


def test_an_open_change_is_what_stands(clone: Clone) -> None:
    """So that a run without news finds nothing to say, while the change waits for a person."""
    sink = sink_in(clone)

    version = put(sink, document(a=1_000.0))

    assert sink.read().document == document(a=1_000.0)
    assert sink.read().version == version


def test_the_same_change_is_updated(clone: Clone) -> None:
    sink = sink_in(clone)
    put(sink, document(a=1_000.0))

    put(sink, document(a=2_000.0))

    assert clone.git("rev-list", "--count", f"main..{OURS}") == "1"
    assert sink.read().document == document(a=2_000.0)


def test_the_working_tree_and_the_index_are_not_touched(clone: Clone) -> None:
    (clone.path / FILE).write_text("half an edit")

    put(sink_in(clone), document(a=1_000.0))

    assert (clone.path / FILE).read_text() == "half an edit"
    assert clone.git("status", "--porcelain") == f"M {FILE}"
    assert clone.git("branch", "--show-current") == "main"


def test_a_base_that_moved_is_what_the_next_change_is_built_on(clone: Clone) -> None:
    sink = sink_in(clone)
    put(sink, document(a=1_000.0))
    clone.commit("about us", file="README.md")

    put(sink, document(a=2_000.0))

    assert clone.git("rev-parse", f"{OURS}^") == clone.git("rev-parse", "main")
    assert clone.git("show", f"{OURS}:README.md") == "about us"


def test_a_base_that_moved_elsewhere_leaves_the_change_open(clone: Clone) -> None:
    sink = sink_in(clone)
    put(sink, document(a=1_000.0))
    clone.commit("about us", file="README.md")

    assert sink.read().document == document(a=1_000.0)


@pytest.mark.parametrize("how", ["--no-ff", "--ff-only", "--squash"])
def test_a_merged_change_is_open_no_more(clone: Clone, how: str) -> None:
    sink = sink_in(clone)
    put(sink, document(a=1_000.0))
    message = () if how == "--ff-only" else ("-m", "merged")
    clone.git("merge", "-q", how, *(message if how == "--no-ff" else ()), OURS)
    if how == "--squash":
        clone.git("commit", "-q", *message)

    assert sink.read().document == document(a=1_000.0)

    put(sink, document(a=2_000.0))
    assert clone.git("rev-parse", f"{OURS}^") == clone.git("rev-parse", "main")


def test_what_a_person_wrote_into_the_base_overtakes_our_change(clone: Clone) -> None:
    """The two cannot be merged any more; what people merged is what holds."""
    sink = sink_in(clone)
    put(sink, document(a=1_000.0))
    clone.commit(document(a=1_500.0).decode())

    assert sink.read().document == document(a=1_500.0)

    put(sink, document(a=2_000.0))
    assert clone.git("rev-parse", f"{OURS}^") == clone.git("rev-parse", "main")


def test_a_change_that_is_not_needed_any_more_is_taken_back(clone: Clone) -> None:
    sink = sink_in(clone)
    put(sink, document(a=1_000.0))

    put(sink, b"overrides: {}\n")

    assert clone.git("rev-parse", OURS) == clone.git("rev-parse", "main")


def test_a_file_that_is_not_there_yet_is_proposed(clone: Clone) -> None:
    clone.git("rm", "-q", FILE)
    clone.git("commit", "-q", "-m", "gone")
    sink = sink_in(clone)

    assert sink.read().document is None

    put(sink, document(a=1_000.0))
    assert sink.read().document == document(a=1_000.0)


def test_a_branch_that_moved_since_it_was_read_is_left_alone(clone: Clone) -> None:
    sink = sink_in(clone)
    put(sink, document(a=1_000.0))
    version = sink.read().version
    clone.git("checkout", "-q", OURS)
    clone.commit(document(a=7.0).decode())
    clone.git("checkout", "-q", "main")

    with pytest.raises(Conflict):
        sink.write(document(a=2_000.0), if_version=version)

    assert clone.content(OURS).encode() + b"\n" == document(a=7.0)


def test_a_branch_that_is_checked_out_is_not_moved(clone: Clone) -> None:
    clone.git("checkout", "-q", "-b", OURS)

    with pytest.raises(ConfigError, match="is checked out"):
        put(sink_in(clone), document(a=1_000.0))


def test_our_branch_is_pushed_and_nothing_else(clone: Clone, remote: Clone) -> None:
    base = remote.git("rev-parse", "main")

    put(sink_in(clone, remote="origin"), document(a=1_000.0))

    assert remote.content(OURS).encode() + b"\n" == document(a=1_000.0)
    assert remote.git("rev-parse", "main") == base
    assert remote.git("branch", "--format=%(refname:short)").split() == ["main", OURS]


def test_a_pushed_change_is_updated(clone: Clone, remote: Clone) -> None:
    sink = sink_in(clone, remote="origin")
    put(sink, document(a=1_000.0))

    put(sink, document(a=2_000.0))

    assert remote.git("rev-list", "--count", f"main..{OURS}") == "1"


def test_what_was_merged_at_the_remote_is_seen(clone: Clone, person: Clone) -> None:
    sink = sink_in(clone, remote="origin")
    put(sink, document(a=1_000.0))
    person.commit(document(a=1_500.0).decode())
    person.git("push", "-q", "origin", "main")

    assert sink.read().document == document(a=1_500.0)


def test_a_branch_that_was_deleted_at_the_remote_is_proposed_anew(
    clone: Clone, remote: Clone
) -> None:
    sink = sink_in(clone, remote="origin")
    put(sink, document(a=1_000.0))
    remote.git("branch", "-q", "-D", OURS)

    assert sink.read().document == b"overrides: {}\n"

    put(sink, document(a=2_000.0))
    assert remote.content(OURS).encode() + b"\n" == document(a=2_000.0)


def test_a_push_over_somebody_elses_is_a_conflict(clone: Clone, person: Clone) -> None:
    """The lease: somebody pushed to our branch between our look and our push."""
    git = Git(clone.path, author="Optimizer", email="o@example.com")
    person.commit(document(a=7.0).decode())
    person.git("push", "-q", "origin", f"main:{OURS}")
    theirs = person.git("rev-parse", "main")

    with pytest.raises(Conflict, match="somebody else moved the branch"):
        git.push("origin", commit=clone.git("rev-parse", "main"), branch=OURS, if_commit=None)

    assert person.git("ls-remote", "origin", OURS).startswith(theirs)


def test_a_hook_that_refuses_our_branch_is_named(clone: Clone, remote: Clone) -> None:
    hook = remote.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)

    with pytest.raises(ConfigError, match="the remote does not take it"):
        put(sink_in(clone, remote="origin"), document(a=1_000.0))

    assert sink_in(clone, remote="origin").read().document == b"overrides: {}\n"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("fatal: Authentication failed for 'https://bot:hunter2@git.example.com/x'", ConfigError),
        ("fatal: could not read Username for 'https://bot:hunter2@g': terminal", ConfigError),
        ("git@git.example.com: Permission denied (publickey).", ConfigError),
        (
            "fatal: unable to access 'https://bot:hunter2@g/': Could not resolve host: g",
            RetriableError,
        ),
        ("fatal: unable to access 'https://bot:hunter2@g/': returned error: 503", RetriableError),
        ("fatal: something new about https://bot:hunter2@g/", ConfigError),
    ],
)
def test_what_git_says_becomes_one_line_without_the_secret(
    clone: Clone, said: str, kind: type[OptimizerError]
) -> None:
    git = Git(clone.path, author="Optimizer", email="o@example.com")

    refusal = git._refusal(("push",), said.encode())

    assert type(refusal) is kind
    assert "hunter2" not in str(refusal)
    assert "\n" not in str(refusal)


def test_a_command_that_hangs_is_ended(clone: Clone) -> None:
    clone.git("config", "alias.wait", "!sleep 5")
    git = Git(clone.path, author="Optimizer", email="o@example.com", seconds=0.1)

    with pytest.raises(RetriableError, match="took longer than"):
        git.run("wait")


def test_a_folder_that_is_no_clone_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ConfigError, match=r"not a git repository|does not exist"):
            sink_in(Clone(path)).read()


def test_a_base_that_does_not_exist_is_told(clone: Clone) -> None:
    clone.git("branch", "-m", "main", "trunk")

    with pytest.raises(ConfigError, match=r"no branch main.*publish\.git\.base"):
        sink_in(clone).read()


def test_the_message_counts_and_lists_the_changes() -> None:
    before, after = document(a=1_000.0, b=500.0, c=7.0), document(a=2_000.0, b=400.0, d=1.0)

    subject, _, *lines = commit_message(before=before, after=after).splitlines()

    assert subject == "Limits of 4 tenants: 1 raised, 1 lowered, 1 set, 1 withdrawn"
    assert lines[:4] == [
        "- a: ingestion_rate 1,000 -> 2,000",
        "- b: ingestion_rate 500 -> 400",
        "- c: ingestion_rate 7 withdrawn",
        "- d: ingestion_rate set to 1",
    ]


def test_nobody_can_have_us_write_the_base() -> None:
    with pytest.raises(ConfigError, match="give the change a branch of its own"):
        parse_settings({"publish": {"git": {"base": "main", "branch": "main"}}})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("branch", "--upload-pack=sh"),
        ("branch", "a..b"),
        ("remote", "-x"),
        ("file", "/etc/passwd"),
        ("file", "../out.yaml"),
        ("file", ".git/config"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"publish\.git\.{key}"):
        parse_settings({"publish": {"git": {key: value}}})


def test_the_sink_of_the_settings_proposes_in_their_repository(clone: Clone) -> None:
    chosen = {"repository": str(clone.path), "file": FILE}

    sink = build_sink(parse_settings({"mode": "prod", "publish": {"sink": "git", "git": chosen}}))

    assert sink is not None
    assert sink.describe() == f"{FILE} on the branch {OURS} of {clone.path}"
    assert sink.arrives_within is None
