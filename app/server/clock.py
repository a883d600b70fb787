"""Time as the server writes it: ISO 8601 with milliseconds and Z."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns an aware time; tests bring their own."""


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """Return e.g. `2026-01-31T12:00:00.000Z`; such texts sort like the times they name."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
