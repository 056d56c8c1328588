"""A runtime file in a Git repository: proposed on a branch of ours, merged by a person.

There is one open change at most: one commit on the newest base, replaced by the next one. Only
that branch is ever written, and only where it still is what was read. No file of the clone's
working tree is touched, whatever is checked out there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from policy.document import digest
from policy.errors import ConfigError, Conflict
from policy.settings.connection import GitRepository
from tasks.sinks.base import Published
from tasks.sinks.git_message import commit_message
from tasks.sinks.git_program import Git


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a look at the repository found.

    Attributes:
        base: the commit that people have merged so far.
        merged: the document there; None where the file is not there.
        branch: the commit of our branch, None where there is none.
        document: what our open change says, else what was merged.
    """

    base: str
    merged: bytes | None
    branch: str | None
    document: bytes | None

    @property
    def version(self) -> str:
        """Changes with our branch, and with what people merged into the file."""
        said = repr((self.branch, self.merged, self.document))
        return digest(said.encode())


class GitSink:
    """One file on one branch of a clone, pushed where a remote is named."""

    def __init__(self, settings: GitRepository, *, git: Git) -> None:
        self._settings = settings
        self._clone = settings.repository.absolute()
        self._git = git
        remote = settings.remote
        self._base_ref = _ref(settings.base, remote=remote)
        self._branch_ref = _ref(settings.branch, remote=remote)

    @property
    def arrives_within(self) -> None:
        """A person decides when, and whether."""
        return

    def describe(self) -> str:
        """The file, the branch and the repository."""
        chosen = self._settings
        where = f"{chosen.remote} of {self._clone}" if chosen.remote else self._clone
        return f"{chosen.file} on the branch {chosen.branch} of {where}"

    def read(self) -> Published:
        """What our open change says; without one, what was merged.

        A change that people overtook, by merging it or by editing the file, is open no more.

        Raises:
            ConfigError: no repository, no base branch, or the remote refuses us.
            RetriableError: the remote does not answer.
        """
        seen = self._look()
        return Published(document=seen.document, version=seen.version)

    def write(self, document: bytes, *, if_version: str) -> str:
        """Propose the document: our branch becomes one commit on the newest base.

        What was merged already needs no change: our branch becomes the base.

        Raises:
            Conflict: the branch or the merged file changed since it was read.
            ConfigError: no repository, no base branch, or the remote refuses us.
            RetriableError: the remote does not answer.
        """
        seen = self._look()
        if seen.version != if_version:
            raise Conflict(
                f"{self.describe()} was changed by someone else since it was read; read it again "
                "and decide again"
            )
        commit = seen.base if document == seen.merged else self._commit(document, seen=seen)
        self._move(commit, seen=seen)
        return self._found(base=seen.base, branch=commit).version

    def _look(self) -> Proposal:
        if self._settings.remote:
            self._git.update(
                self._settings.remote, branches=(self._settings.base, self._settings.branch)
            )
        base = self._git.commit_of(self._base_ref)
        if base is None:
            raise ConfigError(
                f"{self._clone} has no branch {self._settings.base}"
                f"{f' of {self._settings.remote}' if self._settings.remote else ''}: correct "
                "publish.git.base"
            )
        return self._found(base=base, branch=self._git.commit_of(self._branch_ref))

    def _found(self, *, base: str, branch: str | None) -> Proposal:
        path = self._settings.file
        merged = self._git.content(base, path)
        document = merged
        if branch is not None:
            ancestor = self._git.merge_base(base, branch)
            overtaken = ancestor in {None, branch} or self._git.content(ancestor, path) != merged
            document = merged if overtaken else self._git.content(branch, path)
        return Proposal(base=base, merged=merged, branch=branch, document=document)

    def _commit(self, document: bytes, *, seen: Proposal) -> str:
        blob = self._git.run("hash-object", "-w", "--stdin", given=document)
        with TemporaryDirectory() as folder:
            index = Path(folder) / "index"  # of its own: that of the clone is a person's
            self._git.run("read-tree", seen.base, index=index)
            entry = f"100644,{blob},{self._settings.file}"
            self._git.run("update-index", "--add", "--cacheinfo", entry, index=index)
            tree = self._git.run("write-tree", index=index)
        message = commit_message(before=seen.merged, after=document)
        return self._git.run("commit-tree", tree, "-p", seen.base, given=message.encode())

    def _move(self, commit: str, *, seen: Proposal) -> None:
        name, remote = self._settings.branch, self._settings.remote
        if remote:
            self._git.push(remote, commit=commit, branch=name, if_commit=seen.branch)
        elif self._git.checked_out(name):
            raise ConfigError(
                f"the branch {name} is checked out in {self._clone}: check out "
                "another there, or name another in publish.git.branch"
            )
        self._git.set_ref(self._branch_ref, commit=commit, if_commit=seen.branch)


def _ref(branch: str, *, remote: str | None) -> str:
    return f"refs/remotes/{remote}/{branch}" if remote else f"refs/heads/{branch}"
