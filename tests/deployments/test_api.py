"""The HTTP API: who may look, who may act, and what it does to the breakers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from prometheus_client import CollectorRegistry

from deployments.api.access import Access
from deployments.api.breakers import Desk, breaker_routes
from deployments.endpoint import application
from flows.vitals import Vitals
from policy.breakers import BREAKERS, TURNS
from policy.settings import Settings, parse_settings
from storage.audit import read_audit
from storage.breakers import read_breakers, replace_breakers, switched_off
from storage.database import Database
from storage.tenants import seen
from tasks.telemetry import Telemetry

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
VIEWER, OPERATOR = "viewer-token-0123456789", "operator-token-0123456789"
ROOT = "/api/v1/circuit-breaker"


class Caller:
    """Calls the API of a process with these settings, over ASGI."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tree: dict[str, Any] = {"mode": "prod"}

    def server(self, **tree: str) -> Caller:
        self.tree["server"] = tree
        return self

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json: dict[str, str] | None = None,
        host: str = "127.0.0.1:8080",
    ) -> httpx.Response:
        def settings() -> Settings:
            return parse_settings(self.tree)

        desk = Desk(database=self.database, settings=settings, clock=lambda: NOW)
        app = application(
            vitals=Vitals(born_at=NOW),
            telemetry=Telemetry(CollectorRegistry()),
            protect_interval=lambda: timedelta(seconds=15),
            clock=lambda: NOW,
            api=breaker_routes(desk, access=Access(server=lambda: settings().server)),
        )
        headers = {"Host": host} | ({"Authorization": f"Bearer {token}"} if token else {})

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await client.request(method, ROOT + path, headers=headers, json=json)

        return asyncio.run(ask())


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    """A history with two tenants, of which one has an open breaker."""
    row = {
        "tenant": "acme",
        "state": "open",
        "since": NOW,
        "kinds": "ingestion",
        "because": "far above its usual",
        "opened_at": NOW,
        "openings": 2,
    }
    with Database.open(str(tmp_path / "history.duckdb"), clock=lambda: NOW) as database:
        seen(database, ["acme", "beta"], at=NOW)
        replace_breakers(
            database,
            pl.DataFrame([row], schema=BREAKERS),
            turns=pl.DataFrame(schema=TURNS),
            evidence={},
            at=NOW,
            run_id="r",
        )
        yield Caller(database)


def test_on_this_machine_anybody_may_look(caller: Caller) -> None:
    answer = caller.call("GET", "/status")

    assert answer.status_code == httpx.codes.OK
    told = answer.json()
    assert (told["mode"], told["enabled"], told["switched_off"]) == ("prod", True, [])
    assert [(one["tenant"], one["state"]) for one in told["breakers"]] == [("acme", "open")]


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example:8080", ""])
def test_a_page_of_another_site_may_not_look(caller: Caller, name: str) -> None:
    answer = caller.call("GET", "/status", host=name)

    assert answer.status_code == httpx.codes.FORBIDDEN


@pytest.mark.parametrize("server", [{"host": "0.0.0.0"}, {"viewerToken": VIEWER}])
def test_elsewhere_or_once_there_is_a_token_looking_needs_one(
    caller: Caller, server: dict[str, str]
) -> None:
    both = {**server, "viewerToken": VIEWER, "operatorToken": OPERATOR}

    answers = [
        caller.server(**server).call("GET", "/status"),
        caller.server(**server).call("GET", "/status", token="another-token-0123456789"),
        caller.server(**both).call("GET", "/status", token=VIEWER),
        caller.server(**both).call("GET", "/status", token=OPERATOR),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 200, 200]
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("action", ["enable", "disable", "reset"])
def test_nobody_changes_anything_without_the_operators_token(caller: Caller, action: str) -> None:
    order = {"tenant": "acme", "reason": "a test"}
    tokens = {"viewerToken": VIEWER, "operatorToken": OPERATOR}

    unset = caller.call("POST", f"/{action}", json=order)
    without = caller.server(**tokens).call("POST", f"/{action}", json=order)
    viewers = caller.call("POST", f"/{action}", json=order, token=VIEWER)

    assert [each.status_code for each in (unset, without, viewers)] == [403, 401, 403]
    assert "server.operatorToken" in unset.json()["error"]
    assert switched_off(caller.database).is_empty()
    assert read_breakers(caller.database).height == 1
    assert read_audit(caller.database, since=NOW).is_empty()


def test_an_operator_switches_a_breaker_off_and_on_again(caller: Caller) -> None:
    caller.server(operatorToken=OPERATOR)
    order = {"tenant": "beta", "reason": "load test", "by": "anna"}

    off = caller.call("POST", "/disable", json=order, token=OPERATOR)
    shown = caller.call("GET", "/status").json()["switched_off"]
    on = caller.call("POST", "/enable", json=order, token=OPERATOR)

    assert off.json() == {"done": "the breaker of beta caps nobody until it is enabled"}
    assert shown == [{"tenant": "beta", "by": "anna", "reason": "load test"}]
    assert on.json() == {"done": "the breaker of beta works again"}
    assert switched_off(caller.database).is_empty()
    entered = read_audit(caller.database, since=NOW).reverse()
    assert entered.select("action", "tenant", "actor").rows() == [
        ("breaker_disabled", "beta", "anna"),
        ("breaker_enabled", "beta", "anna"),
    ]


def test_everyones_breaker_is_switched_off_without_a_tenant(caller: Caller) -> None:
    caller.server(operatorToken=OPERATOR)

    answer = caller.call("POST", "/disable", json={"reason": "migration"}, token=OPERATOR)

    assert answer.json() == {"done": "every breaker caps nobody until it is enabled"}
    assert switched_off(caller.database)["tenant"].to_list() == [""]


def test_a_reset_closes_the_breaker(caller: Caller) -> None:
    caller.server(operatorToken=OPERATOR)
    order = {"tenant": "acme", "reason": "it was the migration"}

    answer = caller.call("POST", "/reset", json=order, token=OPERATOR)

    assert answer.json() == {"done": "the breaker of acme is closed"}
    assert read_breakers(caller.database).is_empty()


@pytest.mark.parametrize(
    ("action", "order", "code", "said"),
    [
        ("enable", {"tenant": "beta", "reason": "r"}, 409, "is not switched off"),
        ("disable", {"tenant": "acne", "reason": "r"}, 409, "did you mean acme?"),
        ("disable", {"tenant": "acme", "reason": " "}, 409, "the reason is empty"),
        ("disable", {"tenant": "acme"}, 422, "reason: "),
        ("disable", {"tenant": "acme", "reason": "r", "until": "x"}, 422, "until: "),
        ("reset", {"reason": "r"}, 422, "tenant: "),
        ("reset", {"tenant": "beta", "reason": "r"}, 409, "is closed"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    caller: Caller, action: str, order: dict[str, str], code: int, said: str
) -> None:
    caller.server(operatorToken=OPERATOR)

    answer = caller.call("POST", f"/{action}", json=order, token=OPERATOR)

    assert answer.status_code == code
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert switched_off(caller.database).is_empty()


@pytest.mark.parametrize("text", ["short", "with a space 0123456789", "ümlaut-0123456789012"])
def test_a_token_that_is_guessed_or_that_no_header_carries_is_refused(text: str) -> None:
    with pytest.raises(Exception, match=r"server\.operatorToken.*16 or more") as raised:
        parse_settings({"server": {"operatorToken": text}})

    assert text not in str(raised.value)
