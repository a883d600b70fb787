"""A batch's state comes from its counters alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.batch import Counts, derive_state
from app.domain.state import BatchState, TransferState

S, B = TransferState, BatchState


def counts(**files: int) -> Counts:
    made = Counts()
    for name, number in files.items():
        for _ in range(number):
            made.add(S[name.upper()], 10)
    return made


@pytest.mark.parametrize(
    "made, expected",
    [
        (counts(completed=3), B.COMPLETED),
        (counts(completed=3, skipped=1), B.COMPLETED),
        (counts(completed=2, failed=1), B.PARTIAL),
        (counts(failed=2), B.FAILED),
        (counts(failed=2, cancelled=5), B.FAILED),
        (counts(completed=2, cancelled=1), B.CANCELLED),
        (counts(cancelled=4), B.CANCELLED),
        (counts(completed=5, uploading=1, queued=9, waiting=2), B.UPLOADING),
        (counts(preparing=1, queued=9), B.UPLOADING),
        (counts(queued=9, waiting=1), B.QUEUED),
        (counts(queued=9, processing=4), B.UPLOADING),
        (counts(processing=1, completed=9), B.PROCESSING),
        (counts(waiting=2, paused=1), B.WAITING),
        (counts(paused=2, completed=7), B.PAUSED),
        (counts(cancelling=1, uploading=3), B.CANCELLING),
        (counts(), B.COMPLETED),
    ],
)
def test_the_state_follows_from_the_counters(made: Counts, expected: BatchState) -> None:
    assert derive_state(made, scanning=False) is expected


def test_a_batch_that_only_scans_says_so() -> None:
    assert derive_state(counts(), scanning=True) is B.SCANNING


def test_what_is_queued_for_a_server_that_is_away_waits() -> None:
    seen = [derive_state(counts(queued=5, processing=n), scanning=False, blocked=True) for n in (0, 1)]
    assert seen == [B.WAITING] * 2


@given(
    st.lists(
        st.tuples(st.sampled_from(list(S)), st.sampled_from(list(S)), st.integers(0, 10**12)), max_size=30
    )
)
def test_moving_never_loses_a_file_or_a_byte(moves: list[tuple[TransferState, TransferState, int]]) -> None:
    made = Counts()
    for before, _, size in moves:
        made.add(before, size)
    for before, after, size in moves:
        made.move(before, after, size)
    expected = {state: sum(1 for _, after, _ in moves if after is state) for state in S}
    assert (made.files, made.total_bytes) == (expected, sum(size for _, _, size in moves))
