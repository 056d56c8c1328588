"""docs/limits.md: every limit of Mimir and Cortex that is known, from `policy.catalogue`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from policy.catalogue import CORTEX, MIMIR_RELEASES, Class, Limit, limits

BEGINNING: Final = """\
# Limits of Mimir and Cortex

Every per-tenant limit that is known, made from `policy/mimir_limits.json` by `make reference`; a
test holds this page to it. `mlo limits` prints the same with what your settings change.
[How a limit is decided](limits-and-decisions.md) has what is measured and how it is sized.

*Known to* are the releases of Mimir whose source was read ({releases}), and Cortex. A limit is
never written where a running process does not know it, because Mimir then refuses the whole file.

"""
# What a limit holds and who notices when it is too low, of those whose demand is measured.
SAID: Final[Mapping[str, tuple[str, str]]] = {
    "ingestion_rate": (
        "samples, exemplars and metadata a tenant may send per second, over all distributors",
        "writes are answered 429 and lost where the sender gives up",
    ),
    "ingestion_burst_size": (
        "how much of that one distributor takes at once",
        "a single large request is refused whole, even of a tenant far below its rate",
    ),
    "request_rate": ("write requests per second", "writes are answered 429 unread"),
    "request_burst_size": ("how many of them come at once", "writes are answered 429 unread"),
    "max_global_series_per_user": (
        "series in the memory of the ingesters, before replication",
        "new series are refused, those that exist go on: a deploy loses its new pods' metrics",
    ),
    "max_active_series_per_user": (
        "series that got a sample lately, by the usage-tracker",
        "new series are refused at the distributor",
    ),
    "max_global_metadata_per_user": (
        "metrics with metadata",
        "metrics have no help text, type and unit; no sample is lost",
    ),
    "max_global_exemplars_per_user": (
        "exemplars in the ring buffer of the ingesters",
        "older exemplars are overwritten sooner",
    ),
    "ha_max_clusters": (
        "clusters of HA pairs whose elected replica is remembered",
        "samples of further clusters are refused",
    ),
    "max_cost_attribution_cardinality": (
        "label values by which costs are attributed",
        "what is beyond is counted as one overflow",
    ),
    "ruler_max_rule_groups_per_tenant": ("rule groups", "a new group is answered 400"),
    "ruler_max_rules_per_rule_group": ("rules of one group", "a larger group is answered 400"),
    "ruler_max_rule_evaluation_results": (
        "series or alerts that one rule may give",
        "the rule fails: nothing is recorded, no alert fires",
    ),
    "ruler_max_independent_rule_evaluation_concurrency_per_tenant": (
        "rules of a tenant that are evaluated beside each other",
        "groups take longer, and miss evaluations where they take too long",
    ),
    "alertmanager_max_alerts_count": (
        "alerts that an Alertmanager holds",
        "further alerts are refused: nobody is told",
    ),
    "alertmanager_max_alerts_size_bytes": (
        "bytes that these alerts take",
        "further alerts are refused: nobody is told",
    ),
    "alertmanager_max_silences_count": ("silences", "a new silence is refused"),
    "alertmanager_notification_rate_limit": (
        "notifications per second of one integration",
        "notifications fail: people are told late or not at all",
    ),
}
SECTIONS: Final[Mapping[Class, tuple[str, str]]] = {
    "auto": (
        "Sized by itself",
        "Class `auto`: sized once there is enough history, unless `limits.disabled` names it.",
    ),
    "guarded": (
        "Sized when you say so",
        "Class `guarded`: `limits.enabled` has the measured ones sized; pin the rest.",
    ),
    "manual": (
        "By people only",
        "Class `manual`: switches, lists and times, which no demand tells. Not sized.",
    ),
    "destructive": (
        "Never touched",
        "Class `destructive`: a wrong value deletes data. They cannot be pinned either.",
    ),
}
RELEASES: Final = {label: f"{major}.{minor}" for (major, minor), label in MIMIR_RELEASES}


def page() -> str:
    """The whole page.

    Raises:
        LookupError: the demand on a limit is measured, and nothing is said of it here.
    """
    known = limits().values()
    if missing := sorted({limit.name for limit in known if limit.signal} ^ SAID.keys()):
        raise LookupError(f"SAID and the limits that are measured differ: {', '.join(missing)}")
    measured = [limit for limit in known if limit.signal]
    beginning = BEGINNING.format(releases=", ".join(RELEASES.values()))
    tables = [
        f"## {title}\n\n{about}\n\n{_table(each for each in known if each.automation == kind)}"
        for kind, (title, about) in SECTIONS.items()
    ]
    return "\n".join([f"{beginning}## Measured\n\n{_meanings(measured)}", *tables])


def _meanings(measured: Iterable[Limit]) -> str:
    rows = [
        f"| `{limit.name}` | {limit.automation} | {SAID[limit.name][0]} | {SAID[limit.name][1]} |\n"
        for limit in sorted(measured, key=lambda limit: list(SAID).index(limit.name))
    ]
    return "| limit | class | what it holds | when it is too low |\n|---|---|---|---|\n" + "".join(
        rows
    )


def _table(rows: Iterable[Limit]) -> str:
    head = (
        "| limit | unit | default | 0 means | shows in | refuses as | known to |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    return head + "".join(
        f"| `{limit.name}`<br>{limit.component} | {limit.unit} | {_default(limit.default)} | "
        f"{limit.zero} | {_code(limit.metric)} | {_code(limit.reject)} | {_versions(limit)} |\n"
        for limit in rows
    )


def _default(value: object) -> str:
    if value is None or value in ("", [], {}):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _code(text: str | None) -> str:
    return f"`{text.replace('|', 'or')}`" if text else ""


def _versions(limit: Limit) -> str:
    mimir = [release for label, release in RELEASES.items() if label in limit.present_in]
    cortex = ["Cortex"] if CORTEX in limit.present_in else []
    if len(mimir) == len(RELEASES):
        mimir = [f"{mimir[0]} and later"]
    return ", ".join([*mimir, *cortex])
