"""Wait for the outside world to move, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], is_right: Callable[[T], bool], seconds: float = 10.0) -> T:
    """Look again until what is seen is right, and return it; after *seconds* fail with the last thing seen."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if is_right(seen):
            return seen
        assert time.monotonic() < deadline, f"still {seen!r} after {seconds} s"
        time.sleep(0.02)
