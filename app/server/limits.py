"""How often somebody may ask: sliding windows in memory, one a key."""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache

from starlette.requests import HTTPConnection

from app.server.problems import Problem

_RULE = re.compile(r"(\d+)\s*/\s*(\d+)?\s*(second|minute|hour|day)s?")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
SWEEP_KEYS = 10_000


@lru_cache(maxsize=128)
def parse(rule: str) -> tuple[int, int, str]:
    """Read "5/hour" or "20/15 minutes": the number, the window in seconds, and the rule in words: "5 per 1 hour"."""
    match = _RULE.fullmatch(rule.strip())
    if match is None:
        raise ValueError(f"{rule!r} is no rate limit; write e.g. 5/hour or 20/15 minutes")
    number, length, unit = int(match[1]), int(match[2] or 1), match[3]
    return number, length * _SECONDS[unit], f"{number} per {length} {unit}"


def address(connection: HTTPConnection) -> str:
    """Return where a request comes from, for limits on those who are nobody yet."""
    return connection.client.host if connection.client is not None else "unknown"


class RateLimits:
    """All windows of this process; a restart forgets them. *factor* scales every number, None turns limits off."""

    def __init__(self, factor: float | None = 1.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._factor = factor
        self._clock = clock
        self._windows: dict[tuple[str, ...], deque[float]] = {}
        self._longest_seconds = 0

    def take(self, rule: str, *key: str) -> None:
        """Count one request; raises `Problem("rate_limited")`, and then it does not count."""
        number, seconds, words = parse(rule)
        if self._factor is None:
            return
        now = self._clock()
        self._longest_seconds = max(self._longest_seconds, seconds)
        window = self._windows.setdefault((rule, *key), deque())
        while window and window[0] <= now - seconds:
            window.popleft()
        if len(window) >= max(1, round(number * self._factor)):
            wait = max(1, math.ceil(window[0] + seconds - now))
            raise Problem("rate_limited", words, headers={"Retry-After": str(wait)})
        window.append(now)
        self._sweep(now)

    def give_back(self, rule: str, *key: str) -> None:
        """Take the last count back: a success that shall not count."""
        window = self._windows.get((rule, *key))
        if window:
            window.pop()

    def _sweep(self, now: float) -> None:
        if len(self._windows) > SWEEP_KEYS:
            old = [
                key
                for key, seen in self._windows.items()
                if not seen or seen[-1] < now - self._longest_seconds
            ]
            for key in old:
                del self._windows[key]
