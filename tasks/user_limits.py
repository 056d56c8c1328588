"""Ask Mimir, tenant by tenant, for the limits in force: for where it shows no runtime file.

Mimir tells a dozen limits that way, Cortex the overrides of a tenant. One tenant that is refused
is left out; an address that refuses the first of them is asked no further.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Final

import httpx
import polars as pl

from policy.catalogue import numbers
from policy.errors import ConfigError
from policy.frames import LIMITS
from tasks.http import get, shown

TENANT_HEADER: Final = "X-Scope-OrgID"

_MIMIR_PATH: Final = "/api/v1/user_limits"
_CORTEX_PATH: Final = "/api/v1/user-overrides"
_NOT_FOUND: Final = 404
_OF_ONE_TENANT: Final = (400, 401, 403, 404, 422)  # what a single tenant may be refused with


async def user_limits(
    base_url: str, *, tenants: Iterable[str], client: httpx.AsyncClient, concurrency: int = 10
) -> pl.DataFrame:
    """The limits in force of each tenant, as the process tells them.

    Args:
        base_url: of the process.
        tenants: tenant ids; those that fit in no header are left out.
        client: of tasks.http; its tenant header, if any, gives way.
        concurrency: most requests at once.

    Returns:
        LIMITS, the numeric ones, as told.

    Raises:
        MimirUnavailable: the process did not answer.
        ConfigError: it has no such API, refuses it, or answers something else.
    """
    asked = sorted({tenant for tenant in tenants if _fits_a_header(tenant)})
    if not asked:
        return pl.DataFrame(schema=LIMITS)
    url = await _address(base_url.rstrip("/"), tenant=asked[0], client=client)
    turns = asyncio.Semaphore(concurrency)

    async def one(tenant: str) -> list[tuple[str, str, float]]:
        async with turns:
            answer = await get(client, url, headers={TENANT_HEADER: tenant}, allow=_OF_ONE_TENANT)
        if not answer.is_success:
            return []
        return [(tenant, limit, value) for limit, value in _numbers(answer).items()]

    rows = await asyncio.gather(*map(one, asked))
    return pl.DataFrame(
        [row for of_tenant in rows for row in of_tenant], schema=LIMITS, orient="row"
    )


async def _address(base: str, *, tenant: str, client: httpx.AsyncClient) -> str:
    """The path that is served there: Mimir's, else Cortex's, where 400 is `no such tenant`."""
    headers = {TENANT_HEADER: tenant}
    answer = await get(client, base + _MIMIR_PATH, headers=headers, allow=(_NOT_FOUND,))
    if answer.status_code != _NOT_FOUND:
        return base + _MIMIR_PATH
    await get(client, base + _CORTEX_PATH, headers=headers, allow=(400,))
    return base + _CORTEX_PATH


def _fits_a_header(tenant: str) -> bool:
    """Ids of federated queries (`a|b`) are no tenants."""
    return bool(tenant) and tenant.isascii() and tenant.isprintable() and "|" not in tenant


def _numbers(answer: httpx.Response) -> Mapping[str, float]:
    try:
        told = json.loads(answer.content)
    except ValueError as error:
        raise _foreign(answer) from error
    if not isinstance(told, dict):
        raise _foreign(answer)
    return {
        name: float(value)
        for name, value in told.items()
        if name in numbers() and isinstance(value, int | float) and not isinstance(value, bool)
    }


def _foreign(answer: httpx.Response) -> ConfigError:
    return ConfigError(
        f"{shown(answer.request.url)} answered something that is no JSON object: "
        "is a proxy in between?"
    )
