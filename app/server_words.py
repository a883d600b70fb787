"""What a server can do and lists, in words. Pure."""

import re
from datetime import UTC, datetime

from app.remote.base import Abilities, RemoteBatchRow, RemoteState
from app.units import ago_text, clock_text, count_text, exact_time, number_text, size_text

_POWERS = (
    ("resume", "Goes on after an interruption"),
    ("cancel_file", "Cancels a file"),
    ("cancel_batch", "Cancels a batch"),
    ("delete_file", "Deletes what is stored"),
    ("checksum", "Checks what arrives by SHA-256"),
    ("processing", "Tells how far it is with what arrived"),
    ("lists_batches", "Lists the account's batches"),
)
_STATES = {
    RemoteState.UNFINISHED: "Unfinished",
    RemoteState.PROCESSING: "Processing",
    RemoteState.STORED: "Done",
    RemoteState.FAILED: "Failed",
    RemoteState.CANCELLED: "Cancelled",
    RemoteState.UNKNOWN: "Unknown",
}

_DATED = re.compile(r"\d{4}-\d\d-\d\d[T ]")


def ability_rows(abilities: Abilities) -> tuple[tuple[str, str], ...]:
    """Return what a server can do as rows: what, and "yes", "no" or the limit."""
    powers = tuple((text, "yes" if getattr(abilities, name) else "no") for name, text in _POWERS)
    size, files = abilities.max_size_bytes, abilities.max_files
    return (
        *powers,
        ("Largest file", "no limit known" if size is None else size_text(size)),
        ("Files in one request", "no limit known" if files is None else number_text(files)),
    )


def remote_state_text(row: RemoteBatchRow) -> str:
    """Return how a batch of the server's own list stands: its word, and how far the work is."""
    word = _STATES[row.state]
    if row.state in (RemoteState.UNFINISHED, RemoteState.PROCESSING) and row.share:
        word = f"{word}, {min(1.0, row.share):.0%}"
    return f"{word}, {number_text(row.failed_files)} failed" if row.failed_files else word


def remote_files_text(row: RemoteBatchRow) -> str:
    """Return how many files of a batch the server is done with. Some servers count more than there are."""
    return f"{row.done_files:,} / {count_text(row.total_files, 'file')}"


def created_text(row: RemoteBatchRow, now: float) -> str:
    """Return when a batch was made, as we say it of our own: "5 min ago". Without a time zone nobody knows how long ago
    that is: then it is the date and the time on the server's clock. What is no moment stays as it is."""
    when = _moment(row.created)
    if when is None:
        return row.created
    return ago_text(when.timestamp(), now) if when.tzinfo else clock_text(when.timetuple())


def created_tip(row: RemoteBatchRow) -> str:
    """Return the full moment in local time, or what the server's clock showed."""
    when = _moment(row.created)
    if when is None:
        return row.created
    if when.tzinfo:
        return exact_time(when.timestamp())
    return f"{clock_text(when.timetuple())} on the server's clock (it names no time zone)"


def created_order(row: RemoteBatchRow) -> tuple[bool, float, str]:
    """Return what to sort by: moments as they followed each other, then what is none."""
    when = _moment(row.created)
    if when is None:
        return True, 0.0, row.created.casefold()
    return False, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp(), ""


def _moment(text: str) -> datetime | None:
    """Return what an ISO 8601 text means; None for anything else, and for a zero (the year 1 or 1970) of some servers."""
    try:
        when = datetime.fromisoformat(text) if _DATED.match(text) else None
    except ValueError:
        return None
    return when if when is not None and when.year > 1970 else None
