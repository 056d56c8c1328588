"""What a window cost, to be charged to teams: each with its tenants, and what nobody knows.

The amounts of teams and what idles are all of it, to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Final

import polars as pl

from policy.cost.periods import Period
from policy.cost.prices import PriceBook
from policy.cost.pricing import COMPONENTS
from policy.cost.report import Shared, report

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantCharge:
    """What a tenant costs its team.

    Attributes:
        amount: all that is charged; None where nothing is known.
        idle: the part of it that nobody used; 0 where that is not shared out.
        share: of what the whole window cost, 0 to 1; None where that is nothing.
        components: at list price, of those that have one.
        hours: that were priced; `covered_hours` of them were measured.
        unknown: what the method counts and has no price or was not measured, with commas.
    """

    tenant: str
    amount: Decimal | None
    idle: Decimal
    share: float | None
    components: Mapping[str, Decimal | None]
    hours: int
    covered_hours: float
    unknown: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamCharge:
    """What a team is charged, and for which tenants, the dearest first."""

    team: str
    tenants: Sequence[TenantCharge]

    @property
    def amount(self) -> Decimal | None:
        """Of those whose amount is known; None where none is."""
        known = [each.amount for each in self.tenants if each.amount is not None]
        return sum(known, _NOTHING) if known else None

    @property
    def idle(self) -> Decimal:
        """The part of it that nobody used."""
        return sum((each.idle for each in self.tenants), _NOTHING)

    @property
    def share(self) -> float | None:
        """Of what the whole window cost."""
        known = [each.share for each in self.tenants if each.share is not None]
        return sum(known) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chargeback:
    """What a window cost in one currency.

    Attributes:
        teams: the dearest first.
        bill: of the hours whose bill is known; None where none is.
        idle: what that has beyond what was used; None where no bill is known.
        left: what of it is charged to nobody.
        components: those of which any tenant has an amount.
    """

    currency: str
    teams: Sequence[TeamCharge]
    bill: Decimal | None
    idle: Decimal | None
    left: Decimal
    components: Sequence[str]

    @property
    def total(self) -> Decimal:
        """All of it: what teams are charged, and what is charged to nobody."""
        return sum((each.amount or _NOTHING for each in self.teams), self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A price list, and since when it held within the window."""

    since: datetime
    prices: Mapping[str, Decimal]


def chargebacks(spent: pl.DataFrame, *, idle: pl.DataFrame, shared: Shared) -> list[Chargeback]:
    """The charges of one window, by currency.

    Args:
        spent: what was spent in it (SPENT of storage), by tenant and team.
        idle: number, currency, bill, idle.
        shared: how what idles is shared out.
    """
    found = report(spent, idle=idle, by=("team", "tenant"), shared=shared)
    used = spent.group_by("team", "tenant", "currency").agg(
        pl.col("amount").sum().alias("used"),
        *(_sum(f"{name}_amount") for name in COMPONENTS),
    )
    rows = found.join(used, on=["team", "tenant", "currency"], how="left", maintain_order="left")
    currencies = rows["currency"].unique(maintain_order=True)
    return [_of(rows.filter(pl.col("currency") == each), idle=idle) for each in currencies]


def held(book: PriceBook, asked: Period) -> list[Held]:
    """The price lists that hold within the window, in order."""
    return [
        Held(
            since=begins,
            prices={
                each.name: price
                for each in fields(of)
                if each.name != "since" and isinstance(price := getattr(of, each.name), Decimal)
            },
        )
        for begins, _, of in book.between(asked.start, asked.end)
    ]


def _of(rows: pl.DataFrame, *, idle: pl.DataFrame) -> Chargeback:
    currency = rows["currency"][0]
    charged = rows.filter(pl.col("kind") == "charged")
    known = [name for name in COMPONENTS if charged[f"{name}_amount"].count()]
    bill = idle.filter(pl.col("currency") == currency)
    teams = [
        TeamCharge(
            team=str(team),
            tenants=[_tenant(row, known) for row in part.iter_rows(named=True)],
        )
        for (team,), part in charged.group_by("team", maintain_order=True)
    ]
    return Chargeback(
        currency=currency,
        teams=sorted(teams, key=lambda each: (-(each.amount or _NOTHING), each.team)),
        bill=bill["bill"][0] if bill.height else None,
        idle=bill["idle"][0] if bill.height else None,
        left=sum(rows.filter(pl.col("kind") != "charged")["amount"].drop_nulls(), _NOTHING),
        components=known,
    )


def _tenant(row: Mapping[str, object], known: Sequence[str]) -> TenantCharge:
    amount, used = row["amount"], row["used"]
    return TenantCharge(
        tenant=str(row["tenant"]),
        amount=amount,  # type: ignore[arg-type]
        idle=(amount or _NOTHING) - (used or _NOTHING),  # type: ignore[operator]
        share=row["share"],  # type: ignore[arg-type]
        components={name: row[f"{name}_amount"] for name in known},  # type: ignore[misc]
        hours=row["hours"],  # type: ignore[arg-type]
        covered_hours=row["covered_hours"],  # type: ignore[arg-type]
        unknown=row["unknown"],  # type: ignore[arg-type]
    )


def _sum(name: str) -> pl.Expr:
    """Null where nothing is known."""
    return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)
