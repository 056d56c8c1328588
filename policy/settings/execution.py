"""Where the parts of a look and of an estimate are worked on."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, model_validator

from policy.settings.section import Section
from policy.settings.values import Faults

_SCHEDULER: Final = re.compile(r"(?:tcp|tls)://(?:\[[0-9a-fA-F:.]+\]|[^\s/:@\[\]]+):\d{1,5}")


def _scheduler(address: str) -> str:
    if not _SCHEDULER.fullmatch(address.strip()):
        raise ValueError("is no address of a Dask scheduler; write it like tcp://dask:8786")
    return address.strip()


class Execution(Section):
    """The task runner of Prefect that flows get: threads of this process, or a Dask cluster."""

    task_runner: Literal["threads", "dask"] = "threads"
    dask_address: Annotated[str, AfterValidator(_scheduler)] | None = None

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.task_runner == "dask" and self.dask_address is None:
            raise Faults(
                {"daskAddress": "is missing beside taskRunner: dask; write tcp://HOST:8786"}
            )
        return self
