"""What the engine needs of its durable memory. Every batch, transfer, intent and remote id survives ``kill -9``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.domain.batch import Batch, Counts
from app.domain.state import TransferState
from app.domain.transfer import TimelineEntry, Transfer


@dataclass(frozen=True, slots=True)
class PendingCancel:
    """One cancel that still needs the server. ``transfer_id`` is None for a whole batch."""

    batch_id: str
    transfer_id: str | None
    asked_at: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a transfer's timeline, as it goes in."""

    transfer_id: str
    at: float
    state: TransferState
    note: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be understood; it was set aside in the table ``bad_rows`` and the rest goes on."""

    table: str
    key: str
    reason: str


class Journal(Protocol):
    """Writes are put in order at once and return; ``commit`` waits until all of them are on disk (fsync).

    One writer thread; safe to call from the engine's event loop only. Values are copied when the call is made, so
    the caller may go on changing its objects. Errors of the disk (full, read-only, corrupt) raise JournalError from
    ``commit`` with a sentence for a person.
    """

    def put_batches(self, batches: Sequence[Batch]) -> None:
        """Insert or replace the rows of these batches (counters are not stored)."""

    def put_transfers(self, transfers: Sequence[Transfer], entries: Sequence[Entry] = ()) -> None:
        """Insert or replace the rows of these transfers, and append to their timelines."""

    def put_cancel(self, cancel: PendingCancel, *, done: bool = False) -> None:
        """Remember a cancel that the server must still hear, or (done) forget it."""

    def remove_batches(self, batch_ids: Sequence[str], *, restore: bool = False) -> None:
        """Hide batches (they are purged at a later start), or bring hidden ones back."""

    async def commit(self) -> None:
        """Return when everything put so far is on disk."""


class JournalReader(Protocol):
    """Reading what is there. Each method runs in a thread of its own connection and may be slow; none blocks writes."""

    async def batches(self) -> tuple[list[tuple[Batch, Counts]], list[BadRow]]:
        """Return all batches that are not hidden, oldest first, with counters made by one GROUP BY."""

    async def transfers(
        self, batch_id: str, after: int = -1, limit: int = 2000, *, unfinished: bool = False
    ) -> list[Transfer]:
        """Return transfers of a batch by position, greater than *after*; only unfinished ones if asked."""

    async def timeline(self, transfer_id: str) -> list[TimelineEntry]:
        """Return the timeline of one transfer, oldest first."""

    async def cancels(self) -> list[PendingCancel]:
        """Return the cancels that the server has not yet confirmed."""

    async def changed_elsewhere(self) -> bool:
        """Whether another process wrote since the last call (PRAGMA data_version): cheap."""


class JournalError(Exception):
    """The journal could not be read or written; the message is a sentence for a person."""
