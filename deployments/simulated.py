"""Give orders to a simulated Mimir that runs, and to no other.

It is known by a page that no real Mimir has, and it listens on this machine only: nothing is sent
anywhere else.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policy.errors import ConfigError
from policy.settings import Settings

TIMEOUT_SECONDS: Final = 5.0
START: Final = "start one with `mlo up --simulate`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A simulated Mimir that answered.

    Attributes:
        url: its root, below which orders are given.
        tenants: whom it simulates.
        processes: the names of its processes.
    """

    url: str
    tenants: tuple[str, ...]
    processes: tuple[str, ...]


def config_beside(settings: Settings) -> Path | None:
    """The configuration of the simulation that `mlo up --simulate` has made, if it has."""
    found = Path(settings.storage.url).parent / "simulator" / "config.yaml"
    return found if found.exists() else None


def find_simulated(settings: Settings) -> Simulated:
    """The simulated Mimir that the settings point at.

    Raises:
        ConfigError: they point at another Mimir, or nothing answers.
    """
    import httpx  # noqa: PLC0415 - slow to import

    endpoints = settings.mimir.endpoints
    if not endpoints:
        raise ConfigError(f"mimir.endpoints is empty, so no simulated Mimir is named; {START}")
    url = httpx.URL(str(endpoints[0]))
    root = str(url.copy_with(path="/", query=None)).rstrip("/")
    if not _is_here(url.host):
        raise ConfigError(
            f"the configured Mimir is at {url.host} and is not the simulator: nothing was sent; "
            f"{START}, or give its --config"
        )
    told = _told(root)
    if told is None:
        raise ConfigError(
            f"what answers at {root} is not the simulator: no order was sent; {START}, or give "
            "its --config"
        )
    return Simulated(url=root, tenants=tuple(told["tenants"]), processes=tuple(told["processes"]))


def order(simulated: Simulated, *, what: str, body: Mapping[str, object]) -> None:
    """Give one order: a `blast`, one of the `faults`, or `calm`.

    Raises:
        ConfigError: it was refused, or nothing answers any more.
    """
    import httpx  # noqa: PLC0415 - slow to import

    try:
        answer = httpx.post(
            f"{simulated.url}/simulator/{what}", json=dict(body), timeout=TIMEOUT_SECONDS
        )
    except httpx.HTTPError as exc:
        raise ConfigError(f"the simulator at {simulated.url} does not answer: {exc}") from exc
    if not answer.is_success:
        raise ConfigError(f"the simulator refused: {answer.text.strip()}")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _told(root: str) -> dict[str, list[str]] | None:
    """Who is simulated there; None: it is no simulator.

    Raises:
        ConfigError: nothing answers.
    """
    import httpx  # noqa: PLC0415 - slow to import

    try:
        answer = httpx.get(f"{root}/simulator/", timeout=TIMEOUT_SECONDS)
        told = answer.json() if answer.is_success else None
    except httpx.HTTPError as exc:
        raise ConfigError(f"nothing answers at {root}: {exc}; {START}") from exc
    except ValueError:
        return None
    if isinstance(told, dict) and {"tenants", "processes"} <= set(told):
        return told
    return None
