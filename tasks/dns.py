"""Find the processes behind a name: one at each of its addresses.

Where it has addresses of both families, each process has one of each, as `localhost` has, and
would count twice: those of one family are asked, of the one that names more of them.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

import httpx

from policy.scrape import Pod
from policy.settings.connection import DNS
from tasks.endpoint_slices import DiscoveryError

_RESOLVING_SECONDS: Final = 5.0


async def resolved(endpoint: str, *, timeout_seconds: float = _RESOLVING_SECONDS) -> list[Pod]:
    """One pod per address of the host, sorted; it has the base URL with the address as its name.

    Args:
        endpoint: as in `dns+http://name:8080/prefix`.
        timeout_seconds: longest time that the name may take.

    Raises:
        DiscoveryError: the name has no address, or nobody told in time.
    """
    url = httpx.URL(endpoint.removeprefix(DNS))
    try:
        async with asyncio.timeout(timeout_seconds):
            found = await asyncio.get_running_loop().getaddrinfo(
                url.host, url.port, type=socket.SOCK_STREAM
            )
    except TimeoutError:
        raise DiscoveryError(
            f"{url.host} was not resolved within {timeout_seconds:g} s: look at the resolver"
        ) from None
    except (OSError, UnicodeError) as refusal:
        why = getattr(refusal, "strerror", None) or "it can be no name"
        raise DiscoveryError(
            f"{url.host} has no address ({why}): correct it in mimir.endpoints, or give it one"
        ) from refusal
    hosts = _of_one_family({str(address[4][0]) for address in found})
    bases = [str(url.copy_with(host=host)).rstrip("/") for host in hosts]
    return [Pod(name=base, url=base) for base in bases]


def _of_one_family(addresses: set[str]) -> list[str]:
    """The addresses of the family that has the most, sorted; IPv4 where both have as many."""
    newer = {address for address in addresses if ":" in address}
    older = addresses - newer
    return sorted(older if len(older) >= len(newer) else newer)
