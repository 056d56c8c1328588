"""One foreground command that brings the whole system up, and takes all of it down again.

Order matters: the history is opened first, because its lock says that we are the only one; the
servers are children that end with us; Prefect is imported last, because it reads its settings
from the environment once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from deployments.api.access import Access
from deployments.api.alerting import alerting_routes
from deployments.api.desk import Desk
from deployments.api.profiles import profile_routes
from deployments.api.routes import api_routes
from deployments.children import Child, end_children, watch
from deployments.console import quieten_prefect, set_up_logging
from deployments.document import DOCUMENT_PATH, ServedDocument
from deployments.endpoint import Endpoint, application
from deployments.health_metrics import HealthStatus
from deployments.prefect_server import (
    is_ours,
    prefect_environment,
    refuse_taken_port,
    start_server,
    wait_until_healthy,
)
from deployments.report_route import report_routes
from deployments.simulation import (
    Simulation,
    plan_simulation,
    remember_past,
    start_simulator,
    write_config,
)
from flows.vitals import Vitals
from policy.errors import ConfigError
from policy.settings import Settings
from storage.audit_retention import forget_audit
from storage.client import TOKEN_VARIABLE
from storage.database import Database
from storage.origin import claim
from storage.serve import serving, serving_others
from tasks.discover import asks_kubernetes
from tasks.settings import SettingsSource, origins
from tasks.telemetry import Telemetry

END_SECONDS: Final = 3.0

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Up:
    """What was asked for, and what has been started so far."""

    config: Path | None
    simulate: bool
    environ: Mapping[str, str]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    say: Callable[[str], None] = print
    children: list[Child] = field(default_factory=list)
    server: Child | None = None
    simulation: Simulation | None = None
    telemetry: Telemetry = field(default_factory=lambda: Telemetry(CollectorRegistry()))
    vitals: Vitals = field(init=False)

    def __post_init__(self) -> None:
        """Nothing has run yet."""
        self.vitals = Vitals(born_at=self.clock())
        self.telemetry.registry.register(HealthStatus(self.vitals))

    def run(self) -> int:
        """Run until Ctrl-C or SIGTERM; returns the exit code."""
        source = self._settings()
        settings = source.current()
        set_up_logging(level=settings.log_level, log_format=settings.log_format)
        data = _data_folder(settings)
        with ExitStack() as stack:
            stack.callback(end_children, self.children, timeout_seconds=END_SECONDS)
            kept = settings.storage
            database = stack.enter_context(
                Database.open(kept.url, clock=self.clock, memory_limit=kept.memory_limit)
            )
            claim(database, simulated=self.simulation is not None, at=self.clock())
            forget_earlier(database, settings)
            refuse_taken_port(settings.server.host, settings.server.port, key="server.port")
            stack.enter_context(self._endpoint(source, database))
            if self.simulation:
                write_config(self.simulation, settings)
                self.children.append(start_simulator(self.simulation))
                remember_past(database, self.simulation, until=self.clock())
            zoneinfo.reset_tzpath(())  # for us what PYTHONTZPATH is for the server
            os.environ.update(
                prefect_environment(
                    data_folder=data, port=settings.prefect.port, environ=self.environ
                )
            )
            if is_ours(self.environ):
                log = data / "prefect" / "server.log"
                self.server = start_server(port=settings.prefect.port, log=log)
                self.children.append(self.server)
            stack.enter_context(serving(database))
            if settings.storage.listen:
                token = self.environ.get(TOKEN_VARIABLE, "").strip()
                others = serving_others(database, listen=settings.storage.listen, token=token)
                stack.enter_context(others)
            with suppress(KeyboardInterrupt):
                asyncio.run(self._live(source, database))
        return 0

    def _settings(self) -> SettingsSource:
        plain = SettingsSource(self.config, self.environ)
        settings = plain.current()
        if not (self.simulate or settings.synthetic.enabled):
            return plain
        # In a simulation publishing hurts nobody, so it is shown, unless the operator said no.
        said = "mode" in origins(self.config, environ=self.environ)
        mode = settings.mode if said else "prod"
        self.simulation = plan_simulation(settings, data_folder=_data_folder(settings))
        return SettingsSource(self.config, self.environ, self.simulation.settings(mode=mode))

    async def _live(self, source: SettingsSource, database: Database) -> None:
        """Work until a signal says to end, or something that we need has ended."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        asked = asyncio.create_task(stop.wait())
        needed = [
            asyncio.create_task(self._start_and_work(source, database)),
            asyncio.create_task(watch(self.children)),
        ]
        done, _ = await asyncio.wait({asked, *needed}, return_when=asyncio.FIRST_COMPLETED)
        self.say("ending …")
        for task in needed:
            task.cancel()
        await asyncio.wait(needed, timeout=END_SECONDS)
        for ended in done:
            ended.result()

    async def _start_and_work(self, source: SettingsSource, database: Database) -> None:
        api_url = os.environ["PREFECT_API_URL"]
        if self.server:
            self.say("starting the Prefect server (its first start takes about 20 s) …")
        await wait_until_healthy(api_url, server=self.server)
        from deployments.resident import Resident  # noqa: PLC0415 - Prefect reads its settings now

        quieten_prefect()
        resident = Resident(
            settings=source.current,
            database=database,
            clock=self.clock,
            telemetry=self.telemetry,
            vitals=self.vitals,
            settings_problem=lambda: source.problem,
            simulated=self.simulation is not None,
        )
        await resident.register()
        self.say(_where_to_look(source.current(), api_url=api_url, simulation=self.simulation))
        try:
            await resident.work()
        finally:
            await resident.settle_down()

    @contextmanager
    def _endpoint(self, source: SettingsSource, database: Database) -> Iterator[None]:
        """Serve metrics, health, API and document, which Mimir may wait for: so it comes first."""
        settings = source.current()
        access = Access(server=lambda: source.current().server)
        # The environment has the address of our own server only after this.
        ours = f"http://127.0.0.1:{settings.prefect.port}"
        desk = Desk(
            database=database,
            settings=source.current,
            clock=self.clock,
            prefect_url=self.environ.get("PREFECT_API_URL", ours).removesuffix("/api"),
        )
        served = settings.publish.sink == "http"
        self.vitals.store = database.problem
        app = application(
            vitals=self.vitals,
            telemetry=self.telemetry,
            protect_interval=lambda: source.current().protect_interval,
            clock=self.clock,
            document=ServedDocument(settings.publish.file.path) if served else None,
            api=api_routes(desk, access=access, vitals=self.vitals),
            others=(
                report_routes(desk, access=access),
                alerting_routes(desk, access=access),
                profile_routes(access=access),
            ),
        )
        endpoint = Endpoint(app, host=settings.server.host, port=settings.server.port)
        endpoint.start()
        try:
            yield
        finally:
            endpoint.stop()


def forget_earlier(database: Database, settings: Settings) -> None:
    """Forget the audit of the process before, where it was to live in memory only."""
    if settings.audit_log.storage_type == "memory":
        forget_audit(database, but_waiting=settings.audit_log.file is not None)


def _data_folder(settings: Settings) -> Path:
    if settings.storage.url.startswith("quack:"):
        raise ConfigError(
            f"storage.url {settings.storage.url} names the history of another process; "
            "`mlo up` owns its history: give it a path"
        )
    return Path(settings.storage.url).parent


def _where_to_look(settings: Settings, *, api_url: str, simulation: Simulation | None) -> str:
    here = f"http://{settings.server.host}:{settings.server.port}"
    kind = "simulated Mimir" if simulation else "Mimir"
    look = f"mlo --config {simulation.config} doctor" if simulation else "mlo doctor"
    writes = "publishes to" if settings.mode == "prod" else "would publish to"
    lines = {
        "mode": f"{settings.mode}: {writes} {settings.publish.sink}"
        + _document_of(settings, here=here),
        "Prefect UI": api_url.removesuffix("/api"),
        "console": f"{here}/",
        "metrics": f"{here}/metrics   health {here}/health   ready {here}/ready",
        kind: _which_mimir(settings),
        "history": f'{settings.storage.url}   mlo sql "from v_decisions"',
        "look": f"mlo recommend   mlo tenants   mlo explain TENANT   {look}",
        "runs": ", ".join(
            f"{name} every {int(every.total_seconds())} s"
            for name, every in (
                ("protect", settings.protect_interval),
                ("optimize", settings.update_interval),
                ("cost", settings.cost_interval),
            )
        ),
    }
    width = max(map(len, lines))
    shown = (f"  {name:<{width}}  {text}" for name, text in lines.items())
    return "\n".join(["Mimir Limit Optimizer is up.", *shown, "Ctrl-C ends everything.", ""])


def _document_of(settings: Settings, *, here: str) -> str:
    match settings.publish.sink:
        case "file":
            return f" {settings.publish.file.path}"
        case "http":
            return f": {here}{DOCUMENT_PATH}"
        case _:
            return ""


def _which_mimir(settings: Settings) -> str:
    if asks_kubernetes(settings, environ=os.environ):
        return f"as Kubernetes finds it in namespace {settings.metrics_discovery.namespace}"
    mimir = settings.mimir.endpoints
    return f"{len(mimir)} processes, the first is {mimir[0]}"


def run_up(*, config: Path | None, simulate: bool) -> int:
    """Bring everything up and stay until told to end; the exit code of the process.

    Raises:
        ConfigError: something is in the way; the line says what to do.
    """
    code = Up(config=config, simulate=simulate, environ=dict(os.environ)).run()
    sys.stdout.flush()
    sys.stderr.flush()
    return code
