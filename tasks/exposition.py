"""Read the few families that matter out of a Prometheus text page.

A page of a big cluster has a hundred thousand samples and one in six is of use, so the page is
never parsed as a whole: its lines are cut and chosen in bulk, and only the chosen ones are taken
apart. A line in the shape that the Go client writes, with one label, is cut at its quotes; every
other legal shape (escapes, blanks, several labels, timestamps, exemplars, quoted names) goes
through regular expressions that run in linear time.

A page that is cut short, is not text, or comes from another program is refused as a whole: half
a page would look like a cluster with less load.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

import polars as pl

from policy.errors import SkippableError
from policy.frames import READINGS

PAGE: Final = pl.Schema(
    {name: kind for name, kind in READINGS.items() if name not in {"at", "pod"}}
)
_LABELS: Final = tuple(name for name in PAGE if name not in {"family", "value"})

_BLANK: Final = r"[ \t]*"
_INSIDE: Final = r'(?:[^"\\]|\\.)*'
_NAME: Final = rf'(?:[a-zA-Z_][a-zA-Z0-9_]*|"{_INSIDE}")'
_PAIR: Final = rf'{_BLANK}{_NAME}{_BLANK}={_BLANK}"{_INSIDE}"{_BLANK}'
_PAIRS: Final = rf"(?:{_PAIR}(?:,{_PAIR})*,?)?{_BLANK}"
_TAIL: Final = r"(?P<value>[^ \t#]+)(?:[ \t]+[-+.0-9eE]+)?[ \t]*(?:#.*)?$"
_OURS: Final = re.compile(r'^[ \t]*(?:\{[ \t]*")?cortex_', re.MULTILINE)
_MOST_SHOWN: Final = 120  # characters of a broken line in an error


class UnreadablePage(SkippableError):  # noqa: N818 - named for what was met
    """What a pod sent is not a whole metrics page of Mimir or Cortex."""


def read_page(page: bytes, *, families: Collection[str]) -> pl.DataFrame:
    """The samples of the wanted families.

    Args:
        page: a whole page in the Prometheus text format (OpenMetrics text is read too), UTF-8,
            not compressed.
        families: full sample names; those that the page lacks give no rows.

    Returns:
        READINGS without `at` and `pod`, one row per sample, in no order. Labels without a column
        are dropped and their rows kept apart, for the caller to sum. Samples that are NaN or
        infinite are no measurement and give no row.

    Raises:
        UnreadablePage: the page is cut short, is not a page of Mimir or Cortex, or has a line of
            a wanted family that cannot be understood.
    """
    text = _text(page)
    names = "|".join(re.escape(name) for name in sorted(families))
    if not names:
        return pl.DataFrame(schema=PAGE)
    lines = pl.Series("line", [text]).str.split("\n").explode()
    wanted = rf'^{_BLANK}(?:(?:{names})(?:[ \t{{]|$)|\{{{_BLANK}"(?:{names})")'
    plain, rest = _read_plain(lines.filter(lines.str.contains(wanted)), names=names)
    rows = pl.concat([plain, _read_any(rest, names=names)])
    return rows.filter(pl.col("value").is_finite())


def _text(page: bytes) -> str:
    """The page as text, if it looks like a whole page of Mimir or Cortex."""
    if not page.strip():
        raise UnreadablePage("the page is empty")
    start = page[:512].lstrip().lower()
    if page.startswith(b"\x1f\x8b"):
        raise UnreadablePage("the page is gzip that nobody unpacked: its Content-Encoding is lost")
    if start.startswith(b"<"):
        raise UnreadablePage("the page is HTML or XML: the address is not that of a metrics page")
    try:
        text = page.decode()
    except UnicodeDecodeError as error:
        raise UnreadablePage(f"the page is not UTF-8 text: {error.reason}") from error
    if not _OURS.search(text):
        kind = "JSON with" if start.startswith((b'{"', b"[", b"{}")) else "a page with"
        raise UnreadablePage(f"{kind} no Mimir or Cortex metric: another program answers here")
    if not text.endswith("\n"):
        raise UnreadablePage("the page is cut short: its last line has no end")
    return text


def _read_plain(lines: pl.Series, *, names: str) -> tuple[pl.DataFrame, pl.Series]:
    """The rows of the lines `family{label="value"} number`, and the lines in other shapes."""
    one_label = (lines.str.count_matches('"', literal=True) == 2) & ~lines.str.contains(  # noqa: PLR2004
        "\\", literal=True
    )
    plain = lines.filter(one_label)
    cut = pl.DataFrame({"line": plain}).with_columns(
        plain.str.split_exact('"', 2).struct.rename_fields(["head", "inside", "tail"]).alias("cut")
    )
    heads = cut.select(pl.col("cut").struct.field("head").unique())
    heads = heads.with_columns(
        pl.col("head")
        .str.extract_groups(rf"^(?P<family>{names})\{{(?P<label>[a-zA-Z_][a-zA-Z0-9_]*)=$")
        .alias("groups")
    ).unnest("groups")
    rows = (
        cut.unnest("cut")
        .join(heads, on="head", how="left", maintain_order="none")
        .with_columns(
            pl.col("tail").str.strip_prefix("} ").cast(pl.Float64, strict=False).alias("value"),
            *(pl.when(pl.col("label") == name).then("inside").alias(name) for name in _LABELS),
        )
    )
    known = (pl.col("family").is_not_null() & pl.col("value").is_not_null()).alias("known")
    is_known = rows.select(known).to_series()
    rest = pl.concat([lines.filter(~one_label), rows.get_column("line").filter(~is_known)])
    return rows.filter(is_known).select(PAGE.names()), rest


def _read_any(lines: pl.Series, *, names: str) -> pl.DataFrame:
    """The rows of lines in any legal shape."""
    if lines.is_empty():
        return pl.DataFrame(schema=PAGE)
    bare = rf"(?P<bare>{names}){_BLANK}(?:\{{(?P<pairs>{_PAIRS})\}}{_BLANK}|[ \t])"
    quoted = rf'\{{{_BLANK}"(?P<quoted>{names})"{_BLANK}(?:,(?P<others>{_PAIRS}))?\}}{_BLANK}'
    groups = (
        lines.str.strip_chars_end("\r")
        .str.extract_groups(rf"^{_BLANK}(?:{bare}|{quoted}){_BLANK}{_TAIL}")
        .struct.unnest()
        .with_columns(
            pl.coalesce("bare", "quoted").alias("family"),
            pl.coalesce("pairs", "others").alias("pairs"),
            pl.col("value").cast(pl.Float64, strict=False),
            lines.alias("line"),
        )
    )
    broken = groups.filter(pl.any_horizontal(pl.col("family", "value").is_null()))
    if not broken.is_empty():
        shown = broken.item(0, "line")[:_MOST_SHOWN]
        raise UnreadablePage(f"{broken.height} lines are not in the text format, first: {shown!r}")
    return groups.with_columns(_label(name) for name in _LABELS).select(PAGE.names())


def _label(name: str) -> pl.Expr:
    """The value of one label among `pairs`, unescaped; null where it is absent."""
    # The pairs before it are matched whole, so that nothing inside a value is taken for a label.
    found = pl.col("pairs").str.extract(
        rf'^(?:{_PAIR},)*?{_BLANK}"?{name}"?{_BLANK}={_BLANK}"({_INSIDE})"'
    )
    # Cut at escaped backslashes first: what is left between them has no ambiguous escape.
    unescaped = (
        found.str.split("\\\\")
        .list.eval(
            pl.element()
            .str.replace_all(r"\n", "\n", literal=True)
            .str.replace_all(r"\"", '"', literal=True)
        )
        .list.join("\\")
    )
    escaped = found.str.contains("\\", literal=True)
    return pl.when(escaped).then(unescaped).otherwise(found).alias(name)
