"""Which tenants are looked after, and the tenants that are made up for practice."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from policy.settings.section import Section
from policy.settings.values import Faults, PositiveDuration


class TierBased(Section):
    """Whether only tenants that belong to a tier are looked after."""

    enabled: bool = False


class TenantScoping(Section):
    """Tenants to leave out and tenants to take, by shell patterns or regular expressions."""

    enabled: bool = True
    skip_list: tuple[str, ...] = ()
    include_list: tuple[str, ...] = ()
    use_regex: bool = False
    tier_based: TierBased = TierBased()
    inactive_after: PositiveDuration = timedelta(hours=13)
    """Without demand for so long a tenant is idle. Mimir closes its TSDB after as long."""
    gone_after: PositiveDuration = timedelta(days=30)
    """Unseen for so long it is gone. Its 5-minute history has ended by then."""

    @model_validator(mode="after")
    def _idle_before_gone(self) -> Self:
        if self.gone_after < self.inactive_after:
            raise Faults({"goneAfter": "must not be shorter than inactiveAfter"})
        return self

    @model_validator(mode="after")
    def _expressions_compile(self) -> Self:
        faults = {}
        for key, patterns in (("skipList", self.skip_list), ("includeList", self.include_list)):
            for place, pattern in enumerate(patterns if self.use_regex else ()):
                try:
                    re.compile(pattern)
                except re.error as fault:
                    faults[f"{key}[{place}]"] = f"{pattern!r} is no regular expression: {fault}"
        if faults:
            raise Faults(faults)
        return self


class Synthetic(Section):
    """Made-up tenants for practice."""

    enabled: bool = False
    tenant_count: Annotated[int, Field(ge=1, le=100_000)] = 20
