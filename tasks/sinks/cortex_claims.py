"""Which overrides of a Cortex are ours, and what stood there before: a file beside the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from policy.errors import ConfigError
from tasks.sinks.file import FileSink

Values = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Our limits of one tenant.

    Attributes:
        before: each limit of ours, and the value that stood there; None where none did.
        created: Cortex knew no override of the tenant before our first one.
        beside: what else the tenant showed after our first write, in one that we created: the
            defaults that Cortex writes down with it. None until then.
    """

    before: dict[str, float | None]
    created: bool
    beside: dict[str, float] | None = None

    def is_alone(self, told: Values) -> bool:
        """Whether nobody else has set a limit of this tenant, by what it shows now."""
        if not self.created:
            return False
        others = {limit: value for limit, value in told.items() if limit not in self.before}
        return others == (self.beside or {})


Claims = Mapping[str, Claim]

_FORM = TypeAdapter(dict[str, Claim])


class ClaimsFile:
    """The claims on a disk, replaced whole."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._file = FileSink(path, name=f"the file of claims {path}")

    def load(self) -> dict[str, Claim]:
        """The claims by tenant; none where there is no file.

        Raises:
            ConfigError: the file cannot be read, or is none of ours.
            RetriableError: it cannot be read just now.
        """
        if not self._folder.exists():
            return {}
        held = self._file.read().document
        if held is None:
            return {}
        try:
            return _FORM.validate_json(held)
        except ValidationError as error:
            raise ConfigError(
                f"{self._file.describe()} does not say which overrides are ours: put it back from "
                "a copy, or move it away, and what stands in Cortex now is taken for the operator's"
            ) from error

    def save(self, claims: Claims) -> None:
        """Replace the claims, unless they are the same.

        Raises:
            ConfigError: the file cannot be written.
            RetriableError: it cannot be written just now, or another process writes it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = _FORM.dump_json(dict(sorted(claims.items())), indent=1)
        held = self._file.read()
        if held.document != fresh:
            self._file.write(fresh, if_version=held.version)
