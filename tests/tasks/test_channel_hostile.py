"""Names and reasons as anybody may write them: what is sent stays whole, within every limit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policy.alerting.alert import Message, State
from policy.alerting.blocks import blocks, digest
from tasks.channels.pagerduty import pagerduty_event
from tasks.channels.templates import TEMPLATES
from tests.policy.alerts import alert, message

NASTY = (
    "<script>alert(1)</script>",
    "@channel",
    "<!channel>",
    "<@U012345>",
    "<https://evil.example|click>",
    "a\r\nb\x00\x1b[31m",
    "\u202egnp.exe\u200b",
    "\ud800",
    "\U0001f468\u200d\U0001f469",
    "&",
    "\\",
    '"',
    "日",
    "[a](b)",
)
TEXT = st.one_of(
    st.text(max_size=20),
    st.builds(
        lambda text, times: text * times, st.sampled_from(NASTY), st.sampled_from((1, 4_000))
    ),
    st.builds(str.__add__, st.sampled_from(NASTY), st.sampled_from(NASTY)),
)
STATES: tuple[State, ...] = ("firing", "acknowledged", "resolved")


@st.composite
def messages(draw: st.DrawFn) -> Message:
    told = alert(
        incident=draw(TEXT) or "x",
        title=draw(TEXT),
        reason=draw(TEXT),
        tenant=draw(TEXT),
        evidence=draw(st.dictionaries(TEXT, TEXT, max_size=12)),
    )
    return message(told, state=draw(st.sampled_from(STATES)), team=draw(TEXT))


WORST = message(
    alert(
        incident="\\" * 10_000,
        title="\\" * 10_000,
        reason="\\" * 10_000,
        tenant="\\" * 10_000,
        evidence={f"{n}" + "\\" * 10_000: "\\" * 10_000 for n in range(60)},
    )
)


def texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Every text in it, but for links of ours."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts(each)


def sent(body: object) -> bytes:
    """The body as a channel sends it."""
    return json.dumps(body, ensure_ascii=False).encode(errors="replace")


@example(told=WORST)
@settings(max_examples=30, deadline=None)
@given(told=messages())
def test_blocks_stay_within_the_limits_of_slack(told: Message) -> None:
    shown: Any = blocks(told)

    assert len(shown) <= 50
    for block in shown:
        if block["type"] == "header":
            assert 1 <= len(block["text"]["text"]) <= 150
        elif "fields" in block:
            assert len(block["fields"]) <= 10
            assert all(1 <= len(field["text"]) <= 2_000 for field in block["fields"])
        elif block["type"] == "section":
            assert 1 <= len(block["text"]["text"]) <= 3_000


@settings(max_examples=30, deadline=None)
@given(told=st.lists(messages(), min_size=2, max_size=4))
def test_a_list_stays_within_the_limits_of_slack(told: list[Message]) -> None:
    shown: Any = digest(told * 15)

    sections = [block["text"]["text"] for block in shown if block["type"] == "section"]
    assert len(shown) <= 50
    assert all(1 <= len(section) <= 3_000 for section in sections)


@settings(max_examples=40, deadline=None)
@given(told=messages())
def test_what_anybody_writes_can_neither_mention_nor_link_in_slack(told: Message) -> None:
    shown: Any = [*blocks(told), *digest([told, told])]

    formatted = [block for block in shown if block["type"] != "header"]
    marks = [mark for text in texts(formatted) for mark in re.findall("<[^>]*>?", text)]
    ours = {f"<{told.run_url}|run>", f"<{told.runbook_url}|what to do>"}
    assert set(marks) == ours
    cut_through = [text for text in texts(formatted) if re.search("&(?!amp;|lt;|gt;)", text)]
    assert cut_through == []
    assert all(block["text"]["type"] == "plain_text" for block in shown if block not in formatted)


@example(told=WORST)
@settings(max_examples=30, deadline=None)
@given(told=messages())
def test_an_event_stays_within_the_limits_of_pagerduty(told: Message) -> None:
    event: Any = pagerduty_event(told, key="0" * 32)

    assert len(sent(event)) <= 512_000
    assert 1 <= len(event["dedup_key"]) <= 255
    if told.state == "firing":
        assert 1 <= len(event["payload"]["summary"]) <= 1_024
        assert event["payload"]["source"]


@example(told=WORST)
@settings(max_examples=30, deadline=None)
@given(told=messages())
def test_an_alert_stays_within_the_limits_of_opsgenie(told: Message) -> None:
    templated = TEMPLATES["opsgenie"](told)

    assert templated is not None
    body: Any = templated.body
    if told.state == "firing":
        assert 1 <= len(body["message"]) <= 130
        assert 1 <= len(body["alias"]) <= 512
        assert len(body["description"]) <= 15_000
        assert len(body["entity"]) <= 512
        assert len(body["source"]) <= 100
        assert sum(len(name) + len(value) for name, value in body["details"].items()) <= 8_000
    else:
        assert len(body["note"]) <= 25_000
        assert re.fullmatch(r"[\x21-\x7e]+", templated.path or "")


@example(told=WORST)
@settings(max_examples=30, deadline=None)
@given(told=messages())
def test_a_card_stays_within_28_kilobytes(told: Message) -> None:
    templated = TEMPLATES["teams"](told)

    assert templated is not None
    assert len(sent(templated.body)) <= 28 * 1_024


@example(told=WORST)
@settings(max_examples=30, deadline=None)
@given(told=messages())
def test_a_record_stays_within_the_columns_of_servicenow(told: Message) -> None:
    templated = TEMPLATES["servicenow"](told)

    if templated is not None:
        body: Any = templated.body
        assert 1 <= len(body["short_description"]) <= 160
        assert len(body["description"]) <= 4_000
        assert 1 <= len(body["correlation_id"]) <= 100


@pytest.mark.parametrize("template", sorted(TEMPLATES))
@settings(max_examples=15, deadline=None)
@given(told=messages())
def test_every_template_is_json_that_can_be_read_again(template: str, told: Message) -> None:
    templated = TEMPLATES[template](told)  # type: ignore[index]

    if templated is not None:
        assert isinstance(json.loads(sent(templated.body)), dict)
