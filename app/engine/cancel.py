"""Cancel with a confirmed ending: mark, write the intent down, stop sending, ask the server, read back, believe that.

ask ──► cancelling ──(undo in time)──► queued | paused
           │ commit the intent, wait until nothing is sent any more
           ├─ nothing ever reached the server ────────────► cancelled
           ├─ HTTP cancel (one request for a whole batch), then look
           │      ├─ gone, cancelled, failed there ───────► cancelled
           │      ├─ stored ──────────────────────────────► completed: finished first
           │      └─ still there: no cancel is spoken ────► cancelled here only
           └─ server away ──► clean-up pending, asked again until it answers ──► one of the above
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat

from app.domain.batch import Batch
from app.domain.events import CancelEnded, EngineEvent
from app.domain.failure import TransferError
from app.domain.state import CancelEnding, Step, TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.engine.clock import Clock
from app.engine.connections import Connections
from app.engine.outgoing import outgoing_of
from app.engine.remote_batches import RemoteBatches
from app.engine.retry import GATE_DELAYS_S
from app.engine.runs import Runs
from app.journal.journal import Journal, PendingCancel
from app.remote.base import BatchServer, CancelServer, FindServer, RemoteServer, RemoteState

Settle = Callable[[Batch], None]
"""See whether a batch is over."""
Undone = Callable[[Batch, Sequence[Transfer]], None]
"""Let transfers go on whose cancel was taken back."""

_ENDING = {
    RemoteState.STORED: CancelEnding.FINISHED_FIRST,
    RemoteState.UNFINISHED: CancelEnding.HERE_ONLY,
    RemoteState.PROCESSING: CancelEnding.HERE_ONLY,
    RemoteState.CANCELLED: CancelEnding.CANCELLED,
    RemoteState.FAILED: CancelEnding.CANCELLED,
    RemoteState.UNKNOWN: CancelEnding.CANCELLED,
}


@dataclass(slots=True)
class Order:
    """One cancel that a person asked for, until it has its ending."""

    batch: Batch
    transfers: Sequence[Transfer]
    whole_batch: bool
    asked_at: float
    before: dict[str, TransferState] = field(default_factory=dict)
    runs: list[asyncio.Task[None]] = field(default_factory=list)
    undone: asyncio.Event = field(default_factory=asyncio.Event)

    def intents(self) -> list[PendingCancel]:
        """What the journal keeps of it: one row for a batch, else one a file."""
        if self.whole_batch:
            return [PendingCancel(self.batch.id, None, self.asked_at)]
        return [PendingCancel(self.batch.id, transfer.id, self.asked_at) for transfer in self.transfers]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one transfer at the server, and the server's own word."""

    ending: CancelEnding
    answer: str


class Canceller:
    """Carries out cancels. Each order is a task of the engine's group."""

    def __init__(
        self,
        book: Book,
        journal: Journal,
        connections: Connections,
        remote_batches: RemoteBatches,
        clock: Clock,
        group: asyncio.TaskGroup,
        runs: Runs,
        settle: Settle,
        undone: Undone,
        emit: Callable[[EngineEvent], None],
    ) -> None:
        self._book = book
        self._journal = journal
        self._connections = connections
        self._remote_batches = remote_batches
        self._clock = clock
        self._group = group
        self._runs = runs
        self._settle = settle
        self._undone = undone
        self._emit = emit
        self._undoable: list[Order] = []

    def ask(self, batch: Batch, transfers: Sequence[Transfer], *, whole_batch: bool, undo_s: float) -> None:
        """Mark *transfers* as cancelling and see to the rest. They must be cancellable."""
        order = Order(batch, transfers, whole_batch, self._clock.now(), {t.id: t.state for t in transfers})
        self._book.step_many(transfers, Step.CANCEL)
        order.runs = self._runs.stop(transfers)
        for intent in order.intents():
            self._journal.put_cancel(intent)
        self._group.create_task(self._carry_out(order, undo_s))

    def resume(
        self, batch: Batch, transfers: Sequence[Transfer], *, whole_batch: bool, asked_at: float
    ) -> None:
        """Go on with a cancel that an earlier run of the program did not see to its end."""
        self._group.create_task(self._carry_out(Order(batch, transfers, whole_batch, asked_at), 0.0))

    def undo(self) -> int:
        """Take back the cancels that were not sent yet; return how many transfers go on."""
        orders, self._undoable = self._undoable, []
        for order in orders:
            order.undone.set()
        return sum(len(order.transfers) for order in orders)

    async def abandon(self, profile_id: str, remote_id: str) -> None:
        """Ask the server to drop a partial upload that nobody will continue. A courtesy: it may fail."""
        try:
            async with self._connections.borrow(profile_id) as server:
                if isinstance(server, CancelServer):
                    await server.cancel_file(remote_id)
        except TransferError:
            return  # the server expires it by itself

    async def _carry_out(self, order: Order, undo_s: float) -> None:
        if undo_s > 0 and await self._taken_back(order, undo_s):
            return
        await self._journal.commit()
        if order.runs:
            await asyncio.wait(order.runs)
        verdicts = await self._tell_until_heard(order)
        self._conclude(order, verdicts, self._batch_word(order, verdicts))
        for intent in order.intents():
            self._journal.put_cancel(intent, done=True)

    async def _tell_until_heard(self, order: Order) -> dict[str, Verdict]:
        for delay_s in chain(GATE_DELAYS_S, repeat(GATE_DELAYS_S[-1])):
            try:
                return await self._tell(order)
            except TransferError as error:
                if delay_s == GATE_DELAYS_S[0]:
                    pending = Verdict(CancelEnding.CLEANUP_PENDING, error.failure.kind)
                    self._conclude(order, dict.fromkeys((t.id for t in order.transfers), pending), "")
                await self._clock.sleep(delay_s)
        raise AssertionError("the delays never end")

    async def _taken_back(self, order: Order, undo_s: float) -> bool:
        self._undoable.append(order)
        undone = asyncio.ensure_future(order.undone.wait())
        waiting = asyncio.ensure_future(self._clock.sleep(undo_s))
        try:
            await asyncio.wait({undone, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            undone.cancel()
            waiting.cancel()
        if order in self._undoable:
            self._undoable.remove(order)
        if not order.undone.is_set():
            return False
        self._book.step_many(order.transfers, Step.UNDO, "undone")
        paused = [t for t in order.transfers if order.before.get(t.id) is TransferState.PAUSED]
        self._book.step_many(paused, Step.PAUSE)
        for intent in order.intents():
            self._journal.put_cancel(intent, done=True)
        self._undone(order.batch, order.transfers)
        return True

    async def _tell(self, order: Order) -> dict[str, Verdict]:
        """Ask the server and read back. Raises TransferError while it cannot be reached."""
        remote_batch_id = await self._remote_batches.settled(order.batch)
        verdicts = dict.fromkeys(
            (t.id for t in order.transfers), Verdict(CancelEnding.CANCELLED, "nothing_sent")
        )
        touched = [t for t in order.transfers if t.remote_id or t.attempts]
        if not touched and not (order.whole_batch and remote_batch_id):
            return verdicts
        async with self._connections.borrow(order.batch.profile_id) as server:
            told = ""
            if order.whole_batch and remote_batch_id and server.abilities.cancel_batch:
                assert isinstance(server, CancelServer)
                told = (await server.cancel_batch(remote_batch_id)).message
            for transfer in touched:
                if transfer.remote_id:
                    verdicts[transfer.id] = await self._tell_one(server, transfer.remote_id, told)
            nameless = [t for t in touched if not t.remote_id]
            if nameless and isinstance(server, FindServer):
                known = sum(verdict.ending is CancelEnding.FINISHED_FIRST for verdict in verdicts.values())
                hidden = await self._hidden_files(server, order.batch, known) if told else len(nameless)
                await self._tell_nameless(server, order.batch, nameless, hidden, told, verdicts)
        return verdicts

    async def _hidden_files(self, server: RemoteServer, batch: Batch, known: int) -> int:
        """Return how many files of a cancelled batch the server stored without our having heard of it."""
        assert isinstance(server, BatchServer)
        seen = await server.look_batch(batch.remote_id or "")
        return seen.stored_files - batch.counts.files[TransferState.COMPLETED] - known

    async def _tell_nameless(
        self,
        server: FindServer,
        batch: Batch,
        transfers: list[Transfer],
        hidden: int,
        told: str,
        verdicts: dict[str, Verdict],
    ) -> None:
        """Look for files whose id was lost with an answer, until the *hidden* ones have been found."""
        for transfer in transfers:
            if hidden <= 0:
                return
            found = await server.find([outgoing_of(transfer, batch)])
            if transfer.key in found:
                assert isinstance(server, RemoteServer)
                transfer.remote_id = found[transfer.key].remote_id
                verdicts[transfer.id] = await self._tell_one(server, transfer.remote_id, told)
                hidden -= verdicts[transfer.id].ending is CancelEnding.FINISHED_FIRST

    async def _tell_one(self, server: RemoteServer, remote_id: str, told: str) -> Verdict:
        """Cancel one file, unless its batch was just cancelled (*told* is what the server said); then read it back."""
        if not told and isinstance(server, CancelServer):
            told = (await server.cancel_file(remote_id)).message
        seen = await server.look(remote_id)
        return Verdict(_ENDING[seen.state], told or seen.message)

    def _conclude(self, order: Order, verdicts: dict[str, Verdict], batch_answer: str) -> None:
        """Write the endings down, whether the transfers are still cancelling or were pending clean-up."""
        groups: dict[tuple[Verdict, bool], list[Transfer]] = {}
        for transfer in order.transfers:
            if transfer.state in (TransferState.CANCELLING, TransferState.CANCELLED):
                late = transfer.state is TransferState.CANCELLED
                groups.setdefault((verdicts[transfer.id], late), []).append(transfer)
        for (verdict, late), transfers in groups.items():
            self._write(verdict, transfers, late=late)
        if order.whole_batch:
            endings = {verdict.ending for verdict in verdicts.values()}
            pending = CancelEnding.CLEANUP_PENDING in endings
            order.batch.ending = CancelEnding.CLEANUP_PENDING if pending else CancelEnding.CANCELLED
            order.batch.answer = batch_answer
            self._book.save_batch(order.batch)
        self._settle(order.batch)
        counts = Counter(verdicts[transfer.id].ending.value for transfer in order.transfers)
        self._emit(
            CancelEnded(order.batch.id, order.batch.name, order.whole_batch, tuple(sorted(counts.items())))
        )

    def _write(self, verdict: Verdict, transfers: list[Transfer], *, late: bool) -> None:
        ending, answer = verdict.ending, verdict.answer
        if ending is CancelEnding.FINISHED_FIRST:
            self._book.step_many(transfers, Step.FINISHED_FIRST, ending=ending, answer=answer)
        elif late:
            for transfer in transfers:
                self._book.amend(transfer, ending, answer, ending)
        else:
            self._book.step_many(transfers, Step.CONFIRM, ending, ending=ending, answer=answer)

    @staticmethod
    def _batch_word(order: Order, verdicts: dict[str, Verdict]) -> str:
        words = Counter(v.answer for v in verdicts.values() if v.answer and v.answer != "nothing_sent")
        return words.most_common(1)[0][0] if order.whole_batch and words else ""
