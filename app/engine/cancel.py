"""Cancel with a confirmed ending: mark, write the intent down, stop sending, ask the server, read back, believe that.

ask ──► cancelling ──(undo in time)──► queued | paused
           │     | processing
           │ commit the intent, wait until nothing is sent any more
           ├─ nothing ever reached the server ────────────► cancelled
           ├─ HTTP cancel, then look (engine.verdicts)
           │      ├─ gone, cancelled, failed there ───────► cancelled
           │      ├─ stored ──────────────────────────────► completed: finished first
           │      ├─ still there, or no cancel is spoken ─► cancelled here only: nothing, a part, or all of it is there
           │      └─ stored, and the person wants it gone ► deleted, looked for, cancelled: rolled back
           └─ server away ──► clean-up pending, asked again until it answers ──► one of the above
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat

from app.domain.batch import Batch
from app.domain.events import CancelEnded, EngineEvent
from app.domain.failure import FailureKind, TransferError
from app.domain.state import CancelEnding, Step, TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.engine.clock import Clock, sleep_unless
from app.engine.connections import Connections
from app.engine.following import Follower
from app.engine.retry import GATE_DELAYS_S
from app.engine.runs import Runs
from app.engine.verdicts import NOTHING_SENT, NOTHING_STORED, Verdict, Verdicts, worst
from app.journal.journal import Journal, PendingCancel
from app.remote.base import CancelServer

logger = logging.getLogger(__name__)

Settle = Callable[[Batch], None]
"""See whether a batch is over."""
Undone = Callable[[Batch, Sequence[Transfer]], None]
"""Let transfers go on whose cancel was taken back."""


@dataclass(slots=True)
class Order:
    """One cancel that a person asked for, until it has its ending."""

    batch: Batch
    transfers: Sequence[Transfer]
    whole_batch: bool
    asked_at: float
    before: dict[str, TransferState] = field(default_factory=dict)
    followed: set[str] = field(default_factory=set)
    runs: list[asyncio.Task[None]] = field(default_factory=list)
    undone: asyncio.Event = field(default_factory=asyncio.Event)

    def intents(self) -> list[PendingCancel]:
        """What the journal keeps of it: one row for a batch, else one a file."""
        if self.whole_batch:
            return [PendingCancel(self.batch.id, None, self.asked_at)]
        return [PendingCancel(self.batch.id, transfer.id, self.asked_at) for transfer in self.transfers]


class Canceller:
    """Carries out cancels. Each order is a task of the engine's group."""

    def __init__(
        self,
        book: Book,
        journal: Journal,
        connections: Connections,
        verdicts: Verdicts,
        clock: Clock,
        group: asyncio.TaskGroup,
        runs: Runs,
        follower: Follower,
        settle: Settle,
        undone: Undone,
        emit: Callable[[EngineEvent], None],
    ) -> None:
        self._book = book
        self._journal = journal
        self._connections = connections
        self._verdicts = verdicts
        self._clock = clock
        self._group = group
        self._runs = runs
        self._follower = follower
        self._settle = settle
        self._undone = undone
        self._emit = emit
        self._undoable: list[Order] = []

    def ask(self, batch: Batch, transfers: Sequence[Transfer], *, whole_batch: bool, undo_s: float) -> None:
        """Mark *transfers* as cancelling and see to the rest. They must be cancellable."""
        followed = self._follower.followed().intersection(t.id for t in transfers)
        before = {t.id: t.state for t in transfers}
        order = Order(batch, transfers, whole_batch, self._clock.now(), before, followed)
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
        except Exception:
            logger.exception("abandoning an upload at %s", profile_id)

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
                return await self._verdicts.of(order.batch, order.transfers, whole_batch=order.whole_batch)
            except TransferError as error:
                kind = error.failure.kind
            except Exception:  # an answer that nobody foresaw: the other uploads of this engine go on
                logger.exception("a cancel at %s", order.batch.profile_id)
                kind = FailureKind.INTERNAL
            if delay_s == GATE_DELAYS_S[0]:
                pending = Verdict(CancelEnding.CLEANUP_PENDING, kind)
                self._conclude(order, dict.fromkeys((t.id for t in order.transfers), pending), "")
            await self._clock.sleep(delay_s)
        raise AssertionError("the delays never end")

    async def _taken_back(self, order: Order, undo_s: float) -> bool:
        self._undoable.append(order)
        await sleep_unless(self._clock, undo_s, order.undone)
        if order in self._undoable:
            self._undoable.remove(order)
        if not order.undone.is_set():
            return False
        at_the_server = [t for t in order.transfers if t.id in order.followed]
        self._book.step_many(at_the_server, Step.HAND_OVER, "undone")
        if at_the_server:
            self._follower.follow(order.batch, at_the_server)
        here = [t for t in order.transfers if t.id not in order.followed]
        self._book.step_many(here, Step.UNDO, "undone")
        paused = [t for t in order.transfers if order.before.get(t.id) is TransferState.PAUSED]
        self._book.step_many(paused, Step.PAUSE)
        for intent in order.intents():
            self._journal.put_cancel(intent, done=True)
        self._undone(order.batch, order.transfers)
        return True

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
            order.batch.ending = worst(verdicts)
            order.batch.answer = batch_answer
            self._book.save_batch(order.batch)
        self._settle(order.batch)
        counts = Counter(verdicts[transfer.id].ending.value for transfer in order.transfers)
        kept = sum(v.kept and v.ending is CancelEnding.HERE_ONLY for v in verdicts.values())
        nothing = sum(v.answer == NOTHING_STORED for v in verdicts.values())
        self._emit(
            CancelEnded(
                order.batch.id,
                order.batch.name,
                order.whole_batch,
                tuple(sorted(counts.items())),
                kept_there=kept,
                nothing_there=nothing,
            )
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
        told = [v for v in verdicts.values() if v.answer and v.answer != NOTHING_SENT]
        ending = worst(verdicts)
        same = [v for v in told if v.ending is ending]
        words = Counter(v.answer for v in [v for v in same if v.kept] or same or told)
        return words.most_common(1)[0][0] if order.whole_batch and words else ""
