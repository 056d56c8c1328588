"""Ask for the limits in force where Mimir shows them, and elsewhere where it does not.

`/runtime_config` and `/config` tell every limit of every tenant. Where a gateway keeps one of them
from us, the overrides-exporter of the scrape stands in; where there is none, every tenant is asked
about by itself. An overloaded Mimir is not asked that much more: that is for the next run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import httpx
import polars as pl

from policy.effective import EVERYONE
from policy.errors import ConfigError, OptimizerError
from policy.exporter import exported_limits
from policy.frames import LIMITS, empty
from policy.sources import Source, Told
from tasks.answers import first_answer
from tasks.mimir import default_limits, runtime_overrides
from tasks.user_limits import user_limits


async def limits_told(
    endpoints: Sequence[str], *, client: httpx.AsyncClient, readings: pl.DataFrame
) -> tuple[Told, ...]:
    """What the sources tell, the most trusted first; tenants are asked about only if need be.

    Args:
        endpoints: base URLs of the processes.
        client: of tasks.http.
        readings: READINGS of the newest scrape.

    Raises:
        OptimizerError: no source told the overrides, or none the defaults; why the first did not.
    """
    overrides: pl.DataFrame | OptimizerError
    defaults: Mapping[str, float] | OptimizerError
    try:
        overrides = await first_answer(endpoints, lambda url: runtime_overrides(url, client=client))
    except OptimizerError as exc:
        overrides = exc
    try:
        defaults = await first_answer(endpoints, lambda url: default_limits(url, client=client))
    except OptimizerError as exc:
        defaults = exc
    exported = exported_limits(readings)
    missing = [answer for answer in (overrides, defaults) if isinstance(answer, OptimizerError)]
    asked = None
    if missing and not (exported and (exported.omits_defaults or missing == [overrides])):
        if not isinstance(missing[0], ConfigError):
            raise missing[0]
        asked = await _asked(endpoints, client=client, readings=readings, problem=missing[0])
    by_file = told_by_file(overrides, defaults)
    return tuple(one for one in (by_file, asked, exported) if one)


def told_by_file(
    overrides: pl.DataFrame | OptimizerError, defaults: Mapping[str, float] | OptimizerError
) -> Told | None:
    """What `/runtime_config` and `/config` tell together; None where both are closed."""
    if isinstance(overrides, OptimizerError) and isinstance(defaults, OptimizerError):
        return None
    known = {} if isinstance(defaults, OptimizerError) else defaults
    return Told(
        source=Source.RUNTIME_CONFIG,
        limits=empty(LIMITS) if isinstance(overrides, OptimizerError) else overrides,
        defaults=pl.DataFrame(
            {
                "tenant": [EVERYONE] * len(known),
                "limit": list(known),
                "value": list(known.values()),
            },
            schema=LIMITS,
        ),
        omits_defaults=not isinstance(overrides, OptimizerError),
    )


async def told_by_api(
    endpoints: Sequence[str], *, tenants: Collection[str], client: httpx.AsyncClient
) -> Told:
    """What Mimir tells about each of these tenants by itself.

    Raises:
        OptimizerError: no process told.
    """
    limits = await first_answer(
        endpoints, lambda url: user_limits(url, tenants=tenants, client=client)
    )
    return Told(
        source=Source.USER_LIMITS, limits=limits, defaults=empty(LIMITS), omits_defaults=False
    )


async def _asked(
    endpoints: Sequence[str],
    *,
    client: httpx.AsyncClient,
    readings: pl.DataFrame,
    problem: OptimizerError,
) -> Told:
    """What the tenants of the scrape may, each asked about; `problem` where that is closed too."""
    tenants = readings["user"].drop_nulls().unique().to_list()
    if not tenants:
        raise problem
    try:
        return await told_by_api(endpoints, tenants=tenants, client=client)
    except OptimizerError as closed:
        raise problem from closed
