"""Whether all that tell the limits in force tell the same, in the words of the doctor."""

from __future__ import annotations

import polars as pl

from deployments.checks.agreement import judged
from policy.frames import LIMITS, empty
from policy.sources import OTHER_DEFAULTS, Source, Told, told_by_us

RATE = "ingestion_rate"


def limits(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=LIMITS, orient="row")


def file(rate: float) -> Told:
    return Told(
        source=Source.RUNTIME_CONFIG,
        limits=limits(("acme", RATE, rate)),
        defaults=limits(("", RATE, 10_000)),
        omits_defaults=True,
    )


def test_sources_that_say_the_same_are_fine() -> None:
    check = judged([file(5), told_by_us(limits(("acme", RATE, 5)))])

    assert check.outcome == "ok"
    assert check.found == "the same by /runtime_config, our own document"


def test_a_disagreement_names_both_sides_and_the_likely_cause() -> None:
    exporter = Told(
        source=Source.EXPORTER,
        limits=empty(LIMITS),
        defaults=limits(("", RATE, 20_000)),
        omits_defaults=True,
    )

    check = judged([file(5), exporter])

    assert check.outcome == "warning"
    assert check.found.startswith(
        f"{RATE} without override is 10,000 by /runtime_config and 20,000 by overrides-exporter: "
        f"{OTHER_DEFAULTS}; 1 more"
    )
    assert check.mend is not None


def test_one_source_alone_proves_nothing() -> None:
    assert judged([file(5)]).outcome == "skipped"
    assert "only nobody tells" in judged([]).found
