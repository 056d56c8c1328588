"""The settings as they are now, gathered from every place an operator may write them.

Weakest first: the defaults, the YAML file (or a folder with it and dotted-key files), the
environment, and what the command line overrides. Each source may spell keys its own way; they
meet in the canonical spelling. A change that cannot be used never replaces settings that can.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Final

from policy.errors import ConfigError
from policy.settings import Problem, Settings, SettingsError, parse_settings
from policy.settings.schema import respelled, written_keys
from tasks.settings_environment import Written, from_environment, secret_files, written
from tasks.settings_files import (
    MAIN_FILE,
    Signature,
    dotted_files,
    read_text,
    read_tree,
    signature,
)
from tasks.settings_lines import place

_NONE: Final[Mapping[str, object]] = MappingProxyType({})
_log = logging.getLogger(__name__)


def load_settings(
    path: Path | None, *, environ: Mapping[str, str], overrides: Mapping[str, object] = _NONE
) -> Settings:
    """The settings from all sources.

    Args:
        path: the YAML file, a folder as a mounted ConfigMap is one, or None for no file.
        environ: the environment variables.
        overrides: values by dotted key, stronger than every other source.

    Raises:
        ConfigError: a source cannot be read, or the settings together cannot be used; every
            fault is one line that names its key and where it was written.
    """
    sources = _sources(path, environ=environ, overrides=overrides)
    tree: Mapping[str, object] = {}
    for source in sources:
        tree = _merged(tree, source.tree)
    try:
        return parse_settings(tree)
    except SettingsError as refusal:
        origin_by_key = _origins(sources)
        texts = {source.origin: source.text for source in sources if source.text is not None}
        problems = [_placed(problem, origin_by_key, texts) for problem in refusal.problems]
    raise SettingsError(problems)


def origins(
    path: Path | None, *, environ: Mapping[str, str], overrides: Mapping[str, object] = _NONE
) -> dict[str, str]:
    """Which source decided each dotted key that is written anywhere; the rest are defaults.

    Raises:
        ConfigError: a source cannot be read.
    """
    return _origins(_sources(path, environ=environ, overrides=overrides))


class SettingsSource:
    """Settings that follow their files: read afresh on every call when one has changed."""

    def __init__(
        self,
        path: Path | None,
        environ: Mapping[str, str],
        overrides: Mapping[str, object] = _NONE,
    ) -> None:
        self._path = path
        self._environ = environ
        self._overrides = overrides
        self._lock = Lock()
        self._seen: Signature | None = None
        self._good: Settings | None = None
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong with the settings as they are written now; None when nothing is."""
        return self._problem

    def current(self) -> Settings:
        """The newest settings that can be used.

        Raises:
            ConfigError: there were none yet, and those written now cannot be used.
        """
        with self._lock:
            now = signature(self._files())
            if self._good is not None and now == self._seen:
                return self._good
            try:
                good = load_settings(self._path, environ=self._environ, overrides=self._overrides)
            except ConfigError as refusal:
                if self._good is None:
                    raise
                self._note(str(refusal))
            else:
                self._good = good
                self._note(None)
            self._seen = now
            return self._good

    def _files(self) -> Iterator[Path]:
        return chain([] if self._path is None else [self._path], secret_files(self._environ))

    def _note(self, problem: str | None) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        if problem is None:
            _log.info("settings_mended")
        else:
            _log.warning(
                "settings_broken: keeping the last good ones: %s",
                problem,
                extra={"problem": problem},
            )


def _sources(
    path: Path | None, *, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> list[Written]:
    """What every source writes, weakest first, in the canonical spelling."""
    files = () if path is None else _from_path(path)
    given = (written("override", key.split("."), value) for key, value in overrides.items())
    return [_canonical(source) for source in chain(files, from_environment(environ), given)]


def _from_path(path: Path) -> Iterator[Written]:
    if not path.is_dir():
        yield _of_file(path)
        return
    main = path / MAIN_FILE
    if main.exists():
        yield _of_file(main)
    for key, file in dotted_files(path):
        if text := read_text(file).strip():
            yield written(str(file), key.split("."), text)


def _of_file(path: Path) -> Written:
    text = read_text(path)
    return Written(origin=str(path), tree=read_tree(text, where=str(path)), text=text)


def _canonical(source: Written) -> Written:
    tree = respelled(Settings, source.tree)
    return replace(source, tree=tree if isinstance(tree, Mapping) else {})


def _merged(weak: Mapping[str, object], strong: Mapping[str, object]) -> Mapping[str, object]:
    """Both trees in one; where both write a value, the strong one's stands."""
    both = dict(weak)
    for key, value in strong.items():
        below = both.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            both[key] = _merged(below, value)
        else:
            both[key] = value
    return both


def _origins(sources: list[Written]) -> dict[str, str]:
    return {key: source.origin for source in sources for key in written_keys(Settings, source.tree)}


def _placed(
    problem: Problem, origin_by_key: Mapping[str, str], texts: Mapping[str, str]
) -> Problem:
    """The problem with the source that wrote its key, or the section around it, or one in it.

    Of a source that has a text, the line and column are named, too.
    """
    key = problem.key.partition("[")[0]
    around = [other for other in origin_by_key if f"{key}.".startswith(f"{other}.")]
    within = [other for other in origin_by_key if other.startswith(f"{key}.")]
    nearest = max(around, key=len, default=None) or next(iter(within), None)
    if nearest is None:
        return problem
    origin = origin_by_key[nearest]
    where = place(texts[origin], problem.key) if origin in texts else ""
    told = ", ".join(filter(None, (origin, where)))
    return Problem(key=problem.key, fault=f"{problem.fault} (in {told})")
