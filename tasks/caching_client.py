"""Answer from the cache what changes only when a Mimir process restarts, or is dear to ask.

Never kept: metrics; whatever shows the limits in force (`/runtime_config`, user limits), because
that proves that a publication arrived, and the next decision starts from it; and the version,
because a name that an older Mimir does not know would stop its whole runtime file.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import httpx

from tasks.cache import Cache

KEPT_PATHS: Final = (
    "/config",
    "/api/v1/cardinality/label_names",
    "/api/v1/cardinality/label_values",
)
"""How the paths end whose answers are kept."""

# Who asks decides what is answered.
_ASKING: Final = ("Authorization", "X-Scope-OrgID", "Cookie")


class CachingClient(httpx.AsyncClient):
    """An httpx client that asks its cache first, for KEPT_PATHS and whole answers only."""

    def __init__(self, *, cache: Cache | None, **options: Any) -> None:  # noqa: ANN401 - httpx's own
        """Take httpx's options; without a cache, nothing is kept."""
        super().__init__(**options)
        self._cache = cache

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        **options: Any,  # noqa: ANN401 - httpx's own
    ) -> httpx.Response:
        """Send the request, unless its answer is kept. Only a plain 200 is kept."""
        cache = None if stream or not _is_kept(request) else self._cache
        if cache is None:
            return await super().send(request, stream=stream, **options)
        key = _key(request)
        kept = await cache.get(key)
        if kept is not None:
            return httpx.Response(httpx.codes.OK, content=kept, request=request)
        response = await super().send(request, stream=stream, **options)
        if response.status_code == httpx.codes.OK:
            await cache.put(key, response.content)
        return response


def _is_kept(request: httpx.Request) -> bool:
    return request.method == "GET" and request.url.path.endswith(KEPT_PATHS)


def _key(request: httpx.Request) -> str:
    """What is asked and by whom; hashed, because a header may be a secret."""
    asked = [str(request.url), *(request.headers.get(name, "") for name in _ASKING)]
    return sha256("\0".join(asked).encode()).hexdigest()
