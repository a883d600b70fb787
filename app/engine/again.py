"""A second try: failed and cancelled files go again as they are now, and stored ones can be deleted from their server."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from app.domain.failure import FailureKind
from app.domain.state import RETRYABLE, CancelEnding, Step, TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.engine.cancel import Canceller
from app.engine.connections import Connections
from app.engine.recheck import changed_files
from app.engine.runs import Runs
from app.engine.verdicts import DELETE_SLICE
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

    async def delete_remote(self, transfers: Sequence[Transfer]) -> int:
        """Delete files from their servers that are there, where that can be done; return how many. Raises TransferError.

        Those are completed ones, and those that were cancelled here only. Of a request that failed, what came before
        it is deleted and said so.
        """
        there = defaultdict(list)
        for transfer in transfers:
            if _is_there(transfer):
                there[self._book.batches[transfer.batch_id].profile_id].append(transfer)
        deleted = 0
        for profile_id, chosen in there.items():
            async with self._connections.borrow(profile_id) as server:
                if isinstance(server, DeleteServer):
                    for start in range(0, len(chosen), DELETE_SLICE):
                        deleted += await self._delete(server, chosen[start : start + DELETE_SLICE])
        return deleted

    async def _delete(self, server: DeleteServer, transfers: Sequence[Transfer]) -> int:
        await server.delete_files([transfer.remote_id or "" for transfer in transfers])
        for transfer in transfers:
            self._book.amend(transfer, transfer.ending, "deleted", "deleted from the server")
        return len(transfers)


def _is_there(transfer: Transfer) -> bool:
    if transfer.remote_id is None or transfer.answer == "deleted":
        return False
    return transfer.state is TransferState.COMPLETED or transfer.ending is CancelEnding.HERE_ONLY
