"""Sizes, speeds, durations and moments as a person reads them. Pure; re-exported by app.words."""

import math
import time
from collections.abc import Callable

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600


def number_text(number: int) -> str:
    """Return 1204 as "1,204"."""
    return f"{number:,}"


def count_text(count: int, noun: str, plural: str = "") -> str:
    """Return "1 file", "1,204 files"; *plural* only where an s is not enough."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def size_text(size_bytes: float) -> str:
    """Return a size in SI units: "412 kB", "8.1 GB", "12.5 MB"."""
    value = float(max(0.0, size_bytes))
    for unit in _UNITS:
        digits = 0 if unit == "B" or value >= 99.95 or (unit == "kB" and value >= 9.95) else 1
        if round(value, digits) < 1000 or unit == _UNITS[-1]:
            return f"{value:.{digits}f} {unit}"
        value /= 1000
    raise AssertionError("the last unit takes any size")


def speed_text(bytes_per_s: float) -> str:
    """Return a speed: "94 MB/s" (no more digits than a person can use)."""
    return f"{size_text(bytes_per_s)}/s"


def duration_text(seconds: float) -> str:
    """Return a duration in its two largest units: "8 s", "1 min 32 s", "2 h 5 min", "3 d 4 h"; at least "1 s"."""
    whole = max(1, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole // _MINUTE, "min", whole % _MINUTE, "s")
    if whole < _DAY:
        return _two(whole // _HOUR, "h", whole % _HOUR // _MINUTE, "min")
    return _two(whole // _DAY, "d", whole % _DAY // _HOUR, "h")


def left_text(left_s: tuple[float, float]) -> str:
    """Return the range (soonest, latest) coarsely: "~30 s", "2–4 min", "50 s – 2 min"; "" if nothing is left."""
    soonest, latest = left_s
    if latest <= 0:
        return ""
    low, low_unit = _coarse(soonest, math.floor)
    high, high_unit = _coarse(latest, math.ceil)
    if (low, low_unit) == (high, high_unit) or latest < 1.7 * soonest:
        middle, unit = _coarse(math.sqrt(max(soonest, 1) * latest), round)
        return f"~{middle} {unit}"
    if low_unit == high_unit:
        return f"{low}–{high} {high_unit}"
    return f"{low} {low_unit} – {high} {high_unit}"


def ago_text(at: float, now: float) -> str:
    """Return how long ago a moment was: "just now", "5 min ago", "yesterday", "3 days ago", "12 Nov 2026"."""
    age = now - at
    if age < 10:
        return "just now"
    if age < _MINUTE:
        return f"{int(age)} s ago"
    if age < _HOUR:
        return f"{int(age // _MINUTE)} min ago"
    if age < _DAY:
        return f"{int(age // _HOUR)} h ago"
    if age < 2 * _DAY:
        return "yesterday"
    return f"{int(age // _DAY)} days ago" if age < 7 * _DAY else _date(time.localtime(at))


def exact_time(at: float) -> str:
    """Return a moment in local time: "21 Nov 2026, 03:31:02"."""
    return clock_text(time.localtime(at))


def time_text(at: float, now: float) -> str:
    """Return a coming moment in local time, to the minute and not too early: "14:05", "00:05 on 22 Nov 2026"."""
    local = time.localtime(math.ceil(at / _MINUTE) * _MINUTE)
    text = f"{local.tm_hour:02}:{local.tm_min:02}"
    return text if local[:3] == time.localtime(now)[:3] else f"{text} on {_date(local)}"


def clock_text(shown: time.struct_time) -> str:
    """Return what a calendar and a clock show, wherever they stand: "21 Nov 2026, 03:31:02"."""
    return f"{_date(shown)}, {shown.tm_hour:02}:{shown.tm_min:02}:{shown.tm_sec:02}"


def _date(shown: time.struct_time) -> str:
    # Not strftime: Qt sets the locale, and these words are English.
    return f"{shown.tm_mday} {_MONTHS[shown.tm_mon - 1]} {shown.tm_year}"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"


def _coarse(seconds: float, rounded: Callable[[float], int]) -> tuple[int, str]:
    """Round to 1, 5 or 10 s, to minutes, hours or days: what a guess is worth."""
    if seconds < 10:
        return max(1, rounded(seconds)), "s"
    if seconds < 55:
        return 5 * rounded(seconds / 5), "s"
    if seconds < 100 * _MINUTE:
        return max(1, rounded(seconds / _MINUTE)), "min"
    if seconds < 48 * _HOUR:
        return max(1, rounded(seconds / _HOUR)), "h"
    return rounded(seconds / _DAY), "d"
