"""Read the few families that matter out of a Prometheus text page.

A page of a big cluster has a hundred thousand samples and one in six is of use, so the page is
never parsed as a whole: its lines are cut and chosen in bulk, and only the chosen ones are taken
apart. Lines in the shape that the Go client writes are cut at their quotes; every other legal
shape (escapes, blanks, timestamps, exemplars, quoted names) goes through regular expressions
that run in linear time.

A page that is cut short, is not text, or comes from another program is refused as a whole: half
a page would look like a cluster with less load.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from policy.errors import SkippableError
from policy.frames import READINGS

PAGE: Final = pl.Schema({name: kind for name, kind in READINGS.items() if name != "at"})
_LINES: Final = pl.Schema({"page": pl.UInt32(), "line": pl.String()})
_ROWS: Final = pl.Schema(
    {"page": _LINES["page"], **{name: kind for name, kind in PAGE.items() if name != "pod"}}
)
_LABELS: Final = tuple(name for name in _ROWS if name not in {"page", "family", "value"})

_BLANK: Final = r"[ \t]*"
_INSIDE: Final = r'(?:[^"\\]|\\.)*'
_LABEL: Final = "[a-zA-Z_][a-zA-Z0-9_]*"
_NAME: Final = rf'(?:{_LABEL}|"{_INSIDE}")'
_PAIR: Final = rf'{_BLANK}{_NAME}{_BLANK}={_BLANK}"{_INSIDE}"{_BLANK}'
_PAIRS: Final = rf"(?:{_PAIR}(?:,{_PAIR})*,?)?{_BLANK}"
_TAIL: Final = r"(?P<value>[^ \t#]+)(?:[ \t]+[-+.0-9eE]+)?[ \t]*(?:#.*)?$"
_OURS: Final = re.compile(r'^[ \t]*(?:\{[ \t]*")?cortex_', re.MULTILINE)
_MOST_LABELS: Final = 6  # a line with more is rare and goes through the regular expressions
_PIECE_CHARACTERS: Final = 2 * 2**20
_MOST_SHOWN: Final = 120  # characters of a broken line in an error


class UnreadablePage(SkippableError):  # noqa: N818 - named for what was met
    """What a pod sent is not a whole metrics page of Mimir or Cortex."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pages:
    """What a number of pages said.

    Attributes:
        rows: READINGS without `at`, one row per sample, in no order. Labels without a column are
            dropped and their rows kept apart, for the caller to sum.
        refused: the pods whose page gave no rows, with one line that says why.
    """

    rows: pl.DataFrame
    refused: Mapping[str, str]


def read_pages(pages: Mapping[str, bytes], *, families: Collection[str]) -> Pages:
    """The samples of the wanted families, of many pages in one go: small ones cost little then.

    Args:
        pages: by pod, whole pages in the Prometheus text format (OpenMetrics text is read too),
            UTF-8, not compressed.
        families: full sample names; those that a page lacks give no rows.

    Returns:
        The samples. Those that are NaN or infinite are no measurement and give no row. A page
        that is cut short, is not one of Mimir or Cortex, or has a line of a wanted family that
        cannot be understood, is refused and gives none at all.
    """
    names = "|".join(re.escape(name) for name in sorted(families))
    wanted = rf'^{_BLANK}(?:(?:{names})(?:[ \t{{]|$)|\{{{_BLANK}"(?:{names})")'
    pods = tuple(pages)
    refused: dict[str, str] = {}
    found = [pl.DataFrame(schema=_LINES)]
    for number, page in enumerate(pages.values()):
        try:
            text = _text(page)
        except UnreadablePage as error:
            refused[pods[number]] = str(error)
            continue
        for piece in _pieces(text) if names else ():
            lines = pl.Series("line", [piece]).str.split("\n").explode()
            lines = lines.filter(lines.str.contains(wanted))
            found.append(lines.to_frame().select(_page_number(number), "line"))
    cut, rest = _read_cut(pl.concat(found), names=names)
    others, broken = _read_any(rest, names=names)
    refused |= {pods[number]: why for number, why in broken.items()}
    rows = pl.concat([*cut, others]).filter(
        pl.col("value").is_finite(), ~pl.col("page").is_in(list(broken))
    )
    pod = pl.Series("pod", pods, dtype=PAGE["pod"]).gather(rows.get_column("page"))
    return Pages(rows=rows.with_columns(pod).select(PAGE.names()), refused=refused)


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


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces of whole lines: what is made of one takes nine times its memory."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _PIECE_CHARACTERS) + 1 or len(text)
        yield text[start:end]
        start = end


def _page_number(number: int) -> pl.Expr:
    return pl.lit(number, dtype=_LINES["page"]).alias("page")


def _read_cut(lines: pl.DataFrame, *, names: str) -> tuple[list[pl.DataFrame], pl.DataFrame]:
    """The rows of the lines in the Go client's shape, cut at their quotes; the other lines.

    Without a backslash in the line each quote opens or closes a value, whatever is inside.
    """
    line = pl.col("line")
    quotes = line.str.count_matches('"', literal=True)
    cuttable = ~line.str.contains("\\", literal=True)
    lines = lines.with_columns(pl.when(cuttable).then(quotes // 2).otherwise(0).alias("labels"))
    rows: list[pl.DataFrame] = []
    rest: list[pl.DataFrame] = []
    for (labels,), group in lines.partition_by("labels", as_dict=True).items():
        if not labels:
            found, others = _read_bare(group, names=names)
        elif int(labels) > _MOST_LABELS:
            rest.append(group.select(_LINES.names()))
            continue
        else:
            found, others = _read_labels(group, labels=int(labels), names=names)
        rows.append(found)
        rest.append(others)
    return rows, pl.concat([pl.DataFrame(schema=_LINES), *rest])


def _read_bare(lines: pl.DataFrame, *, names: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of lines that are a name, a blank and a number; the lines that are not."""
    parts = pl.col("line").str.extract_groups(rf"^(?P<family>{names}) (?P<value>[^ \t#]+)$")
    rows = lines.with_columns(parts.struct.unnest()).with_columns(
        pl.col("family").cast(_ROWS["family"]),
        pl.col("value").cast(pl.Float64, strict=False),
        *(_inside(name, places=()) for name in _LABELS),
    )
    return _parted(rows, needed=("family", "value"))


def _parted(rows: pl.DataFrame, *, needed: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that have all that is needed, and the lines of the others."""
    known = rows.select(pl.all_horizontal(pl.col(needed).is_not_null())).to_series()
    if known.all():
        return rows.select(_ROWS.names()), pl.DataFrame(schema=_LINES)
    return rows.filter(known).select(_ROWS.names()), rows.filter(~known).select(_LINES.names())


def _read_labels(
    lines: pl.DataFrame, *, labels: int, names: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of lines with so many labels, and the lines that have another shape after all."""
    fields = [field for n in range(labels) for field in (f"before{n}", f"inside{n}")]
    cut = lines.with_columns(
        pl.col("line")
        .str.split_exact('"', 2 * labels)
        .struct.rename_fields([*fields, "tail"])
        .alias("cut")
    ).unnest("cut")
    before = [f"before{n}" for n in range(labels)]
    # There are few different ones, so only those are taken apart.
    heads = cut.select(before).unique()
    first = rf"^(?P<family>{names})\{{(?P<label0>{_LABEL})=$"
    heads = heads.with_columns(
        pl.col("before0").str.extract_groups(first).struct.unnest(),
        *(
            pl.col(f"before{n}").str.extract(rf"^,({_LABEL})=$").alias(f"label{n}")
            for n in range(1, labels)
        ),
    ).with_columns(pl.col("family").cast(_ROWS["family"]))
    carried = {
        name: [n for n in range(labels) if (heads[f"label{n}"] == name).any()] for name in _LABELS
    }
    rows = cut.join(heads, on=before, how="left", maintain_order="none").with_columns(
        pl.col("tail").str.strip_prefix("} ").cast(pl.Float64, strict=False).alias("value"),
        *(_inside(name, places=places) for name, places in carried.items()),
    )
    needed = ("family", "value", *(f"label{n}" for n in range(labels)))
    return _parted(rows, needed=needed)


def _inside(name: str, *, places: Sequence[int]) -> pl.Expr:
    """The value of the label of that name, which is in one of the places; null elsewhere."""
    found = [pl.when(pl.col(f"label{n}") == name).then(f"inside{n}") for n in places]
    value = pl.coalesce(found) if found else pl.lit(None)
    return value.cast(_ROWS[name]).alias(name)


def _read_any(lines: pl.DataFrame, *, names: str) -> tuple[pl.DataFrame, dict[int, str]]:
    """The rows of lines in any legal shape, and what is wrong with the pages of the others."""
    if lines.is_empty():
        return pl.DataFrame(schema=_ROWS), {}
    bare = rf"(?P<bare>{names}){_BLANK}(?:\{{(?P<pairs>{_PAIRS})\}}{_BLANK}|[ \t])"
    quoted = rf'\{{{_BLANK}"(?P<quoted>{names})"{_BLANK}(?:,(?P<others>{_PAIRS}))?\}}{_BLANK}'
    groups = (
        lines.with_columns(
            pl.col("line")
            .str.strip_chars_end("\r")
            .str.extract_groups(rf"^{_BLANK}(?:{bare}|{quoted}){_BLANK}{_TAIL}")
            .alias("groups")
        )
        .unnest("groups")
        .with_columns(
            pl.coalesce("bare", "quoted").alias("family"),
            pl.coalesce("pairs", "others").alias("pairs"),
            pl.col("value").cast(pl.Float64, strict=False),
        )
    )
    is_broken = pl.any_horizontal(pl.col("family", "value").is_null())
    broken = groups.filter(is_broken).group_by("page").agg(pl.len(), pl.col("line").first())
    rows = groups.filter(~is_broken).with_columns(_label(name) for name in _LABELS)
    return rows.select(_ROWS.names()).cast(_ROWS), {
        number: f"{count} lines are not in the text format, first: {line[:_MOST_SHOWN]!r}"
        for number, count, line in broken.iter_rows()
    }


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
