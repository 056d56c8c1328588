"""What is asked in PromQL: whole pods at a time, so many series in one answer as may be.

A pod's families stay together where they fit: what one answer says of a pod is of the same
scrapes. Texts from elsewhere are quoted; nothing in a pod's name can change a query.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one query is about; without pods it is about all of them."""

    families: tuple[str, ...]
    pods: tuple[str, ...] = ()


def parts(sizes: pl.DataFrame, *, most_series: int) -> list[Part]:
    """Parts of at most so many series; a family of one pod is never cut, however big.

    Args:
        sizes: columns pod, family and value, the number of series.
        most_series: of one part.
    """
    families = tuple(sizes["family"].unique().sort())
    if sizes["value"].sum() <= most_series:
        return [Part(families=families)] if families else []
    by_pod = sizes.group_by("pod").agg(pl.col("value").sum()).sort("pod").rows()
    small = [(pod, series) for pod, series in by_pod if series <= most_series]
    found = [Part(families=families, pods=tuple(pods)) for pods in _packed(small, most=most_series)]
    big = sizes.filter(pl.col("pod").is_in([pod for pod, series in by_pod if series > most_series]))
    rows = big.select("pod", "family", "value").sort("pod", "family").rows()
    for pod, own in groupby(rows, key=lambda row: row[0]):
        each = [(family, series) for _, family, series in own]
        found += [
            Part(families=tuple(some), pods=(pod,)) for some in _packed(each, most=most_series)
        ]
    return found


def _packed(sized: Iterable[tuple[str, float]], *, most: int) -> list[list[str]]:
    """Names in order, in groups whose sizes add up to at most `most`."""
    groups: list[list[str]] = []
    total = 0.0
    for name, size in sized:
        if groups and total + size <= most:
            groups[-1].append(name)
            total += size
        else:
            groups.append([name])
            total = size
    return groups


def selector(
    families: Collection[str], *, matchers: str, label: str = "", pods: Sequence[str] = ()
) -> str:
    """Series of the families, under the operator's matchers, of all pods or of these."""
    names = f'__name__=~"{"|".join(sorted(families))}"'
    which = [f"{label}=~{_quoted('|'.join(map(re.escape, pods)))}"] if pods else []
    return f"{{{','.join([names, matchers, *which])}}}"


def ranged(series: str, *, window: timedelta) -> str:
    """The raw samples of the last `window`."""
    return f"{series}[{max(1, window // timedelta(milliseconds=1))}ms]"


def _quoted(text: str) -> str:
    # A JSON string is a string of Go's, and so of PromQL's, but for surrogates, which JSON
    # writes only when asked for ASCII.
    return json.dumps(text, ensure_ascii=False)
