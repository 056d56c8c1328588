"""What runs when: the deployments, registered with the Prefect server at every start."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    StateType,
)
from prefect.exceptions import ObjectAlreadyExists
from prefect.filesystems import LocalFileSystem
from prefect.flows import Flow
from prefect.schedules import Schedule
from prefect.states import Crashed
from prefect.types.entrypoint import EntrypointType

from deployments.prefect_server import RESULTS_BLOCK
from deployments.worker import POOL, ResidentWorker
from flows.backfill import backfill
from flows.backtest import backtest
from flows.cost import cost
from flows.deliver import deliver
from flows.drill import drill
from flows.maintain import maintain
from flows.optimize import optimize
from flows.protect import protect
from flows.report import report
from flows.rollback import rollback
from policy.settings import Settings

MIDNIGHT: Final = datetime(2020, 1, 1, tzinfo=UTC)
COST_AFTER: Final = timedelta(minutes=6)  # by then the last bucket of the hour is complete
MAINTAIN_AFTER: Final = timedelta(minutes=17)  # when no other flow is due
REPORT_AFTER: Final = timedelta(minutes=27)  # by then yesterday is priced and rolled up
TAGS: Final = ("mimir",)
# What a lane of the resident worker does: a run that comes due while one is busy is cancelled.
ALONE: Final = ConcurrencyLimitConfig(
    limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
)
# Somebody asked for each of these runs, so it waits for its turn.
IN_TURN: Final = ConcurrencyLimitConfig(
    limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE
)
# Each of them may run in a pool of these types as well, in a process of its own. A pool and the
# deployments in it are called by its type.
HEAVY: Final = (backfill, backtest, report)
HEAVY_POOLS: Final = ("process", "kubernetes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """One flow and how often it runs.

    Attributes:
        every: the interval, counted from midnight UTC, so that a restart does not shift it; None
            for a flow that runs when somebody asks for it.
        after: how long after the full interval, for a flow that works up what ended with it.
        at_once: whether a first run is asked for when we start.
    """

    flow: Flow[..., Coroutine[Any, Any, None]]
    every: timedelta | None
    after: timedelta = timedelta(0)
    at_once: bool = False


def scheduled_flows(settings: Settings) -> tuple[Scheduled, ...]:
    """The flows there are, with the intervals of the settings."""
    return (
        Scheduled(flow=protect, every=settings.protect_interval, at_once=True),
        Scheduled(flow=optimize, every=settings.update_interval, at_once=True),
        Scheduled(flow=cost, every=settings.cost_interval, after=COST_AFTER, at_once=True),
        Scheduled(flow=deliver, every=settings.alerting.interval),
        Scheduled(flow=maintain, every=timedelta(days=1), after=MAINTAIN_AFTER),
        Scheduled(flow=report, every=timedelta(days=1), after=REPORT_AFTER),
        Scheduled(flow=backfill, every=None),
        Scheduled(flow=backtest, every=None),
        Scheduled(flow=rollback, every=None),
        Scheduled(flow=drill, every=None),
    )


async def register(scheduled: Sequence[Scheduled]) -> dict[str, UUID]:
    """Create or update the pool and the deployments; returns deployment ids by flow name."""
    async with get_client() as client:
        await _ensure_pool(client)
    # Named by PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK, so that no run has to ask the server.
    await LocalFileSystem().save(RESULTS_BLOCK.partition("/")[2], overwrite=True)
    identifiers: dict[str, UUID] = {}
    for entry in scheduled:
        deployment = await entry.flow.ato_deployment(
            name=entry.flow.name,
            schedule=_schedule(entry),
            work_pool_name=POOL,
            entrypoint_type=EntrypointType.MODULE_PATH,
            description=entry.flow.description,
            tags=list(TAGS),
            concurrency_limit=ALONE,
        )
        identifiers[entry.flow.name] = await deployment.aapply()
    return identifiers


def _schedule(entry: Scheduled) -> Schedule | None:
    if entry.every is None:
        return None
    return Schedule(interval=entry.every, anchor_date=MIDNIGHT + entry.after, timezone="UTC")


async def run_now(deployment: UUID) -> None:
    """Ask for one run of the deployment at once; a new schedule's first run comes much later."""
    async with get_client() as client:
        await client.create_flow_run_from_deployment(deployment)


async def _ensure_pool(client: PrefectClient) -> None:
    pools = await client.read_work_pools(
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    )
    if pools:
        return
    template = ResidentWorker.get_default_base_job_template()
    try:
        await client.create_work_pool(
            WorkPoolCreate(
                name=POOL,
                type=ResidentWorker.type,
                description="Flow runs inside the resident process (mlo up).",
                base_job_template=template,
            )
        )
    except ObjectAlreadyExists:
        return


async def end_stale_runs() -> None:
    """End the runs that a killed process left behind; only one resident process can be alive.

    It holds the lock of the DuckDB file, so no other process of ours is running them.
    """
    async with get_client() as client:
        await _end_stale(client)


async def _end_stale(client: PrefectClient) -> None:
    stale = await client.read_flow_runs(
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(
                type=FlowRunFilterStateType(
                    any_=[StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
                )
            )
        ),
    )
    for run in stale:
        message = "the resident process was restarted"
        await client.set_flow_run_state(run.id, Crashed(message=message), force=True)
