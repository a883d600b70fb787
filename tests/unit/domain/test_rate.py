"""Rates and the time left, with times that the test gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.rate import WINDOW_S, RateMeter, time_left


def metered(samples: list[tuple[float, float]]) -> RateMeter:
    meter = RateMeter()
    for now, total in samples:
        meter.add(now, total)
    return meter


def test_a_steady_stream_has_its_own_rate() -> None:
    meter = metered([(tick / 10, tick * 100.0) for tick in range(200)])
    assert meter.rate(19.9) == pytest.approx(1000)


def test_an_old_speed_is_forgotten_after_the_window() -> None:
    fast, slow = (
        [(float(t), t * 1000.0) for t in range(20)],
        [(20.0 + t, 20_000.0 + t * 10) for t in range(20)],
    )
    assert metered(fast + slow).rate(39) == pytest.approx(10)


@pytest.mark.parametrize(
    "samples, now",
    [
        ([], 1.0),
        ([(0.0, 500.0)], 1.0),
        ([(0.0, 0.0), (0.1, 1e9)], 0.1),
        ([(0.0, 0.0), (1.0, 500.0)], 1.0 + WINDOW_S + 0.1),
        ([(0.0, 1000.0), (1.0, 2000.0), (2.0, 0.0)], 2.0),
        ([(5.0, 0.0), (6.0, 100.0), (1.0, 200.0)], 1.5),
    ],
    ids=["nothing", "one sample", "too short", "long ago", "began again", "clock went back"],
)
def test_no_rate_without_enough_to_tell(samples: list[tuple[float, float]], now: float) -> None:
    assert metered(samples).rate(now) == 0.0


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e15)), max_size=50), st.floats(0, 1e6))
def test_a_rate_is_never_negative(samples: list[tuple[float, float]], now: float) -> None:
    assert metered(samples).rate(now) >= 0


counts = st.integers(0, 10**15)
speeds = st.floats(0, 1e12)


@given(counts, speeds, st.integers(0, 10**7), speeds)
def test_time_left_is_a_range_or_nothing(bytes_left: int, bps: float, files_left: int, fps: float) -> None:
    left = time_left(bytes_left=bytes_left, bytes_per_s=bps, files_left=files_left, files_per_s=fps)
    assert left is None or 0 <= left[0] <= left[1] <= 14 * 24 * 3600


@given(speeds, speeds)
def test_nothing_is_left_when_all_is_done(bps: float, fps: float) -> None:
    assert time_left(bytes_left=0, bytes_per_s=bps, files_left=0, files_per_s=fps) == (0.0, 0.0)


@pytest.mark.parametrize(
    "bytes_left, bps, files_left, fps, contains",
    [
        (100_000_000, 1e6, 1, 0.0, 100),  # one large file: bytes alone
        (100_000_000, 1e6, 1, 0.2, 100),  # files that take seconds each say nothing more
        (400_000, 40_000, 1000, 10.0, 50),  # small files: between 10 s by bytes and 100 s by count
        (0, 0.0, 100, 10.0, 10),  # empty files: the count alone
        (100_000_000, 1e6, 2000, 10.0, 150),  # both speak: between 100 and 200 s
    ],
)
def test_the_true_time_lies_within(
    bytes_left: int, bps: float, files_left: int, fps: float, contains: float
) -> None:
    left = time_left(bytes_left=bytes_left, bytes_per_s=bps, files_left=files_left, files_per_s=fps)
    assert left is not None
    assert left[0] <= contains <= left[1]


@pytest.mark.parametrize(
    "bytes_left, bps, files_left, fps",
    [
        (10**15, 1.0, 1, 0.0),  # the 25,000,000 years
        (10**9, 0.0, 10, 5.0),  # nothing moves
        (10**9, 1e9, 10**6, 2.0),  # 1 s or 6 days
        (0, 0.0, 10, 0.0),
    ],
)
def test_no_number_rather_than_a_silly_one(bytes_left: int, bps: float, files_left: int, fps: float) -> None:
    assert time_left(bytes_left=bytes_left, bytes_per_s=bps, files_left=files_left, files_per_s=fps) is None
