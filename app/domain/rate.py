"""How fast something grows, and an honest range for how long the rest will take. The caller gives the times."""

from collections import deque

WINDOW_S = 5.0
"""Over how many seconds a rate is taken."""
_SHORTEST_S = 0.3
_APART_S = 0.1
_FEW_FILES_PER_S = 1.0
_WIDEST = 30.0
_LONGEST_S = 14 * 24 * 3600.0
_SOONER, _LATER = 0.9, 1.25


class RateMeter:
    """A total that grows (bytes done, files done), watched over a sliding window of WINDOW_S seconds."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, now: float, total: float) -> None:
        """Note the *total* at *now* (seconds of any clock). A total or a clock that went back starts over."""
        samples = self._samples
        if samples and (total < samples[-1][1] or now < samples[-1][0]):
            samples.clear()
        if len(samples) > 1 and now - samples[-2][0] < _APART_S:
            samples[-1] = (now, total)
        else:
            samples.append((now, total))
        while len(samples) > 2 and samples[1][0] <= now - WINDOW_S:
            samples.popleft()

    def rate(self, now: float) -> float:
        """Return the growth per second; 0 before there is enough to tell, and once nothing was noted for long."""
        if len(self._samples) < 2:
            return 0.0
        (first, start), (last, end) = self._samples[0], self._samples[-1]
        span = max(now, last) - first
        if span < _SHORTEST_S or now - last > WINDOW_S:
            return 0.0
        return (end - start) / span


def time_left(
    *, bytes_left: int, bytes_per_s: float, files_left: int, files_per_s: float
) -> tuple[float, float] | None:
    """Return the seconds left as (soonest, latest); (0, 0) if nothing is left; None where nothing sensible can be said.

    Bytes and files give one estimate each. If the files to come are larger than the last ones, bytes are the slow
    guess and files the quick one; if they are smaller, the other way round: the truth lies between. Files that take
    longer than a second each say nothing that their bytes do not. No guess beats one that differs by more than
    30 times from the other, or that exceeds two weeks.
    """
    if bytes_left <= 0 and files_left <= 0:
        return 0.0, 0.0
    guesses = []
    if bytes_left > 0:
        if bytes_per_s <= 0:
            return None
        guesses.append(bytes_left / bytes_per_s)
    if files_left > 0 and files_per_s > 0 and (files_per_s >= _FEW_FILES_PER_S or bytes_left <= 0):
        guesses.append(files_left / files_per_s)
    if not guesses:
        return None
    soonest, latest = min(guesses) * _SOONER, max(guesses) * _LATER
    if latest > _LONGEST_S or latest > soonest * _WIDEST:
        return None
    return soonest, latest
