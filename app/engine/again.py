"""A second try: failed and cancelled files go again as they are now, and stored ones can be deleted from their server."""

import asyncio
from collections.abc import Sequence

from app.domain.failure import FailureKind
from app.domain.state import RETRYABLE, Step, TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.engine.cancel import Canceller
from app.engine.connections import Connections
from app.engine.recheck import changed_files
from app.engine.runs import Runs
from app.remote.base import DeleteServer

_FROM_ZERO = frozenset(
    {
        FailureKind.FILE_CHANGED,
        FailureKind.CHECKSUM_MISMATCH,
        FailureKind.REMOTE_GONE,
        FailureKind.PROCESSING_FAILED,
    }
)
"""A retry after these is a new upload."""


class Again:
    """What can be done about transfers that are over."""

    def __init__(
        self, book: Book, runs: Runs, canceller: Canceller, connections: Connections, group: asyncio.TaskGroup
    ) -> None:
        self._book = book
        self._runs = runs
        self._canceller = canceller
        self._connections = connections
        self._group = group

    async def retry(self, transfers: Sequence[Transfer]) -> int:
        """Queue failed or cancelled transfers again, as their files are now; return how many."""
        chosen = [t for t in transfers if t.state in RETRYABLE]
        changed = await asyncio.to_thread(changed_files, chosen)
        chosen = [t for t in chosen if t.state in RETRYABLE]  # nobody else retried it meanwhile
        for transfer in chosen:
            self._prepare(transfer, changed.get(transfer.id))
        for profile_id in {self._book.batches[t.batch_id].profile_id for t in chosen}:
            self._runs.open_gate(profile_id)
        self._runs.enqueue_all(chosen)
        return len(chosen)

    def _prepare(self, transfer: Transfer, changed: tuple[int, int] | None) -> None:
        batch = self._book.batches[transfer.batch_id]
        failed_for_good = transfer.failure is not None and transfer.failure.kind in _FROM_ZERO
        if changed is not None or failed_for_good or transfer.state is TransferState.CANCELLED:
            if transfer.remote_id and transfer.state is TransferState.FAILED:
                self._group.create_task(self._canceller.abandon(batch.profile_id, transfer.remote_id))
            self._book.start_over(transfer)
        if changed is not None:
            self._book.resize(transfer, *changed)
        transfer.attempts = 0
        self._book.step(transfer, Step.RETRY, answer="")

    async def delete_remote(self, transfer: Transfer) -> bool:
        """Delete a stored file from its server, where that can be done; tell whether. Raises TransferError."""
        profile_id = self._book.batches[transfer.batch_id].profile_id
        if transfer.state is not TransferState.COMPLETED or transfer.remote_id is None:
            return False
        async with self._connections.borrow(profile_id) as server:
            if not isinstance(server, DeleteServer):
                return False
            await server.delete_files([transfer.remote_id])
        self._book.amend(transfer, transfer.ending, "deleted", "deleted from the server")
        return True
