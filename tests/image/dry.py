"""Carry out a Dockerfile without an engine, in a clean folder, and start what comes out of it.

    python -m tests.image.dry

Every instruction of the real file is read: what it copies must be among the files that an engine
would be sent, its RUN lines run under the folder that stands for the root, and an instruction that
is not known here ends it. What was started may write to its data folder and nowhere else. What
this cannot show is what the base image lacks: the steps run with the Python and the shell of this
machine, which must be of the version that the file names.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from dockerfile_parse import DockerfileParser

ROOT: Final = Path(__file__).parents[2]
WITHOUT_FILES: Final = frozenset({"LABEL", "EXPOSE", "VOLUME"})
VARIABLE: Final = re.compile(r"\$\{(\w+)\}|\$(\w+)")
READY_SECONDS: Final = 90
END_SECONDS: Final = 30


class Broken(Exception):  # noqa: N818 - named for what was met
    """The Dockerfile cannot be carried out; says at which instruction and why."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """What one FROM begins.

    Attributes:
        base: the image it begins with.
        variables: of ENV and ARG.
        workdir: absolute, in the image.
        copied: sources of COPY that are no stage's, as they are written.
        user: of USER; empty for root.
        entrypoint: of ENTRYPOINT, and the command after it.
    """

    base: str
    variables: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    copied: list[str] = field(default_factory=list)
    user: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def instructions(file: Path) -> list[tuple[str, str]]:
    """Name and value of each instruction, comments left out."""
    with file.open("rb") as opened:
        parsed = DockerfileParser(fileobj=opened).structure
    return [
        (each["instruction"], each["value"]) for each in parsed if each["instruction"] != "COMMENT"
    ]


def context(root: Path) -> list[Path]:
    """The files that an engine is sent: those under version control that `.dockerignore` leaves."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    rules = [
        line
        for line in (root / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    return [Path(name) for name in listed if name and not _ignored(name, rules=rules)]


def _ignored(name: str, *, rules: list[str]) -> bool:
    """The last rule that fits the file or a folder above it decides."""
    above = [name, *(str(folder) for folder in Path(name).parents if str(folder) != ".")]
    ignored = False
    for rule in rules:
        pattern = rule.removeprefix("!").removeprefix("**/")
        anywhere = "**/" in rule
        names = [Path(each).name for each in above] if anywhere else above
        if any(fnmatch.fnmatch(each, pattern) for each in names):
            ignored = not rule.startswith("!")
    return ignored


def filled(text: str, variables: dict[str, str]) -> str:
    """The text with its variables."""
    return VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ""), text)


class Build:
    """The stages of a Dockerfile, each under `root` while it is at work: so paths stay true."""

    def __init__(self, *, folder: Path, files: list[Path], run: bool) -> None:
        self.root = folder / "root"
        self.stages: dict[str, Path] = {}
        self.stage = Stage(base="")
        self._folder = folder
        self._files = files
        self._run = run
        self._given: dict[str, str] = {}
        self._name = ""

    def do(self, name: str, value: str) -> None:
        """Carry out one instruction.

        Raises:
            Broken: it cannot be, or it is not known here.
        """
        known: dict[str, Callable[[str], None]] = {
            "FROM": self._begin,
            "ARG": self._argument,
            "ENV": self._environment,
            "WORKDIR": self._work_in,
            "COPY": self._copy,
            "RUN": self._shell,
            "USER": self._become,
            "ENTRYPOINT": self._enter,
            "CMD": self._command,
            **dict.fromkeys(WITHOUT_FILES, lambda _: None),
        }
        if name not in known:
            raise Broken(f"{name} {value}: is not known here")
        try:
            known[name](value)
        except (Broken, OSError, subprocess.CalledProcessError) as problem:
            raise Broken(f"{name} {value}: {problem}") from problem

    def environment(self) -> dict[str, str]:
        """The variables of the stage, with paths of the image under `root`."""
        ours = {name: self._outside(value) for name, value in self.stage.variables.items()}
        python = str(Path(sys.base_prefix) / "bin")
        path = ours.get("PATH", "").replace("$PATH", "")
        return {**ours, "PATH": f"{path}:{python}:/usr/bin:/bin".lstrip(":")}

    def _begin(self, value: str) -> None:
        image, _, self_name = filled(value, self._given).partition(" AS ")
        if self.stage.base:
            self.stages[self._name] = self.root.rename(self._folder / f"stage-{self._name}")
        version = image.partition(":")[2].partition("-")[0]
        running = f"{sys.version_info.major}.{sys.version_info.minor}"
        if not image.startswith("python:") or version != running:
            raise Broken(f"this machine has Python {running}")
        self._name = self_name
        self.stage = Stage(base=image)
        self.root.mkdir()

    def _argument(self, value: str) -> None:
        name, _, default = value.partition("=")
        known = self._given if not self.stage.base else self.stage.variables
        known[name] = default or self._given.get(name, "")

    def _environment(self, value: str) -> None:
        known = {**self.stage.variables, "PATH": "$PATH"}
        for word in value.split():
            name, _, given = word.partition("=")
            self.stage.variables[name] = filled(given, known)

    def _work_in(self, value: str) -> None:
        self.stage.workdir = value
        self._inside(value).mkdir(parents=True, exist_ok=True)

    def _become(self, value: str) -> None:
        self.stage.user = value

    def _enter(self, value: str) -> None:
        self.stage.entrypoint = _words(value)

    def _command(self, value: str) -> None:
        self.stage.command = _words(value)

    def _copy(self, value: str) -> None:
        words = value.split()
        of = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else None
        *sources, target = words
        for source in sources:
            if of is not None:
                if of not in self.stages:
                    raise Broken(f"there is no stage {of}")
                made = self.stages[of] / source.lstrip("/")
                if self._run:
                    shutil.copytree(made, self._inside(target), symlinks=True)
                continue
            self.stage.copied.append(source)
            wanted = Path(source)
            found = [file for file in self._files if file == wanted or wanted in file.parents]
            if not found:
                raise Broken(f"{source} is not among the files that an engine is sent")
            for file in found:
                inside = file.relative_to(wanted) if file != wanted else Path(file.name)
                place = self._inside(target) / inside
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, place)

    def _shell(self, value: str) -> None:
        if not self._run:
            return
        subprocess.run(
            ["/bin/sh", "-ec", self._outside(value)],
            cwd=self._inside(self.stage.workdir),
            env=self.environment() | {"HOME": str(self._folder)},
            check=True,
        )

    def _inside(self, path: str) -> Path:
        whole = path if path.startswith("/") else f"{self.stage.workdir}/{path}"
        return self.root / whole.lstrip("/")

    def _outside(self, text: str) -> str:
        """The absolute paths of the image in a text, where they are on this machine."""
        return re.sub(r"(?<![\w./:-])/(?=(?:opt|src|var/lib/mlo)\b)", f"{self.root}/", text)


def _words(value: str) -> list[str]:
    if not value.startswith("["):
        raise Broken("is a shell's line and no list: signals would not reach the program")
    return re.findall(r'"([^"]*)"', value)


def built(*, folder: Path, run: bool = True) -> Build:
    """Carry out the Dockerfile of the project.

    Args:
        folder: an empty one.
        run: whether the RUN lines are run.

    Raises:
        Broken: an instruction cannot be carried out.
    """
    build = Build(folder=folder, files=context(ROOT), run=run)
    for name, value in instructions(ROOT / "Dockerfile"):
        build.do(name, value)
    return build


def start(build: Build) -> tuple[float, int]:
    """Start it as its user; seconds until it is ready, and who it was.

    Where others may not run the Python of this machine, it runs as who we are.

    Raises:
        Broken: it did not become ready, did not end when it was told to, or wrote to its root.
    """
    user = int(build.stage.user.partition(":")[0])
    data = build.root / "var/lib/mlo/data"
    build.root.parent.chmod(0o755)
    whose: dict[str, Any] = {}
    if os.geteuid() == 0 and _open_to_others(Path(sys.base_prefix)):
        os.chown(data, user, user)
        whose = {"user": user, "group": user, "extra_groups": []}
    command = [str(program(build)), *build.stage.command, "--simulate"]
    home = build.root.parent / "home"
    home.mkdir(mode=0o777)
    before, began = written(build.root, but=data), time.monotonic()
    with subprocess.Popen(
        command, cwd=data.parent, env=build.environment() | {"HOME": str(home)}, **whose
    ) as process:
        try:
            seconds = _seconds_until_ready(process, began=began)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Broken(f"it did not end within {END_SECONDS} s of SIGTERM") from None
    if changed := sorted(set(written(build.root, but=data)) ^ set(before)):
        raise Broken(f"it wrote outside of its data: {changed[0][0]} and {len(changed) - 1} more")
    return seconds, whose.get("user", os.geteuid())


def _seconds_until_ready(process: subprocess.Popen[bytes], *, began: float) -> float:
    while (waited := time.monotonic() - began) < READY_SECONDS:
        if process.poll() is not None:
            raise Broken(f"it ended with {process.returncode} before it was ready")
        if _ready():
            return waited
        time.sleep(0.25)
    raise Broken(f"it was not ready in {READY_SECONDS} s")


def program(build: Build) -> Path:
    """What the entrypoint names."""
    return build.root / "opt/mlo/bin" / build.stage.entrypoint[0]


def written(root: Path, *, but: Path) -> list[tuple[str, int]]:
    """Each file below the root and when it was last written, the data left out."""
    return [
        (str(file), file.lstat().st_mtime_ns)
        for file in root.rglob("*")
        if but not in (file, *file.parents)
    ]


def _open_to_others(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def _ready() -> bool:
    try:
        return httpx.get("http://127.0.0.1:8080/ready").is_success
    except httpx.TransportError:
        return False


def size_mib(folder: Path) -> float:
    """Of the files below it."""
    files = (file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())
    return sum(files) / 2**20


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        build = built(folder=Path(name))
        told = subprocess.run(
            [str(program(build)), "--version"],
            env=build.environment(),
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        seconds, user = start(build)
        sys.stdout.write(
            f"{told}: {size_mib(build.root):,.0f} MiB on top of {build.stage.base}\n"
            f"ready {seconds:.0f} s after its start, as user {user}\n"
        )


if __name__ == "__main__":
    try:
        main()
    except Broken as problem:
        sys.exit(f"error: {problem}")
