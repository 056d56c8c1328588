"""Ask one Mimir process what it has loaded: limits, defaults, version, runtime file.

Nothing is written and nothing is guessed: a value that is not a number is no limit of ours and
is left out, a version that the build does not know is None.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Final

import httpx
import polars as pl
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from policy.errors import ConfigError
from policy.frames import LIMITS, empty
from policy.scrape import RELOAD_SUCCESSFUL, RUNTIME_HASH, Scrape
from tasks.http import get, shown

_NO_RUNTIME_FILE: Final = "runtime config file doesn't exist"
_BUILDINFO_PATHS: Final = ("/api/v1/status/buildinfo", "/prometheus/api/v1/status/buildinfo")
_UNKNOWN_VERSIONS: Final = ("", "unknown")
_NOT_FOUND: Final = 404

RELOADS: Final = pl.Schema({"pod": pl.String(), "successful": pl.Boolean(), "sha256": pl.String()})


async def runtime_overrides(base_url: str, *, client: httpx.AsyncClient) -> pl.DataFrame:
    """The tenants' limits as the process has loaded them, where they differ from its defaults.

    An override that equals the default is not in Mimir's answer and so not here.

    Returns:
        LIMITS, the numeric ones. Empty while no runtime file was loaded.

    Raises:
        MimirUnavailable: the process did not answer.
        ConfigError: no runtime file is configured, the address is wrong or refuses.
    """
    response = await get(client, f"{_root(base_url)}/runtime_config", params={"mode": "diff"})
    if _NO_RUNTIME_FILE in response.text[:200]:
        return empty(LIMITS)
    document = await asyncio.to_thread(_document, response)
    overrides = _mapping(document.get("overrides"))
    rows = [
        (str(tenant), limit, value)
        for tenant, limits in overrides.items()
        for limit, value in _numbers(limits).items()
    ]
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


async def default_limits(base_url: str, *, client: httpx.AsyncClient) -> dict[str, float]:
    """The numeric limits of a tenant without overrides, by the `limits` block of this process.

    Raises:
        MimirUnavailable: the process did not answer.
        ConfigError: the address is wrong or refuses, or the answer has no `limits` block.
    """
    response = await get(client, f"{_root(base_url)}/config")
    document = await asyncio.to_thread(_document, response)
    defaults = _numbers(document.get("limits"))
    if not defaults:
        raise ConfigError(
            f"{shown(response.request.url)} has no `limits` block: it is not a Mimir process"
        )
    return defaults


async def build_version(base_url: str, *, client: httpx.AsyncClient) -> str | None:
    """The version that the process was built as, such as `3.0.3`; None where it does not say.

    Raises:
        MimirUnavailable: the process did not answer.
        ConfigError: the address is wrong or refuses.
    """
    for path in _BUILDINFO_PATHS:
        response = await get(client, f"{_root(base_url)}{path}", allow=(_NOT_FOUND,))
        if response.status_code == _NOT_FOUND:
            continue
        try:
            answer = _mapping(json.loads(response.content))
        except ValueError as error:
            raise _foreign(response, kind="JSON") from error
        version = _mapping(answer.get("data")).get("version")
        known = isinstance(version, str) and version not in _UNKNOWN_VERSIONS
        return str(version) if known else None
    return None


def reload_states(scrape: Scrape) -> pl.DataFrame:
    """Whether each pod took the runtime file, and which one it has loaded.

    A rejected file leaves `successful` false and the hash of the last good one.

    Returns:
        RELOADS, one row per pod that tells either; what it does not tell is null.
    """
    told = scrape.readings.group_by("pod").agg(
        (pl.col("value").filter(pl.col("family") == RELOAD_SUCCESSFUL).min() == 1.0).alias(
            "successful"
        ),
        pl.col("sha256")
        .filter((pl.col("family") == RUNTIME_HASH) & (pl.col("value") == 1.0))
        .max()
        .alias("sha256"),
    )
    tells = pl.any_horizontal(pl.col("successful", "sha256").is_not_null())
    return told.filter(tells).select(RELOADS.names()).cast(RELOADS).sort("pod")


def _root(base_url: str) -> str:
    return base_url.rstrip("/")


def _document(response: httpx.Response) -> Mapping[object, object]:
    try:
        # The C parser, and YAML 1.2: `yes` and `012` are what Go takes them for.
        document = YAML(typ="safe", pure=False).load(response.text)
    except YAMLError as error:
        raise _foreign(response, kind="YAML") from error
    if document is not None and not isinstance(document, Mapping):
        raise _foreign(response, kind="a YAML mapping")
    return _mapping(document)


def _foreign(response: httpx.Response, *, kind: str) -> ConfigError:
    where = shown(response.request.url)
    return ConfigError(f"{where} answered something that is not {kind}: is a proxy in between?")


def _mapping(value: object) -> Mapping[object, object]:
    return value if isinstance(value, Mapping) else {}


def _numbers(limits: object) -> dict[str, float]:
    """The numeric entries; durations, switches, lists and selectors are not ours to tune."""
    return {
        str(name): float(value)
        for name, value in _mapping(limits).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
