"""Frames as the API tells them: a model for each schema, and pages of rows."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Generic, TypeVar

import polars as pl
from fastapi import Query
from pydantic import BaseModel, Field, create_model

Row = TypeVar("Row", bound=BaseModel)

MOST_ROWS: Final = 10_000
_PLAIN: Final[dict[type[pl.DataType], Any]] = {
    pl.String: str,
    pl.Boolean: bool,
    pl.Float64: float,
    pl.Int64: int,
    pl.Int32: int,
    pl.UInt32: int,
    pl.Decimal: Decimal,
    pl.Datetime: datetime,
    pl.Date: date,
}

LimitQuery = Annotated[int, Query(ge=1, le=MOST_ROWS, description="How many rows at most.")]
OffsetQuery = Annotated[int, Query(ge=0, le=10**9, description="How many rows to pass over.")]
TenantQuery = Annotated[
    str | None, Query(max_length=1_000, description="Only tenants whose name has this in it.")
]


class Page(BaseModel, Generic[Row]):
    """Some of the rows.

    Attributes:
        generated_at: when they were read.
        total: how many there are in all.
        rows: those of this page.
    """

    generated_at: datetime
    total: int
    rows: list[Row]


def model_of(name: str, schema: pl.Schema) -> type[BaseModel]:
    """A model with a field for each column; what is not known is null."""
    fields: dict[str, Any] = {
        column: (_type(dtype) | None, Field(default=None)) for column, dtype in schema.items()
    }
    return create_model(name, **fields)


def page(
    found: pl.DataFrame,
    *,
    of: type[BaseModel],
    limit: int,
    offset: int,
    at: datetime,
    tenant: str | None = None,
) -> Page[Any]:
    """A page of the frame.

    Args:
        found: all of it.
        of: the model of a row.
        limit: how many rows at most.
        offset: how many to pass over.
        at: when it was read.
        tenant: only those whose `tenant` has this in it.
    """
    if tenant:
        found = found.filter(pl.col("tenant").str.contains(tenant, literal=True))
    rows = told(found.slice(offset, limit))
    return Page[of].model_validate({"generated_at": at, "total": found.height, "rows": rows})  # type: ignore[valid-type]


def told(found: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows; a number that JSON has no word for is null."""
    finite = [
        pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name)
        for name, dtype in found.schema.items()
        if dtype == pl.Float64
    ]
    return found.with_columns(finite).to_dicts()


def _type(dtype: pl.DataType) -> Any:  # noqa: ANN401 - a type
    if isinstance(dtype, pl.List):
        return list[Any]
    return _PLAIN[type(dtype)]
