"""The API, asked whatever its own description allows, and what it does not allow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.schemas import OpenApiSchema

from deployments.api.rate import Allowance, Buckets
from policy.frames import LIMITS
from storage.database import Database
from storage.limits import observe_limits
from storage.maintenance import snapshot
from storage.tenants import seen
from tests.deployments.api import NOW, OPERATOR, Process

ENDLESS = Allowance(at_once=1e9, per_second=1e9)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenApiSchema]:
    path = tmp_path_factory.mktemp("api") / "history.duckdb"
    with Database.open(str(path), clock=lambda: NOW) as database:
        seen(database, ["acme", "beta"], at=NOW)
        rows = [("acme", "ingestion_rate", 10_000.0)]
        observe_limits(database, pl.DataFrame(rows, schema=LIMITS, orient="row"), at=NOW)
        snapshot(database)
        process = Process(
            database=database,
            buckets=Buckets(seconds=lambda: 0.0, reads=ENDLESS, writes=ENDLESS),
        )
        process.tree["storage"] = {"url": str(path)}
        process.tree["publish"] = {"file": {"path": str(Path(path).with_name("overrides.yaml"))}}
        yield schemathesis.openapi.from_asgi(
            "/api/v1/openapi.json",
            process.app(),
            headers={"Authorization": f"Bearer {OPERATOR}"},
        )


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_whatever_is_asked_the_answer_is_as_described_and_no_defect(
    described: OpenApiSchema, mode: GenerationMode
) -> None:
    """What the description allows, and what it does not."""
    operations = [found.ok() for found in described.get_all_operations()]
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
        def answered(case: schemathesis.Case) -> None:
            case.call_and_validate(headers={"Authorization": f"Bearer {OPERATOR}"})

        try:
            answered()
        except Unsatisfiable:  # of what takes nothing, there is nothing wrong to ask
            assert mode is GenerationMode.NEGATIVE, operation.label
    assert len(operations) > 20
