"""Alerts on their way: who hears what, when, and what happens where a channel does not work."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from flows.runtime import install
from policy.audit import AuditEntry
from storage.alert_reading import revive
from storage.database import Database
from storage.incidents import acknowledge
from tests.flows.alerting import NOON, Office, hook
from tests.flows.conftest import hearing
from tests.tasks.receiver import Got, Receiver, Says, receiving

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def ops() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def desk() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def office(ops: Receiver) -> Iterator[Office]:
    """One webhook, which hears everything."""
    with Database.open(":memory:", clock=lambda: NOON) as database:
        yield Office(database, tree={"webhooks": {"ops": hook(ops.url)}})
        install(None)


def told(receiver: Receiver) -> list[tuple[str, str]]:
    """What was posted: incident and state."""
    posts = [got for got in receiver.got if got.method == "POST"]
    return [(got.json["incident"], got.json["state"]) for got in posts]


async def test_an_incident_is_told_when_it_begins_and_when_it_is_over(
    office: Office, ops: Receiver
) -> None:
    office.happens()
    await office.run()
    office.happens()
    await office.run()
    office.happens(resolves=True, kind="recovery", priority="P3")
    await office.run(times=2)

    assert told(ops) == [("breaker:acme", "firing"), ("breaker:acme", "resolved")]
    assert office.deliveries("state", "tells", "attempts") == [
        ("delivered", "firing", 1),
        ("delivered", "resolved", 1),
    ]


async def test_what_nobody_was_told_of_is_not_told_to_be_over(
    office: Office, ops: Receiver
) -> None:
    office.happens(resolves=True)
    await office.run()

    assert told(ops) == []


async def test_what_gets_worse_is_told_again(office: Office, ops: Receiver) -> None:
    office.happens("emergency", kind="warning", priority="P2")
    await office.run()
    office.happens("emergency", kind="panic", priority="P0")
    await office.run()

    posts = [got.json for got in ops.got if got.method == "POST"]
    assert [(post["kind"], post["priority"]) for post in posts] == [
        ("warning", "P2"),
        ("panic", "P0"),
    ]


async def test_a_message_that_was_not_taken_is_tried_again_with_the_same_id(
    office: Office, ops: Receiver
) -> None:
    ops.says(503)
    office.happens()
    await office.run()
    ops.says(200)
    await office.run(after=MINUTE)

    posts = [got for got in ops.got if got.method == "POST"]
    assert len({got.json["id"] for got in posts}) == 1
    assert len(posts) == 2
    assert office.deliveries("state", "attempts") == [("delivered", 2)]
    assert office.metric("alert_retry_attempts_total", channel="ops", alert_type="breaker") == 1
    assert office.actions("alert_failed", "alert_sent") == ["alert_failed", "alert_sent"]


async def test_a_service_that_asks_for_patience_gets_it(office: Office, ops: Receiver) -> None:
    ops.says(429, Retry_After="120")
    office.happens()
    await office.run()
    ops.says(200)
    await office.run(after=timedelta(seconds=119))
    before = len(told(ops))
    await office.run(after=timedelta(seconds=2))

    assert (before, len(told(ops))) == (1, 2)


async def test_what_will_never_be_taken_is_a_dead_letter_and_can_be_tried_again(
    office: Office, ops: Receiver
) -> None:
    ops.says(422, b"no")
    office.happens()
    await office.run()
    dead = office.deliveries("state", "problem")
    ops.says(200)
    revive(office.database, delivery=None, by="ada", at=office.now)
    await office.run()

    assert dead == [("dead", "alerting.webhooks.ops: 127.0.0.1 answered 422: no")]
    assert office.deliveries("state") == [("delivered",)]
    assert office.channel("ops")["breaker"] == "closed"


async def test_after_five_failures_the_channel_is_left_alone_and_comes_back_by_itself(
    office: Office, ops: Receiver
) -> None:
    ops.says(500)
    for n in range(6):
        office.happens(f"breaker:{n}")
    await office.run(times=8)
    tries = len(told(ops))
    opened = office.channel("ops")
    ops.says(200)
    await office.run(after=5 * MINUTE)
    await office.run(times=3)

    assert tries == 5
    assert opened["breaker"] == "open"
    assert office.channel("ops")["breaker"] == "closed"
    assert {state for (state,) in office.deliveries("state")} == {"delivered"}
    assert office.actions("channel_down", "channel_up") == ["channel_down", "channel_up"]
    assert office.metric("alert_channel_circuit_breaker_state", channel="ops") == 0


async def test_a_channel_that_is_down_is_told_on_the_others(
    office: Office, ops: Receiver, desk: Receiver
) -> None:
    office.tree["webhooks"]["desk"] = hook(desk.url)
    ops.says(404)
    office.happens()
    await office.run(times=2)
    down = [each for each in told(desk) if each[0] == "channel:ops"]
    ops.says(200)
    await office.run(after=5 * MINUTE)
    await office.run(times=4)

    assert down == [("channel:ops", "firing")]
    assert ("channel:ops", "resolved") in told(desk)
    assert not [each for each in told(ops) if each[0] == "channel:ops"]


async def test_one_channel_that_hangs_holds_up_no_other(
    office: Office, ops: Receiver, desk: Receiver
) -> None:
    office.tree["webhooks"] = {"ops": hook(ops.url, timeout="0.2s"), "desk": hook(desk.url)}
    ops.answer = lambda _: Says(hangs=True)
    office.happens()
    await office.run()

    assert told(desk) == [("breaker:acme", "firing")]
    assert office.metric("alert_channel_errors_total", channel="ops", error_type="timeout")
    assert office.metric("alert_channel_health", channel="ops") == 0
    assert office.metric("alert_channel_health", channel="desk") == 1


async def test_a_channel_without_its_address_is_off_and_works_once_it_is_mended(
    office: Office, ops: Receiver, desk: Receiver
) -> None:
    office.tree["webhooks"] = {"desk": {"enabled": True}, "ops": hook(ops.url)}
    office.happens()
    await office.run(times=2)
    broken = office.channel("desk")
    errors = office.metric(
        "alert_configuration_errors_total", channel="desk", config_error_type="incomplete"
    )
    office.tree["webhooks"]["desk"] = hook(desk.url)
    await office.run()

    assert broken["problem"] == "alerting.webhooks.desk.url is not set"
    assert errors == 1
    assert told(ops)[0] == ("breaker:acme", "firing")
    assert ("breaker:acme", "firing") in told(desk)


async def test_a_wrong_address_that_is_mended_is_tried_at_once(
    office: Office, ops: Receiver, desk: Receiver
) -> None:
    ops.says(403)
    office.happens()
    await office.run()
    opened = office.channel("ops")["breaker"]
    office.tree["webhooks"]["ops"] = hook(desk.url)
    await office.run(after=MINUTE)

    assert opened == "open"
    assert told(desk) == [("breaker:acme", "firing")]


async def test_what_waits_for_a_channel_that_is_taken_away_is_given_up(
    office: Office, ops: Receiver
) -> None:
    ops.says(500)
    office.happens()
    await office.run()
    office.tree["webhooks"]["ops"]["enabled"] = False
    await office.run()

    assert office.deliveries("state", "problem") == [
        ("dead", "the channel is not enabled any more")
    ]
    assert office.metric(
        "alert_channel_errors_total", channel="ops", error_type="channel_not_found"
    )


async def test_what_nobody_answers_goes_further_once(
    office: Office, ops: Receiver, desk: Receiver
) -> None:
    office.tree["webhooks"]["desk"] = hook(desk.url)
    office.tree["routing"] = [{"channels": ["ops"], "escalation": "5m", "escalateTo": ["desk"]}]
    office.happens()
    await office.run(times=2)
    early = told(desk)
    await office.run(after=5 * MINUTE)
    await office.run(after=5 * MINUTE)

    assert (early, told(desk)) == ([], [("breaker:acme", "firing")])
    assert told(ops) == [("breaker:acme", "firing")]


async def test_what_somebody_sees_to_goes_no_further_and_the_channel_knows(
    office: Office, ops: Receiver, desk: Receiver
) -> None:
    office.tree["webhooks"]["desk"] = hook(desk.url)
    office.tree["routing"] = [{"channels": ["ops"], "escalation": "5m", "escalateTo": ["desk"]}]
    office.happens()
    await office.run()
    acknowledge(office.database, subject="breaker:acme", by="ada", at=office.now)
    await office.run(after=6 * MINUTE)

    assert told(desk) == []
    assert told(ops) == [("breaker:acme", "firing"), ("breaker:acme", "acknowledged")]


async def test_in_quiet_hours_what_is_not_urgent_waits_and_what_ends_by_then_is_not_told(
    office: Office, ops: Receiver
) -> None:
    office.tree["quietHours"] = [{"from": "12:00", "until": "13:00"}]
    office.tree["escalation"] = {"P1": "24h"}
    office.happens("a", priority="P2")
    office.happens("b", priority="P2")
    office.happens("c", priority="P1")
    await office.run()
    office.happens("b", resolves=True)
    await office.run()
    urgent = told(ops)
    await office.run(after=HOUR)

    assert urgent == [("c", "firing")]
    assert told(ops) == [("c", "firing"), ("a", "firing")]


async def test_what_flaps_is_one_incident_and_its_end_is_told_when_it_stays_over(
    office: Office, ops: Receiver
) -> None:
    for _ in range(6):
        office.happens()
        await office.run()
        office.happens(resolves=True)
        await office.run()
    flapping = told(ops)
    await office.run(after=11 * MINUTE)

    assert [state for _, state in flapping] == ["firing", "resolved"] * 3 + ["firing"]
    assert told(ops)[-1] == ("breaker:acme", "resolved")
    assert len(told(ops)) == len(flapping) + 1


async def test_messages_of_one_incident_keep_their_order_whatever_fails(
    office: Office, ops: Receiver
) -> None:
    ops.says(500)
    office.happens()
    await office.run()
    office.happens(resolves=True)
    await office.run(times=2)
    ops.says(200)
    await office.run(after=MINUTE, times=3)

    taken = [state for _, state in told(ops)]
    assert taken[-2:] == ["firing", "resolved"]
    assert "resolved" not in taken[:-1]


async def test_when_too_much_waits_the_lowest_priority_gives_way_and_is_counted(
    office: Office, ops: Receiver
) -> None:
    office.tree["queue"] = {"waiting": 3}
    office.tree["quietHours"] = [{"from": "00:00", "until": "23:59", "priorities": ["P1", "P3"]}]
    for n in range(3):
        office.happens(f"low {n}", priority="P3")
    for n in range(2):
        office.happens(f"high {n}", priority="P1")
    await office.run()

    states = dict(office.deliveries("incident", "state"))
    assert states == {
        "low 0": "dropped",
        "low 1": "dropped",
        "low 2": "waiting",
        "high 0": "waiting",
        "high 1": "waiting",
    }
    assert office.metric("alert_channel_errors_total", channel="ops", error_type="queue_full") == 2
    assert told(ops) == []


async def test_no_more_than_so_many_messages_leave_in_a_minute(
    office: Office, ops: Receiver
) -> None:
    office.tree["mostPerMinute"] = 3
    for n in range(5):
        office.happens(f"breaker:{n}")
    await office.run(times=2)
    first = len(told(ops))
    await office.run(after=MINUTE)

    assert (first, len(told(ops))) == (3, 5)


async def test_while_alerting_is_off_nobody_is_told_then_or_later(
    office: Office, ops: Receiver
) -> None:
    office.tree["enabled"] = False
    office.happens()
    await office.run()
    office.tree["enabled"] = True
    await office.run()

    assert told(ops) == []


async def test_an_owner_hears_of_the_own_tenants(
    office: Office, ops: Receiver, desk: Receiver
) -> None:
    office.tree["webhooks"]["desk"] = hook(desk.url)
    office.tree["routing"] = [{"channels": ["ops"]}]
    office.tree["owners"] = {"pay-*": ["desk"]}
    office.happens("breaker:acme")
    office.happens("breaker:pay-1", tenant="pay-1")
    await office.run()

    assert told(desk) == [("breaker:pay-1", "firing")]
    assert len(told(ops)) == 2


async def test_an_entry_of_the_audit_is_told_also_where_the_audit_log_is_off(
    office: Office, ops: Receiver
) -> None:
    office.enter(
        AuditEntry(
            at=NOON,
            category="system",
            component="publish",
            action="publish_failed",
            actor="optimizer",
            success=False,
            details={"revision": 7, "detail": "the disk is full"},
            logged=False,
        )
    )
    await office.run()

    (post,) = [got.json for got in ops.got if got.method == "POST"]
    assert (post["kind"], post["priority"], post["reason"]) == (
        "publish_failed",
        "P1",
        "the disk is full",
    )
    assert office.actions("publish_failed") == []


async def test_after_a_restart_what_waits_is_told_and_what_was_told_is_not(
    office: Office, ops: Receiver
) -> None:
    office.happens("first")
    await office.run()
    ops.says(500)
    office.happens("second")
    await office.run()
    office.restart()
    ops.says(200)
    await office.run(after=MINUTE)

    assert told(ops) == [("first", "firing"), ("second", "firing"), ("second", "firing")]


async def test_what_the_other_side_says_back_holds_no_secret(
    office: Office, ops: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "s3cret-of-the-test"
    office.tree["webhooks"]["ops"] = hook(ops.url, headers={"Authorization": secret})

    def echo(got: Got) -> Says:
        return Says(status=400, body=got.headers["Authorization"].encode())

    ops.answer = echo
    office.happens()
    await office.run()

    ((problem,),) = office.deliveries("problem")
    assert secret not in problem
    assert secret not in caplog.text
    assert "********" in problem


async def test_an_alertmanager_is_told_anew_what_lasts_until_it_is_over(
    office: Office, desk: Receiver
) -> None:
    office.tree["alertmanager"] = {"enabled": True, "urls": [desk.url]}
    office.happens()
    await office.run(after=MINUTE, times=5)
    while_it_lasts = [got.json for got in desk.got if got.method == "POST"]
    office.happens(resolves=True)
    await office.run(after=MINUTE, times=3)

    assert len(while_it_lasts) == 5
    assert len([got for got in desk.got if got.method == "POST"]) == 6
    # Only the newest two of what is told anew are kept, and none is an entry of the audit.
    told = office.deliveries("channel", "tells")
    assert told.count(("alertmanager", "again")) <= 2
    assert office.actions("alert_sent") == ["alert_sent"] * 4


async def test_a_person_who_answers_at_the_same_moment_fails_no_round(
    tmp_path: Path, ops: Receiver
) -> None:
    with Database.open(str(tmp_path / "history.duckdb"), clock=lambda: NOON) as database:
        office = Office(database, tree={"webhooks": {"ops": hook(ops.url)}})
        office.happens()
        await office.run()
        written, go_on = Event(), Event()

        def answer() -> None:
            with database.transaction():
                acknowledge(database, subject="breaker:acme", by="ada", at=office.now)
                written.set()
                go_on.wait()

        person = Thread(target=answer)
        person.start()
        written.wait()
        office.happens(priority="P0")
        await office.run()
        meanwhile = told(ops)
        go_on.set()
        person.join()
        await office.run(times=2)
        install(None)

    # It got worse after the answer, so the answer counts no more.
    assert meanwhile == [("breaker:acme", "firing")]
    assert told(ops) == [("breaker:acme", "firing")] * 2


async def test_the_log_says_that_a_channel_is_there_is_left_alone_and_is_tried_again(
    office: Office, ops: Receiver
) -> None:
    said: list[str] = []
    with hearing(said):
        ops.says(500)
        office.happens()
        await office.run(after=HOUR, times=8)
        ops.says()
        await office.run(after=HOUR, times=3)

    assert said[0] == "alerting: channel ops initialized"
    told = [line for line in said[1:] if "ops" in line]
    assert told[0].startswith("alerting: ops is left alone: ")
    assert "alerting: the circuit breaker of ops is half-open: it is tried again" in told
    assert told[-1] == "alerting: ops is reached again"
