"""Check a sink that is more than a file of this machine: it can be read, and holds what is ours."""

from __future__ import annotations

from typing import Final

import polars as pl

from deployments.checks.check import Check, failed, ok, warning
from policy.document import parse
from policy.errors import ConfigError, OptimizerError, RetriableError
from policy.settings import Settings
from tasks.sinks import PROD, SINKS
from tasks.sinks.base import Sink

NAME: Final = "sink"
KEPT_IN_A_FILE: Final = ("file", "http")


def our_document(settings: Settings) -> pl.DataFrame | None:
    """LIMITS of the document that stands; None where it cannot be read, or must not be.

    In a dry run only a file is read, which needs no right of ours in the cluster.
    """
    kind = settings.publish.sink
    if kind not in KEPT_IN_A_FILE and settings.mode != PROD:
        return None
    try:
        document = SINKS[kind](settings).read().document
        return None if document is None else parse(document)
    except OptimizerError:
        return None  # the check of the sink tells


def check_reading(sink: Sink, *, kind: str) -> Check:
    """Read the sink once; nothing is written.

    Args:
        sink: the one that publishing uses.
        kind: the value of publish.sink, under which its settings are.
    """
    first, *others = kind.replace("map", "-map").split("-")
    section = first + "".join(map(str.capitalize, others))
    mend = f"correct publish.{section}, or what it names"
    try:
        document = sink.read().document
    except ConfigError as refusal:
        return failed(NAME, str(refusal), mend=mend)
    except RetriableError as refusal:
        return warning(NAME, str(refusal), mend="it may pass: look again in a minute")
    if document is None:
        return ok(NAME, f"{sink.describe()} can be read; nothing of ours is there yet")
    try:
        limits = parse(document)
    except ConfigError as refusal:
        found = f"{sink.describe()} is not ours to replace: {refusal}"
        return failed(NAME, found, mend="point the sink at a place of its own")
    tenants = limits["tenant"].n_unique()
    return ok(NAME, f"{sink.describe()} holds {limits.height} limits of {tenants} tenants")
