"""An operator's runtime files, before and after limits of ours, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from policy.frames import LIMITS
from policy.operators_file import Claims

Row = tuple[str, str, float]

NOTHING = Claims(before={}, tenants=frozenset())


def limits(*rows: Row) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


@dataclass(frozen=True, kw_only=True)
class Case:
    """`back` is what a withdrawal leaves; None where it is the file of before, byte by byte."""

    name: str
    file: str
    rows: tuple[Row, ...]
    edited: str
    back: str | None = None


RATE_5: Row = ("a", "rate", 5.0)
NEW_T: Row = ("t", "rate", 5.0)

CASES = [
    Case(
        name="a number changes, and the comment behind it stays",
        file="overrides:\n  a:\n    rate:   100   # agreed\n    burst: 7\n",
        rows=(RATE_5,),
        edited="overrides:\n  a:\n    rate:   5   # agreed\n    burst: 7\n",
    ),
    Case(
        name="a whole number has no point, another has",
        file="overrides:\n  a:\n    rate: 1e6\n    factor: 2\n",
        rows=(("a", "rate", 2e6), ("a", "factor", 2.5)),
        edited="overrides:\n  a:\n    rate: 2000000\n    factor: 2.5\n",
    ),
    Case(
        name="a number in quotes, with a tag, or none at all is replaced",
        file='overrides:\n  a:\n    p: "8"\n    q: !!int "9"\n    r:\n    s: ~  # none\n',
        rows=(("a", "p", 1.0), ("a", "q", 2.0), ("a", "r", 3.0), ("a", "s", 4.0)),
        edited="overrides:\n  a:\n    p: 1\n    q: 2\n    r: 3\n    s: 4  # none\n",
    ),
    Case(
        name="the same number written in another way stays as it is",
        file="overrides:\n  a:\n    rate: 5.0e+0\n",
        rows=(RATE_5,),
        edited="overrides:\n  a:\n    rate: 5.0e+0\n",
    ),
    Case(
        name="a limit is added behind the last, before the comments that follow",
        file=(
            "overrides:\n    a:\n        burst: 7  # b\n        # rate: 9\n    # next\n    b: {}\n"
        ),
        rows=(RATE_5,),
        edited=(
            "overrides:\n    a:\n        burst: 7  # b\n        rate: 5\n        # rate: 9\n"
            "    # next\n    b: {}\n"
        ),
    ),
    Case(
        name="a limit is added behind a list, a literal block and lines in braces",
        file=(
            "overrides:\n  a:\n    l:\n    - 1\n    - 2\n  b:\n    t: |\n      text\n\n"
            "  c:\n    m: {x: 1,\n      y: 2}  # m\n# end\n"
        ),
        rows=(RATE_5, ("b", "rate", 6.0), ("c", "rate", 7.0)),
        edited=(
            "overrides:\n  a:\n    l:\n    - 1\n    - 2\n    rate: 5\n"
            "  b:\n    t: |\n      text\n\n    rate: 6\n"
            "  c:\n    m: {x: 1,\n      y: 2}  # m\n    rate: 7\n# end\n"
        ),
    ),
    Case(
        name="a line is added in the way in which the file ends its lines",
        file="# c\r\noverrides:\r\n  a:\r\n    burst: 7\r\nm: 1\r\n",
        rows=(RATE_5, NEW_T),
        edited=(
            "# c\r\noverrides:\r\n  a:\r\n    burst: 7\r\n    rate: 5\r\n"
            '  "t":\r\n    rate: 5\r\nm: 1\r\n'
        ),
    ),
    Case(
        name="mixed line ends, and none of the last",
        file="overrides:\n  a:\n    burst: 7\r\nm: 1",
        rows=(RATE_5,),
        edited="overrides:\n  a:\n    burst: 7\r\n    rate: 5\r\nm: 1",
    ),
    Case(
        name="a file whose last line has no end gets none",
        file="overrides:\n  a:\n    burst: 7",
        rows=(RATE_5, ("a", "series", 6.0), NEW_T),
        edited='overrides:\n  a:\n    burst: 7\n    rate: 5\n    series: 6\n  "t":\n    rate: 5',
    ),
    Case(
        name="in braces a limit is added in quotes",
        file="overrides:\n  a: {burst: 7, }  # a\n  b: { }\n  c: {}\n",
        rows=(RATE_5, ("b", "rate", 6.0), ("c", "rate", 7.0), ("c", "series", 8.0)),
        edited=(
            'overrides:\n  a: {burst: 7, "rate": 5, }  # a\n  b: {"rate": 6 }\n'
            '  c: {"rate": 7, "series": 8}\n'
        ),
    ),
    Case(
        name="in braces a number and nothing are replaced",
        file='{"overrides":{"a":{"rate":100,"p":null,"q":}, b: {r: , s: 1}}}',
        rows=(RATE_5, ("a", "p", 1.0), ("a", "q", 2.0), ("b", "r", 3.0)),
        edited='{"overrides":{"a":{"rate":5,"p":1,"q":2}, b: {r: 3, s: 1}}}',
    ),
    Case(
        name="JSON over lines gets lines",
        file='{\n\t"overrides": {\n\t\t"a": {\n\t\t\t"burst": 7\n\t\t}\n\t}\n}\n',
        rows=(RATE_5, NEW_T),
        edited=(
            '{\n\t"overrides": {\n\t\t"a": {\n\t\t\t"burst": 7,\n\t\t\t"rate": 5\n\t\t},\n'
            '\t\t"t": {"rate": 5}\n\t}\n}\n'
        ),
    ),
    Case(
        name="JSON without tenants gets them",
        file='{"overrides": {}}',
        rows=(NEW_T,),
        edited='{"overrides": {"t": {"rate": 5}}}',
    ),
    Case(
        name="JSON with overrides of nothing gets tenants",
        file='{"overrides": null}',
        rows=(NEW_T,),
        edited='{"overrides": {"t": {"rate": 5}}}',
        back='{"overrides": {}}',
    ),
    Case(
        name="braces that share a line with an entry get no line of their own",
        file="overrides:\n  a: {burst: 7\n    }\n  b: {\n    burst: 7 }\n",
        rows=(RATE_5, ("b", "rate", 6.0)),
        edited=(
            'overrides:\n  a: {burst: 7, "rate": 5\n    }\n  b: {\n    burst: 7, "rate": 6 }\n'
        ),
    ),
    Case(
        name="a tenant of nothing becomes a mapping, and is never nothing again",
        file="overrides:\n  a:  # later\n  b: null\nm: 1\n",
        rows=(RATE_5, ("b", "rate", 6.0)),
        edited="overrides:\n  a:  # later\n    rate: 5\n  b:\n    rate: 6\nm: 1\n",
        back="overrides:\n  a: {}  # later\n  b: {}\nm: 1\n",
    ),
    Case(
        name="a tenant of nothing becomes a mapping in braces, too",
        file='{"overrides": {"a": null, b: , "c":}}',
        rows=(RATE_5, ("b", "rate", 6.0), ("c", "rate", 7.0)),
        edited='{"overrides": {"a": {"rate": 5}, b: {"rate": 6}, "c": {"rate": 7}}}',
        back='{"overrides": {"a": {}, b: {}, "c": {}}}',
    ),
    Case(
        name="a tenant is added behind the last and its comments",
        file="overrides:\n  a:\n    burst: 7\n    # of a\n  # of nobody\n\ningester_limits: {}\n",
        rows=(NEW_T,),
        edited=(
            'overrides:\n  a:\n    burst: 7\n    # of a\n  "t":\n    rate: 5\n'
            "  # of nobody\n\ningester_limits: {}\n"
        ),
    ),
    Case(
        name="a tenant is added where the tenants are not indented much",
        file="overrides:\n a:\n  burst: 7\n",
        rows=(NEW_T,),
        edited='overrides:\n a:\n  burst: 7\n "t":\n  rate: 5\n',
    ),
    Case(
        name="no overrides become a block",
        file="overrides: {}  # none yet\nm: 1\n",
        rows=(NEW_T,),
        edited='overrides:  # none yet\n  "t":\n    rate: 5\nm: 1\n',
    ),
    Case(
        name="overrides of nothing become a block",
        file="m: 1\noverrides:",
        rows=(NEW_T,),
        edited='m: 1\noverrides:\n  "t":\n    rate: 5',
        back="m: 1\noverrides: {}",
    ),
    Case(
        name="overrides with room in their braces keep them",
        file="overrides: { }\n",
        rows=(NEW_T, ("u", "rate", 6.0)),
        edited='overrides: {"t": {"rate": 5}, "u": {"rate": 6} }\n',
    ),
    Case(
        name="a file without overrides gets them",
        file="# c\nm:\n    x: 1\n    # of m\n# end",
        rows=(NEW_T,),
        edited='# c\nm:\n    x: 1\n    # of m\noverrides:\n  "t":\n    rate: 5\n# end',
    ),
    Case(
        name="JSON without overrides gets them",
        file='{"m": 1}',
        rows=(NEW_T,),
        edited='{"m": 1, "overrides": {"t": {"rate": 5}}}',
    ),
    Case(
        name="the empty mapping of the chart",
        file="# nothing yet\n{}  # really\n",
        rows=(NEW_T,),
        edited='# nothing yet\noverrides:  # really\n  "t":\n    rate: 5\n',
    ),
    Case(
        name="an empty mapping behind a document's start",
        file="--- {}\n...\n",
        rows=(NEW_T,),
        edited='--- {"overrides": {"t": {"rate": 5}}}\n...\n',
    ),
    Case(
        name="an empty file",
        file="",
        rows=(NEW_T,),
        edited='overrides:\n  "t":\n    rate: 5\n',
        back="{}\n",
    ),
    Case(
        name="a file of comments",
        file="# later",
        rows=(NEW_T,),
        edited='# later\noverrides:\n  "t":\n    rate: 5',
        back="# later\n{}",
    ),
    Case(
        name="a document of nothing",
        file="---\n# later\n",
        rows=(NEW_T,),
        edited='---\n# later\noverrides:\n  "t":\n    rate: 5\n',
        back="---\n# later\n{}\n",
    ),
    Case(
        name="a file of null",
        file="null  # later\n",
        rows=(NEW_T,),
        edited='overrides:  # later\n  "t":\n    rate: 5\n',
        back="{}  # later\n",
    ),
    Case(
        name="an alias becomes what it merges, and our limits",
        file="overrides:\n  big: &big {burst: 7}\n  a: *big  # as big\n  b: *big\n",
        rows=(RATE_5,),
        edited=(
            "overrides:\n  big: &big {burst: 7}\n  a:\n    <<: *big  # as big\n    rate: 5\n"
            "  b: *big\n"
        ),
    ),
    Case(
        name="an alias in braces, or on a line of its own",
        file="overrides:\n  big: &big {burst: 7}\n  a:\n    *big\n",
        rows=(RATE_5,),
        edited='overrides:\n  big: &big {burst: 7}\n  a:\n    {<<: *big, "rate": 5}\n',
    ),
    Case(
        name="an alias among tenants in braces",
        file="overrides: {big: &big {burst: 7}, a: *big, b: *big}\n",
        rows=(("a", "burst", 5.0), ("a", "rate", 5.0)),
        edited=(
            'overrides: {big: &big {burst: 7}, a: {<<: *big, "burst": 5, "rate": 5}, b: *big}\n'
        ),
    ),
    Case(
        name="what is merged is overridden by a limit of the tenant's own",
        file="overrides:\n  big: &big {rate: 7}\n  a:\n    <<: *big\n",
        rows=(RATE_5,),
        edited="overrides:\n  big: &big {rate: 7}\n  a:\n    <<: *big\n    rate: 5\n",
    ),
    Case(
        name="limits that others use by an anchor stay theirs",
        file=(
            "overrides:\n  a: &big  # shared\n    rate: 7\n    # more\n"
            "  b: *big\n  c:\n    <<: *big\n"
        ),
        rows=(RATE_5,),
        edited=(
            "overrides:\n  a:\n   <<: &big  # shared\n    rate: 7\n   rate: 5\n    # more\n"
            "  b: *big\n  c:\n    <<: *big\n"
        ),
    ),
    Case(
        name="limits in braces that others use by an anchor stay theirs",
        file="overrides:\n  a: &big {rate: 7}\n  b: *big\n",
        rows=(RATE_5,),
        edited="overrides:\n  a:\n    <<: &big {rate: 7}\n    rate: 5\n  b: *big\n",
    ),
    Case(
        name="a number that others use by an anchor stays theirs",
        file="overrides:\n  a:\n    rate: &rate 7\n  b:\n    rate: *rate\n",
        rows=(RATE_5, ("b", "burst", 6.0)),
        edited=(
            "overrides:\n  a:\n   <<:\n    rate: &rate 7\n   rate: 5\n"
            "  b:\n    rate: *rate\n    burst: 6\n"
        ),
    ),
    Case(
        name="an alias of a number is replaced, and an anchor that nobody names",
        file="overrides:\n  a:\n    burst: &x 7\n    rate: &y 8\n  b:\n    rate: *x\n",
        rows=(RATE_5, ("b", "rate", 6.0)),
        edited="overrides:\n  a:\n    burst: &x 7\n    rate: 5\n  b:\n    rate: 6\n",
    ),
    Case(
        name="tenants that look like something else",
        file=(
            "overrides:\n  123:\n    rate: 1\n  'true': {rate: 2}\n  \"null\":\n    rate: 3\n"
            "  ~:\n    rate: 4\n"
        ),
        rows=(
            ("123", "rate", 5.0),
            ("true", "rate", 6.0),
            ("null", "rate", 7.0),
            ("~", "rate", 8.0),
            ("*", "rate", 9.0),
            ("1e3", "rate", 10.0),
        ),
        edited=(
            "overrides:\n  123:\n    rate: 5\n  'true': {rate: 6}\n  \"null\":\n    rate: 7\n  ~:\n"
            '    rate: 8\n  "*":\n    rate: 9\n  "1e3":\n    rate: 10\n'
        ),
    ),
    Case(
        name="a byte order mark, and letters of more than one byte",
        file="\ufeff# größer 😀\noverrides:\n  a: # ä\n    rate: 7 # ö\n",
        rows=(RATE_5,),
        edited="\ufeff# größer 😀\noverrides:\n  a: # ä\n    rate: 5 # ö\n",
    ),
]
