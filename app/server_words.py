"""What a server can do, in words. Pure."""

from app.remote.base import Abilities, RemoteBatchRow, RemoteState
from app.units import count_text, number_text, size_text

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
