"""Where the time and the memory of this process go, while it works.

Stacks are sampled from every thread, so a profile costs little and needs no right that a container
lacks. Memory is what was allocated while it was watched and is still held.
"""

from __future__ import annotations

import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import PurePath
from types import FrameType
from typing import Final

EVERY_SECONDS: Final = 0.01
FRAMES_KEPT: Final = 10
LINES_SHOWN: Final = 50


def cpu_profile(seconds: float, *, pause: Callable[[float], object] = time.sleep) -> str:
    """Collapsed stacks, as flame graphs are drawn from: one line each, with how often it was seen.

    A thread that waits is seen waiting: what is called is told, not what is busy.

    Args:
        seconds: for how long it is looked.
        pause: waits between two looks.
    """
    own, seen, ends = threading.get_ident(), Counter[str](), time.monotonic() + seconds
    while time.monotonic() < ends:
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for identifier, frame in sys._current_frames().items():  # noqa: SLF001 - there is no other
            if identifier != own:
                seen[f"{names.get(identifier, 'a thread')};{_stack(frame)}"] += 1
        pause(EVERY_SECONDS)
    return "".join(f"{stack} {count}\n" for stack, count in seen.most_common())


def heap_profile(seconds: float, *, pause: Callable[[float], object] = time.sleep) -> str:
    """The lines that allocated most of what is held in the end; see `cpu_profile`."""
    tracemalloc.start(FRAMES_KEPT)
    try:
        pause(seconds)
        found = tracemalloc.take_snapshot().statistics("lineno")[:LINES_SHOWN]
        current, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    lines = [f"{current:,} bytes are held of what came in {seconds:g} s; at most it was {most:,}"]
    lines += [f"{each.size:>12,} bytes in {each.count:>8,}  {each.traceback}" for each in found]
    return "\n".join(lines) + "\n"


def _stack(frame: FrameType | None) -> str:
    """From the outermost call to the innermost."""
    calls = []
    while frame is not None:
        code = frame.f_code
        calls.append(f"{PurePath(code.co_filename).stem}:{code.co_qualname}")
        frame = frame.f_back
    return ";".join(reversed(calls))
