"""The runtime file as bytes: the same limits give the same bytes, and back.

The file is ours alone: sparse overrides that Mimir merges over the operator's. It is never
empty, because Mimir takes an empty file for "no overrides at all". Tenant keys are quoted,
because a bare `123`, `true` or `null` is no string; whole numbers carry no point, because
Mimir cuts the fraction of an integer off without a word. Reading refuses whatever Mimir would
refuse: a second document, a duplicate key, an unknown top-level key, a value in quotes.
"""

from __future__ import annotations

import hashlib
import io
from math import isfinite
from typing import Final

import polars as pl
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from policy.errors import ConfigError
from policy.frames import LIMITS

HEADER: Final = (
    "# Mimir Limit Optimizer owns this file and replaces it whole: do not edit it.\n"
    "# `mlo explain TENANT` says why a limit is what it is.\n"
)
OVERRIDES: Final = "overrides"

_NUMBER_TAGS: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_NULL_TAG: Final = "tag:yaml.org,2002:null"
_WHOLE_BELOW: Final = 2.0**63  # a whole number beyond it fits no integer of Mimir either


class DocumentError(ConfigError):
    """A runtime file that Mimir would refuse, or that is not ours to read."""


def render(limits: pl.DataFrame) -> bytes:
    """The runtime file of these limits.

    Args:
        limits: COMPOSED or LIMITS, validated before (see `policy.validate`), in any order.

    Returns:
        UTF-8 YAML, sorted by tenant and limit.
    """
    if limits.is_empty():
        return f"{HEADER}{OVERRIDES}: {{}}\n".encode()

    lines = (
        limits.sort("tenant", "limit")
        .with_columns(line=pl.concat_str(pl.lit("    "), "limit", pl.lit(": "), number_text()))
        .group_by("tenant", maintain_order=True)
        .agg(pl.col("line").str.join("\n"))
        .select(pl.concat_str(pl.lit("  "), _quoted(), pl.lit(":\n"), "line").str.join("\n"))
        .item()
    )
    return f"{HEADER}{OVERRIDES}:\n{lines}\n".encode()


def parse(document: bytes) -> pl.DataFrame:
    """The limits of a runtime file.

    Args:
        document: UTF-8 YAML; an explicit empty mapping (`{}`) holds no limits.

    Returns:
        LIMITS, sorted by tenant and limit.

    Raises:
        DocumentError: Mimir would refuse the file, or it holds more than our overrides.
    """
    ours = _parse_ours(document)
    return _parse_any(document) if ours is None else ours


def digest(document: bytes) -> str:
    """The SHA-256 of the file, in hex: the revision it is."""
    return hashlib.sha256(document).hexdigest()


def number_text() -> pl.Expr:
    """The column `value` as it is written: a whole number without a point."""
    value = pl.col("value")
    whole = (value == value.floor()) & (value.abs() < _WHOLE_BELOW)
    as_integer = pl.when(whole).then(value).cast(pl.Int64).cast(pl.String)
    return pl.coalesce(as_integer, value.cast(pl.String))


def _quoted() -> pl.Expr:
    """A tenant as a double-quoted scalar; JSON's escapes are YAML's too."""
    return pl.struct(t="tenant").struct.json_encode().str.slice(len('{"t":')).str.head(-1)


def _parse_ours(document: bytes) -> pl.DataFrame | None:
    """Read a file that `render` wrote, or None: its lines tell all, without a YAML parser.

    Rendering what was read must give the same bytes, so nothing can be misread here.
    """
    try:
        lines = pl.Series("line", document.decode().splitlines(), dtype=pl.String)
    except UnicodeDecodeError:
        return None
    limits = (
        lines.to_frame()
        .select(
            tenant=pl.col("line").str.extract(r'^  "([^"\\]+)":$').forward_fill(),
            limit=pl.col("line").str.extract(r"^    ([a-z0-9_]+): "),
            value=pl.col("line")
            .str.extract(r"^    [a-z0-9_]+: (\S+)$")
            .cast(pl.Float64, strict=False),
        )
        .filter(pl.col("limit").is_not_null())
        .cast(LIMITS)
    )
    complete = limits.null_count().row(0) == (0, 0, 0)
    unique = not limits.select("tenant", "limit").is_duplicated().any()
    return limits if complete and unique and render(limits) == document else None


def _parse_any(document: bytes) -> pl.DataFrame:
    root = _composed(document)
    top = dict(_entries(root, where="the file"))
    unknown = sorted(top.keys() - {OVERRIDES})
    if unknown:
        raise DocumentError(
            f"line {_line(top[unknown[0]])}: {unknown[0]!r} beside {OVERRIDES!r}; this file may "
            "hold overrides only, keep the rest in the operator's own file"
        )

    tenants = top.get(OVERRIDES)
    if tenants is None or tenants.tag == _NULL_TAG:
        return pl.DataFrame(schema=LIMITS)
    rows = [
        (tenant, limit, _value(node, where=f"{limit} of {tenant}"))
        for tenant, its in _entries(tenants, where=OVERRIDES)
        for limit, node in _entries(its, where=f"tenant {tenant}")
    ]
    return pl.DataFrame(rows, schema=LIMITS, orient="row").sort("tenant", "limit")


def _composed(document: bytes) -> Node:
    """The nodes of the one document, before any scalar is taken for another type."""
    yaml = YAML(typ="safe", pure=True)
    try:
        # compose() itself refuses a second document.
        root: Node | None = yaml.compose(io.StringIO(document.decode()))
    except UnicodeDecodeError as error:
        raise DocumentError(f"the runtime file is not UTF-8: byte {error.start}") from error
    except YAMLError as error:
        raise DocumentError(f"the runtime file is no YAML that Mimir reads: {error}") from error
    if root is None:
        raise DocumentError(
            "the runtime file is empty, which Mimir takes for no overrides at all; write {} to "
            "mean that"
        )
    return root


def _entries(node: Node, *, where: str) -> list[tuple[str, Node]]:
    """Keys and values of a mapping, keys as they are spelled."""
    if not isinstance(node, MappingNode):
        raise DocumentError(f"line {_line(node)}: {where} must be a mapping")
    found: dict[str, Node] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            raise DocumentError(f"line {_line(key)}: a key of {where} is not a plain name")
        if key.value in found:
            raise DocumentError(f"line {_line(key)}: {key.value!r} appears twice in {where}")
        found[key.value] = value
    return list(found.items())


def _value(node: Node, *, where: str) -> float:
    plain = isinstance(node, ScalarNode) and node.tag in _NUMBER_TAGS
    try:
        value = float(node.value) if plain else float("nan")
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise DocumentError(f"line {_line(node)}: {where} must be a plain number, unquoted")
    return value


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
