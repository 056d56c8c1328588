"""`mlo withdraw`: take every limit of ours away, as before an uninstallation."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.diff import COLUMNS
from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.commands.pins import ByOption, ReasonOption
from deployments.output import Format, show
from deployments.pinning import forecast, login_name
from deployments.standing import standing_limits
from deployments.withdrawal import withdrawal
from policy.errors import ConfigError
from policy.pinnable import spoken
from policy.settings import Settings, parse_duration
from storage import pauses, reading
from storage.client import running_server

LOOK_SECONDS: Final = 1.0

PreviewOption = Annotated[
    bool, typer.Option("--preview", help="Only show what would go; nothing is withdrawn.")
]
WaitOption = Annotated[
    str | None,
    typer.Option("--wait", metavar="3m", help="Wait so long until every Mimir process has let go."),
]


def withdraw(
    reason: ReasonOption,
    wait: WaitOption = None,
    by: ByOption = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
    *,
    preview: PreviewOption = False,
) -> None:
    """Take every limit of ours away, and publish none until `mlo resume`.

    The operator's own limits are in force again. The running process does it; where none runs, this
    command does.
    """
    settings = settings_of(config)
    url, now = settings.storage.url, datetime.now(UTC)
    who = spoken(login_name() if by is None else by, of="--by")
    why = spoken(reason, of="the reason")
    seconds = _seconds(wait)
    plan = withdrawal(settings, by=who, reason=why, where=url)
    show(plan.changes, form=output, columns=COLUMNS)
    if preview:
        say("a preview: nothing is withdrawn")
        return
    order = partial(pauses.withdraw, by=who, reason=why, at=now, audit=settings.audit_log.enabled)
    if url.startswith("quack:") or running_server(Path(url).absolute()) is not None:
        before = _newest(url)
        order(url)
        say("our limits are withdrawn, and none is published until `mlo resume`")
        say(forecast(settings))
        if seconds and not plan.changes.is_empty():
            say(_settled(settings, after=before, seconds=seconds))
        return
    from deployments.withdrawing import withdraw_here  # noqa: PLC0415 - imports Prefect

    for line in withdraw_here(settings, order=order, wait_seconds=seconds):
        say(line)
    say("none is published until `mlo resume`")


def _seconds(wait: str | None) -> float:
    if wait is None:
        return 0.0
    try:
        return parse_duration(wait).total_seconds()
    except ValueError as fault:
        raise ConfigError(f"--wait: {fault}") from None


def _newest(url: str) -> int:
    known = reading.revisions(url)
    return 0 if known.is_empty() else int(known["revision"][0])


def _settled(
    settings: Settings, *, after: int, seconds: float, sleep: Callable[[float], None] = time.sleep
) -> str:
    """What became of the document without our limits, which the running process writes."""
    url = settings.storage.url
    for _ in range(max(1, round(seconds / LOOK_SECONDS))):
        sleep(LOOK_SECONDS)
        ended = reading.revisions(url).filter(
            pl.col("revision") > after, pl.col("outcome") != "intended"
        )
        if not ended.is_empty() and standing_limits(settings, where=url).is_empty():
            outcome, detail = ended.select("outcome", "detail").row(0)
            if outcome != "confirmed":
                raise ConfigError(detail)
            return str(detail)
    raise ConfigError("Mimir was not heard to have let go yet; `mlo history` tells when it has")
