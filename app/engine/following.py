"""Files that have arrived and that their server still works on: asked after, until it says how that ended.

handed over ──► processing ──look_many──► processing: its stage and share are shown; news(timeout), and again
     ▲                                    stored ─► completed      failed ─► failed      cancelled ─► cancelled
     └── a new start: the journal has     unknown ─► failed: the server lost it
         its remote id, not a byte goes   unfinished ─► bytes are missing: sent again

One task and one connection a server, while anything is followed there. A network that is away costs no file anything.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.domain.batch import Batch
from app.domain.failure import Failure, FailureKind, Scope, TransferError
from app.domain.state import TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.engine.clock import Clock, sleep_unless
from app.engine.connections import Connections
from app.engine.retry import GATE_DELAYS_S
from app.engine.worker import Arrived, CancelledElsewhere, Failed, Outcome
from app.remote.base import RemoteFile, RemoteState, Sent, StageServer

logger = logging.getLogger(__name__)

SLICE_FILES = 200
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 5.0
_PAUSES_GROW_BY = 1.5
_BUSY_FOR_LOOKS_ONLY = frozenset({FailureKind.BUSY, FailureKind.DISK_FULL})
"""Server-wide failures of an upload; of a look they say nothing about what may be sent."""

Apply = Callable[[Transfer, Batch, Outcome], None]
"""Let follow what follows from an outcome (engine.runs)."""
Trouble = Callable[[str, Failure], object]
"""Close the gate of a profile's server (engine.runs)."""


@dataclass(slots=True)
class _Watch:
    """What is followed at one server."""

    profile_id: str
    transfers: dict[str, Transfer] = field(default_factory=dict)
    may_try: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0
    pause_s: float = FIRST_PAUSE_S

    def left(self) -> list[Transfer]:
        """Return those that the server still works on; forget those that were cancelled or are over."""
        self.transfers = {
            key: each for key, each in self.transfers.items() if each.state is TransferState.PROCESSING
        }
        return list(self.transfers.values())


class Follower:
    """Follows files at all servers. *settle* is told each time that a batch may have come to its end."""

    def __init__(
        self,
        book: Book,
        connections: Connections,
        clock: Clock,
        group: asyncio.TaskGroup,
        *,
        apply: Apply,
        trouble: Trouble,
        answered: Callable[[str], None],
        settle: Callable[[Batch], None],
    ) -> None:
        self._book = book
        self._connections = connections
        self._clock = clock
        self._group = group
        self._apply = apply
        self._trouble = trouble
        self._answered = answered
        self._settle = settle
        self._watches: dict[str, _Watch] = {}

    def follow(self, batch: Batch, transfers: Sequence[Transfer]) -> None:
        """Watch over transfers in processing, whose remote ids are known."""
        watch = self._watches.get(batch.profile_id)
        if watch is None:
            watch = self._watches[batch.profile_id] = _Watch(batch.profile_id)
            self._group.create_task(self._follow(watch), name=f"follow-{batch.profile_id}")
        watch.transfers.update((transfer.id, transfer) for transfer in transfers)
        watch.pause_s = FIRST_PAUSE_S

    def followed(self) -> set[str]:
        """Return the ids of the transfers that are watched over."""
        return {transfer.id for watch in self._watches.values() for transfer in watch.left()}

    def gate_opened(self, profile_id: str) -> None:
        """Its server may be tried again."""
        if profile_id in self._watches:
            self._watches[profile_id].may_try.set()

    async def _follow(self, watch: _Watch) -> None:
        try:
            while watch.left():
                try:
                    await self._watch(watch)
                except TransferError as error:
                    await self._rest(watch, error.failure)
                except Exception:
                    logger.exception("following files at %s", watch.profile_id)
                    await self._rest(watch, Failure(FailureKind.INTERNAL))
        finally:
            del self._watches[watch.profile_id]

    async def _watch(self, watch: _Watch) -> None:
        async with self._connections.borrow(watch.profile_id) as server:
            if not isinstance(server, StageServer):
                self._send_again(watch.left(), "its server tells nothing of it")
                return
            while watched := watch.left():
                moved = False
                for start in range(0, len(watched), SLICE_FILES):
                    moved |= await self._look(server, watched[start : start + SLICE_FILES])
                watch.failures = 0
                self._answered(watch.profile_id)
                watch.pause_s = (
                    FIRST_PAUSE_S if moved else min(LONGEST_PAUSE_S, watch.pause_s * _PAUSES_GROW_BY)
                )
                if watch.left():
                    await server.news(watch.pause_s)

    async def _look(self, server: StageServer, transfers: Sequence[Transfer]) -> bool:
        """Ask after some files; return whether anything is new."""
        seen = await server.look_many([transfer.remote_id or "" for transfer in transfers])
        moved, batches = False, {}
        for transfer, file in zip(transfers, seen, strict=True):
            if transfer.state is not TransferState.PROCESSING:
                continue  # cancelled while we asked
            outcome = _outcome(transfer, file)
            if outcome is None:
                moved |= self._book.stage(transfer, file.stage, file.stage_share)
                continue
            if file.state is RemoteState.UNFINISHED:
                self._book.progress(transfer, file.offset_bytes, file.offset_bytes)
            moved, batch = True, self._book.batches[transfer.batch_id]
            batches[batch.id] = batch
            self._apply(transfer, batch, outcome)
        for batch in batches.values():
            self._settle(batch)
        return moved

    def _send_again(self, transfers: Sequence[Transfer], why: str) -> None:
        for transfer in transfers:
            batch = self._book.batches[transfer.batch_id]
            self._apply(transfer, batch, Failed(Failure(FailureKind.CONFLICT, why)))

    async def _rest(self, watch: _Watch, failure: Failure) -> None:
        """Wait before the next look; if a person must act first, until that was done."""
        delay_s = GATE_DELAYS_S[min(watch.failures, len(GATE_DELAYS_S) - 1)]
        watch.failures += 1
        watch.may_try.clear()
        if failure.scope is Scope.SERVER and failure.kind not in _BUSY_FOR_LOOKS_ONLY:
            self._trouble(watch.profile_id, failure)
            if not failure.retryable:
                await watch.may_try.wait()
                return
        await sleep_unless(self._clock, max(delay_s, failure.retry_after_s or 0.0), watch.may_try)


def _outcome(transfer: Transfer, file: RemoteFile) -> Outcome | None:
    """Return what a look says of a file, or None while the server works on it."""
    match file.state:
        case RemoteState.PROCESSING:
            return None
        case RemoteState.STORED:
            return Arrived(Sent(file.remote_id, transfer.answer, transfer.sha256))
        case RemoteState.FAILED:
            return Failed(Failure(FailureKind.PROCESSING_FAILED, file.message))
        case RemoteState.CANCELLED:
            return CancelledElsewhere()
        case RemoteState.UNFINISHED:
            return Failed(Failure(FailureKind.CONFLICT, "bytes are missing there"))
        case _:
            return Failed(Failure(FailureKind.REMOTE_GONE))
