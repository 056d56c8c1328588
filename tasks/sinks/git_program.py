"""Run the program `git` in one clone: no shell, no questions, bounded, nothing secret repeated.

What it refuses becomes one sentence of our error tree, here and nowhere else.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from policy.errors import ConfigError, Conflict, RetriableError

SECONDS: Final = 15.0  # for one command; three that reach the remote fit in a publishing step

_ABSENT: Final = (1, 128)  # how rev-parse and merge-base say that there is none
_OURS: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # of whoever started us, if at all
_IN_ADDRESS: Final = re.compile(r"(?<=://)[^/@\s]+@")
_REFUSED: Final = re.compile(
    r"authentication failed|could not read (username|password)|terminal prompts disabled"
    r"|permission denied|invalid username or|access denied|returned error: 40[13]",
    re.IGNORECASE,
)
_OVERTAKEN: Final = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to update ref"
    r"|reference already exists|but expected",
    re.IGNORECASE,
)
_FORBIDDEN: Final = re.compile(r"remote rejected|hook declined|protected branch", re.IGNORECASE)
_PASSING: Final = re.compile(
    r"could not resolve host|connection (refused|reset|timed out)|timed out|hung up"
    r"|early eof|returned error: (429|5\d\d)|no space left|\.lock'?: file exists",
    re.IGNORECASE,
)


class Git:
    """One clone, and who commits in it."""

    def __init__(
        self, repository: Path, *, author: str, email: str, seconds: float = SECONDS
    ) -> None:
        self._repository = repository.absolute()
        self._seconds = seconds
        self._identity = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", author), ("EMAIL", email))
        }

    def run(self, *arguments: str, given: bytes = b"", index: Path | None = None) -> str:
        """The output of a command that succeeded, without white space around it.

        Args:
            arguments: the command and its own.
            given: its standard input.
            index: the index it works on, in place of the clone's.

        Raises:
            ConfigError: git is missing, the folder is no clone, or the remote refuses us.
            Conflict: somebody else moved what was to be moved.
            RetriableError: it takes too long, or the remote does not answer.
        """
        done = self._done(arguments, given=given, index=index)
        if done.returncode:
            raise self._refusal(arguments, done.stderr + done.stdout)
        return done.stdout.decode().strip()

    def commit_of(self, ref: str) -> str | None:
        """The commit that a full name stands for; None where there is no such name."""
        return self._answer("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")

    def merge_base(self, one: str, other: str) -> str | None:
        """The newest commit that both contain; None where there is none."""
        return self._answer("merge-base", one, other)

    def content(self, commit: str, path: str) -> bytes | None:
        """A file of a commit; None where it is not there."""
        blob = self.run("ls-tree", "--format=%(objectname)", commit, "--", path)
        if not blob:
            return None
        command = ("cat-file", "blob", blob)
        done = self._done(command)
        if done.returncode:
            raise self._refusal(command, done.stderr)
        return done.stdout

    def checked_out(self, branch: str) -> bool:
        """Whether a working tree of the clone has the branch checked out."""
        listed = self.run("worktree", "list", "--porcelain").splitlines()
        return f"branch refs/heads/{branch}" in listed

    def update(self, remote: str, *, branches: Sequence[str]) -> None:
        """Have refs/remotes say what the remote has now; nothing is fetched where they do."""
        wanted = {f"refs/heads/{name}": f"refs/remotes/{remote}/{name}" for name in branches}
        listed = self.run("ls-remote", remote, *wanted).splitlines()
        there = {name: commit for commit, name in (line.split("\t") for line in listed)}
        behind = [name for name in wanted if there.get(name) != self.commit_of(wanted[name])]
        fetched = [f"+{name}:{wanted[name]}" for name in behind if name in there]
        if fetched:
            self.run("fetch", "--quiet", "--no-tags", remote, *fetched)
        for name in behind:
            if name not in there:
                self.run("update-ref", "-d", wanted[name])

    def push(self, remote: str, *, commit: str, branch: str, if_commit: str | None) -> None:
        """Move a branch of the remote, where it still is `if_commit`; None is not there yet."""
        lease = f"--force-with-lease=refs/heads/{branch}:{if_commit or ''}"
        self.run("push", "--quiet", lease, remote, f"{commit}:refs/heads/{branch}")

    def set_ref(self, ref: str, *, commit: str, if_commit: str | None) -> None:
        """Move a name of the clone, where it still is `if_commit` or the commit itself."""
        if self.commit_of(ref) != commit:  # a push may have moved it
            self.run("update-ref", ref, commit, if_commit or "")

    def _answer(self, *arguments: str) -> str | None:
        done = self._done(arguments)
        if done.returncode in _ABSENT and not done.stderr.strip():
            return None
        if done.returncode:
            raise self._refusal(arguments, done.stderr)
        return done.stdout.decode().strip()

    def _done(
        self, arguments: Sequence[str], *, given: bytes = b"", index: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        if not self._repository.is_dir():
            raise ConfigError(
                f"the folder {self._repository} does not exist: clone the repository there, or "
                "correct publish.git.repository"
            )
        try:
            return subprocess.run(  # noqa: S603 - arguments of ours and checked settings, no shell
                ["git", "-C", str(self._repository), *arguments],  # noqa: S607 - as installed
                input=given,
                capture_output=True,
                check=False,
                timeout=self._seconds,
                env=self._environment(index),
            )
        except FileNotFoundError as error:
            raise ConfigError(
                "the program git is not installed: install it, or choose another publish.sink"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise RetriableError(
                f"git {arguments[0]} in {self._repository} took longer than {self._seconds:g} s"
            ) from error

    def _environment(self, index: Path | None) -> Mapping[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
        silent = {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": inherited.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
            "LC_ALL": "C",
        }
        own_index = {} if index is None else {"GIT_INDEX_FILE": str(index)}
        return {**inherited, **silent, **self._identity, **own_index}

    def _refusal(self, arguments: Sequence[str], output: bytes) -> ConfigError | RetriableError:
        text = _IN_ADDRESS.sub("", output.decode(errors="replace"))
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        said = next((line for line in lines if _telling(line)), lines[0] if lines else "no reason")
        where = f"git {arguments[0]} in {self._repository}"
        if _REFUSED.search(text):
            return ConfigError(
                f"{where}: the remote refuses our credentials: renew the token or the key that "
                "this clone uses"
            )
        if _OVERTAKEN.search(text):
            return Conflict(f"{where}: somebody else moved the branch meanwhile ({said})")
        if _FORBIDDEN.search(text):
            return ConfigError(
                f"{where}: the remote does not take it ({said}): allow us to push that branch, or "
                "name another in publish.git.branch"
            )
        if _PASSING.search(text):
            return RetriableError(f"{where}: {said}")
        return ConfigError(f"{where}: {said}: correct publish.git, or mend the clone")


def _telling(line: str) -> bool:
    return line.startswith(("fatal:", "error:", "!")) or "rejected" in line
