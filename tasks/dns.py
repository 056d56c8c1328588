"""Find the processes behind a name: one at each of its addresses, IPv4 and IPv6."""

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
    hosts = sorted({str(address[4][0]) for address in found})
    bases = [str(url.copy_with(host=host)).rstrip("/") for host in hosts]
    return [Pod(name=base, url=base) for base in bases]
