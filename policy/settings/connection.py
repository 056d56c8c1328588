"""Where things are: Mimir, the sink of published limits, the history, our own servers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from policy.settings.section import Section
from policy.settings.values import BaseUrl, Name, Port, PositiveDuration, not_empty


class MimirSettings(Section):
    """The Mimir cluster: its processes, and where its runtime configuration lives."""

    endpoints: Annotated[tuple[BaseUrl, ...], AfterValidator(not_empty)] = (
        "http://127.0.0.1:9009",
    )
    timeout: PositiveDuration = timedelta(seconds=10)
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    namespace: Name = "mimir-system"
    config_map_name: Name = "mimir-runtime-overrides"
    trigger_rollout: bool = False


class MetricsDiscovery(Section):
    """How Mimir's processes are found in a Kubernetes cluster."""

    enabled: bool = True
    namespace: Name = "mimir-system"
    service_label_selector: str = "app.kubernetes.io/name=mimir"
    service_names: tuple[Name, ...] = ("mimir-distributor", "mimir-ingester", "mimir-querier")
    metrics_path: Annotated[str, Field(pattern="^/")] = "/metrics"
    port_name: Name = "http-metrics"


class FileSink(Section):
    """A runtime file on a disk that Mimir reads."""

    path: Path = Path("overrides.yaml")


class Publish(Section):
    """How the composed limits reach Mimir, and how long they may take to show."""

    sink: Literal["file", "configmap", "configmap-in-place", "http", "cortex-api", "git"] = "file"
    file: FileSink = FileSink()
    verify_timeout: PositiveDuration = timedelta(seconds=90)


class Storage(Section):
    """Where the history is kept: a path, or `quack:host:port`."""

    url: Name = "data/history.duckdb"


class Server(Section):
    """Where our own HTTP endpoint listens."""

    host: Name = "127.0.0.1"
    port: Port = 8080


class PrefectServer(Section):
    """Where the Prefect server that we start listens."""

    port: Port = 4200
