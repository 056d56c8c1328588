"""What Prometheus is asked about the past: each signal that has a price, in PromQL.

A question is answered at the end of an hour and tells the sum of twelve looks, five minutes apart,
the last one at that end; divided by how often there was somebody to look at, it is the mean. So a
pod that is replaced within the hour counts once, as it does in our own roll-ups.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from policy import scrape as families
from policy.detected import Product, product_of
from policy.signals import (
    ACTIVE_SERIES,
    QUERIES,
    QUERY_SECONDS,
    RULER_QUERY_SECONDS,
    SAMPLES_RECEIVED,
    SERIES,
)

LOOK: Final = timedelta(minutes=5)
LOOKS_PER_HOUR: Final = 12

# Prometheus 3 leaves the first moment of a range out and 2 does not: these are twelve in both.
_HOUR: Final = "[59m:5m]"
_LOOK: Final = "[5m]"
_LIMITED: Final = "rate_limited|native_histogram_rate_limited"
# As policy.series.holder: the ordinal of a StatefulSet's pod, which has the same partition in
# every zone; what has none holds its own.
_ORDINAL: Final = "(?:[a-z]+://)?[a-zA-Z][a-zA-Z0-9-]*-([0-9]+)(?:[.:/].*)?"

# Whose presence, or value, tells what kind of cluster it was. None of them is of each tenant but
# the one that an older Mimir is known by.
TELLING: Final = (
    families.BUILD,
    families.MIMIR_BUILD,
    families.CORTEX_OVERRIDES,
    families.LIMITS_DEFAULTS,
    families.REQUESTS_IN,
    families.INGEST_STORAGE,
    families.PARTITIONS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What kind of cluster it was.

    Attributes:
        product: None when nothing tells.
        partitioned: ingest storage: pods of one ordinal hold the same partition.
    """

    product: Product | None = None
    partitioned: bool = False

    @classmethod
    def told_by(cls, highest: Mapping[str, float]) -> Kind:
        """By the highest value of each of TELLING that there was."""
        partitioned = highest.get(families.INGEST_STORAGE) == 1.0 or families.PARTITIONS in highest
        return cls(product=product_of(highest.keys()), partitioned=partitioned)


def kind_question(*, matchers: str) -> str:
    """Asks for the highest value of each of TELLING, by `__name__`."""
    return f'max by (__name__) ({{__name__=~"{"|".join(TELLING)}",{matchers}}})'


def looks_question(*, matchers: str) -> str:
    """Asks how many of the twelve looks of an hour found a process of Mimir scraped."""
    return f"count_over_time((count(up{{{matchers}}} == 1)){_HOUR})"


def questions(kind: Kind, *, matchers: str, pod_label: str) -> Mapping[str, str]:
    """By signal, what asks for the sum of its twelve looks of an hour, by `user`.

    Queries of several tenants at once are of none of them and are left out.

    Args:
        kind: what kind of cluster it was.
        matchers: of the series of Mimir's processes (`promql.matchers`).
        pod_label: the label that names a process (`promql.podLabel`).
    """

    def of(family: str, *more: str) -> str:
        """The series of the tenants in a family."""
        return f'{family}{{{",".join([matchers, *more])},user!="",user!~".*[|].*"}}'

    def rate(family: str, *more: str) -> str:
        return f"sum by (user) (rate({of(family, *more)}{_LOOK}))"

    def once(expression: str) -> str:
        """Series of the ingesters, each counted once however many hold it."""
        if not kind.partitioned:
            factor = f"{families.REPLICATION_FACTOR}{{{matchers}}}"
            return f"sum by (user) ({expression}) / scalar(max({factor}) or vector(1))"
        by_pod = f"sum by (user, {pod_label}) ({expression})"
        named = f'label_replace({by_pod}, "holder", "$1", "{pod_label}", "(.*)")'
        held = f'label_replace({named}, "holder", "$1", "{pod_label}", {json.dumps(_ORDINAL)})'
        return f"sum by (user) (max by (user, holder) ({held}))"

    received = rate(families.RECEIVED)
    if kind.product == "cortex":
        # Cortex counts a sample as received before its limiter sees it, Mimir after.
        limited = rate(families.DISCARDED, f'reason=~"{_LIMITED}"')
        received = f"clamp_min({received} - ({limited} or {received} * 0), 0)"
    created, removed = of(families.SERIES_CREATED), of(families.SERIES_REMOVED)
    in_memory = f"clamp_min({created} - ({removed} or {created} * 0), 0)"
    # While an ingester reloads its trackers, what it says of active series is not to be used.
    loading = f"max by (user) ({of(families.SERIES_ACTIVE_LOADING)}) > 0"
    looked = {
        SAMPLES_RECEIVED: received,
        ACTIVE_SERIES: f"{once(of(families.SERIES_ACTIVE))} unless ({loading})",
        SERIES: once(in_memory),
        QUERIES: rate(families.QUERIES),
        QUERY_SECONDS: rate(families.QUERY_SECONDS),
        RULER_QUERY_SECONDS: rate(families.RULER_QUERY_SECONDS),
    }
    return {signal: f"sum_over_time(({look}){_HOUR})" for signal, look in looked.items()}
