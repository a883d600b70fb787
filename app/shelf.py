"""What the journal holds, taken up: unfinished batches at the start, rows when they are looked at, other programs' work.

A batch is *ours* once its lock is held and its unfinished transfers are in the book. Others are shown as the journal
tells them; a cancel that another program asks of one of ours arrives through the journal, too.
"""

from collections.abc import Callable, Sequence

from app.domain.batch import Batch, Counts
from app.domain.events import EngineEvent, EngineNotice
from app.domain.state import CANCELLABLE, SENDING, TransferState
from app.domain.transfer import Transfer
from app.engine.engine import Engine
from app.engine.progress import ProgressLedger
from app.journal.journal import JournalReader, PendingCancel
from app.ownership import Ownership

_PAGE = 2000


class Shelf:
    """Brings rows from the journal into the book, and knows which batches are ours."""

    def __init__(
        self,
        reader: JournalReader,
        engine: Engine,
        ledger: ProgressLedger,
        ownership: Ownership,
        emit: Callable[[EngineEvent], None],
    ) -> None:
        self._reader = reader
        self._engine = engine
        self._book = engine.book
        self._ledger = ledger
        self._ownership = ownership
        self._emit = emit
        self._ours: set[str] = set()
        self._complete: set[str] = set()

    async def open(self) -> list[Batch]:
        """Show all batches of the journal; return those that are not over."""
        found, bad = await self._reader.batches()
        self._ownership.sweep({batch.id for batch, _ in found})
        if bad:
            self._emit(
                EngineNotice(f"{len(bad)} entries of the journal could not be read and were set aside.")
            )
        pending = {cancel.batch_id for cancel in await self._reader.cancels()}
        for batch, counts in found:
            self._rest(batch, counts)
            batch.counts = counts
            self._book.add_batch(batch, store=False)
        return [b for b, counts in found if counts.unfinished or b.scanning or b.id in pending]

    def created(self, batch: Batch) -> None:
        """Note a batch that this process made."""
        self._ownership.take(batch.id)
        self._ours.add(batch.id)
        self._complete.add(batch.id)

    def is_ours(self, batch_id: str) -> bool:
        """Whether this process works on the batch."""
        return batch_id in self._ours

    async def adopt(self, batch: Batch, *, paused: bool) -> bool:
        """Make a batch ours and go on with it, or put it on hold (*paused*); False if another program has it."""
        if batch.id in self._ours:
            return True
        if not self._ownership.take(batch.id):
            return False
        await self._refresh([batch.id])  # its last owner may have written since we looked
        pending = [cancel for cancel in await self._reader.cancels() if cancel.batch_id == batch.id]
        everything = batch.scanning or bool(pending)
        transfers = await self._read_all(batch.id, unfinished=not everything)
        self._ours.add(batch.id)
        if everything:
            self._complete.add(batch.id)
        fresh = [row for row in transfers if row.id not in self._book.transfers]
        self._engine.adoption.adopt(batch, fresh, paused=paused)
        if pending:
            self._engine.adoption.resume_cancels(batch, pending)
        return True

    async def load(self, batch_id: str) -> Sequence[Transfer]:
        """Return all transfers of a batch, in order; of ours the book's own, of others what the journal says now."""
        if batch_id in self._complete:
            return self._book.members.get(batch_id, [])
        rows = await self._read_all(batch_id, unfinished=False)
        batch = self._book.batches.get(batch_id)
        if batch is None or (batch.counts.unfinished and batch_id not in self._ours):
            return rows
        fresh = [row for row in rows if row.id not in self._book.transfers]
        self._book.take_up(batch, fresh)
        self._book.members[batch_id].sort(key=lambda transfer: transfer.position)
        self._complete.add(batch_id)
        return self._book.members[batch_id]

    def forget(self, batch_id: str) -> None:
        """A batch left the list."""
        self._complete.discard(batch_id)
        self._ours.discard(batch_id)

    async def follow(self) -> None:
        """See what other programs wrote: their batches' progress, and cancels they ask of ours."""
        if not await self._reader.changed_elsewhere():
            return
        await self._refresh(None)
        for cancel in await self._reader.cancels():
            if cancel.batch_id in self._ours:
                self._obey(cancel)

    async def show(self, batch_id: str) -> Batch | None:
        """Bring one batch back into the list (a removal was undone)."""
        await self._refresh([batch_id])
        return self._book.batches.get(batch_id)

    def _obey(self, cancel: PendingCancel) -> None:
        batch = self._book.batches[cancel.batch_id]
        if cancel.transfer_id is None:
            if self._book.of_batch(batch.id, CANCELLABLE):
                self._engine.cancel(batch)
        elif (transfer := self._book.transfers.get(cancel.transfer_id)) and transfer.state in CANCELLABLE:
            self._engine.cancel(batch, [transfer])

    async def _refresh(self, batch_ids: Sequence[str] | None) -> None:
        found, _ = await self._reader.batches()
        for batch, counts in found:
            if batch.id not in self._ours and (batch_ids is None or batch.id in batch_ids):
                self._show(batch, counts)

    def _rest(self, batch: Batch, counts: Counts) -> None:
        """Nothing is sent of a batch whose program has ended, whatever it wrote last; its server may work on it."""
        if counts.sending and self._ownership.is_free(batch.id):
            for state in SENDING:
                counts.files[TransferState.QUEUED] += counts.files.pop(state)
                counts.size_bytes[TransferState.QUEUED] += counts.size_bytes.pop(state)
                counts.files[state] = counts.size_bytes[state] = 0

    def _show(self, batch: Batch, counts: Counts) -> None:
        self._rest(batch, counts)
        batch.counts = counts
        known = self._book.batches.get(batch.id)
        if known is None:
            self._book.add_batch(batch, store=False)
            return
        for name in (
            "counts",
            "remote_id",
            "remote_folder",
            "started_at",
            "finished_at",
            "done_bytes",
            "ending",
            "target",
        ):
            setattr(known, name, getattr(batch, name))
        known.scanning, known.paused, known.report, known.answer = (
            batch.scanning,
            batch.paused,
            batch.report,
            batch.answer,
        )
        self._ledger.batch_changed(known)

    async def _read_all(self, batch_id: str, *, unfinished: bool) -> list[Transfer]:
        rows: list[Transfer] = []
        while True:
            after = rows[-1].position if rows else -1
            page = await self._reader.transfers(batch_id, after, _PAGE, unfinished=unfinished)
            rows += page
            if len(page) < _PAGE:
                return rows
