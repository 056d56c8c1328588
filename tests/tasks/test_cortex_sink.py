"""Limits through Cortex's overrides API: nobody else's are lost, and what failed is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import polars as pl
import pytest

from policy.document import parse, render
from policy.errors import ConfigError, Conflict, OptimizerError, RetriableError
from policy.frames import LIMITS
from policy.settings import parse_settings
from tasks.sinks import build_sink
from tasks.sinks.cortex_api import CortexApiSink, by_tenant
from tasks.sinks.cortex_claims import ClaimsFile

DEFAULTS = {"max_global_series_per_metric": 0.0, "ingestion_burst_size": 50_000.0}
ALLOWED = {"ingestion_rate", "ingestion_burst_size", "max_global_series_per_user"}

Limits = dict[str, dict[str, float]]


@dataclass
class FakeCortex:
    """The API as Cortex has it: it merges, drops whole tenants, and writes its defaults down."""

    overrides: Limits = field(default_factory=dict)
    allowed: set[str] = field(default_factory=lambda: set(ALLOWED))
    freezes: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    before_answer: Callable[[str, str], httpx.Response | None] = lambda _method, _tenant: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        tenant = request.headers["X-Scope-OrgID"]
        self.asked.append((request.method, tenant))
        assert request.url.path == "/api/v1/user-overrides"
        if early := self.before_answer(request.method, tenant):
            return early
        match request.method:
            case "GET" if tenant not in self.overrides:
                return httpx.Response(400, text="user not found")
            case "GET":
                return httpx.Response(200, json=self.overrides[tenant])
            case "DELETE":
                self.overrides.pop(tenant, None)
                return httpx.Response(200)
            case _:
                return self._merge(tenant, json.loads(request.content))

    def _merge(self, tenant: str, body: dict[str, float]) -> httpx.Response:
        if refused := sorted(body.keys() - self.allowed):
            return httpx.Response(400, text=f"the following limits cannot be modified: {refused}")
        frozen = DEFAULTS if self.freezes else {}
        self.overrides[tenant] = {**frozen, **self.overrides.get(tenant, {}), **body}
        return httpx.Response(200)

    def written(self) -> set[str]:
        return {tenant for method, tenant in self.asked if method != "GET"}


@pytest.fixture
def cortex() -> FakeCortex:
    return FakeCortex()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "claims.json"


@pytest.fixture
def sink(cortex: FakeCortex, state: Path) -> CortexApiSink:
    return CortexApiSink(
        "http://cortex:9009",
        connect=lambda: httpx.Client(transport=httpx.MockTransport(cortex)),
        claims=ClaimsFile(state),
        concurrency=4,
    )


def document(limits: Limits) -> bytes:
    rows = [(who, limit, value) for who, its in limits.items() for limit, value in its.items()]
    return render(pl.DataFrame(rows, schema=LIMITS, orient="row"))


def put(sink: CortexApiSink, limits: Limits) -> str:
    return sink.write(document(limits), if_version=sink.read().version)


def says(sink: CortexApiSink) -> Limits:
    held = sink.read().document
    return by_tenant(parse(held)) if held else {}


def test_before_the_first_write_nothing_is_ours(cortex: FakeCortex, sink: CortexApiSink) -> None:
    cortex.overrides["team-a"] = {"ingestion_rate": 100.0}

    assert sink.read().document is None


def test_what_was_written_is_read_back(sink: CortexApiSink) -> None:
    wanted = {"team-a": {"ingestion_rate": 2_000.0}, "team-b": {"ingestion_rate": 3_000.5}}

    version = put(sink, wanted)

    assert says(sink) == wanted
    assert sink.read().version == version


def test_the_operators_limits_of_the_same_tenant_stay(
    cortex: FakeCortex, sink: CortexApiSink
) -> None:
    cortex.overrides["team-a"] = {"max_global_series_per_user": 7.0, "ingestion_rate": 100.0}

    put(sink, {"team-a": {"ingestion_rate": 2_000.0}})
    put(sink, {})

    assert cortex.overrides["team-a"]["max_global_series_per_user"] == 7.0


def test_a_withdrawn_limit_gets_the_value_that_stood_before_ours(
    cortex: FakeCortex, sink: CortexApiSink
) -> None:
    cortex.overrides["team-a"] = {"ingestion_rate": 100.0}
    put(sink, {"team-a": {"ingestion_rate": 2_000.0}})
    put(sink, {"team-a": {"ingestion_rate": 3_000.0}})

    put(sink, {})

    assert cortex.overrides["team-a"]["ingestion_rate"] == 100.0
    assert says(sink) == {}


def test_a_tenant_that_only_we_set_is_deleted(cortex: FakeCortex, sink: CortexApiSink) -> None:
    """Its defaults, which Cortex writes down with our limits, are nobody's word."""
    put(sink, {"team-a": {"ingestion_rate": 2_000.0}})

    put(sink, {})

    assert cortex.overrides == {}


def test_one_of_two_limits_of_a_tenant_that_only_we_set_is_withdrawn(
    cortex: FakeCortex, sink: CortexApiSink
) -> None:
    both = {"ingestion_rate": 2_000.0, "max_global_series_per_user": 9_000.0}
    put(sink, {"team-a": both})

    put(sink, {"team-a": {"ingestion_rate": 2_000.0}})

    assert cortex.overrides["team-a"] == DEFAULTS | {"ingestion_rate": 2_000.0}


@pytest.mark.parametrize("freezes", [True, False])
def test_a_tenant_to_which_the_operator_came_after_us_is_never_deleted(
    cortex: FakeCortex,
    sink: CortexApiSink,
    freezes: bool,  # noqa: FBT001 - a case
) -> None:
    cortex.freezes = freezes
    put(sink, {"team-a": {"ingestion_rate": 2_000.0}})
    cortex.overrides["team-a"]["max_global_series_per_user"] = 7.0

    with pytest.raises(ConfigError, match="ingestion_rate of team-a cannot be withdrawn"):
        put(sink, {})

    assert cortex.overrides["team-a"]["max_global_series_per_user"] == 7.0


def test_a_limit_that_cannot_be_taken_back_alone_is_left_and_told(
    cortex: FakeCortex, sink: CortexApiSink
) -> None:
    """Without a former value only the whole tenant could be dropped, the operator's with it."""
    cortex.overrides["team-a"] = {"max_global_series_per_user": 7.0}
    put(sink, {"team-a": {"ingestion_rate": 2_000.0}})

    with pytest.raises(ConfigError, match="ingestion_rate of team-a cannot be withdrawn"):
        put(sink, {"team-b": {"ingestion_rate": 3_000.0}})

    assert cortex.overrides["team-a"]["max_global_series_per_user"] == 7.0
    assert says(sink)["team-b"] == {"ingestion_rate": 3_000.0}


def test_only_tenants_that_change_are_written(cortex: FakeCortex, sink: CortexApiSink) -> None:
    wanted = {f"team-{order}": {"ingestion_rate": 2_000.0} for order in range(20)}
    put(sink, wanted)
    cortex.asked.clear()

    put(sink, wanted | {"team-7": {"ingestion_rate": 2_500.0}})

    assert cortex.written() == {"team-7"}


def test_the_same_document_writes_nothing(cortex: FakeCortex, sink: CortexApiSink) -> None:
    put(sink, {"team-a": {"ingestion_rate": 2_000.0}})
    cortex.asked.clear()

    put(sink, {"team-a": {"ingestion_rate": 2_000.0}})

    assert cortex.written() == set()


def test_a_foreign_change_of_our_limit_is_seen_and_left_alone(
    cortex: FakeCortex, sink: CortexApiSink
) -> None:
    put(sink, {"team-a": {"ingestion_rate": 2_000.0}})
    version = sink.read().version
    cortex.overrides["team-a"]["ingestion_rate"] = 5.0

    with pytest.raises(Conflict):
        sink.write(document({"team-a": {"ingestion_rate": 3_000.0}}), if_version=version)

    assert cortex.overrides["team-a"]["ingestion_rate"] == 5.0
    assert says(sink) == {"team-a": {"ingestion_rate": 5.0}}


def test_a_lost_update_is_told(cortex: FakeCortex, sink: CortexApiSink) -> None:
    """Two replicas of Cortex read and write the whole bucket object: the later one wins."""
    cortex.before_answer = lambda method, _: httpx.Response(200) if method == "POST" else None

    with pytest.raises(RetriableError, match="was overwritten while we wrote it"):
        put(sink, {"team-a": {"ingestion_rate": 2_000.0}})


def test_a_limit_that_cortex_does_not_allow_stops_its_tenant_only(sink: CortexApiSink) -> None:
    refused = {"max_global_series_per_metric": 5.0}

    with pytest.raises(ConfigError, match=r"of team-a .*api_allowed_limits"):
        put(sink, {"team-a": refused, "team-b": {"ingestion_rate": 2_000.0}})

    assert says(sink) == {"team-b": {"ingestion_rate": 2_000.0}}


def test_after_a_partial_failure_the_next_write_does_the_rest(
    cortex: FakeCortex, sink: CortexApiSink
) -> None:
    wanted = {"team-a": {"ingestion_rate": 1_000.0}, "team-b": {"ingestion_rate": 2_000.0}}
    away = httpx.Response(503)
    cortex.before_answer = lambda method, who: away if (method, who) == ("POST", "team-a") else None
    with pytest.raises(RetriableError, match="not written: 1 of the tenants"):
        put(sink, wanted)
    cortex.before_answer = lambda _method, _tenant: None
    cortex.asked.clear()

    put(sink, wanted)

    assert says(sink) == wanted
    assert cortex.written() == {"team-a"}


def test_a_write_whose_answer_was_lost_is_known_to_be_ours(
    cortex: FakeCortex, sink: CortexApiSink
) -> None:
    """The request reached Cortex, the answer did not reach us: the limits are found as ours."""

    def lose(method: str, tenant: str) -> httpx.Response | None:
        if method == "POST":
            cortex.overrides[tenant] = {"ingestion_rate": 2_000.0}
            raise httpx.ReadError("dropped")
        return None

    cortex.before_answer = lose
    with pytest.raises(RetriableError):
        put(sink, {"team-a": {"ingestion_rate": 2_000.0}})

    assert says(sink) == {"team-a": {"ingestion_rate": 2_000.0}}


def test_a_lost_file_of_claims_touches_nothing(
    cortex: FakeCortex, sink: CortexApiSink, state: Path
) -> None:
    """What stands then counts as the operator's: it is given back, never deleted."""
    put(sink, {"team-a": {"ingestion_rate": 2_000.0}})
    state.unlink()

    assert sink.read().document is None

    put(sink, {"team-a": {"ingestion_rate": 3_000.0}})
    put(sink, {})
    assert cortex.overrides["team-a"]["ingestion_rate"] == 2_000.0


def test_the_folder_of_the_claims_is_made(cortex: FakeCortex, tmp_path: Path) -> None:
    sink = CortexApiSink(
        "http://cortex:9009",
        connect=lambda: httpx.Client(transport=httpx.MockTransport(cortex)),
        claims=ClaimsFile(tmp_path / "data" / "claims.json"),
        concurrency=1,
    )

    put(sink, {"team-a": {"ingestion_rate": 2_000.0}})

    assert says(sink) == {"team-a": {"ingestion_rate": 2_000.0}}


def test_a_file_of_claims_that_is_none_is_not_guessed_at(sink: CortexApiSink, state: Path) -> None:
    state.write_text('{"team-a": 1}')

    with pytest.raises(ConfigError, match="does not say which overrides are ours"):
        sink.read()


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_an_api_that_refuses_us_is_told_without_credentials(state: Path, status: int) -> None:
    cortex = FakeCortex(before_answer=lambda _method, _tenant: httpx.Response(status))
    sink = CortexApiSink(
        "http://user:hunter2@cortex:9009",
        connect=lambda: httpx.Client(transport=httpx.MockTransport(cortex)),
        claims=ClaimsFile(state),
        concurrency=1,
    )

    with pytest.raises(OptimizerError) as refusal:
        put(sink, {"team-a": {"ingestion_rate": 2_000.0}})

    assert "hunter2" not in str(refusal.value) + sink.describe()


def test_the_sink_of_the_settings_writes_to_their_address(state: Path) -> None:
    chosen = {"url": "http://cortex:9009/prefix", "state": str(state)}

    sink = build_sink(
        parse_settings({"mode": "prod", "publish": {"sink": "cortex-api", "cortexApi": chosen}})
    )

    assert sink is not None
    assert sink.describe() == "the overrides API at http://cortex:9009/prefix"
