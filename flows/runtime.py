"""What a flow run finds in its process: settings, history, clock, and the memory between runs.

Installed once by the process that runs flows. It is no argument of the flows because a flow's
arguments are what a person types into the Prefect UI.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from time import perf_counter
from uuid import uuid4

import polars as pl
from prefect.runtime import flow_run

from flows.vitals import Vitals
from policy.audit import logged
from policy.clocks import MEND, Skew, skew
from policy.cluster_rise import Watch
from policy.errors import ConfigError, OptimizerError
from policy.scrape import Scrape
from policy.settings import Settings
from policy.settings.section import Section
from storage.audit import append_audit
from storage.database import Database
from storage.runs import Run as RunRecord
from storage.runs import record_run
from tasks.audit_entries import Turn, run_turned
from tasks.collect import collect
from tasks.exposition_known import KnownPage
from tasks.promql import collect_promql
from tasks.publish import Publication
from tasks.say import Event
from tasks.telemetry import Telemetry
from tasks.verify import Before
from tasks.writer import Writer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InForce:
    """LIMITS put together from what the operator set and what stands, by what was asked for.

    A frame is never changed in place: from the same two frames comes the same.
    """

    observed: pl.DataFrame
    standing: pl.DataFrame
    found: dict[tuple[object, ...], pl.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PodsSeen:
    """What Kubernetes told of the pods: CONTAINERS_SEEN of late, and RESOURCES by the newest."""

    at: datetime
    containers: pl.DataFrame
    resources: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Since when processes of Mimir do not answer, and whether that was told."""

    since: datetime
    told: bool = False


@dataclass(slots=True)
class Memory:
    """What outlives a run but not the process.

    Attributes:
        scrape: the newest one; the next rates start from it.
        pages: by process, what its page was like in the newest look.
        standing: LIMITS of the document that stood in the sink when it was last looked at; None
            before the first look.
        stood: the version of the document that `standing` was read from, and what it said.
        ours: the sink where we have written, or taken over what stood there.
        observed: LIMITS that the operator set, as the history has them; None when that changed.
        in_force: the limits that were put together from these very frames, by what was asked for.
        before: what the pods said before the newest revision was written.
        versions: what the processes of Mimir said they are, None for one that did not say.
        planned: what the newest publication followed from, and the publication, when it was one
            that the same things give again: nothing to say, or a dry run's preview.
        refused: why the newest plan was refused, so that it is said once.
        would: CHANGES that a dry run would have made, so that they are said once.
        seen: how many tenants and processes there were when that was last said.
        held_back: why breakers cap nobody, as it was last said; '' when they may.
        noted: when tenants were noted as seen, and which.
        writer: what was chosen to write to, and our right to write there.
        stamped: the epoch that this process left at the sink; None before it has.
        looked_at: the version of the document that was last compared with what we left there.
        drift: the content of a document that somebody else changed, so that it is told once.
        not_before: when the sink may be asked again, where it asked for patience.
        skew: the clocks that differed from ours in the newest look, so that it is said once.
        usual: what is usual for each tenant, and the number of the bucket it was asked for in.
        weekly: what these hours were in past weeks, and the number of the hour it was asked for in.
        anchors: the thresholds that followed from the limits, as they were last said.
        thresholds: of the breakers, and when they were adapted.
        held: the tenants that the breaker held in the newest look; None before the first one.
        rises: of the whole cluster, that are on; None before the first look.
        watched: what the looks before saw of the whole cluster, by kind.
        cluster_usual: what is usual of it, and the number of the hour it was asked for in.
        metrics_refused: when the metrics of a tenant were last not told.
        metrics_url: of the process that told metrics last.
        pods: what Kubernetes told of Mimir's pods.
        told: the levels as they were last stored in their five minutes (TOLD).
        resources_at: the look whose resources were last handed to the history.
        needs: what each tenant usually needs, and the emergency and hour it was asked for in.
        capped: when the emergency last capped each tenant.
        would_cap: LAYERS that a dry run's budgets would have written, so that they are said once.
        attributed: when it was last told what teams have of their tenants, and what (ATTRIBUTED).
        mirrored: when the ConfigMap of the audit was last tried, and the state that it then had.
        settings: those of the newest look, and what was wrong with a change of them.
        channels: the settings that each alert channel was last used with.
        silent_since: since when processes of Mimir do not answer; None: all of them do.
    """

    scrape: Scrape | None = None
    pages: dict[str, KnownPage] = field(default_factory=dict)
    standing: pl.DataFrame | None = None
    stood: tuple[str, pl.DataFrame] | None = None
    ours: str | None = None
    observed: pl.DataFrame | None = None
    in_force: InForce | None = None
    before: Before | None = None
    versions: frozenset[str | None] = frozenset()
    planned: tuple[object, Publication] | None = None
    refused: tuple[str, ...] = ()
    would: pl.DataFrame | None = None
    usual: tuple[int, pl.DataFrame] | None = None
    weekly: tuple[int, pl.DataFrame] | None = None
    anchors: pl.DataFrame | None = None
    thresholds: tuple[datetime | None, pl.DataFrame] | None = None
    seen: Event | None = None
    held_back: str | None = None
    noted: tuple[datetime, frozenset[str]] | None = None
    skew: Skew | None = None
    writer: tuple[object, Writer] | None = None
    stamped: int | None = None
    looked_at: str | None = None
    drift: str | None = None
    not_before: datetime | None = None
    held: frozenset[str] | None = None
    rises: pl.DataFrame | None = None
    watched: dict[str, Watch] = field(default_factory=dict)
    cluster_usual: tuple[int, pl.DataFrame] | None = None
    metrics_refused: dict[str, datetime] = field(default_factory=dict)
    metrics_url: str | None = None
    pods: PodsSeen | None = None
    told: pl.DataFrame | None = None
    resources_at: datetime | None = None
    needs: tuple[tuple[datetime, int], pl.DataFrame] | None = None
    capped: dict[str, datetime] = field(default_factory=dict)
    would_cap: pl.DataFrame | None = None
    attributed: tuple[datetime, pl.DataFrame] | None = None
    mirrored: tuple[datetime, tuple[object, ...]] | None = None
    settings: tuple[Settings, str | None] | None = None
    channels: dict[str, Section] = field(default_factory=dict)
    silent_since: Silence | None = None


@dataclass(slots=True, kw_only=True)
class Run:
    """One run of a flow; `summary` is filled on the way and stored at the end."""

    run_id: str
    flow: str
    started_at: datetime
    summary: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The parts of the process that flows use.

    Attributes:
        settings: reads the settings afresh, as of now.
        settings_problem: what is wrong with the settings as they are written; None: nothing.
        publishing: held while something is published, so that flows publish one at a time.
        simulated: Mimir is the simulator's, and so is the only sink that may be built.
        failing: why something failed at its newest try, as a run of a flow, by its name; what
            worked is not in it.
    """

    settings: Callable[[], Settings]
    database: Database
    clock: Callable[[], datetime]
    telemetry: Telemetry
    vitals: Vitals
    memory: Memory = field(default_factory=Memory)
    publishing: Lock = field(default_factory=Lock)
    settings_problem: Callable[[], str | None] = lambda: None
    simulated: bool = False
    failing: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def run(self, flow: str) -> Iterator[Run]:
        """Time the block as a run of `flow`, count its outcome and store its summary."""
        run = Run(run_id=flow_run.id or str(uuid4()), flow=flow, started_at=self.clock())
        began = perf_counter()
        self.vitals.began(flow, at=run.started_at)
        problem: str | None = f"the run of {flow} was ended from outside"
        try:
            yield run
            problem = None
        except OptimizerError as exc:
            problem = str(exc)
            raise
        except Exception as exc:
            problem = f"{type(exc).__name__}: {exc}"
            _log.exception("a defect of ours, please report it")
            raise
        finally:
            self._end(run, problem=problem, seconds=perf_counter() - began)

    def say_once(self, subject: str, *, problem: str | None) -> Turn | None:
        """Report a failure when it begins and when it is over, not at every try in between.

        Returns:
            What was reported; None when nothing was.
        """
        known = self.failing.get(subject)
        if problem is not None and problem != known:
            _log.error("%s failed: %s", subject, problem)
            self.failing[subject] = problem
            return Turn(works=False, problem=problem)
        if problem is None and known is not None:
            _log.warning("%s works again", subject)
            del self.failing[subject]
            return Turn(works=True, problem=known)
        return None

    def _end(self, run: Run, *, problem: str | None, seconds: float) -> None:
        outcome = "success" if problem is None else "error"
        now = self.clock()
        turn = self.say_once(run.flow, problem=problem)
        self.vitals.ended(run.flow, at=now, problem=problem)
        self.telemetry.reconciles.labels(run.flow, outcome).inc()
        self.telemetry.reconcile_seconds.labels(run.flow).observe(seconds)
        if problem is None:
            self.telemetry.last_reconcile.labels(run.flow).set(now.timestamp())
        else:
            self.telemetry.errors.labels(run.flow).inc()
        summary: Mapping[str, object] = run.summary if problem is None else {"problem": problem}
        record = RunRecord(
            run_id=run.run_id,
            flow=run.flow,
            started_at=run.started_at,
            finished_at=now,
            outcome=outcome,
            summary=summary,
        )
        try:
            with self.database.transaction():
                record_run(self.database, record)
                if turn:
                    entry = run_turned(turn, record=record, at=now)
                    append_audit(self.database, logged([entry], on=self._audits()))
        except OptimizerError as exc:
            # The run's own end is what counts: a full disk must not hide why it failed.
            _log.warning("the run of %s was not recorded: %s", run.flow, exc)

    def _audits(self) -> bool:
        try:
            return self.settings().audit_log.enabled
        except OptimizerError:
            return False  # the run may have failed for that: nobody allowed an entry


async def look(runtime: Runtime, settings: Settings) -> Scrape:
    """Look at Mimir; how much of it answered is what we go by until the next look.

    Through PromQL the scrape before this one comes along, so the rates need no second look.

    Raises:
        OptimizerError: not one process answered, or none can be found.
    """
    try:
        if settings.metrics_source == "promql":
            pair = await collect_promql(
                settings.promql, clock=runtime.clock, performance=settings.performance
            )
            runtime.memory.scrape, seen = pair.since(runtime.memory.scrape), pair.current
        else:
            seen = await collect(settings, clock=runtime.clock, known=runtime.memory.pages)
    except OptimizerError:
        _answered(runtime, coverage=0.0)
        raise
    _answered(runtime, coverage=seen.coverage)
    _tell_skew(runtime, seen)
    return seen


def _tell_skew(runtime: Runtime, seen: Scrape) -> None:
    """Say once that clocks differ, and once that it is over."""
    before, found = runtime.memory.skew, skew(seen.ahead)
    if found is not None and not found.same_as(before):
        _log.warning("%s: %s", found.words, MEND)
    if before is not None and found is None:
        _log.warning("the clocks agree again")
    runtime.memory.skew = found


def _answered(runtime: Runtime, *, coverage: float) -> None:
    runtime.vitals.coverage = coverage
    runtime.telemetry.coverage.set(coverage)


_installed: Runtime | None = None


def install(runtime: Runtime | None) -> None:
    """Make this the runtime of all flow runs of the process; None takes it away."""
    global _installed  # noqa: PLW0603 - one per process, like the interpreter it describes
    _installed = runtime


def is_installed() -> bool:
    """Whether this is the process whose runtime all its runs share."""
    return _installed is not None


def current() -> Runtime:
    """The runtime of this process.

    Raises:
        ConfigError: nothing installed one: the flow was started outside the resident process.
    """
    if _installed is None:
        raise ConfigError(
            "this flow runs only inside the resident process: start `mlo up`, "
            "then run its deployment from the UI or with `prefect deployment run`"
        )
    return _installed
