"""On demand: publish an earlier revision again, whole or for one tenant, and hold it."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
from prefect import flow

from flows.parameters import LengthOrNone, Line, Number
from flows.planning import refuse_unpublishable
from flows.publishing import publish_layers
from flows.run_names import run_name
from flows.runtime import Runtime, current
from flows.words import publication_lines, rollback_report
from policy.document import parse
from policy.errors import ConfigError
from policy.holds import EVERYONE, Hold, refuse_unfit
from policy.settings import parse_duration
from storage.holds import hold
from storage.revisions import get_revision
from storage.tenants import activity
from tasks.say import say
from tasks.tell import tell


@flow(name="rollback", timeout_seconds=120, validate_parameters=False, persist_result=False)
async def rollback(
    revision: Number,
    reason: Line,
    tenant: str = "",
    hold_for: LengthOrNone = "",
    by: Line = "Prefect UI",
) -> None:
    """Publish an earlier revision again, of one tenant or of all, and hold it until released.

    Args:
        revision: its number, as `mlo history` lists it.
        reason: why; one line.
        tenant: whose limits; empty is everyone.
        hold_for: how long, like 12h or 7d; empty is until it is released with `mlo release`.
        by: who says so.
    """
    runtime = current()
    with runtime.run("rollback") as run:
        settings, now = runtime.settings(), runtime.clock()
        kept = get_revision(runtime.database, revision)
        refuse_unfit(revision, outcome=kept.outcome, detail=kept.detail)
        length = _length(hold_for)
        word = Hold(
            tenant=tenant.strip() or EVERYONE,
            revision=revision,
            reason=_line(reason, of="reason"),
            by=_line(by, of="by"),
            since=now,
            until=now + length if length else None,
        )
        said = parse(kept.document.encode())
        _refuse_stranger(word.tenant, said=said, runtime=runtime)
        refuse_unpublishable(runtime, settings, word=word, said=said)
        hold(runtime.database, word, said=said, audit=settings.audit_log.enabled)
        publication = await publish_layers(runtime, run, settings)
        whose = word.tenant or "everyone"
        say([f"{whose} is held at revision {revision} by {word.by}: {word.reason}"])
        say(publication_lines(publication, memory=runtime.memory, sink=settings.publish.sink))
        run.summary.update(rollback=revision, tenant=word.tenant or None)
        await tell(
            rollback_report(word, publication=publication),
            key="rollback",
            description="What was published again, and is held.",
            name=run_name("rollback", run.summary),
        )


def _refuse_stranger(tenant: str, *, said: pl.DataFrame, runtime: Runtime) -> None:
    known = {*said["tenant"], *activity(runtime.database)["tenant"]}
    if tenant != EVERYONE and tenant not in known:
        raise ConfigError(f"nothing is known of a tenant {tenant!r}; `mlo tenants` lists all")


def _length(text: str) -> timedelta | None:
    if not text.strip():
        return None
    try:
        return parse_duration(text)
    except ValueError as refusal:
        raise ConfigError(f"hold_for: {refusal}") from refusal


def _line(text: str, *, of: str) -> str:
    said = " ".join(text.split())
    if not said:
        raise ConfigError(f"{of} is empty: say it in one line, for who reads it later")
    return said
