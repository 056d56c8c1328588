"""Which limits of the operator's file are ours, and what stood there before."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from policy.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What of the file is ours.

    Attributes:
        before: by tenant and limit the text of the value that stood there, None where none did.
        tenants: those that had no entry at all before us.
        wrapped: those whose alias or anchored mapping we put behind a merge key.
        overrides: whether the file had no `overrides` before us.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    before: Mapping[str, Mapping[str, str | None]]
    tenants: frozenset[str]
    wrapped: frozenset[str] = frozenset()
    overrides: bool = False

    def without(self, places: Collection[tuple[str, str]]) -> Claims:
        """The claims on all but these tenants and limits: what stands there is not ours."""
        left = {
            tenant: {limit: text for limit, text in limits.items() if (tenant, limit) not in places}
            for tenant, limits in self.before.items()
        }
        return replace(self, before={tenant: limits for tenant, limits in left.items() if limits})

    def to_json(self) -> str:
        """The claims on one line: the same claims give the same bytes."""
        form = {
            "before": {tenant: dict(limits) for tenant, limits in self.before.items()},
            "tenants": sorted(self.tenants),
            "wrapped": sorted(self.wrapped),
            "overrides": self.overrides,
        }
        return json.dumps(form, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Claims:
        """The claims that `to_json` wrote.

        Raises:
            ConfigError: the text is something else.
        """
        try:
            return _FORM.validate_json(text)
        except ValidationError as error:
            raise ConfigError(
                "what is kept beside the operator's file does not say which of its limits are "
                "ours: put it back from a copy, or remove it, and what stands in the file now is "
                "taken for the operator's"
            ) from error


_FORM = TypeAdapter(Claims)
