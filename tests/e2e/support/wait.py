"""Waiting for the outside world: ask again until it is so, or fail with what was seen last."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(ask: Callable[[], T | None], what: str, within_s: float = 30.0, every_s: float = 0.05) -> T:
    """Return the first true answer of *ask*; AssertionError naming *what* and the last answer after *within_s*."""
    deadline = time.monotonic() + within_s
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within_s:g} s for {what}; last seen: {answer!r}")
        time.sleep(every_s)
