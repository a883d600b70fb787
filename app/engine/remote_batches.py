"""Opens a batch at its server once, whoever asks first; the journal has its id before a file follows."""

import asyncio

from app.domain.batch import Batch
from app.engine.book import Book
from app.engine.connections import Connections
from app.journal.journal import Journal
from app.remote.base import BatchServer


class RemoteBatches:
    """Single flight: one request a batch, shared by all who wait; a waiter that is cancelled leaves it running."""

    def __init__(
        self, book: Book, connections: Connections, journal: Journal, group: asyncio.TaskGroup
    ) -> None:
        self._book = book
        self._connections = connections
        self._journal = journal
        self._group = group
        self._opening: dict[str, asyncio.Task[BaseException | None]] = {}

    async def remote_id(self, batch: Batch) -> str | None:
        """Return the server's id of the batch; None where the server knows no batches. Raises TransferError."""
        if batch.remote_id is None:
            task = self._opening.get(batch.id)
            if task is None:
                task = self._opening[batch.id] = self._group.create_task(self._open(batch))
            error = await asyncio.shield(task)
            if error is not None:
                raise error
        return batch.remote_id

    async def settled(self, batch: Batch) -> str | None:
        """Wait for a request that is under way; return the server's id, or None if there is no batch there."""
        task = self._opening.get(batch.id)
        if task is not None:
            await asyncio.shield(task)
        return batch.remote_id

    async def _open(self, batch: Batch) -> BaseException | None:
        """Return the error instead of raising it: nobody may be left to hear it, and a group would fall over it."""
        try:
            async with self._connections.borrow(batch.profile_id) as server:
                if isinstance(server, BatchServer):
                    remote = await server.open_batch(batch.name, batch.id)
                    batch.remote_id, batch.remote_folder = remote.remote_id, remote.folder
                    self._book.save_batch(batch)
                    await self._journal.commit()
        except Exception as error:
            return error
        finally:
            self._opening.pop(batch.id, None)
        return None
