"""What the counters of a batch amount to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.server.states import BatchCounts, BatchStatus, batch_status

small = st.integers(0, 20)


@pytest.mark.parametrize(
    "total,stored,failed,cancelled,expected",
    [
        (0, 0, 0, 0, "pending"),
        (3, 0, 0, 0, "processing"),
        (3, 1, 1, 0, "processing"),
        (3, 3, 0, 0, "completed"),
        (3, 2, 0, 1, "completed"),
        (3, 2, 1, 0, "partial"),
        (3, 0, 1, 2, "partial"),
        (3, 0, 3, 0, "failed"),
        (3, 0, 0, 3, "cancelled"),
    ],
)
def test_the_status_of_a_batch_follows_its_counters(
    total: int, stored: int, failed: int, cancelled: int, expected: str
) -> None:
    assert batch_status(BatchCounts(total, stored, failed, cancelled), cancelled=False) == expected


@given(total=small, stored=small, failed=small, cancelled=small)
def test_a_cancelled_batch_is_cancelled_whatever_it_counts(
    total: int, stored: int, failed: int, cancelled: int
) -> None:
    counts = BatchCounts(total, stored, failed, cancelled)
    assert batch_status(counts, cancelled=True) is BatchStatus.CANCELLED


@given(total=small, stored=small, failed=small, cancelled=small)
def test_progress_is_never_above_a_hundred(total: int, stored: int, failed: int, cancelled: int) -> None:
    assert 0 <= BatchCounts(total, stored, failed, cancelled).progress_percentage <= 100
