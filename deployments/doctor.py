"""Look at everything that is needed, all of it at once, and show what was found.

Nothing is changed and no secret is shown. Every question has its own time, so a process that
hangs costs no more than `mimir.timeout`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import polars as pl

from deployments.checks.channels import check_channels
from deployments.checks.check import Check, failed
from deployments.checks.here import check_history, check_packages, check_settings, check_sink
from deployments.checks.mimir import check_mimir
from deployments.checks.permissions import check_permissions
from deployments.checks.ports import check_endpoint, check_prefect
from deployments.checks.promql import check_promql
from deployments.checks.workers import check_workers
from deployments.output import Column, Format, show
from policy.errors import ConfigError
from tasks.settings import load_settings

CHECKS: Final = pl.Schema(
    {"name": pl.String(), "outcome": pl.String(), "found": pl.String(), "mend": pl.String()}
)
COLUMNS: Final = (
    Column(name="outcome", heading=""),
    Column(name="name", heading="check"),
    Column(name="told", heading="what was found → how to mend it", wraps=True),
)


async def examine(config: Path | None, *, environ: Mapping[str, str]) -> list[Check]:
    """Every check; where the settings cannot be read, only those that need none."""
    try:
        settings = load_settings(config, environ=environ)
    except ConfigError as refusal:
        mend = "correct the settings; `mlo config validate` shows each fault on its own line"
        return [
            check_packages(),
            failed("settings", "; ".join(str(refusal).splitlines()), mend=mend),
        ]
    (history, endpoint, prefect), (mimir, promql, permissions, channels) = await asyncio.gather(
        asyncio.gather(
            asyncio.to_thread(check_history, settings.storage.url),
            check_endpoint(settings),
            check_prefect(settings, environ=environ),
        ),
        asyncio.gather(
            check_mimir(settings),
            check_promql(settings),
            check_permissions(settings),
            check_channels(settings),
        ),
    )
    sink = await asyncio.to_thread(check_sink, settings)
    workers = await asyncio.to_thread(check_workers, settings.execution)
    return [
        check_packages(),
        check_settings(settings, config=config),
        history,
        sink,
        *permissions,
        endpoint,
        prefect,
        *workers,
        *mimir,
        *promql,
        *channels,
    ]


def show_checks(checks: Sequence[Check], *, form: Format) -> None:
    """Print the checks on stdout."""
    frame = pl.DataFrame([asdict(check) for check in checks], schema=CHECKS)
    told = pl.concat_str("found", "mend", separator=" → ", ignore_nulls=True)
    show(frame, form=form, columns=COLUMNS, table=frame.with_columns(told=told))
