"""Checks of Mimir: every process, and what all of them together must tell us."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

import polars as pl

from deployments.checks.agreement import check_agreement
from deployments.checks.check import Check, failed, ok, skipped, warning
from deployments.checks.discovery import find_containers, find_pods
from deployments.checks.in_force import NAME as IN_FORCE
from deployments.checks.in_force import check_in_force
from deployments.checks.sink_reads import our_document
from policy import scrape as families
from policy.clocks import MEND, SKEWED_SECONDS, skew
from policy.errors import ConfigError, OptimizerError
from policy.figures import figure
from policy.scrape import Scrape
from policy.settings import Settings
from policy.settings.connection import MimirSettings
from policy.versions import known_to
from tasks.http import MimirUnavailable, client_of
from tasks.mimir import build_version, default_limits, reload_states, runtime_overrides
from tasks.scrape import scrape

T = TypeVar("T")

# What tells the kind of a process, and what we need of it: it is missing while no tenant sends.
KINDS: Final = {
    "distributor": (families.REPLICATION_FACTOR, families.SAMPLES_IN),
    "ingester": (families.LOCAL_LIMITS, families.SERIES_CREATED),
    "overrides-exporter": (families.LIMITS_DEFAULTS, families.LIMITS_DEFAULTS),
}
LAST_FILE: Final = "name our file last in -runtime-config.file of every process"


async def check_mimir(settings: Settings) -> list[Check]:
    """Look at every process once, and ask those that answer for limits and version."""
    mimir = settings.mimir
    try:
        client = client_of(mimir)
    except ConfigError as refusal:
        mend = "correct the settings that it names; Mimir was not asked"
        return [failed("mimir headers", str(refusal), mend=mend)]
    ours = await asyncio.to_thread(our_document, settings)
    found, known = await find_pods(settings, clock=_now)
    containers = await find_containers(settings, clock=_now)
    async with client:
        seen = await scrape(
            known, client=client, clock=_now, timeout_seconds=mimir.timeout.total_seconds()
        )
        pods = [
            found,
            *containers,
            _headers(mimir),
            *(_process(pod, seen) for pod in seen.addresses),
        ]
        if not seen.answered:
            return [*pods, skipped("mimir", "no process answers, so nothing else can be looked at")]
        overrides, defaults, version = await asyncio.gather(
            _first(seen.urls, mimir, lambda url: runtime_overrides(url, client=client)),
            _first(seen.urls, mimir, lambda url: default_limits(url, client=client)),
            _first(seen.urls, mimir, lambda url: build_version(url, client=client)),
        )
        agreement = await check_agreement(
            ours,
            seen=seen,
            client=client,
            overrides=overrides,
            defaults=defaults,
        )
    return [
        *pods,
        _demand(seen, kind="distributor"),
        _demand(seen, kind="ingester"),
        _reloads(seen),
        _clocks(seen),
        _overrides(overrides),
        _defaults(defaults),
        _version(version),
        agreement,
        _in_force(ours, overrides=overrides, defaults=defaults),
    ]


def _now() -> datetime:
    return datetime.now(UTC)


def _headers(mimir: MimirSettings) -> Check:
    """Which headers are sent: names only. No question of ours needs a tenant of its own."""
    names = ", ".join(sorted(mimir.headers))
    needless = "X-Scope-OrgID is needed only where a gateway asks for it"
    return ok("mimir headers", f"{names or 'none'} sent; {needless}")


def _process(pod: str, seen: Scrape) -> Check:
    name = f"mimir {pod}"
    if pod in seen.failed:
        mend = "start it, or correct mimir.endpoints, mimir.headers or mimir.timeout"
        return failed(name, seen.failed[pod], mend=mend)
    has = set(seen.readings.filter(pl.col("pod") == pod)["family"])
    kinds = [kind for kind, told_by in KINDS.items() if has.intersection(told_by)]
    if not kinds:
        return ok(name, "answers; neither distributor nor ingester, nothing is read of it")
    idle = [KINDS[kind][1] for kind in kinds if KINDS[kind][1] not in has]
    if idle:
        return warning(
            name,
            f"{' and '.join(kinds)} without {', '.join(idle)}",
            mend="nothing, if no tenant sends through it yet",
        )
    return ok(name, f"{' and '.join(kinds)}, all that is needed is there")


def _demand(seen: Scrape, *, kind: str) -> Check:
    """At least one process of the kind tells what we size limits by."""
    name, family = f"mimir {kind}s", KINDS[kind][1]
    rows = seen.readings.filter(pl.col("family") == family)
    pods, tenants = rows["pod"].n_unique(), rows["user"].n_unique()
    if pods:
        return ok(
            name, f"{pods} of {len(seen.answered)} processes tell {family} of {tenants} tenants"
        )
    return failed(
        name,
        f"no process tells {family}",
        mend=f"let every {kind} be found, each by its own address: list it in mimir.endpoints, or "
        "name its Service in metricsDiscovery.serviceNames",
    )


def _clocks(seen: Scrape) -> Check:
    """Every process has the time that we have."""
    name = "mimir clocks"
    if not seen.ahead:
        return skipped(name, "no process tells its time")
    found = skew(seen.ahead)
    if found is not None:
        return warning(name, found.words, mend=MEND)
    return ok(name, f"{len(seen.ahead)} processes agree with ours within {SKEWED_SECONDS:g} s")


def _reloads(seen: Scrape) -> Check:
    """Every process took its runtime files, and the same ones."""
    name = "mimir runtime files"
    states = reload_states(seen)
    refused = states.filter(~pl.col("successful"))["pod"].to_list()
    if refused:
        return failed(
            name,
            f"the last reload failed on {', '.join(refused)}: the old limits are in force there",
            mend="look into the log of that process for the key it refuses",
        )
    told = set(states.drop_nulls("successful")["pod"])
    if silent := [pod for pod in seen.answered if pod not in told]:
        return warning(
            name,
            f"no runtime file is known to {', '.join(silent)}",
            mend=f"{LAST_FILE}; without one nothing that is published is ever loaded",
        )
    hashes = states["sha256"].drop_nulls().n_unique()
    if hashes > 1:
        return warning(
            name,
            f"the processes hold {hashes} different contents",
            mend="look again after a reload period; then: give all of them the same files",
        )
    return ok(name, f"loaded without error by all {len(seen.answered)} processes")


def _overrides(answer: pl.DataFrame | OptimizerError) -> Check:
    name = "mimir limits"
    if isinstance(answer, OptimizerError):
        return failed(name, str(answer), mend=f"{LAST_FILE}, and let /runtime_config through")
    tenants = answer["tenant"].n_unique()
    return ok(name, f"{answer.height} limits of {tenants} tenants differ from the defaults")


def _defaults(answer: dict[str, float] | OptimizerError) -> Check:
    name = "mimir defaults"
    if isinstance(answer, OptimizerError):
        return failed(
            name, str(answer), mend="let /config through: limits without override are known by it"
        )
    return ok(name, f"ingestion_rate is {figure(answer.get('ingestion_rate'))} without override")


def _version(answer: str | OptimizerError | None) -> Check:
    name = "mimir version"
    names = len(known_to(answer if isinstance(answer, str) else None))
    if isinstance(answer, str):
        return ok(name, f"{answer}, to which {names} limits are known")
    return warning(
        name,
        "unknown" if answer is None else str(answer),
        mend=f"let /api/v1/status/buildinfo through; until then only the {names} limits that "
        "every version knows are published",
    )


def _in_force(
    ours: pl.DataFrame | None,
    *,
    overrides: pl.DataFrame | OptimizerError,
    defaults: dict[str, float] | OptimizerError,
) -> Check:
    if isinstance(overrides, OptimizerError) or isinstance(defaults, OptimizerError):
        return skipped(IN_FORCE, "Mimir does not show its limits")
    return check_in_force(ours, overrides=overrides, defaults=defaults)


async def _first(
    pods: Sequence[str], mimir: MimirSettings, ask: Callable[[str], Awaitable[T]]
) -> T | OptimizerError:
    """The answer of the first of the processes that gives one, all asked at once; or why not."""

    async def one(pod: str) -> T | OptimizerError:
        try:
            async with asyncio.timeout(mimir.timeout.total_seconds()):
                return await ask(pod)
        except TimeoutError:
            return MimirUnavailable(f"{pod} did not answer within {mimir.timeout}")
        except OptimizerError as refusal:
            return refusal

    answers = await asyncio.gather(*map(one, pods))
    given = (answer for answer in answers if not isinstance(answer, OptimizerError))
    return next(given, answers[-1])
