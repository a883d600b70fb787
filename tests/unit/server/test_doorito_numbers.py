"""How a file is cut into parts, and how many numbers are said in few words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.server.api.doorito.numbers import MOST_PARTS, chunk_size_bytes, count_of_parts, missing, ranges

MIB = 1024 * 1024


@pytest.mark.parametrize(
    "numbers,said",
    [
        ([], []),
        ([4], [4]),
        ([1, 2], ["1-2"]),
        ([*range(1, 51), 52, *range(55, 101)], ["1-50", 52, "55-100"]),
    ],
)
def test_consecutive_numbers_are_put_together(numbers: list[int], said: list[int | str]) -> None:
    assert ranges(numbers) == said


@given(st.sets(st.integers(1, 60)))
def test_ranges_and_what_is_missing_say_every_number_once(numbers: set[int]) -> None:
    said = [*ranges(sorted(numbers)), *missing(sorted(numbers), 60)]
    assert sorted(number for one in said for number in spelled(one)) == list(range(1, 61))


def spelled(one: int | str) -> list[int]:
    if isinstance(one, int):
        return [one]
    first, _, last = one.partition("-")
    return list(range(int(first), int(last) + 1))


@given(st.integers(0, 2**53))
def test_no_file_needs_more_than_10_000_parts_and_every_chunk_is_whole_mebibytes(size: int) -> None:
    chunk = chunk_size_bytes(size)
    assert (count_of_parts(size, chunk) <= MOST_PARTS, chunk % MIB, chunk >= 5 * MIB) == (True, 0, True)


@pytest.mark.parametrize("size,chunk", [(0, 5), (50_000 * MIB, 5), (50_000 * MIB + 1, 6), (10**5 * MIB, 10)])
def test_chunks_grow_only_when_5_mib_are_too_small(size: int, chunk: int) -> None:
    assert chunk_size_bytes(size) == chunk * MIB
