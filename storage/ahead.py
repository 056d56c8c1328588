"""Read the next part while the caller works on this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Found = TypeVar("Found")


def read_ahead(read: Callable[[Part], Found], parts: Iterable[Part]) -> Iterator[Found]:
    """What `read` gives for each part, in their order; one is read ahead, in a thread.

    DuckDB and polars compute without Python's lock, so two cores are at work, and no more than
    two parts are in memory.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read ahead") as reader:
        waiting = None
        for part in parts:
            coming = reader.submit(read, part)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()
