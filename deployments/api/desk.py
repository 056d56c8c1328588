"""What the API works on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from policy.settings import Settings
from storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the API works on.

    Attributes:
        database: the history of this process.
        settings: asked at each request.
        clock: aware UTC.
        prefect_url: where the Prefect UI is for a browser on this machine; None: nowhere.
    """

    database: Database
    settings: Callable[[], Settings]
    clock: Callable[[], datetime]
    prefect_url: str | None = None
