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
from app.engine.scheduler import Lineup
from app.remote.base import Outgoing, Sent, StageServer

logger = logging.getLogger(__name__)

Created = Callable[[str], Awaitable[None]]
Progress = Callable[[int, int], None]
OpenFeed = Callable[[Transfer, Created, Progress], FileFeed]
"""Make the feed of a transfer's file; wired by the manager, which owns the reader threads and the speed limit."""
_NEIGHBOURS = 99
RemoteBatchId = Callable[[Batch], Awaitable[str | None]]
"""Return the server's id of a batch, opening it first if need be. Raises TransferError."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The server holds the whole file and has verified it."""

    sent: Sent


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The server holds the whole file and works on it: engine.following sees to the rest."""

    sent: Sent


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request was cut short for another file's sake and left nothing there; this one has used up no try."""


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


Outcome = Arrived | HandedOver | NotSent | Failed | Gone | CancelledElsewhere


def outcome_of(error: Exception, stall_s: float) -> Outcome:
    """Return the Outcome for what ended an attempt; a TimeoutError is the watchdog's, after *stall_s* seconds."""
    match error:
        case TimeoutError():
            return Failed(Failure(FailureKind.STALLED, f"no progress for {stall_s:.0f} s"))
        case TransferError():
            return Failed(error.failure)
        case RemoteGoneError():
            return Gone()
        case CancelledElsewhereError():
            return CancelledElsewhere()
        case _:
            logger.error("an attempt met a defect", exc_info=error)
            return Failed(Failure(FailureKind.INTERNAL, type(error).__name__))


class Worker:
    """Makes attempts. Holds nothing of its own between them. *answered* hears the profile id of a server that is well."""

    def __init__(
        self,
        book: Book,
        connections: Connections,
        open_feed: OpenFeed,
        batch_id: RemoteBatchId,
        answered: Callable[[str], None],
        lineup: Lineup,
    ) -> None:
        self._lineup = lineup
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
                return await self._send(transfer, batch, watchdog, stall_s)
        except Exception as error:
            return outcome_of(error, stall_s)

    async def _send(
        self, transfer: Transfer, batch: Batch, watchdog: asyncio.Timeout, stall_s: float
    ) -> Outcome:
        loop = asyncio.get_running_loop()

        async def created(remote_id: str) -> None:
            self._answered(batch.profile_id)
            await self._book.created(transfer, remote_id)

        def progress(sent_bytes: int, accepted_bytes: int) -> None:
            watchdog.reschedule(loop.time() + stall_s)
            self._book.progress(transfer, sent_bytes, accepted_bytes)
            if sent_bytes >= transfer.size_bytes > 0 and transfer.state is TransferState.UPLOADING:
                self._book.step(transfer, Step.ACCEPT)

        def neighbours() -> list[Outgoing]:
            return [outgoing_of(each, batch) for each in self._lineup.following(batch.id, _NEIGHBOURS)]

        await self._batch_id(batch)
        async with self._connections.borrow(batch.profile_id) as server:
            self._book.step(transfer, Step.SEND)
            async with self._open_feed(transfer, created, progress) as feed:
                sent = await server.send(outgoing_of(transfer, batch, neighbours), feed)
            follow = sent.processing and isinstance(server, StageServer)
            return HandedOver(sent) if follow else Arrived(sent)
