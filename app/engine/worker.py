"""One attempt at one transfer: open its batch, feed its file to the server, and say how that ended.

Every exception but CancelledError becomes an Outcome here; what follows from it is the engine's to decide.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.domain.batch import Batch
from app.domain.failure import CancelledElsewhereError, Failure, FailureKind, RemoteGoneError, TransferError
from app.domain.state import Step, TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.engine.connections import Connections
from app.engine.outgoing import outgoing_of
from app.engine.reader import FileFeed
from app.remote.base import Sent

logger = logging.getLogger(__name__)

Created = Callable[[str], Awaitable[None]]
Progress = Callable[[int, int], None]
OpenFeed = Callable[[Transfer, Created, Progress], FileFeed]
"""Make the feed of a transfer's file; wired by the manager, which owns the reader threads and the speed limit."""
RemoteBatchId = Callable[[Batch], Awaitable[str | None]]
"""Return the server's id of a batch, opening it first if need be. Raises TransferError."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The server holds the whole file and has verified it."""

    sent: Sent


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Gone:
    """The server lost the partial upload; begin again from zero."""


@dataclass(frozen=True, slots=True)
class CancelledElsewhere:
    """Somebody else cancelled the file or its batch at the server."""


Outcome = Arrived | Failed | Gone | CancelledElsewhere


class Worker:
    """Makes attempts. Holds nothing of its own between them. *answered* hears the profile id of a server that is well."""

    def __init__(
        self,
        book: Book,
        connections: Connections,
        open_feed: OpenFeed,
        batch_id: RemoteBatchId,
        answered: Callable[[str], None],
    ) -> None:
        self._book = book
        self._connections = connections
        self._open_feed = open_feed
        self._batch_id = batch_id
        self._answered = answered

    async def attempt(self, transfer: Transfer, batch: Batch, stall_s: float) -> Outcome:
        """Drive *transfer* (preparing) as far as it goes; it ends uploading or processing, and the Outcome says how.

        No byte moved for *stall_s* seconds ends the attempt as STALLED.
        """
        try:
            async with asyncio.timeout(stall_s) as watchdog:
                return Arrived(await self._send(transfer, batch, watchdog, stall_s))
        except TimeoutError:
            return Failed(Failure(FailureKind.STALLED, f"no progress for {stall_s:.0f} s"))
        except TransferError as error:
            return Failed(error.failure)
        except RemoteGoneError:
            return Gone()
        except CancelledElsewhereError:
            return CancelledElsewhere()
        except Exception as error:
            logger.exception("attempt of transfer %s", transfer.id)
            return Failed(Failure(FailureKind.INTERNAL, type(error).__name__))

    async def _send(
        self, transfer: Transfer, batch: Batch, watchdog: asyncio.Timeout, stall_s: float
    ) -> Sent:
        loop = asyncio.get_running_loop()

        async def created(remote_id: str) -> None:
            self._answered(batch.profile_id)
            await self._book.created(transfer, remote_id)

        def progress(sent_bytes: int, accepted_bytes: int) -> None:
            watchdog.reschedule(loop.time() + stall_s)
            self._book.progress(transfer, sent_bytes, accepted_bytes)
            if sent_bytes >= transfer.size_bytes > 0 and transfer.state is TransferState.UPLOADING:
                self._book.step(transfer, Step.ACCEPT)

        await self._batch_id(batch)
        async with self._connections.borrow(batch.profile_id) as server:
            self._book.step(transfer, Step.SEND)
            async with self._open_feed(transfer, created, progress) as feed:
                return await server.send(outgoing_of(transfer, batch), feed)
