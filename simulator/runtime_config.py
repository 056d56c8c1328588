"""One process's runtime configuration: reloaded on its own tick, the last good one kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simulator.errors import RuntimeFileError
from simulator.runtime_file import Loaded, load


class RuntimeConfig:
    """What one process believes its tenants' limits are.

    Attributes:
        current: the last configuration that loaded.
        successful: whether the last attempt to load did.
        problem: why it did not, one line, empty when it did.

    Raises:
        RuntimeFileError: the files do not load at the start; Mimir does not start either.
    """

    def __init__(self, files: Sequence[Path], *, period_seconds: float, first_tick: float) -> None:
        self._files = tuple(files)
        self._period_seconds = period_seconds
        self._next_tick = first_tick
        self.current: Loaded = _read(self._files)
        self.successful = True
        self.problem = ""

    def tick(self, now: float, *, refuse: bool) -> None:
        """Reload when the period has passed; `refuse` rejects whatever the files say."""
        if now < self._next_tick:
            return
        missed = (now - self._next_tick) // self._period_seconds
        self._next_tick += (missed + 1) * self._period_seconds
        self.problem = "a fault refuses every reload" if refuse else self._reload()
        self.successful = not self.problem

    def _reload(self) -> str:
        """Load the files; answer why not, or nothing."""
        try:
            self.current = _read(self._files)
        except RuntimeFileError as exc:
            return str(exc)
        return ""


def _read(files: tuple[Path, ...]) -> Loaded:
    try:
        texts = tuple(path.read_text(encoding="utf-8") for path in files)
    except FileNotFoundError as exc:
        raise RuntimeFileError(
            f"runtime file {exc.filename} does not exist; create it with the text {{}} first"
        ) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise RuntimeFileError(f"runtime file is not readable: {exc}") from exc
    return load(texts)
