"""How far something long is: a bar on a terminal, a line for each piece anywhere else."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_PIECES: Final = TextColumn("{task.description}")


class Bar:
    """Shown while the block lasts, on stderr."""

    def __init__(self, what: str, *, console: Console | None = None) -> None:
        """Make a bar.

        Args:
            what: is done, in a word.
            console: where to; None is stderr.
        """
        self._console = console or Console(stderr=True, highlight=False)
        columns = (_PIECES, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._drawn = self._console.is_terminal
        self._task = self._progress.add_task(what, total=None)

    def show(self, done: int, *, of: int, line: str | None = None) -> None:
        """Show how many pieces are done, and what was the newest."""
        self._progress.update(self._task, completed=done, total=of)
        if line is not None and not self._drawn:
            self._console.print(line, markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        if self._drawn:
            self._progress.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._drawn:
            self._progress.stop()
