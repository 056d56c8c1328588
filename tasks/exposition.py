"""Read the few families that matter out of a Prometheus text page.

A page of a big cluster has a hundred thousand samples and one in six is of use, so the page is
never parsed as a whole: families that nobody wants are left out in one piece
(tasks.exposition_sections), the lines that are left are cut and chosen in bulk, and only those of
a page that has changed are taken apart (tasks.exposition_known). Lines in the shape that the Go
client writes are cut at their quotes; every other legal shape (escapes, blanks, timestamps,
exemplars, quoted names) goes through regular expressions that run in linear time.

A page that is cut short, is not text, or comes from another program is refused as a whole: half
a page would look like a cluster with less load.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from policy.errors import SkippableError
from policy.frames import READINGS
from tasks.exposition_known import KnownPage, cut_before_values
from tasks.exposition_sections import wanted_text

PAGE: Final = pl.Schema({name: kind for name, kind in READINGS.items() if name != "at"})
_LINES: Final = pl.Schema({"page": pl.UInt32(), "number": pl.UInt32(), "line": pl.String()})
_ROWS: Final = pl.Schema(
    {
        **{name: _LINES[name] for name in ("page", "number")},
        **{name: kind for name, kind in PAGE.items() if name != "pod"},
    }
)
_LABELS: Final = tuple(name for name in PAGE if name not in {"pod", "family", "value"})

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
        of: by pod PAGE, one row per sample; pages with the same lines give the same rows in the
            same order. Labels without a column are dropped and their rows kept apart, for the
            caller to sum.
        refused: the pods whose page gave no rows, with one line that says why.
    """

    of: Mapping[str, pl.DataFrame]
    refused: Mapping[str, str]

    @property
    def rows(self) -> pl.DataFrame:
        """PAGE of all pods."""
        return pl.concat([pl.DataFrame(schema=PAGE), *self.of.values()])


def read_pages(
    pages: Mapping[str, bytes],
    *,
    families: Collection[str],
    known: MutableMapping[str, KnownPage] | None = None,
) -> Pages:
    """The samples of the wanted families, of many pages in one go: small ones cost little then.

    Args:
        pages: by pod, whole pages in the Prometheus text format (OpenMetrics text is read too),
            UTF-8, not compressed.
        families: full sample names; those that a page lacks give no rows.
        known: by pod, what its page was like the last time that these families were read; what is
            learned of it is put there.

    Returns:
        The samples. Those that are NaN or infinite are no measurement and give no row. A page
        that is cut short, is not one of Mimir or Cortex, or has a line of a wanted family that
        cannot be understood, is refused and gives none at all.
    """
    known = {} if known is None else known
    refused: dict[str, str] = {}
    texts: dict[str, str] = {}
    found: dict[str, pl.DataFrame] = {}
    for pod, page in pages.items():
        try:
            text = _text(page)
        except UnreadablePage as error:
            refused[pod] = str(error)
            continue
        text = wanted_text(text, families=families)
        before = known.get(pod)
        rows = before.read(cut_before_values(text)) if before is not None else None
        if rows is None:
            texts[pod] = text
        else:
            found[pod] = rows.select(PAGE.names())
    taken, broken = _taken_apart(texts, families=families)
    for pod, rows in taken.items():
        text = texts[pod]
        page_now = KnownPage.of(cut_before_values(text), rows, lines=text.count("\n"))
        if page_now is None:
            known.pop(pod, None)
        else:
            known[pod] = page_now
        found[pod] = rows.select(PAGE.names())
    return Pages(
        of={pod: found[pod].filter(pl.col("value").is_finite()) for pod in pages if pod in found},
        refused=refused | broken,
    )


def _taken_apart(
    texts: Mapping[str, str], *, families: Collection[str]
) -> tuple[dict[str, pl.DataFrame], dict[str, str]]:
    """By pod, PAGE and the number of the line, of pages that can be understood; why of others."""
    if not texts or not families:
        return {}, {}
    names = "|".join(re.escape(name) for name in sorted(families))
    wanted = rf'^{_BLANK}(?:(?:{names})(?:[ \t{{]|$)|\{{{_BLANK}"(?:{names})")'
    pods = tuple(texts)
    chosen = [pl.DataFrame(schema=_LINES)]
    for page, text in enumerate(texts.values()):
        before = 0
        for piece in _pieces(text):
            lines = _lines(piece).to_frame().with_row_index("number", offset=before)
            before += lines.height
            chosen.append(
                lines.filter(pl.col("line").str.contains(wanted)).select(
                    pl.lit(page, dtype=_LINES["page"]).alias("page"), "number", "line"
                )
            )
    cut, rest = _read_cut(pl.concat(chosen), names=names)
    others, broken = _read_any(rest, names=names)
    rows = pl.concat([*cut, others])
    pod = pl.Series("pod", pods, dtype=PAGE["pod"]).gather(rows.get_column("page"))
    by_page = rows.with_columns(pod).partition_by("page", as_dict=True, maintain_order=True)
    without = pl.DataFrame(schema={**PAGE, "number": _LINES["number"]})
    return {
        pod: by_page[page,].select(without.columns) if (page,) in by_page else without
        for page, pod in enumerate(pods)
        if page not in broken
    }, {pods[page]: why for page, why in broken.items()}


def _text(page: bytes) -> str:
    """The page as text, if it looks like a whole page of Mimir or Cortex."""
    if not page or page.isspace():
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


def _lines(text: str) -> pl.Series:
    """The lines of a text that ends with the end of one."""
    return pl.Series("line", text.split("\n")[:-1], dtype=_LINES["line"])


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
