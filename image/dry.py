"""Build the image without Docker: the steps of the Dockerfile in a folder, then the program in it.

The real Dockerfile is read, and an instruction that is not known here is an error. `/opt`, `/src`,
`/data` and `/tmp` are folders below the one that is built in; everything else is this machine's, so
its Python must be the one that FROM names. The program runs as the user of the Dockerfile where we
are root, and can write to `/data` and `/tmp` only.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

import psutil

ROOT: Final = Path(__file__).parents[1]
READY_SECONDS: Final = 180.0
END_SECONDS: Final = 30.0
WITHOUT_EFFECT: Final = ("LABEL", "EXPOSE", "CMD")

_OURS: Final = re.compile(r"(?<![\w.$}])/(opt|src|data|tmp)\b")
_VARIABLE: Final = re.compile(r"\$\{?(\w+)\}?")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile."""

    name: str
    text: str


@dataclass(slots=True)
class Image:
    """What the instructions have come to so far.

    Attributes:
        root: the folder that stands for `/`, of whichever stage is being built.
        stage: its name.
        stages: the folders of the stages before, by name.
        arguments: what ARG set.
        environ: what ENV set.
        workdir: as WORKDIR says.
        user: as USER says.
        entrypoint: the program.
    """

    root: Path
    stage: str = ""
    stages: dict[str, Path] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)


def instructions(dockerfile: str) -> list[Instruction]:
    """The instructions, with continued lines joined and comments left out."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    words = (line.split(maxsplit=1) for line in whole.splitlines() if line.strip())
    return [Instruction(name.upper(), text) for name, text in words]


def context() -> Iterator[Path]:
    """The files that Docker would be sent, below the repository: what Git knows or would."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in listed:
        if not ignored(name, rules) and (ROOT / name).is_file():
            yield Path(name)


def ignored(name: str, rules: list[str]) -> bool:
    """Whether a file is left out: the last rule that names it, or a folder around it, decides."""
    around = [name, *map(str, Path(name).parents)][:-1]
    out = False
    for rule in rules:
        pattern = rule.removeprefix("!").strip("/").replace("**/", "*")
        if rule and not rule.startswith("#") and any(fnmatch(each, pattern) for each in around):
            out = not rule.startswith("!")
    return out


def build(folder: Path) -> Image:
    """Carry the Dockerfile out in an empty folder.

    Raises:
        SystemExit: an instruction is not known, a file is missing, or a command failed.
    """
    given = folder / "context"
    for file in context():
        (given / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, given / file)
    image = Image(root=folder / "root")
    for step in instructions((ROOT / "Dockerfile").read_text(encoding="utf-8")):
        print(f"{step.name} {step.text}", flush=True)
        image = _carried_out(image, step, given=given)
    return image


def _carried_out(image: Image, step: Instruction, *, given: Path) -> Image:
    text = _filled(step.text, {**os.environ, **image.arguments, **image.environ})
    match step.name:
        case "FROM":
            return _begin_stage(image, text)
        case "ARG":
            name, _, value = text.partition("=")
            image.arguments[name] = value
        case "ENV":
            pairs = (word.partition("=") for word in shlex.split(text))
            image.environ |= {name: value for name, _, value in pairs}
        case "WORKDIR":
            image.workdir = text
            (image.root / text.lstrip("/")).mkdir(parents=True, exist_ok=True)
        case "COPY":
            _copy(image, shlex.split(text), given=given)
        case "RUN":
            _run(image, text)
        case "USER":
            image.user = text
        case "ENTRYPOINT":
            image.entrypoint = json.loads(text)
        case other if other not in WITHOUT_EFFECT:
            raise SystemExit(f"Dockerfile: {other} is not known to image/dry.py")
    return image


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: variables.get(match[1], ""), text)


def _begin_stage(image: Image, text: str) -> Image:
    base, _, name = text.partition(" AS ")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not base.startswith(f"python:{version}-"):
        raise SystemExit(f"Dockerfile: FROM {base}, and this is Python {version}: run it with that")
    stages = dict(image.stages)
    if image.root.exists():
        stages[image.stage] = image.root.rename(image.root.with_name(f"stage-{len(stages)}"))
    for folder in ("opt", "tmp"):
        (image.root / folder).mkdir(parents=True)
    return Image(root=image.root, stage=name, stages=stages, arguments=image.arguments)


def _copy(image: Image, words: list[str], *, given: Path) -> None:
    *sources, target = [word for word in words if not word.startswith("--")]
    stage = next((word.partition("=")[2] for word in words if word.startswith("--from=")), None)
    base = given if stage is None else image.stages[stage]
    where = image.root / image.workdir.lstrip("/") / target
    if target.startswith("/"):
        where = image.root / target.lstrip("/")
    for source in sources:
        path = base / source.lstrip("/")
        if path.is_dir():
            shutil.copytree(path, where, symlinks=True, dirs_exist_ok=True)
        elif path.is_file():
            inside = target.endswith("/") or len(sources) > 1 or where.is_dir()
            shutil.copy2(path, where / path.name if inside else where)
        else:
            raise SystemExit(f"Dockerfile: COPY {source}: there is none, or .dockerignore hides it")


def _run(image: Image, text: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-euc", _below(image, text)],
        cwd=image.root / image.workdir.lstrip("/"),
        env=_environ(image),
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"Dockerfile: RUN {text}: exit code {done.returncode}")


def _below(image: Image, text: str) -> str:
    return _OURS.sub(lambda match: f"{image.root}/{match[1]}", text)


def _environ(image: Image) -> dict[str, str]:
    """This machine's environment as far as a build sees one, and what ENV set."""
    kept = ("PATH", "LANG", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "NO_PROXY")
    outside = {
        name: value for name, value in os.environ.items() if name in kept or name.startswith("PIP_")
    }
    inside = {name: _below(image, value) for name, value in image.environ.items()}
    return {**outside, **inside, "TMPDIR": str(image.root / "tmp")}


def try_out(image: Image) -> None:
    """Run the program: its version, then with a simulated Mimir until it is ready, and end it.

    Raises:
        SystemExit: it did not become ready, or did not end well.
    """
    ports = _free_port(), _free_port()
    environ = {**_environ(image), "MLO_SERVER__PORT": str(ports[0])}
    environ["MLO_PREFECT__PORT"] = str(ports[1])
    program = [*_as_user(image), *_entrypoint(image)]
    subprocess.run([*program, "--version"], cwd=image.root, env=environ, check=True)
    began = time.monotonic()
    process = subprocess.Popen([*program, "up", "--simulate"], cwd=image.root, env=environ)
    try:
        while not _is_ready(ports[0]):
            if process.poll() is not None or time.monotonic() - began > READY_SECONDS:
                raise SystemExit(f"it is not ready after {time.monotonic() - began:.0f} s")
            time.sleep(1)
        print(f"ready after {time.monotonic() - began:.0f} s; memory (RSS), and what it ran:")
        everyone = [psutil.Process(process.pid)]
        everyone += everyone[0].children(recursive=True)
        for each in everyone:
            command = " ".join(each.cmdline()[-4:])
            print(f"  {each.memory_info().rss / 2**20:5.0f} MiB  uid {each.uids().real}  {command}")
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(END_SECONDS)
    if code:
        raise SystemExit(f"it ended with exit code {code}")


def _as_user(image: Image) -> list[str]:
    user, _, group = image.user.partition(":")
    if os.geteuid() != 0:
        print(f"not root: run as uid {os.geteuid()}, not as {user}")
        return []
    for name in ("tmp", "data"):
        shutil.chown(image.root / name, int(user), int(group))
    # What a Python below /root needs is to be read; it gives no right to write.
    reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    groups = [f"--regid={group}", "--clear-groups", "--no-new-privs"]
    return ["setpriv", f"--reuid={user}", *groups, *reads]


def _entrypoint(image: Image) -> list[str]:
    program = shutil.which(image.entrypoint[0], path=_environ(image)["PATH"])
    if program is None or not Path(program).is_relative_to(image.root):
        raise SystemExit(
            f"Dockerfile: ENTRYPOINT {image.entrypoint}: the image has no such program"
        )
    return [program, *image.entrypoint[1:]]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's
    except (URLError, OSError):
        return False


def main() -> None:
    """Build it in a folder of its own, try it out, and remove the folder."""
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        Path(folder).chmod(0o755)
        try_out(build(Path(folder)))
    print("the image can be built and runs")


if __name__ == "__main__":
    main()
