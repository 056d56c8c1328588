"""Where things are: Mimir, the sink of published limits, the history, our own servers."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, ByteSize, Field, SecretStr, model_validator

from policy.settings.section import Section
from policy.settings.values import MIB, Name, Port, PositiveDuration, Size, base_url, not_empty

DNS: Final = "dns+"


def endpoint(text: str) -> str:
    """A base address; with `dns+` in front, one process at each address of its host.

    Raises:
        ValueError: see `base_url`; or SRV records are asked for.
    """
    if text.strip().startswith("dnssrv+"):
        raise ValueError("SRV records are not supported; write it like dns+http://mimir:8080")
    if text.strip().startswith(DNS):
        return DNS + base_url(text.strip().removeprefix(DNS))
    return base_url(text)


def inside(path: str) -> str:
    """A path below a folder.

    Raises:
        ValueError: it is absolute, empty, or leads out of the folder.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or {"..", ".git"} & set(parts):
        raise ValueError("must be a path inside the repository")
    return str(PurePosixPath(path))


def branch_name(name: str) -> str:
    """A name of a branch or a remote that needs no quoting anywhere.

    Raises:
        ValueError: Git would refuse it, or read it as an option.
    """
    plain = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._/-]*", name)
    if not plain or ".." in name or "//" in name or name.endswith(("/", ".", ".lock")):
        raise ValueError("must be a name of letters, digits, and - _ . / between them")
    return name


LEAST_TOKEN: Final = 16


def token(secret: SecretStr) -> SecretStr:
    """A token that cannot be guessed, and that a header can carry.

    Raises:
        ValueError: it is too short, or has other characters than visible ASCII.
    """
    text = secret.get_secret_value()
    if len(text) < LEAST_TOKEN or not re.fullmatch(r"[!-~]+", text):
        raise ValueError(f"must be {LEAST_TOKEN} or more visible ASCII characters, without spaces")
    return secret


Token = Annotated[SecretStr, AfterValidator(token)]
Branch = Annotated[str, AfterValidator(branch_name)]
Endpoint = Annotated[str, AfterValidator(endpoint)]


class MimirSettings(Section):
    """The Mimir cluster: its processes, and where its runtime configuration lives."""

    endpoints: Annotated[tuple[Endpoint, ...], AfterValidator(not_empty)] = (
        "http://127.0.0.1:9009",
    )
    timeout: PositiveDuration = timedelta(seconds=10)
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    namespace: Name = "mimir-system"
    config_map_name: Name = "mimir-runtime-overrides"
    trigger_rollout: bool = False
    rollout_components: tuple[Name, ...] = ()
    """Deployments and StatefulSets that are restarted with each confirmed change."""


class MetricsDiscovery(Section):
    """How Mimir's processes are found in a Kubernetes cluster.

    A Service is taken when it has the labels of the selector and, where names are given, one of
    those names, or one with `-headless` or `-zone-…` behind it.
    """

    enabled: bool = True
    kubeconfig: Path | None = None
    """The cluster to look into from outside; None is the one that we run in."""
    namespace: Name = "mimir-system"
    service_label_selector: str = "app.kubernetes.io/name=mimir"
    service_names: tuple[Name, ...] = (
        "mimir-distributor",
        "mimir-ingester",
        "mimir-querier",
        "mimir-query-frontend",
        "mimir-query-scheduler",
        "mimir-store-gateway",
        "mimir-ruler",
        "mimir-alertmanager",
        "mimir-compactor",
        "mimir-overrides-exporter",
    )
    metrics_path: Annotated[str, Field(pattern="^/")] = "/metrics"
    port_name: Name = "http-metrics"

    @model_validator(mode="after")
    def _chooses(self) -> Self:
        if not self.service_label_selector.strip() and not self.service_names:
            raise ValueError(
                "serviceLabelSelector and serviceNames are both empty: every pod of the "
                "namespace would be asked; give one of them"
            )
        return self


class FileSink(Section):
    """A runtime file on a disk that Mimir reads."""

    path: Path = Path("overrides.yaml")


class CortexApi(Section):
    """The overrides API of a Cortex, asked with the headers of `mimir`."""

    url: Annotated[str, AfterValidator(base_url)] = "http://127.0.0.1:9009"
    state: Path = Path("data/cortex-claims.json")
    concurrency: Annotated[int, Field(ge=1, le=100)] = 10


class GitRepository(Section):
    """A clone in which one change is proposed, on a branch that is ours alone."""

    repository: Path = Path()
    file: Annotated[str, AfterValidator(inside)] = "overrides.yaml"
    base: Branch = "main"
    branch: Branch = "mimir-limits"
    remote: Branch | None = None
    """None: the branch stays in the clone."""
    author: Name = "Mimir Limit Optimizer"
    email: Name = "mimir-limit-optimizer@localhost"

    @model_validator(mode="after")
    def _keeps_off_the_base(self) -> Self:
        if self.branch == self.base:
            raise ValueError(
                f"base and branch are both {self.base}: give the change a branch of its own"
            )
        return self


class OwnConfigMap(Section):
    """One entry of the ConfigMap `mimir.configMapName` in `mimir.namespace`."""

    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$")] = "overrides.yaml"
    compression: Literal["plain", "gzip"] = "plain"


class WriterLease(Section):
    """The Lease in `mimir.namespace` by which one process writes to Kubernetes, and no other."""

    name: Name = "mimir-limit-optimizer"
    duration: PositiveDuration = timedelta(seconds=45)
    """How long it holds without a run; three protect intervals at least."""


class Publish(Section):
    """How the composed limits reach Mimir, and how long they may take to show."""

    sink: Literal["file", "configmap", "configmap-in-place", "http", "cortex-api", "git"] = "file"
    file: FileSink = FileSink()
    config_map: OwnConfigMap = OwnConfigMap()
    cortex_api: CortexApi = CortexApi()
    git: GitRepository = GitRepository()
    verify_timeout: PositiveDuration | None = None
    """None: what the sink needs."""
    paused: bool = False
    drift: Literal["put-back", "respect"] = "put-back"
    """What becomes of limits that somebody else has changed in our document."""
    lease: WriterLease = WriterLease()
    touch_pods: bool = False


def _enough_to_work_in(size: ByteSize) -> ByteSize:
    if size < 64 * MIB:
        raise ValueError("must be at least 64MiB")
    return size


class Storage(Section):
    """Where the history is kept: a path, or `quack:host:port`."""

    url: Name = "data/history.duckdb"
    memory_limit: Annotated[Size, AfterValidator(_enough_to_work_in)] = ByteSize(96 * MIB)
    """What DuckDB may hold of the history at once; what does not fit is read again or spilled."""
    listen: Annotated[str, Field(pattern=r"^\S+:[1-9]\d{0,4}$")] | None = None
    """Where `mlo up` serves the history to flow runs of other machines, as `host:port`."""


class Server(Section):
    """Where our own HTTP endpoint listens, and who may use its API."""

    host: Name = "127.0.0.1"
    port: Port = 8080
    viewer_token: Token | None = None
    operator_token: Token | None = None
    tenant_metrics: Annotated[int, Field(ge=0, le=10_000)] = 20
    """Tenants that may be labels of a metric; 0: none."""


class PrefectServer(Section):
    """Where the Prefect server that we start listens."""

    port: Port = 4200
