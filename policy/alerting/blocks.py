"""A message in Slack's Block Kit: what is written by anybody can neither mention nor link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from policy.alerting.alert import Message
from policy.alerting.words import cut, cut_signs, facts, headline, one_line
from policy.settings.channels import Priority

Block = Mapping[str, object]

COLORS: Final[Mapping[Priority, str]] = {
    "P0": "#8b0000",
    "P1": "#d7263d",
    "P2": "#e8a317",
    "P3": "#3a7ca5",
}
RESOLVED: Final = "#2e8b57"
# What Slack takes: characters of a header, of a section, of a field; fields of a section.
_HEADER, _SECTION, _FIELD, _FIELDS = 150, 3_000, 2_000, 10
_SHOWN_FACT: Final = 300
_LISTED: Final = 20


def color(message: Message) -> str:
    """The colour of its bar."""
    return RESOLVED if message.state == "resolved" else COLORS[message.priority]


def blocks(message: Message) -> list[Block]:
    """The whole message."""
    reason = one_line(message.alert.reason)
    known = facts(message)
    fields = [_fact(name, value) for name, value in known]
    return [
        _header(headline(message)),
        *([_section(escaped(reason, most=_SECTION))] if reason else []),
        *(
            {"type": "section", "fields": [_text(field) for field in fields[at : at + _FIELDS]]}
            for at in range(0, min(len(fields), 2 * _FIELDS), _FIELDS)
        ),
        *_footer(message),
    ]


def digest(messages: Sequence[Message]) -> list[Block]:
    """Many messages of one kind as one list."""
    listed = [f"• {escaped(headline(message), most=_FIELD)}" for message in messages[:_LISTED]]
    more = len(messages) - len(listed)
    if more:
        listed.append(f"… and {more:,} more; `mlo alerts list` has them all")
    # As many lines as fit a section; the rest goes into the next.
    sections: list[list[str]] = [[]]
    for line in listed:
        if sum(len(held) + 1 for held in sections[-1]) + len(line) > _SECTION:
            sections.append([])
        sections[-1].append(line)
    return [
        _header(digest_title(messages)),
        *(_section("\n".join(lines)) for lines in sections),
        *_footer(messages[0]),
    ]


def digest_title(messages: Sequence[Message]) -> str:
    """`[P1] 12 times: breaker`."""
    first = messages[0]
    mark = "resolved" if first.state == "resolved" else first.priority
    return f"[{mark}] {len(messages):,} times: {first.alert.kind.replace('_', ' ')}"


def escaped(text: str, *, most: int) -> str:
    """The text, in which no bracket means a mention or a link; no sign is cut through."""
    signs = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
    return cut_signs([signs.get(char, char) for char in text], most)


def _fact(name: str, value: str) -> str:
    return f"*{escaped(name, most=_SHOWN_FACT)}*\n{escaped(value, most=5 * _SHOWN_FACT)}"


def _header(text: str) -> Block:
    return {
        "type": "header",
        "text": {"type": "plain_text", "text": cut(text, _HEADER), "emoji": False},
    }


def _section(text: str) -> Block:
    return {"type": "section", "text": _text(text)}


def _text(text: str) -> Mapping[str, object]:
    # Verbatim: Slack makes no links and no mentions of what looks like one.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _footer(message: Message) -> list[Block]:
    links = [("run", message.run_url), ("what to do", message.runbook_url)]
    said = [f"<{url}|{name}>" for name, url in links if url]
    if message.alert.simulated:
        said.insert(0, "dry run: nothing was done")
    return [{"type": "context", "elements": [_text(" · ".join(said))]}] if said else []
