"""One attempt at many transfers that go in one request: a parcel goes out, and each of its files gets an Outcome.

look at the files ──► preflight ──► begun_at is committed ──► send_parcel ──► Arrived | HandedOver | Failed, each its own
   (gone, changed)     (refused)          │                       │
                                          │                       └─ the request failed: that is the Outcome of them all
                                          └─ cut before its last byte (pause, cancel, a file that cannot be read):
                                             it left nothing there, the others are NotSent and go again at once
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from app.domain.batch import Batch
from app.domain.failure import Failure, FailureKind, TransferError
from app.domain.state import Step, TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.engine.connections import Connections
from app.engine.outgoing import outgoing_of
from app.engine.reader import FileFeed
from app.engine.recheck import failed_files
from app.engine.worker import (
    Arrived,
    Failed,
    HandedOver,
    NotSent,
    OpenFeed,
    Outcome,
    RemoteBatchId,
    outcome_of,
)
from app.remote.base import (
    ParcelItem,
    ParcelLimits,
    ParcelServer,
    PreflightServer,
    RemoteServer,
    Sent,
    StageServer,
)

_K = FailureKind
_T = TypeVar("_T")
_NO_CONNECTION = frozenset({_K.UNREACHABLE, _K.TLS})
_TURNED_AWAY = frozenset({_K.SIGN_IN, _K.FORBIDDEN})
_TOO_SOON = frozenset({420, 429})
_TOO_MUCH = frozenset({_K.TOO_LARGE, _K.TOO_MANY_FILES})


LimitsOfParcels = Callable[[str], ParcelLimits | None]
"""Return how much goes in one request to the server of a profile; None where it is one file a request."""


class ParcelRoom:
    """How much goes in one request: what the profile allows, or half of what was refused as too much.

    A proxy before the server may take less than the server; its files must not fail for that.
    """

    def __init__(self, limits_of: LimitsOfParcels) -> None:
        self._limits_of = limits_of
        self._learned: dict[str, ParcelLimits] = {}

    def of(self, profile_id: str) -> ParcelLimits | None:
        """Return the limits in force (LimitsOfParcels)."""
        limits = self._limits_of(profile_id)
        learned = self._learned.get(profile_id) if self._learned else None
        if limits is None or learned is None:
            return limits
        return ParcelLimits(
            min(limits.max_files, learned.max_files), min(limits.max_bytes, learned.max_bytes)
        )

    def was_too_much(self, profile_id: str, transfers: Sequence[Transfer]) -> None:
        """Send half of this at once from now on."""
        size_bytes = sum(transfer.size_bytes for transfer in transfers)
        self._learned[profile_id] = ParcelLimits(max(1, len(transfers) // 2), max(1, size_bytes // 2))


class ParcelFeed:
    """One file of a parcel (remote.base.Feed). It lets go of the file with its last byte: a parcel may have 1,000.

    ``failure`` is set once the file could not be read; ``given`` once its last byte was given out.
    """

    def __init__(self, size_bytes: int, open_feed: Callable[[], FileFeed]) -> None:
        self.failure: Failure | None = None
        self.given = False
        self._size_bytes = size_bytes
        self._open_feed = open_feed
        self._feed: FileFeed | None = None
        self._at_bytes = 0
        self._sha256: str | None = None

    async def seek(self, offset_bytes: int) -> None:
        """Continue at *offset_bytes* (Feed.seek); from the start again where a request must be repeated."""
        self.given, self._at_bytes = False, offset_bytes
        await self._of_the_file(self._file().seek(offset_bytes))

    async def block(self) -> bytes:
        """Return the next block (Feed.block)."""
        if self.given:
            return b""
        block = await self._of_the_file(self._file().block())
        self._at_bytes += len(block)
        if self._at_bytes >= self._size_bytes:
            self.given = True
            self._sha256 = self._file().sha256()
            await self.aclose()
        return block

    def sha256(self) -> str:
        """Return the file's SHA-256 (Feed.sha256)."""
        return self._sha256 or self._file().sha256()

    async def created(self, remote_id: str) -> None:
        """Pass the server's id on (Feed.created)."""
        await self._file().created(remote_id)

    def progress(self, sent_bytes: int, accepted_bytes: int) -> None:
        """Pass the progress on (Feed.progress)."""
        self._file().progress(sent_bytes, accepted_bytes)

    async def aclose(self) -> None:
        """Let go of the file; it is opened anew if it is asked for again."""
        feed, self._feed = self._feed, None
        if feed is not None:
            await feed.aclose()

    def _file(self) -> FileFeed:
        if self._feed is None:
            self._feed = self._open_feed()
        return self._feed

    async def _of_the_file(self, call: Awaitable[_T]) -> _T:
        try:
            return await call
        except TransferError as error:
            self.failure = error.failure
            raise


@dataclass(slots=True)
class _Parcel:
    """One attempt: what goes, what is known of it, and what ``begun_at`` was before."""

    batch: Batch
    transfers: Sequence[Transfer]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    feeds: dict[str, ParcelFeed] = field(default_factory=dict)
    begun_before: list[tuple[Transfer, float | None]] = field(default_factory=list)

    @property
    def going(self) -> list[Transfer]:
        """Those of which nothing is known yet."""
        return [transfer for transfer in self.transfers if transfer.id not in self.outcomes]

    @property
    def went_whole(self) -> bool:
        """Whether all bytes were given out, so that the server may hold the request although nobody heard its answer."""
        return all(feed.given for feed in self.feeds.values())


class ParcelWorker:
    """Makes attempts at parcels. Holds nothing of its own between them; *room* learns what was too much."""

    def __init__(
        self,
        book: Book,
        connections: Connections,
        open_feed: OpenFeed,
        batch_id: RemoteBatchId,
        answered: Callable[[str], None],
        now: Callable[[], float],
        room: ParcelRoom,
    ) -> None:
        self._room = room
        self._book = book
        self._connections = connections
        self._open_feed = open_feed
        self._batch_id = batch_id
        self._answered = answered
        self._now = now

    async def attempt(self, transfers: Sequence[Transfer], batch: Batch, stall_s: float) -> list[Outcome]:
        """Drive *transfers* (preparing, of one batch) as far as they go; return their Outcomes, in order.

        No byte moved for *stall_s* seconds ends the attempt as STALLED.
        """
        parcel = _Parcel(batch, transfers)
        try:
            async with asyncio.timeout(stall_s) as watchdog:
                await self._send(parcel, watchdog, stall_s)
        except asyncio.CancelledError:
            if not parcel.went_whole:
                self._book.not_begun(parcel.begun_before)
            raise
        except Exception as error:
            self._failed(parcel, error, stall_s)
        return [parcel.outcomes[transfer.id] for transfer in transfers]

    async def _send(self, parcel: _Parcel, watchdog: asyncio.Timeout, stall_s: float) -> None:
        batch = parcel.batch
        for transfer_id, failure in (await asyncio.to_thread(failed_files, parcel.transfers)).items():
            parcel.outcomes[transfer_id] = Failed(failure)
        await self._batch_id(batch)
        async with self._connections.borrow(batch.profile_id) as server:
            if isinstance(server, PreflightServer):
                _refuse(parcel, server)
            going = parcel.going
            if not going:
                return
            parcel.feeds = self._feeds(parcel, going, watchdog, stall_s)
            items = [ParcelItem(outgoing_of(each, batch), parcel.feeds[each.id]) for each in going]
            parcel.begun_before = [(transfer, transfer.begun_at) for transfer in going]
            # First: what is committed is what other programs tell of it.
            self._book.step_many(going, Step.SEND)
            await self._book.begun(going, self._now())
            async with AsyncExitStack() as stack:
                for feed in parcel.feeds.values():
                    stack.push_async_callback(feed.aclose)
                assert isinstance(server, ParcelServer)  # the profile's dialect has a parcel
                answers = await server.send_parcel(items)
            for transfer, answer in zip(going, answers, strict=True):
                transfer.begun_at = None
                parcel.outcomes[transfer.id] = _outcome(answer, server)

    def _feeds(
        self, parcel: _Parcel, going: Sequence[Transfer], watchdog: asyncio.Timeout, stall_s: float
    ) -> dict[str, ParcelFeed]:
        """Return the feeds; together they move the watchdog, and the files to ``processing`` when all bytes are out."""
        loop = asyncio.get_running_loop()
        unsent = {transfer.id for transfer in going if transfer.size_bytes}

        async def created(transfer: Transfer, remote_id: str) -> None:
            self._answered(parcel.batch.profile_id)
            await self._book.created(transfer, remote_id)

        def progress(transfer: Transfer, sent_bytes: int, _accepted_bytes: int) -> None:
            watchdog.reschedule(loop.time() + stall_s)
            self._book.progress(transfer, sent_bytes, 0)  # a request is accepted as a whole, by its answer
            if sent_bytes >= transfer.size_bytes and transfer.id in unsent:
                unsent.remove(transfer.id)
                if not unsent:
                    sending = [each for each in going if each.state is TransferState.UPLOADING]
                    self._book.step_many(sending, Step.ACCEPT)
                    self._book.note([each for each in sending if each.remote_id is None])

        def open_feed(transfer: Transfer) -> FileFeed:
            return self._open_feed(transfer, partial(created, transfer), partial(progress, transfer))

        return {each.id: ParcelFeed(each.size_bytes, partial(open_feed, each)) for each in going}

    def _failed(self, parcel: _Parcel, error: Exception, stall_s: float) -> None:
        """The request did not come to its end: for a file that could not be read, or for all of them."""
        broken = {name: feed.failure for name, feed in parcel.feeds.items() if feed.failure is not None}
        outcome = NotSent() if broken else outcome_of(error, stall_s)
        if isinstance(outcome, Failed) and outcome.failure.kind in _TOO_MUCH and len(parcel.going) > 1:
            self._room.was_too_much(parcel.batch.profile_id, parcel.going)
            outcome = NotSent()
        if isinstance(outcome, NotSent) or _left_nothing(outcome, went_whole=parcel.went_whole):
            self._book.not_begun(parcel.begun_before)
        for transfer in parcel.going:
            failure = broken.get(transfer.id)
            parcel.outcomes[transfer.id] = Failed(failure) if failure is not None else outcome


def _refuse(parcel: _Parcel, server: PreflightServer) -> None:
    """Give those files their outcome that the server would not take."""
    for transfer in parcel.going:
        failure = server.refusal(outgoing_of(transfer, parcel.batch))
        if failure is not None:
            parcel.outcomes[transfer.id] = Failed(failure)


def _outcome(answer: Sent | Failure, server: RemoteServer) -> Outcome:
    if isinstance(answer, Failure):
        return Failed(answer)
    return HandedOver(answer) if answer.processing and isinstance(server, StageServer) else Arrived(answer)


def _left_nothing(outcome: Outcome, *, went_whole: bool) -> bool:
    """Whether the failure of a request tells that the server took nothing of it.

    Where all bytes went out, a connection that failed may have been a later one: then nobody knows.
    """
    if not isinstance(outcome, Failed):
        return False
    kind, status = outcome.failure.kind, outcome.failure.http_status
    if kind in _NO_CONNECTION:
        return not went_whole
    return kind in _TURNED_AWAY or (kind is _K.BUSY and status in _TOO_SOON)
