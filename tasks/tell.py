"""Leave one artifact on the Prefect run that an operator would read."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

import polars as pl
from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    aupdate_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from policy.figures import figure

ROWS_SHOWN: Final = 50

_log = logging.getLogger(__name__)


async def tell(markdown: str, *, key: str, description: str, name: str | None = None) -> None:
    """Leave the text as the artifact of this run, under the key of its flow.

    No task of its own: the client tries again by itself, and all is done by now: a server that
    cannot keep the text must not make the run a failure.

    Args:
        markdown: the text.
        key: of the artifact.
        description: of the artifact.
        name: what the run is called from now on; None: as it was.
    """
    context = FlowRunContext.get()
    if context is None:
        return
    try:
        await acreate_markdown_artifact(markdown=markdown, key=key, description=description)
        if name is not None and context.flow_run is not None:
            async with get_client() as client:
                await client.update_flow_run(context.flow_run.id, name=name)
    except Exception as exc:  # noqa: BLE001 - whatever it was, the next run tells again
        _log.warning("the report of %s was not kept: %s: %s", key, type(exc).__name__, exc)


class Bar:
    """A bar on the page of this run in the Prefect UI; nothing outside a run.

    It is a comfort: a server that cannot keep it must not make the run a failure.
    """

    def __init__(self, *, key: str, description: str) -> None:
        self._key = key
        self._description = description
        self._artifact: UUID | None = None

    async def show(self, share: float) -> None:
        """Show how much is done, 0 to 1."""
        if FlowRunContext.get() is None:
            return
        percent = min(100.0, max(0.0, share * 100))
        try:
            if self._artifact is None:
                self._artifact = await acreate_progress_artifact(
                    percent, key=self._key, description=self._description
                )
            else:
                await aupdate_progress_artifact(self._artifact, percent)
        except Exception as exc:  # noqa: BLE001 - whatever it was, the next share may be shown
            _log.warning("the progress of %s was not shown: %s", self._key, type(exc).__name__)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; text that would break out of its cell is escaped."""
    lines = [_row(headings), _row(["---"] * len(headings))]
    shown = 0
    rest = 0
    for row in rows:
        if shown == ROWS_SHOWN:
            rest += 1
            continue
        lines.append(_row([_cell(value) for value in row]))
        shown += 1
    if rest:
        lines.append("")
        lines.append(f"… and {rest:,} more: `mlo recommend` shows all.")
    return "\n".join(lines)


def changes_table(changes: pl.DataFrame) -> str:
    """CHANGES as a Markdown table."""
    return table(
        ["tenant", "limit", "before → after", "why"],
        (
            (tenant, limit, moved(before, after), f"{layer or 'removed'}: {why}")
            for tenant, limit, before, after, layer, why in changes.select(
                "tenant", "limit", "before", "after", "decided_by", "reason"
            ).iter_rows()
        ),
    )


def moved(before: float | None, after: float | None) -> str:
    """`10,000 → 13,000`; what is not known is called unknown, what is gone, nothing of ours."""
    return f"{figure(before)} → {'nothing of ours' if after is None else figure(after)}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return figure(value)
    escaped = str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    return escaped.replace("<", "&lt;").replace(">", "&gt;")
