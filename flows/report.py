"""Once a day, and on demand: the report of the last days as one HTML file."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Final

from prefect import flow

from flows.elsewhere import runtime_anywhere
from flows.parameters import Days, Page
from flows.run_names import run_name
from policy.figures import figure
from policy.report import Report
from policy.settings.connection import Server
from tasks.report import DAYS, make_report, report_file
from tasks.say import say
from tasks.tell import table, tell

MOST_NAMED: Final = 10
EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - addresses that no browser can open


@flow(name="report", timeout_seconds=600, validate_parameters=False, persist_result=False)
async def report(days: Days = DAYS, file: Page = None) -> None:
    """Write the report beside the history, and tell where it is.

    Args:
        days: how far back it looks.
        file: where it is written on the machine of the run, `….html`; empty is beside the history.
    """
    with runtime_anywhere() as runtime, runtime.run("report") as run:
        settings = runtime.settings()
        path = Path(file) if file else report_file(settings.storage.url)
        made = partial(make_report, settings, where=runtime.database, days=int(days), path=path)
        found = await asyncio.to_thread(made, clock=runtime.clock)
        run.summary.update(days=int(days), tenants=found.tenants.height)
        say([f"report: {found.tenants.height:,} tenants in {path}"])
        await tell(
            in_short(found, address=None if file else address_of(settings.server), path=str(path)),
            key="report",
            description="Where the report is, and who is at most risk.",
            name=run_name("report", run.summary),
        )


def address_of(server: Server) -> str | None:
    """Where a browser opens the report; None where nobody can tell which name reaches us."""
    if server.host in EVERYWHERE:
        return None
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"http://{host}:{server.port}/report"


def in_short(found: Report, *, address: str | None, path: str) -> str:
    """The Markdown of the artifact: where the report is, and its first rows."""
    grade = found.grade
    letter = "unknown" if grade is None or grade.letter is None else grade.letter
    where = f"[The report]({address}), in `{path}`" if address else f"The report is in `{path}`"
    counts = {
        "tenants": found.tenants.height,
        "raises": found.raises,
        "lowerings": found.lowers,
        "openings of breakers": found.turns.filter(after="open").height,
    }
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    window = f"{found.since:%Y-%m-%d %H:%M} to {found.made_at:%Y-%m-%d %H:%M} UTC"
    parts = [f"# Report: grade {letter}", f"{where}, {window}: {told}."]
    worst = found.tenants.filter(severity="critical").head(MOST_NAMED)
    if not worst.is_empty():
        rows = [
            (tenant, limit, "unknown" if used is None else f"{figure(used * 100)} %", why)
            for tenant, limit, used, why in worst.select(
                "tenant", "limit", "used", "why"
            ).iter_rows()
        ]
        parts += ["## At most risk", table(["tenant", "limit", "used", "why"], rows)]
    return "\n\n".join(parts)
