"""Slack: what it is sent, over a webhook and by a bot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.policy.alerts import alert, message
from tests.tasks.receiver import Got, Receiver, Says, receiving
from tests.tasks.slack import TOKEN, bot, says_json, webhook

POSTED = b'{"ok": true, "channel": "C0ALERTS", "ts": "1732622400.000100"}'
THREAD = "C0ALERTS/1732622400.000100"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def refuses(method: str, word: str) -> Any:  # noqa: ANN401 - Answers
    """A Slack that posts everything, but refuses one method with a word."""

    def answer(got: Got) -> Says:
        told = f'{{"ok": false, "error": "{word}"}}'.encode()
        body = told if got.path.endswith(method) else POSTED
        return Says(body=body, headers={"Content-Type": "application/json"})

    return answer


def paths(receiver: Receiver) -> list[str]:
    return [got.path for got in receiver.got]


async def test_a_webhook_is_sent_the_message_with_its_bar_and_where_to(receiver: Receiver) -> None:
    answered = await webhook(receiver.url).send([message()], address="#payments")

    (got,) = receiver.got
    (bar,) = got.json["attachments"]
    assert answered is None
    assert got.path == "/services/T0/B0/verysecretkey"
    assert got.json["channel"] == "#payments"
    assert bar["blocks"][0]["text"]["text"] == "[P1] acme blasts: its breaker caps it"


async def test_several_messages_are_one_list(receiver: Receiver) -> None:
    many = [message(alert(f"breaker:t{n}", title=f"tenant {n} blasts")) for n in range(57)]

    await webhook(receiver.url).send(many, address=None)

    (got,) = receiver.got
    shown = str(got.json["attachments"])
    assert "tenant 19 blasts" in shown
    assert "tenant 20 blasts" not in shown
    assert "… and 37 more" in shown


async def test_the_first_message_of_a_bot_opens_a_thread_and_the_next_goes_into_it(
    receiver: Receiver,
) -> None:
    says_json(receiver, POSTED)
    channel = bot(receiver.url)

    thread = await channel.send([message()], address=None)
    again = await channel.send([message(thread=thread)], address=None)

    first, second = receiver.got
    assert thread == again == THREAD
    assert first.headers["Authorization"] == f"Bearer {TOKEN}"
    assert first.json["channel"] == "#mimir-alerts"
    assert "thread_ts" not in first.json
    assert second.json["channel"] == "C0ALERTS"
    assert second.json["thread_ts"] == "1732622400.000100"


async def test_the_end_of_an_incident_turns_its_first_message_green(receiver: Receiver) -> None:
    says_json(receiver, POSTED)

    await bot(receiver.url).send([message(state="resolved", thread=THREAD)], address=None)

    update, post = receiver.got
    (bar,) = update.json["attachments"]
    assert (update.path, post.path) == ("/chat.update", "/chat.postMessage")
    assert update.json["ts"] == post.json["thread_ts"] == "1732622400.000100"
    assert bar["color"] == "#2e8b57"
    assert bar["blocks"][0]["text"]["text"].startswith("[resolved] ")


async def test_an_end_that_could_not_be_marked_is_not_told_either_so_another_try_tells_it_once(
    receiver: Receiver,
) -> None:
    receiver.answer = refuses("chat.update", "ratelimited")

    with pytest.raises(Exception, match="ratelimited"):
        await bot(receiver.url).send([message(state="resolved", thread=THREAD)], address=None)

    assert paths(receiver) == ["/chat.update"]


@pytest.mark.parametrize("word", ["message_not_found", "edit_window_closed"])
async def test_an_end_is_told_though_somebody_deleted_the_first_message(
    receiver: Receiver, word: str
) -> None:
    receiver.answer = refuses("chat.update", word)

    await bot(receiver.url).send([message(state="resolved", thread=THREAD)], address=None)

    assert paths(receiver) == ["/chat.update", "/chat.postMessage"]


async def test_what_cannot_go_into_its_thread_is_told_outside(receiver: Receiver) -> None:
    def answer(got: Got) -> Says:
        lost = b'{"ok": false, "error": "thread_not_found"}'
        body = lost if "thread_ts" in got.json else POSTED
        return Says(body=body, headers={"Content-Type": "application/json"})

    receiver.answer = answer

    await bot(receiver.url).send([message(thread=THREAD)], address=None)

    within, outside = receiver.got
    assert "thread_ts" in within.json
    assert "thread_ts" not in outside.json


async def test_a_list_goes_into_no_thread_and_marks_none(receiver: Receiver) -> None:
    says_json(receiver, POSTED)
    over = [message(alert(f"breaker:{n}"), state="resolved", thread=THREAD) for n in range(6)]

    await bot(receiver.url).send(over, address=None)

    (got,) = receiver.got
    assert got.path == "/chat.postMessage"
    assert got.json["channel"] == "#mimir-alerts"
    assert "thread_ts" not in got.json


async def test_a_dry_run_is_said_even_where_the_title_fills_the_header(receiver: Receiver) -> None:
    told = replace(alert(title="x" * 500), simulated=True)

    await webhook(receiver.url).send([message(told)], address=None)

    (got,) = receiver.got
    assert "dry run" in str(got.json["attachments"][0]["blocks"])


async def test_the_check_of_a_bot_asks_who_it_is(receiver: Receiver) -> None:
    says_json(receiver, b'{"ok": true}')

    await bot(receiver.url).check()

    assert paths(receiver) == ["/auth.test"]


@pytest.mark.parametrize("word", [b"no_text", b"invalid_payload"])
async def test_the_check_of_a_webhook_is_a_message_that_slack_refuses(
    receiver: Receiver, word: bytes
) -> None:
    receiver.says(400, word)

    await webhook(receiver.url).check()

    assert [got.json for got in receiver.got] == [{"text": ""}]
