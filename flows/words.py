"""What a run tells people: lines for the terminal, and the artifact in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from flows.resource_words import resources_section
from flows.runtime import Memory
from policy.detected import Detected, detected
from policy.explain import decision_lines
from policy.figures import figure
from policy.holds import Hold
from policy.scrape import Scrape
from policy.signals import SAMPLES_ASKED
from tasks.publish import Publication
from tasks.say import Event
from tasks.tell import changes_table, moved, table

TAKEN = ("raise", "lower")
DIFFERING_SHOWN = 20
MOST_DISCARDS_SHOWN = 10
_SAYS = {
    "pressure": "a limit bites",
    "quality": "the data are bad",
    "other": "unknown to us",
}


def publication_lines(publication: Publication, *, memory: Memory, sink: str) -> list[str | Event]:
    """What was published, or would be, or why not; said once, not at every run.

    Args:
        publication: what was made of the layers.
        memory: what was said before.
        sink: the kind of what is written to (`publish.sink`).
    """
    said, memory.refused = memory.refused, publication.problems
    count = publication.changes.height
    if publication.outcome == "written":
        number = publication.revision
        return [
            Event(
                component="publish",
                action="revision written",
                words=f"revision {number} written to {sink}: {_limits(count)} changed",
                details={"revision": number, "sink": sink, "limits": count},
            )
        ]
    if publication.outcome == "would":
        known, memory.would = memory.would, publication.changes
        if known is not None and known.equals(publication.changes):
            return []
        return [
            Event(
                component="publish",
                action="would update limits",
                words=f"dry run: would update limits, {count} of them; `mlo diff` lists them",
                details={"limits": count},
            )
        ]
    if publication.problems == said:
        return []
    return [f"not published: {problem}" for problem in publication.problems]


def optimize_lines(news: pl.DataFrame, *, decisions: pl.DataFrame) -> list[Event]:
    """One event per new decision that changes a limit, and one that sums up the rest.

    Args:
        news: DECISIONS that differ from the run before.
        decisions: all DECISIONS of this run.
    """
    taken = news.filter(pl.col("outcome").is_in(TAKEN))
    counts = dict(decisions.group_by("outcome").len().sort("outcome").iter_rows())
    return [
        *(
            Event(
                component="optimize",
                action=row["outcome"],
                words=words,
                tenant=row["tenant"],
                details={name: row[name] for name in ("limit", "before", "after", "detail")},
            )
            for row, words in zip(taken.iter_rows(named=True), decision_lines(taken), strict=True)
        ),
        Event(
            component="optimize",
            action="recommendation",
            words=f"optimize: recommendation: {outcome_summary(decisions)} "
            f"(calculated_limits {decisions.height})",
            details={
                "calculated_limits": decisions.height,
                "tenants": decisions["tenant"].n_unique(),
                "outcomes": counts,
            },
        ),
    ]


def look_event(seen: Scrape, *, samples: pl.DataFrame) -> Event:
    """What a look brought, by SAMPLES of the tenants in scope."""
    tenants, known = samples["tenant"].n_unique(), len(seen.answered) + len(seen.failed)
    return Event(
        component="protect",
        action="tenant metrics collected",
        words=f"protect: tenant metrics collected: {tenants} tenants on {len(seen.answered)} of "
        f"{known} processes",
        details={"tenants": tenants, "answered": len(seen.answered), "processes": known},
    )


def outcome_summary(decisions: pl.DataFrame) -> str:
    """`3 raise, 1 lower, 12 hold, 4 withheld (short_history)`."""
    if decisions.is_empty():
        return "no tenant was measured yet"
    parts = []
    for outcome in ("raise", "lower", "hold", "withheld"):
        rows = decisions.filter(pl.col("outcome") == outcome)
        if rows.is_empty():
            continue
        reasons = ", ".join(sorted(rows["reason"].unique())) if outcome == "withheld" else ""
        parts.append(f"{rows.height} {outcome}{f' ({reasons})' if reasons else ''}")
    return ", ".join(parts)


def protect_report(
    seen: Scrape,
    *,
    samples: pl.DataFrame,
    refused: pl.DataFrame,
    blasts: pl.DataFrame,
    resources: pl.DataFrame,
    publication: Publication,
    sections: Sequence[str] = (),
) -> str:
    """The artifact of `protect`: what was seen, who blasts, what was changed.

    Args:
        seen: the newest look.
        samples: SAMPLES by it.
        refused: DISCARDS since the look before, the most first.
        blasts: BLASTS of this moment.
        resources: RESOURCES of Mimir's processes.
        publication: what was made of the layers.
        sections: what else there is, in Markdown; an empty one is left out.
    """
    demand = samples.filter(pl.col("signal") == SAMPLES_ASKED).sort("value", descending=True)
    total = None if demand.is_empty() else float(demand["value"].sum())
    rate = f"{figure(total)} samples/s" if total is not None else "known from the next scrape on"
    pods = f"{len(seen.answered)} of {len(seen.answered) + len(seen.failed)}"
    parts = [
        "# Protect",
        cluster_line(detected(seen)),
        table(
            ["processes", "tenants", "demand", "blasting"],
            [(pods, str(samples["tenant"].n_unique()), rate, str(blasts.height))],
        ),
        _section("Not answering", ["process", "why"], list(seen.failed.items())),
        _section("Blasting", ["tenant", "why"], blasts.select("tenant", "because").rows()),
        *sections,
        _published(publication),
        _section(
            "Busiest tenants",
            ["tenant", "samples/s"],
            demand.head(5).select("tenant", "value").rows(),
        ),
        _section(
            "Discarded",
            ["tenant", "reason", "per second", "says"],
            refused.head(MOST_DISCARDS_SHOWN)
            .select("tenant", "reason", "per_second", pl.col("kind").replace_strict(_SAYS))
            .rows(),
        ),
        resources_section(resources),
    ]
    return "\n\n".join(part for part in parts if part)


def cluster_line(cluster: Detected) -> str:
    """`Mimir 3.0.3, ring of ingesters, 3 copies, zones a, b, c`; empty while nothing is told."""
    storage = {"classic": "ring of ingesters", "ingest_storage": "ingest storage", None: ""}
    parts = [
        f"{(cluster.product or '').capitalize()} {', '.join(cluster.versions)}".strip(),
        storage[cluster.storage],
        f"{cluster.replication_factor} copies" if cluster.replication_factor else "",
        f"zones {', '.join(cluster.zones)}" if cluster.zones else "",
    ]
    return ", ".join(part for part in parts if part)


def optimize_report(
    decisions: pl.DataFrame,
    *,
    publication: Publication,
    differing: pl.DataFrame,
    window: str,
    now: datetime,
) -> str:
    """The artifact of `optimize`: what changes and why, then what does not.

    Args:
        decisions: DECISIONS of this run.
        publication: what was made of them.
        differing: DISAGREEMENTS of those that tell the limits in force.
        window: the time looked back on, in words.
        now: aware UTC.
    """
    columns = ["tenant", "limit", "before", "after", "detail"]
    # What was, or would be, published is in the table of changes already.
    taken = decisions.filter(pl.col("outcome").is_in(TAKEN) & publication.changes.is_empty())
    moving = taken.select(columns).rows()
    withheld = decisions.filter(pl.col("outcome") == "withheld")
    parts = [
        f"# Optimize: {outcome_summary(decisions)}",
        f"Demand of the last {window}, at {now:%Y-%m-%d %H:%M:%S} UTC.",
        _published(publication),
        _section(
            "Recommended",
            ["tenant", "limit", "now → recommended", "why"],
            [(tenant, limit, moved(now_is, to), why) for tenant, limit, now_is, to, why in moving],
        ),
        _section(
            "Withheld",
            ["reason", "limits", "for example"],
            withheld.group_by("reason", maintain_order=True)
            .agg(pl.len(), pl.concat_str("tenant", pl.lit(": "), "detail").first())
            .rows(),
        ),
        _differing(differing),
    ]
    return "\n\n".join(part for part in parts if part)


def rollback_report(word: Hold, *, publication: Publication) -> str:
    """The artifact of `rollback`: who is held at which revision, and what that changed."""
    whose = word.tenant or "everyone"
    until = f"until {word.until:%Y-%m-%d %H:%M} UTC" if word.until else "until it is released"
    return "\n\n".join(
        [
            f"# Rollback: {whose} at revision {word.revision}",
            table(["by", "why", "held"], [(word.by, word.reason, until)]),
            _published(publication),
        ]
    )


def _differing(found: pl.DataFrame) -> str:
    rows = [
        (
            row["tenant"] or "(default)",
            row["limit"],
            f"{figure(row['value_a'])} by {row['source_a']}",
            f"{figure(row['value_b'])} by {row['source_b']}",
            row["cause"],
        )
        for row in found.head(DIFFERING_SHOWN).iter_rows(named=True)
    ]
    title = f"Told differently: {_limits(found.height)}"
    return _section(title, ["tenant", "limit", "believed", "but", "why"], rows)


def _published(publication: Publication) -> str:
    words = {
        "nothing": "Nothing to publish: Mimir has what the layers say.",
        "would": f"Dry run: {_limits(publication.changes.height)} would change.",
        "refused": "Not published: " + "; ".join(publication.problems),
        "written": f"Revision {publication.revision}: "
        f"{_limits(publication.changes.height)} changed.",
    }
    if publication.changes.is_empty():
        return words[publication.outcome]
    return f"{words[publication.outcome]}\n\n{changes_table(publication.changes)}"


def _section(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return f"## {title}\n\n{table(headings, rows)}" if rows else ""


def _limits(count: int) -> str:
    return f"{count} limit{'' if count == 1 else 's'}"
