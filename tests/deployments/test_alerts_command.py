"""`mlo alerts`, as it is typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from flows.runtime import install
from policy.alerting.patience import Standing
from storage import outbox
from storage.audit import newest_entries
from storage.database import Database
from tests.flows.alerting import Office, hook
from tests.tasks.receiver import Receiver, Says, receiving

NOW = datetime.now(UTC)  # the commands look at the clock
SECRET = "s3cret-of-the-test"
URL = "data/history.duckdb"


@pytest.fixture
def ops() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder to work in, and somebody who is known by name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    monkeypatch.setenv("LOGNAME", "anna")


async def history(ops: Receiver) -> None:
    """One incident that a webhook was told of, one that it refused, and one that is over."""
    with Database.open(URL, clock=lambda: NOW) as database:
        office = Office(database, tree={"webhooks": {"ops": hook(ops.url)}}, now=NOW)
        office.happens("breaker:acme", title="acme blasts")
        office.happens("leak:beta", title="beta grows", priority="P2", tenant="beta")
        await office.run()
        office.happens("leak:beta", resolves=True)
        ops.says(422, b"no")
        office.happens("drift", lasts=False)
        await office.run()
        install(None)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["alerts", *arguments])


def rows(result: Result) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(result.stdout)
    return found


def actions() -> list[tuple[str, str, str]]:
    with Database.open(URL, clock=lambda: NOW) as database:
        found = newest_entries(database, newest=100).filter(category="user")
    return found.select("action", "actor", pl.col("details").cast(pl.String)).rows()


async def test_the_list_is_of_what_goes_on_and_who_was_told(ops: Receiver) -> None:
    await history(ops)

    (going_on,) = rows(run("list", "-o", "json"))
    everything = rows(run("list", "--all", "-o", "json"))

    assert (going_on["incident"], going_on["told"]) == ("breaker:acme", "ops")
    assert {each["incident"]: each["state"] for each in everything} == {
        "breaker:acme": "firing",
        "leak:beta": "resolved",
        "drift": "told",
    }


async def test_what_was_given_up_is_listed_with_the_reason_and_may_be_tried_again(
    ops: Receiver,
) -> None:
    await history(ops)
    dead = rows(run("dead", "-o", "json"))
    message = str(dead[0]["delivery"])

    wrong = run("retry", "0-0")
    done = run("retry", message)

    assert {str(each["problem"]) for each in dead} == {
        "alerting.webhooks.ops: 127.0.0.1 answered 422: no"
    }
    assert (wrong.exit_code, done.exit_code) == (1, 0)
    assert "0-0 was not given up" in wrong.stderr
    assert message not in {each["delivery"] for each in rows(run("dead", "-o", "json"))}
    assert actions() == [("alert_retried", "anna", json.dumps({"delivery": message}))]


async def test_somebody_says_that_they_see_to_an_incident(ops: Receiver) -> None:
    await history(ops)

    unknown = run("ack", "breaker:beta")
    done = run("ack", "breaker:acme")
    again = run("ack", "breaker:acme")

    assert (unknown.exit_code, done.exit_code, again.exit_code) == (1, 0, 1)
    assert "breaker:beta waits for nobody" in unknown.stderr
    assert actions() == [("alert_acknowledged", "anna", json.dumps({"incident": "breaker:acme"}))]


def test_channels_are_listed_with_what_is_wrong() -> None:
    with Database.open(URL, clock=lambda: NOW) as database:
        down = Standing(breaker="open", since=NOW, failures=5, problem="no answer within 5s")
        outbox.keep_channel(database, "slack", down)

    (found,) = rows(run("channels", "-o", "json"))

    assert (found["channel"], found["breaker"], found["problem"]) == (
        "slack",
        "open",
        "no answer within 5s",
    )


def test_where_nothing_was_told_each_list_says_so() -> None:
    Database.open(URL, clock=lambda: NOW).close()

    said = [run(what).stderr for what in ("list", "dead", "channels")]

    assert said == [
        "nothing goes on; --all lists what is over\n",
        "no message was given up\n",
        "no channel was tried yet; `mlo alerts test` tries those that are enabled\n",
    ]
    assert run("retry").exit_code == 1


def test_a_test_sends_a_real_message_that_is_over_at_once_and_says_who_got_it(
    ops: Receiver, tmp_path: Path
) -> None:
    with receiving(lambda _: Says(status=403, body=SECRET.encode())) as broken:
        (tmp_path / "config.yaml").write_text(
            json.dumps(
                {
                    "alerting": {
                        "webhooks": {
                            "good": hook(ops.url),
                            "bad": hook(broken.url, headers={"Authorization": SECRET}),
                            "odd": {"enabled": True},
                        }
                    }
                }
            )
        )

        every = run("test")
        one = run("test", "--channel", "good")
        none = run("test", "--channel", "other")

    assert [got.json["state"] for got in ops.got] == ["firing", "resolved"] * 2
    assert (every.exit_code, one.exit_code, none.exit_code) == (1, 0, 1)
    assert "odd" in every.output
    assert "alerting.webhooks.odd.url is not set" in every.output
    assert SECRET not in every.output
    assert "other is not enabled; these are: bad, good, odd" in none.stderr
