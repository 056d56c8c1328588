"""Check that all that tell the limits in force tell the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import httpx
import polars as pl

from deployments.checks.check import Check, ok, skipped, warning
from policy.effective import EVERYONE
from policy.errors import OptimizerError
from policy.exporter import exported_limits
from policy.figures import figure
from policy.scrape import Scrape
from policy.sources import Told, disagreements, told_by_us
from tasks.effective import told_by_api, told_by_file

NAME: Final = "mimir limits agree"
TENANTS_ASKED: Final = 20  # each is a request of its own; one that lags shows in any of them


async def check_agreement(
    ours: pl.DataFrame | None,
    *,
    seen: Scrape,
    client: httpx.AsyncClient,
    overrides: pl.DataFrame | OptimizerError,
    defaults: Mapping[str, float] | OptimizerError,
) -> Check:
    """Compare what the runtime configuration, the API, the exporter and our document say.

    Args:
        ours: LIMITS of our document; None where there is none.
        seen: the newest scrape.
        client: of tasks.http.
        overrides: LIMITS of `/runtime_config`, or why it told none.
        defaults: those of `/config`, or why it told none.
    """
    by_api = await _by_api(seen, client=client, overrides=overrides)
    sources = (
        told_by_file(overrides, defaults),
        by_api,
        exported_limits(seen.readings),
        None if ours is None or ours.is_empty() else told_by_us(ours),
    )
    return judged([one for one in sources if one])


def judged(told: Sequence[Told]) -> Check:
    """The check of what the sources told, the most trusted first."""
    names = ", ".join(one.source for one in told)
    if len(told) < len(("one", "another")):
        return skipped(NAME, f"there is nothing to compare: only {names or 'nobody'} tells them")
    found = disagreements(told)
    if found.is_empty():
        return ok(NAME, f"the same by {names}")
    first = found.row(0, named=True)
    whose = "without override" if first["tenant"] == EVERYONE else f"of {first['tenant']}"
    more = f"; {found.height - 1} more" if found.height > 1 else ""
    return warning(
        NAME,
        f"{first['limit']} {whose} is {figure(first['value_a'])} by {first['source_a']} and "
        f"{figure(first['value_b'])} by {first['source_b']}: {first['cause']}{more}",
        mend="look again after a reload period; then: give every component the same "
        "-runtime-config.file and the same default limits",
    )


async def _by_api(
    seen: Scrape, *, client: httpx.AsyncClient, overrides: pl.DataFrame | OptimizerError
) -> Told | None:
    """A few tenants, those with an override first; None where the API is closed or nobody sends."""
    with_override = [] if isinstance(overrides, OptimizerError) else overrides["tenant"].to_list()
    senders = seen.readings["user"].drop_nulls().unique().sort().to_list()
    tenants = list(dict.fromkeys([*with_override, *senders]))[:TENANTS_ASKED]
    if not tenants:
        return None
    try:
        return await told_by_api(seen.urls, tenants=tenants, client=client)
    except OptimizerError:
        return None
