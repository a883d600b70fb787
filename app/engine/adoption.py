"""Goes on with what another life of the program left in the journal: its transfers, and its cancels."""

from collections.abc import Callable, Sequence

from app.domain.batch import Batch
from app.domain.state import CANCELLABLE, PAUSABLE, RUNNING, CancelEnding, Step, TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.engine.cancel import Canceller
from app.engine.runs import Follow, Runs
from app.journal.journal import PendingCancel


class Adoption:
    """Takes batches from the journal into the running engine. *scan* walks a batch's roots again, behind.

    A file that its server was working on is followed again, by *follow*: not a byte of it is sent.
    """

    def __init__(
        self,
        book: Book,
        runs: Runs,
        canceller: Canceller,
        follow: Follow,
        scan: Callable[[Batch], None],
    ) -> None:
        self._book = book
        self._runs = runs
        self._canceller = canceller
        self._follow = follow
        self._scan = scan

    def adopt(self, batch: Batch, transfers: Sequence[Transfer], *, paused: bool) -> None:
        """Go on with a batch from the journal; *transfers* are those that are not over (all, if it was scanning)."""
        at_the_server = [t for t in transfers if t.state is TransferState.PROCESSING and t.remote_id]
        for transfer in transfers:
            if transfer.state is TransferState.PROCESSING and transfer.remote_id:
                continue
            if transfer.state in RUNNING | {TransferState.WAITING}:
                batch.counts.move(transfer.state, TransferState.QUEUED, transfer.size_bytes)
                transfer.state, transfer.retry_at = TransferState.QUEUED, None
            if transfer.remote_id is None and batch.remote_id is not None and transfer.state in CANCELLABLE:
                # Its answer may have been lost with the program.
                transfer.attempts = max(1, transfer.attempts)
        self._book.take_up(batch, transfers)
        if paused:
            batch.paused = True
            self._book.step_many([t for t in transfers if t.state in PAUSABLE], Step.PAUSE, "paused at start")
        self._runs.enqueue(batch, [t for t in transfers if t.state is TransferState.QUEUED])
        if at_the_server:
            self._follow(batch, at_the_server)
        if batch.scanning:
            self._scan(batch)

    def resume_cancels(self, batch: Batch, pending: Sequence[PendingCancel]) -> None:
        """Go on with cancels that the server has not confirmed yet."""
        whole = [p for p in pending if p.transfer_id is None]
        open_ones = [
            t
            for t in self._book.members[batch.id]
            if t.state is TransferState.CANCELLING or t.ending is CancelEnding.CLEANUP_PENDING
        ]
        single = {p.transfer_id for p in pending}
        if whole:
            self._canceller.resume(batch, open_ones, whole_batch=True, asked_at=whole[0].asked_at)
        elif chosen := [t for t in open_ones if t.id in single]:
            self._canceller.resume(batch, chosen, whole_batch=False, asked_at=pending[0].asked_at)
