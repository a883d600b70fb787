"""Sizes, durations and moments as a person reads them."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.units import (
    ago_text,
    count_text,
    duration_text,
    exact_time,
    left_text,
    size_text,
    speed_text,
    time_text,
)

DAY = 24 * 3600


@pytest.mark.parametrize(
    "size_bytes, text",
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_949, "9.9 kB"), (9_990, "10 kB"), (412_000, "412 kB"),
        (999_499, "999 kB"), (999_500, "1.0 MB"), (12_340_000, "12.3 MB"), (99_960_000, "100 MB"),
        (8_100_000_000, "8.1 GB"), (6_442_450_944, "6.4 GB"), (1.5e15, "1.5 PB"), (5e21, "5000 EB"), (-1, "0 B"),
    ],
)  # fmt: skip
def test_sizes_are_in_si_units(size_bytes: float, text: str) -> None:
    assert size_text(size_bytes) == text


@given(st.integers(0, 10**20))
def test_a_size_is_always_short(size_bytes: int) -> None:
    assert re.fullmatch(r"\d{1,3}(\.\d)? (B|kB|MB|GB|TB|PB|EB)", size_text(size_bytes))


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "1 s"), (8.4, "8 s"), (59.6, "1 min"), (92, "1 min 32 s"), (3600, "1 h"), (7500, "2 h 5 min"),
        (DAY, "1 d"), (3 * DAY + 4 * 3600 + 59, "3 d 4 h"),
    ],
)  # fmt: skip
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    "left_s, text",
    [
        ((0.0, 0.0), ""), ((0.2, 0.3), "~1 s"), ((27.0, 37.5), "~30 s"), ((55.0, 70.0), "~1 min"),
        ((130.0, 250.0), "2–5 min"), ((48.0, 118.0), "45 s – 2 min"), ((3600.0, 4 * 3600.0), "60 min – 4 h"),
        ((9 * DAY, 10 * DAY), "~9 d"),
    ],
)  # fmt: skip
def test_the_time_left_is_as_coarse_as_a_guess_is(left_s: tuple[float, float], text: str) -> None:
    assert left_text(left_s) == text


@given(st.floats(0, 14 * DAY), st.floats(1, 30))
def test_any_range_has_a_short_text(soonest: float, factor: float) -> None:
    assert len(left_text((soonest, soonest * factor))) <= 16


@pytest.mark.parametrize(
    "age_s, text",
    [
        (-5, "just now"), (3, "just now"), (40, "40 s ago"), (300, "5 min ago"), (3 * 3600, "3 h ago"),
        (DAY + 60, "yesterday"), (3 * DAY, "3 days ago"),
    ],
)  # fmt: skip
def test_moments_are_relative(age_s: float, text: str) -> None:
    assert ago_text(1_800_000_000 - age_s, 1_800_000_000) == text


def test_older_moments_are_dates() -> None:
    assert re.fullmatch(r"\d{1,2} Jan 2027", ago_text(1_800_000_000, 1_800_000_000 + 9 * DAY))


def test_the_exact_moment_is_local_and_to_the_second() -> None:
    assert re.fullmatch(r"\d{1,2} Jan 2027, \d\d:\d\d:20", exact_time(1_800_000_020))


def test_counts_and_speeds() -> None:
    assert (count_text(1, "file"), count_text(1204, "file"), speed_text(94_300_000)) == (
        "1 file",
        "1,204 files",
        "94.3 MB/s",
    )


@pytest.mark.parametrize(
    "later_s, text",
    [
        (0, "23:50"),
        (0.5, "23:51"),
        (540, "23:59"),
        (600, "00:00 on 22 Nov 2026"),
        (661, "00:02 on 22 Nov 2026"),
    ],
)
def test_a_coming_moment_is_told_to_the_minute_and_not_too_early(later_s: float, text: str) -> None:
    ten_to_midnight = time.mktime((2026, 11, 21, 23, 50, 0, 0, 0, -1))
    assert time_text(ten_to_midnight + later_s, ten_to_midnight) == text
