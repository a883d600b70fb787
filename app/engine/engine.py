"""The engine: one TaskGroup in which scans, runs and cancels live, and the commands that a person gives them.

An intent (pause, cancel, shut down) changes the transfer's state first; then comes the one ``task.cancel()``.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from app.domain.batch import Batch
from app.domain.events import BatchEnded, EngineEvent, EngineNotice, IntakeEnded
from app.domain.state import CANCELLABLE, PAUSABLE, RUNNING, Step, TransferState
from app.domain.transfer import Transfer
from app.engine.adoption import Adoption
from app.engine.again import Again
from app.engine.arrivals import Arrivals, Walk
from app.engine.book import Book
from app.engine.cancel import Canceller
from app.engine.clock import Clock
from app.engine.connections import Connections
from app.engine.following import Follower
from app.engine.gates import Gate
from app.engine.parcels import LimitsOfParcels, ParcelRoom, ParcelWorker
from app.engine.progress import ProgressLedger
from app.engine.remote_batches import RemoteBatches
from app.engine.runs import Runs
from app.engine.scheduler import Lineup
from app.engine.verdicts import Verdicts
from app.engine.worker import OpenFeed, Worker
from app.journal.journal import Journal

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the person allows: uploads at once, seconds without progress, seconds in which a cancel can be undone.

    ``roll_back``: what was stored before a cancel took effect is deleted, where the server can.
    """

    uploads_at_once: int = 6
    stall_s: float = 60.0
    undo_cancel_s: float = 0.0
    roll_back: bool = False


class Engine:
    """Owns all transfers of this process. Every method runs in the engine's thread, inside its event loop."""

    def __init__(
        self,
        book: Book,
        ledger: ProgressLedger,
        journal: Journal,
        connections: Connections,
        open_feed: OpenFeed,
        walk: Walk,
        clock: Clock,
        limits: Limits,
        emit: Callable[[EngineEvent], None],
        parcel_limits: LimitsOfParcels = lambda _profile_id: None,
    ) -> None:
        self.book = book
        self._parcel_limits = parcel_limits
        self.limits = limits
        self._ledger = ledger
        self._journal = journal
        self._connections = connections
        self._open_feed = open_feed
        self._clock = clock
        self._emit = emit
        self._scans: dict[str, asyncio.Task[None]] = {}
        self._walk = walk
        self._ready = asyncio.Event()
        self._main: asyncio.Task[None] | None = None

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the TaskGroup; returns when commands can be given."""
        self._main = asyncio.create_task(self._live(), name="engine")
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({self._main, ready}, return_when=asyncio.FIRST_COMPLETED)
        if self._main.done():
            ready.cancel()
            self._main.result()
        self._main.add_done_callback(self._fell)

    async def close(self) -> None:
        """Stop sending, put what was under way back into the queue, and leave the journal true."""
        followed: set[str] = set()
        if self._main is not None:
            followed = self._follower.followed()
            self._runs.close()
            self._main.cancel()
            await asyncio.wait({self._main})
        for transfer in self.book.transfers.values():
            if transfer.state in RUNNING and transfer.id not in followed:
                self.book.step(transfer, Step.REQUEUE, "stopped")
        await self._connections.aclose()
        await self._journal.commit()

    def _fell(self, main: asyncio.Task[None]) -> None:
        """A defect of ours ended the group: say so rather than stand still in silence."""
        if not main.cancelled() and (error := main.exception()):
            logger.critical("the engine stopped", exc_info=error)
            self._emit(
                EngineNotice("Uphaul met a fault of its own and stopped sending. Start it again to go on.")
            )

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            remote_batches = RemoteBatches(self.book, self._connections, self._journal, group)
            self._make_runs(group, remote_batches)
            self._arrivals = Arrivals(self.book, self._walk, self._runs.enqueue)
            self._verdicts = Verdicts(self.book, self._connections, remote_batches, self._clock)
            self._canceller = Canceller(
                self.book,
                self._journal,
                self._connections,
                self._verdicts,
                self._clock,
                group,
                self._runs,
                self._follower,
                self._settle,
                self._undone,
                self._emit,
            )
            self.again = Again(self.book, self._runs, self._canceller, self._connections, group)
            self.adoption = Adoption(
                self.book, self._runs, self._canceller, self._follower.follow, self._scan
            )
            self.set_limits(self.limits)
            self._ready.set()
            await asyncio.Event().wait()  # until close() cancels

    def _make_runs(self, group: asyncio.TaskGroup, remote_batches: RemoteBatches) -> None:
        """Build what sends, and what follows from it."""
        lineup, room = Lineup(), ParcelRoom(self._parcel_limits)
        attempts = (
            self.book,
            self._connections,
            self._open_feed,
            remote_batches.remote_id,
            self._answered,
        )
        self._runs = Runs(
            self.book,
            lineup,
            Worker(*attempts, lineup),
            ParcelWorker(*attempts, self._clock.now, room),
            room.of,
            self._follow,
            self._ledger.gates,
            self._clock,
            group,
            self._settle,
            self._ledger.all_batches_changed,
            self._gate_opened,
        )
        self._follower = Follower(
            self.book,
            self._connections,
            self._clock,
            group,
            apply=self._runs.apply,
            trouble=self._runs.trouble,
            answered=self._answered,
            settle=self._settle,
        )

    # -- batches come in ----------------------------------------------------------------------------------------

    def add(self, batch: Batch) -> None:
        """Take a new batch whose roots wait to be walked."""
        batch.scanning = True
        self.book.add_batch(batch)
        self._scan(batch)

    def _scan(self, batch: Batch) -> None:
        task = self._group.create_task(self._scan_to_end(batch), name=f"scan-{batch.id}")
        self._scans[batch.id] = task
        task.add_done_callback(lambda _: self._scans.pop(batch.id, None))

    async def _scan_to_end(self, batch: Batch) -> None:
        await self._arrivals.scan(batch)
        self._emit(IntakeEnded(self._ledger.view(batch)))
        self._settle(batch)
        self._runs.dispatch()

    # -- what a person asks ---------------------------------------------------------------------------------------

    def pause(self, transfers: Iterable[Transfer]) -> None:
        """Stop these transfers; what the server accepted stays there."""
        chosen = [t for t in transfers if t.state in PAUSABLE]
        self.book.step_many(chosen, Step.PAUSE)
        self._runs.stop(chosen)
        self._runs.dispatch()

    def pause_batch(self, batch: Batch) -> None:
        """Stop a batch, also what its scan still finds."""
        batch.paused = True
        self.book.save_batch(batch)
        self.pause(self.book.of_batch(batch.id, PAUSABLE))

    def resume(self, transfers: Sequence[Transfer]) -> None:
        """Let paused transfers go on, and those whose server waits for a person or a clock try now."""
        for profile_id in {self.book.batches[t.batch_id].profile_id for t in transfers}:
            self._runs.open_gate(profile_id)
        for transfer in [t for t in transfers if t.state is TransferState.WAITING]:
            self._runs.requeue(transfer)
        self.book.step_many(paused := [t for t in transfers if t.state is TransferState.PAUSED], Step.RESUME)
        self._runs.enqueue_all(paused)

    def resume_batch(self, batch: Batch) -> None:
        """Let a batch go on."""
        batch.paused = False
        self.book.save_batch(batch)
        self.resume(self.book.of_batch(batch.id, frozenset({TransferState.PAUSED, TransferState.WAITING})))

    def cancel(self, batch: Batch, transfers: Sequence[Transfer] | None = None) -> None:
        """Cancel a whole batch, or only these transfers of it."""
        whole = transfers is None
        if whole and (scan := self._scans.get(batch.id)):
            scan.cancel()
            batch.scanning = False
        chosen = [
            t
            for t in (self.book.members[batch.id] if transfers is None else transfers)
            if t.state in CANCELLABLE
        ]
        if chosen:
            self._canceller.ask(batch, chosen, whole_batch=whole, undo_s=self.limits.undo_cancel_s)
        self._settle(batch)
        self._runs.dispatch()

    def undo_cancel(self) -> int:
        """Take back cancels that were not sent yet."""
        return self._canceller.undo()

    def _undone(self, batch: Batch, transfers: Sequence[Transfer]) -> None:
        """A cancel was taken back: its files go on, and so does a scan that it cut short."""
        self._runs.enqueue(batch, transfers)
        if batch.report is None and not batch.scanning:
            batch.scanning = True
            self._scan(batch)

    def set_limits(self, limits: Limits) -> None:
        """Apply new limits; what runs goes on."""
        self.limits = limits
        self._runs.at_once, self._runs.stall_s = limits.uploads_at_once, limits.stall_s
        self._verdicts.roll_back = limits.roll_back
        self._runs.dispatch()

    def open_gate(self, profile_id: str) -> None:
        """A person has done something about this server: everything to it tries now."""
        self._runs.open_gate(profile_id)
        self._runs.dispatch()

    def _gate_opened(self, profile_id: str) -> None:
        self._follower.gate_opened(profile_id)

    def _follow(self, batch: Batch, transfers: Sequence[Transfer]) -> None:
        self._follower.follow(batch, transfers)

    def gate(self, profile_id: str) -> Gate:
        """Return a server's gate."""
        return self._ledger.gates.setdefault(profile_id, Gate())

    def _answered(self, profile_id: str) -> None:
        self.gate(profile_id).answered()

    def _settle(self, batch: Batch) -> None:
        """Note and tell the end of a batch, once each time that it comes to one."""
        over = not batch.scanning and batch.counts.unfinished == 0
        if over and batch.finished_at is None and batch.id in self.book.batches:
            batch.finished_at = self._clock.now()
            self.book.save_batch(batch)
            self._emit(BatchEnded(self._ledger.view(batch)))
