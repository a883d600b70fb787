"""How a file is cut into parts, and how many numbers are said in few words. Pure rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

DEFAULT_CHUNK_BYTES = 5 * 1024 * 1024
LARGEST_CHUNK_BYTES = 1024 * 1024 * 1024
MOST_PARTS = 10_000
_UNIT_BYTES = 1024 * 1024


def chunk_size_bytes(total_size_bytes: int) -> int:
    """Return 5 MiB, or for a file of more than 10,000 of them the whole number of MiB that makes 10,000 parts do."""
    needed = -(-total_size_bytes // MOST_PARTS)
    return max(DEFAULT_CHUNK_BYTES, -(-needed // _UNIT_BYTES) * _UNIT_BYTES)


def count_of_parts(total_size_bytes: int, chunk_bytes: int) -> int:
    """Return ceil(total / chunk); an empty file has no parts."""
    return -(-total_size_bytes // chunk_bytes)


def ranges(numbers: Iterable[int]) -> list[int | str]:
    """Return ascending *numbers* with the consecutive ones put together: `["1-3", 5, "7-8"]`."""
    ordered = list(numbers)
    breaks = [0, *(n + 1 for n, (a, b) in enumerate(pairwise(ordered)) if b != a + 1), len(ordered)]
    runs = [ordered[start:end] for start, end in pairwise(breaks) if start < end]
    return [run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]


def missing(received: Sequence[int], total_parts: int) -> list[int | str]:
    """Return the numbers from 1 to *total_parts* that are not *received*, as :func:`ranges` does."""
    there = set(received)
    return ranges(number for number in range(1, total_parts + 1) if number not in there)
