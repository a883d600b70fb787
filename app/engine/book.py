"""The engine's memory of what is not over, and the one place where a transfer's state changes.

Every change goes the same way: the transition table, the batch's counters, the journal, the list of dirty rows.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence

from app.domain.batch import Batch
from app.domain.failure import Failure
from app.domain.state import RUNNING, CancelEnding, Step, TransferState, transition
from app.domain.transfer import TimelineEntry, Transfer
from app.engine.progress import ProgressLedger
from app.journal.journal import Entry, Journal, JournalError

_NOT_WORTH_A_ROW = frozenset({TransferState.PREPARING, TransferState.UPLOADING, TransferState.PROCESSING})
"""After a restart these are queued again, so the journal needs no row for them, only their timeline (kept back).

A file that was handed over to the server is worth one: after a restart it is followed again (engine.following).
"""


class Book:
    """Batches by id, and the transfers of this session by id. Used in the engine's thread only."""

    def __init__(self, journal: Journal, ledger: ProgressLedger, now: Callable[[], float]) -> None:
        self.batches: dict[str, Batch] = {}
        self.transfers: dict[str, Transfer] = {}
        self.members: dict[str, list[Transfer]] = {}
        self._journal = journal
        self._ledger = ledger
        self._now = now
        self._entries: dict[str, list[Entry]] = {}
        self._offsets_written_at: dict[str, float] = {}

    def add_batch(self, batch: Batch, *, store: bool = True) -> None:
        """Take up a batch; *store* is False for one that came from the journal."""
        self.batches[batch.id] = batch
        self.members.setdefault(batch.id, [])
        self._ledger.batch_changed(batch)
        if store:
            self._journal.put_batches([batch])

    def save_batch(self, batch: Batch) -> None:
        """Store and show a batch that was changed."""
        self._journal.put_batches([batch])
        self._ledger.batch_changed(batch)

    def add_transfers(self, batch: Batch, transfers: Sequence[Transfer]) -> None:
        """Take up new transfers: count, store and show them."""
        for transfer in transfers:
            batch.counts.add(transfer.state, transfer.size_bytes)
        self.take_up(batch, transfers)
        at = self._now()
        self._journal.put_transfers(transfers, [Entry(t.id, at, t.state, t.answer) for t in transfers])
        for transfer in transfers:
            self._ledger.transfer_changed(transfer)

    def take_up(self, batch: Batch, transfers: Sequence[Transfer]) -> None:
        """Hold transfers that the journal and the counters have already."""
        self.members[batch.id].extend(transfers)
        for transfer in transfers:
            self.transfers[transfer.id] = transfer
        self._ledger.batch_changed(batch)

    def drop_batch(self, batch_id: str) -> None:
        """Forget a batch and its transfers (they stay in the journal, hidden)."""
        for transfer in self.members.pop(batch_id, []):
            self.transfers.pop(transfer.id, None)
        self.batches.pop(batch_id, None)
        self._ledger.batch_removed(batch_id)

    def step(
        self,
        transfer: Transfer,
        step: Step,
        note: str = "",
        *,
        failure: Failure | None = None,
        ending: CancelEnding | None = None,
        answer: str | None = None,
        retry_at: float | None = None,
    ) -> None:
        """Move one transfer, and set what belongs to its new state. Raises IllegalTransitionError."""
        self.step_many(
            [transfer], step, note, failure=failure, ending=ending, answer=answer, retry_at=retry_at
        )

    def step_many(
        self,
        transfers: Iterable[Transfer],
        step: Step,
        note: str = "",
        *,
        failure: Failure | None = None,
        ending: CancelEnding | None = None,
        answer: str | None = None,
        retry_at: float | None = None,
    ) -> None:
        """Move several transfers alike; the journal gets them in one go."""
        at, durable, entries = self._now(), [], []
        for transfer in transfers:
            old, new = transfer.state, transition(transfer.state, step)
            transfer.state, transfer.failure, transfer.ending, transfer.retry_at = (
                new,
                failure,
                ending,
                retry_at,
            )
            if answer is not None:
                transfer.answer = answer
            if old is TransferState.PROCESSING:
                transfer.stage, transfer.stage_share = "", None
            if new is TransferState.COMPLETED or step is Step.HAND_OVER:
                self._count_done(transfer, transfer.size_bytes, transfer.size_bytes)
            self.batches[transfer.batch_id].counts.move(old, new, transfer.size_bytes)
            entry = Entry(transfer.id, at, new, note or (failure.kind if failure else ""))
            if new in _NOT_WORTH_A_ROW and step is not Step.HAND_OVER:
                self._entries.setdefault(transfer.id, []).append(entry)
            else:
                durable.append(transfer)
                entries += [*self._entries.pop(transfer.id, ()), entry]
            self._ledger.transfer_changed(transfer)
        if durable:
            self._journal.put_transfers(durable, entries)

    def amend(self, transfer: Transfer, ending: CancelEnding | None, answer: str, note: str) -> None:
        """Write what the server said later about a transfer that is over already (a clean-up that was pending)."""
        transfer.ending, transfer.answer = ending, answer
        self._journal.put_transfers([transfer], [Entry(transfer.id, self._now(), transfer.state, note)])
        self._ledger.transfer_changed(transfer)

    async def created(self, transfer: Transfer, remote_id: str) -> None:
        """Make the server's id of a transfer durable before its bytes go."""
        transfer.remote_id = remote_id
        self._journal.put_transfers([transfer], self._entries.pop(transfer.id, ()))
        await self._journal.commit()

    async def begun(self, transfers: Sequence[Transfer], at: float) -> None:
        """Make it durable that a request with these files goes out, before its first byte does. Raises JournalError."""
        for transfer in transfers:
            transfer.begun_at = transfer.begun_at or at
        self._journal.put_transfers(transfers)
        await self._journal.commit()

    def note(self, transfers: Sequence[Transfer]) -> None:
        """Let the journal have a state that no row of its own is worth: other programs tell a person what it says."""
        self._journal.put_transfers(transfers)

    def not_begun(self, begun_before: Iterable[tuple[Transfer, float | None]]) -> None:
        """Take :meth:`begun` back for requests that left nothing at the server; with each transfer comes its old value."""
        changed = []
        for transfer, before in begun_before:
            if transfer.begun_at != before:
                transfer.begun_at = before
                changed.append(transfer)
        if changed:
            self._journal.put_transfers(changed)

    def stage(self, transfer: Transfer, stage: str, share: float | None) -> bool:
        """Show how far the server is with a file that it works on; return whether that is news."""
        shown = None if share is None else min(1.0, max(0.0, share))
        if (transfer.stage, transfer.stage_share) == (stage, shown):
            return False
        transfer.stage, transfer.stage_share = stage, shown
        self._ledger.transfer_changed(transfer)
        return True

    async def written(self) -> None:
        """Return when the journal has caught up, or cannot: it keeps what its disk refuses, and tries again."""
        with contextlib.suppress(JournalError):
            await self._journal.commit()

    def progress(self, transfer: Transfer, sent_bytes: int, accepted_bytes: int) -> None:
        """Note how far a transfer is; the accepted offset goes to the journal at most once a second."""
        if transfer.state not in RUNNING:
            return  # paused or cancelled a moment ago; the run is still ending
        grown = accepted_bytes != transfer.offset_bytes
        self._count_done(transfer, sent_bytes, accepted_bytes)
        self._ledger.transfer_changed(transfer)
        now = self._now()
        if (
            grown
            and transfer.state is not TransferState.PROCESSING
            and now - self._offsets_written_at.get(transfer.id, 0.0) >= 1.0
        ):
            self._offsets_written_at[transfer.id] = now
            self._journal.put_transfers([transfer])

    def start_over(self, transfer: Transfer) -> None:
        """Forget what a server held of a transfer: the next attempt is a new upload under a new key."""
        transfer.generation += 1
        transfer.remote_id, transfer.sha256, transfer.begun_at = None, None, None
        self._count_done(transfer, 0, 0)

    def run_ended(self, transfer: Transfer) -> None:
        """Settle the live numbers once no worker holds the transfer: what was sent but not accepted is not done."""
        self._offsets_written_at.pop(transfer.id, None)
        transfer.speed_bps = 0.0
        if transfer.state is not TransferState.COMPLETED:
            self._count_done(transfer, transfer.offset_bytes, transfer.offset_bytes)
        self._ledger.transfer_changed(transfer)

    def of_batch(self, batch_id: str, states: frozenset[TransferState]) -> list[Transfer]:
        """Return the batch's transfers in any of *states*, in order."""
        return [transfer for transfer in self.members.get(batch_id, ()) if transfer.state in states]

    def late_entries(self, transfer_id: str) -> list[TimelineEntry]:
        """Return the timeline entries that the journal does not have yet."""
        return [TimelineEntry(e.at, e.state, e.note) for e in self._entries.get(transfer_id, ())]

    def _count_done(self, transfer: Transfer, sent_bytes: int, accepted_bytes: int) -> None:
        before = transfer.done_bytes
        transfer.sent_bytes, transfer.offset_bytes = sent_bytes, accepted_bytes
        self.batches[transfer.batch_id].done_bytes += transfer.done_bytes - before

    def resize(self, transfer: Transfer, size_bytes: int, mtime_ns: int) -> None:
        """Note that a file which is tried again has changed on the disk."""
        counts = self.batches[transfer.batch_id].counts
        counts.size_bytes[transfer.state] += size_bytes - transfer.size_bytes
        transfer.size_bytes, transfer.mtime_ns = size_bytes, mtime_ns
