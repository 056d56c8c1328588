"""Checks of what is here: the packages, the settings, the history, the file of the sink."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from deployments.checks.check import Check, failed, ok, skipped, warning
from deployments.checks.sink_reads import KEPT_IN_A_FILE, check_reading
from deployments.document import DOCUMENT_PATH
from policy.document import parse
from policy.errors import ConfigError, OptimizerError
from policy.settings import Settings
from policy.settings.pending import set_without_effect
from storage import reading
from storage.client import running_server
from tasks.sinks import PROD, SINKS

LEAST_PYTHON: Final = (3, 11)


@dataclass(frozen=True, slots=True, kw_only=True)
class Below:
    """A package whose newer releases do not fit: the first that does not, and what breaks."""

    bound: tuple[int, int]
    because: str


NEWEST: Final[Mapping[str, Below]] = {
    "sqlalchemy": Below(bound=(2, 1), because="Prefect's scheduler silently never creates a run"),
    "fastapi": Below(bound=(0, 151), because="Prefect's server does not start"),
}
# DuckDB loads an extension only when it was built for exactly this release.
SAME_AS_DUCKDB: Final = ("duckdb-extension-quack", "duckdb-extension-httpfs")


def check_packages() -> Check:
    """Python and the packages that have to fit each other."""
    name = "packages"
    mend = "install exactly what was tested: pip install -r requirements.lock"
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < LEAST_PYTHON:
        return failed(name, f"Python {python} is too old", mend="use Python 3.11 or newer")
    installed = {
        package: _installed(package)
        for package in ("prefect", *NEWEST, "duckdb", *SAME_AS_DUCKDB, "polars")
    }
    if missing := [package for package, found in installed.items() if found is None]:
        return failed(name, f"not installed: {', '.join(missing)}", mend=mend)
    for package, below in NEWEST.items():
        if _release(installed[package] or "") >= below.bound:
            bound = ".".join(map(str, below.bound))
            found = f"{package} {installed[package]} is not below {bound}: {below.because}"
            return failed(name, found, mend=mend)
    for package in SAME_AS_DUCKDB:
        if installed[package] != installed["duckdb"]:
            found = f"{package} {installed[package]} is not of DuckDB {installed['duckdb']}"
            return failed(name, found, mend=mend)
    shown = (f"{package} {installed[package]}" for package in ("prefect", *NEWEST, "duckdb"))
    return ok(name, f"Python {python}, {', '.join(shown)}")


def check_settings(settings: Settings, *, config: Path | None) -> Check:
    """The settings, which could be read, and those that nothing reads yet."""
    found = f"{config or 'the defaults'}; the mode is {settings.mode}"
    if idle := set_without_effect(settings):
        return warning(
            "settings",
            f"{found}; without effect yet: {', '.join(idle)}",
            mend="do not rely on them; the rest is in force",
        )
    return ok("settings", found)


def check_history(url: str) -> Check:
    """The history: it answers, or it can be made."""
    name = "history"
    path = None if url.startswith("quack:") else Path(url).absolute()
    if path is not None and not _writable(path.parent):
        return failed(
            name,
            f"the folder {path.parent} cannot be written",
            mend="give this user the right to it, or point storage.url elsewhere",
        )
    if path is not None and not path.exists():
        return ok(name, f"{path} does not exist yet; `mlo up` makes it")
    try:
        tenants = len(reading.known_tenants(url))
        running = path is not None and running_server(path) is not None
    except OptimizerError as refusal:
        return failed(
            name, str(refusal), mend="mend this first: without the history nothing is decided"
        )
    by = "the running process answers" if running or path is None else "no process has it open"
    return ok(name, f"{url}: {by}; {tenants} tenants are known")


def check_sink(settings: Settings) -> Check:
    """The document of our sink can be replaced, and is ours or not there yet.

    In a dry run nothing of it is needed yet, so what would fail is a warning.
    """
    found = _sink(settings)
    if found.outcome == "failed" and settings.mode != PROD:
        mend = f"before the mode becomes prod: {found.mend}"
        return warning(found.name, found.found, mend=mend)
    return found


def _sink(settings: Settings) -> Check:
    name, kind = "sink", settings.publish.sink
    if kind not in KEPT_IN_A_FILE:
        if settings.mode != PROD:
            return skipped(name, f"in {settings.mode} nothing is built that could write to {kind}")
        return check_reading(SINKS[kind](settings), kind=kind)
    return _file(settings.publish.file.path.resolve(), kind=kind)


def _file(path: Path, *, kind: str) -> Check:
    name = "sink"
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        return failed(
            name,
            f"{path.parent} is no folder that this process may write",
            mend="make it, give this user the right to it, or set publish.file.path",
        )
    if not path.exists() and kind == "http":
        said = f"{DOCUMENT_PATH} is served without limits"
        return ok(name, f"{path} does not exist yet; until then {said}")
    if not path.exists():
        return warning(
            name,
            f"{path} does not exist yet",
            mend="create it with the line `overrides: {}` before you name it to Mimir, "
            "which does not start without it",
        )
    return _document(path)


def _document(path: Path) -> Check:
    elsewhere = "point publish.file.path at a file of its own, which Mimir merges last"
    try:
        document = path.read_bytes()
        limits = parse(document)
    except OSError as refusal:
        return failed("sink", f"{path} cannot be read: {refusal.strerror}", mend=elsewhere)
    except ConfigError as refusal:
        return failed("sink", f"{path} is not ours to replace: {refusal}", mend=elsewhere)
    tenants = limits["tenant"].n_unique()
    return ok("sink", f"{path} holds {limits.height} limits of {tenants} tenants")


def _writable(folder: Path) -> bool:
    """Whether the folder can be written, or made in the nearest one that exists."""
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _release(text: str) -> tuple[int, int]:
    major, minor = [*text.split("."), "0"][:2]
    return int(major), int(minor)
