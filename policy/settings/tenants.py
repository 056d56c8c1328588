"""Which tenants are looked after, and the tenants that are made up for practice."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, model_validator

from policy.settings.section import Section
from policy.settings.values import Faults


class TierBased(Section):
    """Whether the tier of a tenant decides its scope."""

    enabled: bool = False


class TenantScoping(Section):
    """Tenants to leave out and tenants to take, by shell patterns or regular expressions."""

    enabled: bool = True
    skip_list: tuple[str, ...] = ()
    include_list: tuple[str, ...] = ()
    use_regex: bool = False
    tier_based: TierBased = TierBased()

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
