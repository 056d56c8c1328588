"""`/api/v1/status` and `/api/v1/sql`: how the process is, and questions to its history."""

from __future__ import annotations

import json
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from deployments import fleet
from deployments.api.access import Access, is_loopback
from deployments.api.desk import Desk
from deployments.plain import plain
from flows.run_names import run_name
from flows.vitals import Vitals
from policy.activity import SEEN, states
from storage import alert_reading, reading
from storage.asking import ask_snapshot
from storage.errors import StorageError
from storage.runs import latest_runs


class Component(BaseModel):
    """A part of the process; `problem` says why it does not work, null: it does."""

    works: bool
    problem: str | None


class NewestRun(BaseModel):
    """The newest run of a flow.

    Attributes:
        flow: its name.
        what: what happened in it, as the run is called in Prefect; the flow's name for nothing.
        outcome: success or error.
        finished_at: when.
        url: of the run in the Prefect UI; null: nobody has said where people open it.
    """

    flow: str
    what: str
    outcome: str
    finished_at: datetime
    url: str | None


class ProcessStatus(BaseModel):
    """How the process is.

    Attributes:
        mode: prod or dry-run.
        version: of the program.
        coverage: which part of Mimir's processes answered the newest look, 0 to 1.
        components: flows by their newest run, the history, Mimir.
        paused: why nothing is published, or why our limits are gone; null: nobody said so.
        emergency: where it stands; null: nothing is watched.
        tenants: that were seen lately.
        revision: the newest that was published; null: none was.
        open_incidents: that go on.
        runs: the newest of each flow.
    """

    generated_at: datetime
    mode: Literal["prod", "dry-run"]
    version: str
    coverage: float | None
    components: dict[str, Component]
    paused: str | None
    emergency: dict[str, Any] | None
    tenants: int
    revision: int | None
    open_incidents: int
    runs: list[NewestRun]


class Question(BaseModel):
    """One statement that reads."""

    model_config = ConfigDict(extra="forbid")

    sql: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


class Answer(BaseModel):
    """What the history says.

    Attributes:
        columns: their names.
        rows: values as JSON knows them.
        more: there are more rows than these.
    """

    columns: list[str]
    rows: list[list[Any]]
    more: Annotated[bool, Field(description="There are more rows than these.")]


def process_routes(desk: Desk, *, access: Access, vitals: Vitals) -> APIRouter:
    """The routes.

    Args:
        desk: what they work on.
        access: who may use them.
        vitals: what the flows last did.
    """
    routes = APIRouter(tags=["process"])

    @routes.get("/status", dependencies=[Depends(access.look)])
    def status() -> ProcessStatus:
        """How the process is, and where everything stands."""
        settings, where, now = desk.settings(), desk.database, desk.clock()
        scoping, revisions = settings.tenant_scoping, reading.revisions(where)
        known = states(
            reading.activity(where),
            inactive_after=scoping.inactive_after,
            gone_after=scoping.gone_after,
        )
        emergency = reading.emergency(where)
        going_on = alert_reading.incidents(where)["state"].is_in(["firing", "acknowledged"])
        return ProcessStatus(
            generated_at=now,
            mode=settings.mode,
            version=version("mimir-limit-optimizer"),
            coverage=vitals.coverage,
            components={
                name: Component(works=problem is None, problem=problem)
                for name, problem in vitals.components().items()
            },
            paused=fleet.stopped(settings, where=where),
            emergency=None if emergency is None else json.loads(emergency),
            tenants=known.filter(state=SEEN).height,
            revision=None if revisions.is_empty() else revisions["revision"].max(),
            open_incidents=int(going_on.sum()),
            runs=_newest_runs(desk),
        )

    @routes.post("/sql", dependencies=[Depends(access.ask)])
    def sql(question: Question) -> Answer:
        """Ask the newest copy of the history a question in SQL; its views are documented."""
        path = desk.database.path
        if path is None:
            raise StorageError("a history in memory has no copy that could be asked")
        found = ask_snapshot(Path(path), question.sql)
        rows: Any = plain(found.rows)
        return Answer(columns=found.columns, rows=rows, more=found.more)

    return routes


def _newest_runs(desk: Desk) -> list[NewestRun]:
    """By flow. On this machine alone a browser opens the UI where our own client does."""
    settings = desk.settings()
    told = settings.alerting.prefect_url
    here = desk.prefect_url if is_loopback(settings.server.host) else None
    prefect = told or here
    return [
        NewestRun(
            flow=row["flow"],
            what=run_name(row["flow"], json.loads(row["summary"])) or row["flow"],
            outcome=row["outcome"],
            finished_at=row["finished_at"],
            url=f"{prefect}/runs/flow-run/{row['run_id']}" if prefect else None,
        )
        for row in latest_runs(desk.database).sort("flow").iter_rows(named=True)
    ]
