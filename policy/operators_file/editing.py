"""The operator's own runtime file with our limits in it: text in, text out.

Only what is ours changes, character by character; comments, order, quotes, anchors and line ends
stay. What stood there before is kept in `Claims`, so that it comes back. Limits are set first and
withdrawn then, each step proven by reading the text again. A file that Mimir would refuse is
refused, and so is one that cannot be edited without changing what is not ours.
"""

from __future__ import annotations

import polars as pl

from policy.document import number_text
from policy.frames import LIMITS
from policy.operators_file.claims import Claims
from policy.operators_file.layout import RuntimeFile, explicit, number, read, resolved
from policy.operators_file.nodes import BYTE_ORDER_MARK, plain_meaning
from policy.operators_file.proof import proven
from policy.operators_file.setting import set_limits
from policy.operators_file.withdrawing import withdraw
from policy.operators_file.writing import Wanted


def claimed(text: str, *, claims: Claims) -> pl.DataFrame:
    """What stands in the file at the places that are ours.

    Args:
        text: the file.
        claims: what is ours.

    Returns:
        LIMITS, sorted by tenant and limit. A place that somebody removed is absent, and so is one
        that holds anything but a plain number.

    Raises:
        DocumentError: the file cannot be read.
    """
    file = read(text.removeprefix(BYTE_ORDER_MARK))
    rows = [
        (tenant, limit, number(entry.value))
        for tenant, limits in claims.before.items()
        if tenant in file.tenants
        for limit, entry in explicit(file.tenants[tenant].value).items()
        if limit in limits
    ]
    return (
        pl.DataFrame(rows, schema=LIMITS, orient="row").drop_nulls("value").sort("tenant", "limit")
    )


def edited(text: str, *, claims: Claims, wanted: pl.DataFrame) -> tuple[str, Claims]:
    """The file with these limits as ours, and what is ours then.

    Args:
        text: the file; an empty one gets its `overrides`.
        claims: what is ours in it.
        wanted: LIMITS, all that is to be ours from now on, validated before.

    Returns:
        The text, the same where there is nothing to do, and the claims on the wanted limits.

    Raises:
        DocumentError: the file cannot be read, or cannot be edited without changing more than
            what is ours; names the line and the way out.
    """
    body = text.removeprefix(BYTE_ORDER_MARK)
    file, asked = read(body), _by_tenant(wanted)

    file, fresh = _with_limits(file, claims=claims, asked=asked)
    file = _without_limits(file, claims=claims, asked=asked)
    return text[: len(text) - len(body)] + file.text, fresh


def _with_limits(file: RuntimeFile, *, claims: Claims, asked: Wanted) -> tuple[RuntimeFile, Claims]:
    setting = set_limits(file, claims=claims, wanted=asked)
    if not setting.splices:
        return file, setting.claims
    expected = resolved(file)
    for tenant, limits in setting.written.items():
        meanings = {limit: plain_meaning(text) for limit, text in limits.items()}
        expected[tenant] = {**expected.get(tenant, {}), **meanings}
    return proven(file, setting.splices, expected=expected, restored={}), setting.claims


def _without_limits(file: RuntimeFile, *, claims: Claims, asked: Wanted) -> RuntimeFile:
    withdrawal = withdraw(file, claims=claims, wanted=asked)
    if not withdrawal.splices:
        return file
    expected = {
        tenant: limits
        for tenant, limits in resolved(file, without=withdrawal.removed).items()
        if tenant not in withdrawal.tenants
    }
    return proven(file, withdrawal.splices, expected=expected, restored=withdrawal.restored)


def _by_tenant(wanted: pl.DataFrame) -> Wanted:
    rows = wanted.sort("tenant", "limit").select("tenant", "limit", number_text())
    found: dict[str, dict[str, str]] = {}
    for tenant, limit, text in rows.iter_rows():
        found.setdefault(tenant, {})[limit] = text
    return found
