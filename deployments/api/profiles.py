"""`/debug/profile`: where time and memory of the process go; one at a time, for operators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, status
from fastapi.responses import PlainTextResponse

from deployments.api.access import Access
from deployments.profiling import cpu_profile, heap_profile

SecondsQuery = Annotated[float, Query(ge=0.1, le=60, description="For how long it is looked.")]


def profile_routes(*, access: Access) -> APIRouter:
    """The routes.

    Args:
        access: who may use them.
    """
    routes = APIRouter(
        prefix="/debug/profile",
        tags=["profiles"],
        default_response_class=PlainTextResponse,
        dependencies=[Depends(access.act)],
    )
    one_at_a_time = Lock()

    @routes.get("/cpu")
    def cpu(seconds: SecondsQuery = 5) -> str:
        """Collapsed stacks of every thread."""
        with _alone(one_at_a_time):
            return cpu_profile(seconds)

    @routes.get("/heap")
    def heap(seconds: SecondsQuery = 5) -> str:
        """What was allocated meanwhile and is still held, by line."""
        with _alone(one_at_a_time):
            return heap_profile(seconds)

    return routes


@contextmanager
def _alone(lock: Lock) -> Iterator[None]:
    if not lock.acquire(blocking=False):
        raise HTTPException(status.HTTP_409_CONFLICT, "a profile is being made; ask again")
    try:
        yield
    finally:
        lock.release()
