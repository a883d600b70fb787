"""What a server can do, wants of whoever signs in, and lists, in words. Pure."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from app.remote.base import Abilities, RemoteBatchRow, RemoteState
from app.remote.registry import DIALECTS, SignsIn
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


class Power(NamedTuple):
    """One line: whether the server can, and the words."""

    can: bool
    words: str


def ability_rows(abilities: Abilities) -> tuple[tuple[str, str], ...]:
    """Return what a server can do as rows: what, and "yes", "no" or the limit."""
    return (
        *((words, "yes" if can else "no") for can, words in _abilities(abilities)),
        *((what, limit or "no limit known") for what, limit in _limits(abilities)),
    )


def powers(abilities: Abilities) -> list[Power]:
    """Return what *abilities* mean for a person; limits only where the server names one."""
    limits = [Power(True, f"{what}: {limit}") for what, limit in _limits(abilities) if limit]
    return _abilities(abilities) + limits


def powers_text(abilities: Abilities | None) -> str:
    """Return one sentence, for a screen reader and a status line; None: nobody has signed in yet."""
    if abilities is None:
        return "It says what it can do once you have signed in."
    return "; ".join(f"{words}{'' if can else ': no'}" for can, words in powers(abilities)) + "."


def _abilities(abilities: Abilities) -> list[Power]:
    return [Power(getattr(abilities, name), words) for name, words in _POWERS]


def _limits(abilities: Abilities) -> tuple[tuple[str, str], ...]:
    size, files = abilities.max_size_bytes, abilities.max_files
    return (
        ("Largest file", "" if size is None else size_text(size)),
        ("Files in one request", "" if files is None else number_text(files)),
    )


def wants_user(kind: str) -> bool:
    """Whether one signs in by name there."""
    return kind in DIALECTS and DIALECTS[kind].signs_in is not SignsIn.TOKEN


def secret_word(kind: str, user: str = "") -> str:
    """Return what the secret is called there: "Password" or "Token"."""
    how = DIALECTS[kind].signs_in if kind in DIALECTS else SignsIn.TOKEN
    if how is SignsIn.PASSWORD_OR_TOKEN:
        return "Password" if user else "Token"
    return "Password" if how is SignsIn.PASSWORD else "Token"


def sign_in_hint(kind: str) -> str:
    """Return what to fill in, where that is not plain."""
    if kind not in DIALECTS:
        return ""
    if DIALECTS[kind].may_be_anonymous:
        return "Leave it empty if the server takes files of anybody."
    if DIALECTS[kind].signs_in is SignsIn.PASSWORD_OR_TOKEN:
        return "Leave the user name empty if you have a token."
    return ""


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
