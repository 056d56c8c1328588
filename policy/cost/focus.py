"""Costs in the columns of FOCUS 1.4, the FinOps Open Cost and Usage Specification.

A row is what a tenant used of one article in one day; what idles is a row of each day, and so is
what a tenant was charged in a day that the prices of the settings do not come to, because they
were others then. `BilledCost` of all rows is what all of it cost, to the last digit. What is not
known is null, and what has no price has no row.

Source: https://focus.finops.org/focus-specification, the dataset Cost and Usage.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from policy.cost.periods import Period, period
from policy.cost.pricing import Terms
from policy.cost.tariff import ARTICLES, tariff
from policy.cost.teams import UNATTRIBUTED
from policy.frames import UTC_TIME

VERSION: Final = "1.4"

_NUMBER: Final = pl.Decimal(38, 9)
_DIGITS: Final = 9
_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SERVICE: Final = "Metrics"
_KEYS: Final = ("number", "tenant")
_KEPT: Final = ("team", "currency", "amount", "listed", "hours", "covered_hours", "unknown")

# How far a charge may be from what the prices come to, and still be theirs: what rounding by the
# hour leaves, which is a billionth for each of a few parts.
_PER_HOUR: Final = 1e-6
_OF_IT: Final = 1e-6

# Columns in the order of the specification; those that it does not know begin with x_.
FOCUS: Final = pl.Schema(
    {
        "BilledCost": _NUMBER,
        "BillingAccountId": pl.String(),
        "BillingAccountName": pl.String(),
        "BillingCurrency": pl.String(),
        "BillingPeriodEnd": UTC_TIME,
        "BillingPeriodStart": UTC_TIME,
        "ChargeCategory": pl.String(),
        "ChargeClass": pl.String(),
        "ChargeDescription": pl.String(),
        "ChargeFrequency": pl.String(),
        "ChargePeriodEnd": UTC_TIME,
        "ChargePeriodStart": UTC_TIME,
        "ConsumedQuantity": _NUMBER,
        "ConsumedUnit": pl.String(),
        "ContractedCost": _NUMBER,
        "ContractedUnitPrice": _NUMBER,
        "EffectiveCost": _NUMBER,
        "HostProviderName": pl.String(),
        "InvoiceIssuerName": pl.String(),
        "ListCost": _NUMBER,
        "ListUnitPrice": _NUMBER,
        "PricingCategory": pl.String(),
        "PricingQuantity": _NUMBER,
        "PricingUnit": pl.String(),
        "ServiceCategory": pl.String(),
        "ServiceName": pl.String(),
        "ServiceProviderName": pl.String(),
        "ServiceSubcategory": pl.String(),
        "SkuId": pl.String(),
        "SkuMeter": pl.String(),
        "SkuPriceDetails": pl.String(),
        "SkuPriceId": pl.String(),
        "SubAccountId": pl.String(),
        "SubAccountName": pl.String(),
        "Tags": pl.String(),
        "x_HoursMeasured": _NUMBER,
        "x_HoursPriced": pl.Int64(),
        "x_NotPriced": pl.String(),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who charges, and the account that everything is charged to."""

    provider: str
    account: str


def focus(
    spent: pl.DataFrame,
    *,
    idle: pl.DataFrame,
    days: Sequence[Period],
    zone: ZoneInfo,
    terms: Terms,
    issuer: Issuer,
) -> pl.DataFrame:
    """FOCUS, by day, tenant and article; what idles comes last in its day.

    Args:
        spent: number, tenant, team, currency, amount, listed, hours, covered_hours, unknown and
            the quantities of COSTS; `number` is the place of the day, and `listed` the amount at
            list price, which differs where it was scaled to the bill.
        idle: number, currency, idle.
        days: of `zone`, each whole or cut.
        zone: of billing periods, which are months.
        terms: how usage is priced.
        issuer: who charges.
    """
    known = spent.filter(pl.col("amount").is_not_null())
    articles, other = _by_article(known, tariff(days, terms=terms))
    rest = idle.select("number", "currency", amount="idle", listed="idle").with_columns(
        ChargeDescription=pl.lit("The bill of the cluster beyond what its tenants are charged"),
        ChargeFrequency=pl.lit("Recurring"),
        last=pl.lit(value=True),
    )
    rows = pl.concat(
        [_used(articles), _otherwise(other), rest.filter(pl.col("amount") != 0)],
        how="diagonal_relaxed",
    )
    dated = rows.join(_moments(days, zone=zone), on="number", how="left")
    return (
        _completed(dated, issuer=issuer)
        .sort("number", pl.col("last").fill_null(value=False), "tenant", "SkuId", nulls_last=True)
        .select(FOCUS.names())
        .cast(FOCUS)
    )


def _by_article(known: pl.DataFrame, prices: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What was used, by article, with `billed`; and what the prices do not come to, as it was."""
    used = (
        known.unpivot(
            list(ARTICLES),
            index=[*_KEYS, *_KEPT],
            variable_name="article",
            value_name="quantity",
        )
        .filter(pl.col("quantity") > 0)
        .join(prices, on=["number", "article"])
        .with_columns(priced=(pl.col("quantity") / pl.col("block")).cast(_NUMBER))
        .with_columns(part=pl.col("priced") * pl.col("price") * pl.col("weight"))
    )
    listed = pl.col("listed").cast(pl.Float64)
    whole = pl.col("part").sum().cast(pl.Float64)
    met = (whole - listed).abs() <= _PER_HOUR * pl.col("hours") + _OF_IT * listed.abs()
    used = used.with_columns(met=met.over(_KEYS)).filter("met")
    met_days = used.select(_KEYS).unique()
    other = known.join(met_days, on=_KEYS, how="anti").filter(pl.col("amount") != 0)
    return _billed(used), other


def _billed(used: pl.DataFrame) -> pl.DataFrame:
    """With `at_list` and `billed`: the parts of both, what rounding left of each to the dearest."""
    scale = pl.col("amount").cast(pl.Float64) / pl.col("listed").cast(pl.Float64)
    scaled = (
        pl.when(pl.col("amount") == pl.col("listed"))
        .then("part")
        .otherwise((pl.col("part").cast(pl.Float64) * scale).round(_DIGITS).cast(_NUMBER))
    )
    return used.with_columns(
        at_list=_whole(pl.col("part"), of="listed"), billed=_whole(scaled, of="amount")
    )


def _whole(part: pl.Expr, *, of: str) -> pl.Expr:
    left = pl.col(of) - part.sum().over(_KEYS)
    dearest = pl.col("part").rank("ordinal", descending=True).over(_KEYS) == 1
    return part + pl.when(dearest).then(left).otherwise(pl.lit(0, dtype=_NUMBER))


def _used(used: pl.DataFrame) -> pl.DataFrame:
    def of(name: str) -> pl.Expr:
        values = {key: getattr(each, name) for key, each in ARTICLES.items()}
        return pl.col("article").replace_strict(values, return_dtype=pl.String)

    unit_price = pl.col("price") * pl.col("weight")
    return used.with_columns(
        amount="billed",
        listed="at_list",
        ChargeCategory=pl.lit("Usage"),
        ChargeFrequency=pl.lit("Usage-Based"),
        ChargeDescription=pl.format(
            "{}, at {} {} per {}{}",
            of("meter"),
            _plain(pl.col("price")),
            "currency",
            of("per"),
            pl.when(pl.col("weight") != 1)
            .then(pl.format(", of which {} counts", _plain(pl.col("weight"))))
            .otherwise(pl.lit("")),
        ),
        ConsumedQuantity=pl.col("quantity").cast(_NUMBER),
        ConsumedUnit=of("consumed_unit"),
        PricingCategory=pl.lit("Standard"),
        PricingQuantity="priced",
        PricingUnit=of("pricing_unit"),
        ListUnitPrice=unit_price,
        ContractedUnitPrice=unit_price,
        SkuId="article",
        SkuPriceId="article",
        SkuMeter=of("meter"),
    ).drop(
        "quantity",
        "priced",
        "price",
        "weight",
        "block",
        "part",
        "met",
        "at_list",
        "billed",
        "article",
    )


def _otherwise(other: pl.DataFrame) -> pl.DataFrame:
    return other.select(*_KEYS, *_KEPT).with_columns(
        ChargeDescription=pl.lit("Usage, at prices that are no longer in the settings"),
        ChargeFrequency=pl.lit("Usage-Based"),
    )


def _completed(rows: pl.DataFrame, *, issuer: Issuer) -> pl.DataFrame:
    """With what is the same of all, or of all of a tenant; what nothing is known of is null."""
    missing = [
        pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in FOCUS.items()
        if name not in rows.columns
    ]
    return rows.with_columns(missing).with_columns(
        **dict.fromkeys(("BilledCost", "EffectiveCost"), pl.col("amount")),
        **dict.fromkeys(("ContractedCost", "ListCost"), pl.col("listed")),
        BillingAccountId=pl.lit(issuer.account),
        BillingCurrency="currency",
        ChargeCategory=pl.col("ChargeCategory").fill_null("Adjustment"),
        HostProviderName=pl.lit(issuer.provider),
        InvoiceIssuerName=pl.lit(issuer.provider),
        ServiceProviderName=pl.lit(issuer.provider),
        ServiceCategory=pl.lit("Management and Governance"),
        ServiceSubcategory=pl.lit("Observability"),
        ServiceName=pl.lit(_SERVICE),
        SubAccountId="tenant",
        SubAccountName="tenant",
        Tags=_tags(rows["team"]),
        x_HoursMeasured="covered_hours",
        x_HoursPriced="hours",
        x_NotPriced="unknown",
    )


def _tags(teams: pl.Series) -> pl.Series:
    """The team as JSON; null where a tenant belongs to none."""
    tags = {
        team: json.dumps({"team": team}, ensure_ascii=False)
        for team in teams.drop_nulls().unique()
        if team != UNATTRIBUTED
    }
    return teams.replace_strict(tags, default=None, return_dtype=pl.String)


def _moments(days: Sequence[Period], *, zone: ZoneInfo) -> pl.DataFrame:
    """When each day, and the month it is charged in, begin and end; a cut day at a whole hour."""
    months = [period("month", at=each.start, zone=zone) for each in days]
    return pl.DataFrame(
        {
            "number": range(len(days)),
            "ChargePeriodStart": [_next_hour(each.start) for each in days],
            "ChargePeriodEnd": [_next_hour(each.end) for each in days],
            "BillingPeriodStart": [each.start for each in months],
            "BillingPeriodEnd": [each.end for each in months],
        },
        schema_overrides={"number": pl.Int64()},
    )


def _next_hour(moment: datetime) -> datetime:
    """An hour counts where it begins: from which hour on they count after this moment."""
    return _EPOCH + -(-(moment - _EPOCH) // _HOUR) * _HOUR


def _plain(number: pl.Expr) -> pl.Expr:
    """A decimal without the noughts at its end."""
    return number.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
