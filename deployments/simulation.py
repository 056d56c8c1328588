"""The simulated Mimir beside us: its process, its files, and the past it gives a new history.

With a simulation no real sink can be built: the settings that point at a cluster are
overridden here, before anything else reads them.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl
from ruamel.yaml import YAML

from deployments.children import Child, start_child
from policy.cost.attribution import FAMILIES, MEASURED_AS, MISSING, SIGNALS
from policy.errors import ConfigError
from policy.settings import Settings
from policy.signals import (
    ACTIVE_SERIES,
    INGESTION_BURST_SIZE,
    INGESTION_RATE,
    QUERIES,
    SAMPLES_ASKED,
    SAMPLES_RECEIVED,
    SERIES,
    SERIES_CREATED_RATE,
)
from policy.sustained import sustained_for
from simulator import endpoints, history, operator_overrides, roster
from simulator.attribution_page import SHARED
from storage.database import Database
from storage.rollups import ROLLUPS, import_rollups

FIRST_PORT: Final = 9009
PORTS_TRIED: Final = 50
SEED: Final = 1
# The newest days as they would have been stored, the older ones by the hour.
FINE_DAYS: Final = 2
COARSE_DAYS: Final = 12
FINE_SECONDS: Final = 300
COARSE_SECONDS: Final = 3600
DISTRIBUTORS: Final = 2  # as many as the simulator has unless it is told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Where the simulated Mimir listens and which files it reads."""

    port: int
    folder: Path
    tenants: int

    @property
    def overrides(self) -> Path:
        """The runtime file that we publish to."""
        return self.folder / "overrides.yaml"

    @property
    def base(self) -> Path:
        """The runtime file that the simulated operator keeps."""
        return self.folder / "runtime.yaml"

    @property
    def config(self) -> Path:
        """A configuration with which the other commands look at this simulation."""
        return self.folder / "config.yaml"

    def settings(self, *, mode: str) -> dict[str, object]:
        """The overrides that keep everything of ours on the simulation."""
        return {
            "synthetic.enabled": True,
            "mode": mode,
            "metricsSource": "scrape",
            "mimir.endpoints": endpoints(self.port),
            "mimir.headers": {},
            "publish.sink": "file",
            "publish.file.path": str(self.overrides),
            "costControl.attribution.label": "team",
            "costControl.attribution.path": "/usage-metrics",
        }


def plan_simulation(settings: Settings, *, data_folder: Path) -> Simulation:
    """Choose a free port and make the files that the simulated Mimir needs to start."""
    folder = data_folder / "simulator"
    folder.mkdir(parents=True, exist_ok=True)
    simulation = Simulation(
        port=_free_port(), folder=folder, tenants=settings.synthetic.tenant_count
    )
    # What an operator of this cluster had written by hand before we came.
    own = {"overrides": dict(operator_overrides(roster(simulation.tenants, seed=SEED)))}
    simulation.base.write_text(json.dumps(own, default=dict), encoding="utf-8")
    if not simulation.overrides.exists():
        simulation.overrides.write_text("overrides: {}\n", encoding="utf-8")
    return simulation


def write_config(simulation: Simulation, settings: Settings) -> None:
    """Write the settings that point at this simulation, for `mlo doctor --config`."""
    document = {
        "mode": settings.mode,
        "mimir": {"endpoints": list(settings.mimir.endpoints)},
        "publish": {"sink": "file", "file": {"path": str(simulation.overrides)}},
        "storage": {"url": settings.storage.url},
        "server": {"host": settings.server.host, "port": settings.server.port},
        "prefect": {"port": settings.prefect.port},
    }
    with simulation.config.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(document, stream)


def start_simulator(simulation: Simulation) -> Child:
    """Start the simulated Mimir as a child process."""
    arguments: Mapping[str, object] = {
        "--port": simulation.port,
        "--tenants": simulation.tenants,
        "--seed": SEED,
        "--runtime-config": simulation.overrides,
        "--base-runtime-config": simulation.base,
        "--parent-pid": os.getpid(),
    }
    words = [str(word) for pair in arguments.items() for word in pair]
    return start_child(
        "the simulated Mimir",
        [sys.executable, "-m", "simulator", *words],
        log=simulation.folder / "simulator.log",
        environ=os.environ,
    )


def remember_past(
    database: Database,
    simulation: Simulation,
    *,
    until: datetime,
    coarse_days: int = COARSE_DAYS,
) -> int:
    """Give an empty history the simulated tenants' last weeks, the newest in 5-minute rollups.

    Args:
        database: the history.
        simulation: whose tenants.
        until: the moment at which the cluster starts, aware UTC.
        coarse_days: how many days by the hour come before the newest; two weeks in all.

    Returns:
        How many rollups were stored; 0 when the history had its own.
    """
    row = database.cursor().execute("select count(*) from rollups_5m").fetchone()
    if row and row[0]:
        return 0
    tenants = roster(simulation.tenants, seed=SEED)
    bucket = until.replace(minute=until.minute // 5 * 5, second=0, microsecond=0)
    hour = (bucket - timedelta(days=FINE_DAYS)).replace(minute=0)
    told = partial(history, tenants=tenants, distributors=DISTRIBUTORS)
    past = pl.DataFrame(
        [
            *told(until=hour, days=coarse_days, step_seconds=COARSE_SECONDS),
            *told(until=bucket, days=FINE_DAYS, step_seconds=FINE_SECONDS),
        ],
        orient="row",
    )
    busiest = pl.col("busiest_distributor_samples_per_second")
    signals = {
        SAMPLES_ASKED: pl.col("samples_per_second"),
        INGESTION_RATE: busiest * DISTRIBUTORS,
        INGESTION_BURST_SIZE: busiest,
        SERIES: pl.col("series"),
        SAMPLES_RECEIVED: pl.col("samples_per_second"),
        ACTIVE_SERIES: pl.col("active_series"),
        SERIES_CREATED_RATE: pl.col("new_series_per_second"),
        QUERIES: pl.col("queries_per_second"),
    }
    rollups = pl.concat(
        past.select(
            pl.col("at").cast(ROLLUPS["at"]),
            "tenant",
            signal=pl.lit(signal),
            max=value.cast(pl.Float64),
            mean=value.cast(pl.Float64),
            sum=value.cast(pl.Float64),
            count=pl.lit(1, dtype=pl.Int64),
            coverage=pl.lit(1.0),
        )
        for signal, value in signals.items()
    )
    shared = _of_teams(rollups.filter(pl.col("at") >= hour))
    import_rollups(
        database,
        pl.concat([each.select(ROLLUPS.names()).cast(ROLLUPS) for each in (rollups, shared)]),
        now=until,
        sustained_for=sustained_for(Settings()),
    )
    return rollups.height + shared.height


def _of_teams(rollups: pl.DataFrame) -> pl.DataFrame:
    """ROLLUPS of what teams have of the tenants that they share."""
    parts = pl.DataFrame(
        [
            (tenant, team, part, MEASURED_AS[family], SIGNALS[family])
            for tenant, teams in SHARED.items()
            for team, part in teams.items()
            for family in FAMILIES
            if team != MISSING
        ],
        schema=["tenant", "team", "part", "signal", "told_as"],
        orient="row",
    )
    return rollups.join(parts, on=["tenant", "signal"]).with_columns(
        pl.col("max", "mean", "sum") * pl.col("part"),
        signal=pl.concat_str("told_as", "team", separator=":"),
    )


def _free_port() -> int:
    for port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ConfigError(
        f"no free port from {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1} on 127.0.0.1 "
        "for the simulated Mimir; end what listens there"
    )
