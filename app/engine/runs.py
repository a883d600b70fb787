"""Which transfers run now, and what follows from how an attempt ended.

lineup ──dispatch──► run (worker.attempt) ──outcome──► completed | failed | waiting | queued again
                      at most `at_once`                a server-wide failure closes the server's gate
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from app.domain.batch import Batch
from app.domain.failure import Failure, FailureKind, Scope
from app.domain.state import RUNNING, CancelEnding, Step, TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.engine.clock import Clock
from app.engine.gates import Gate
from app.engine.retry import file_delay_s
from app.engine.scheduler import LARGE_BYTES, Lineup
from app.engine.worker import Arrived, CancelledElsewhere, Failed, Outcome, Worker


class Runs:
    """The queue and the runs of all batches. *settle* is told each time that a batch may have come to its end."""

    def __init__(
        self,
        book: Book,
        worker: Worker,
        gates: dict[str, Gate],
        clock: Clock,
        group: asyncio.TaskGroup,
        settle: Callable[[Batch], None],
        gates_changed: Callable[[], None],
    ) -> None:
        self.at_once = 6
        self.stall_s = 60.0
        self._book = book
        self._worker = worker
        self._gates = gates
        self._clock = clock
        self._group = group
        self._settle = settle
        self._gates_changed = gates_changed
        self._lineup = Lineup()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    def close(self) -> None:
        """Start nothing more."""
        self._closing = True

    def enqueue(self, batch: Batch, transfers: Sequence[Transfer]) -> None:
        """Line queued transfers up, and start what may start."""
        for transfer in transfers:
            if transfer.state is TransferState.QUEUED:
                self._lineup.put(transfer)
        if transfers:
            batch.finished_at = None
        self.dispatch()

    def requeue(self, transfer: Transfer) -> None:
        """Let a waiting transfer have its turn now."""
        self._book.step(transfer, Step.REQUEUE)
        self._lineup.put(transfer, front=True)

    def stop(self, transfers: Iterable[Transfer]) -> list[asyncio.Task[None]]:
        """Take transfers out, whose states are changed already; return the runs that are still ending."""
        stopped = []
        for transfer in transfers:
            self._lineup.discard(transfer)
            task = self._tasks.get(transfer.id)
            if task is not None:
                task.cancel()
                stopped.append(task)
        return stopped

    def dispatch(self) -> None:
        """Start runs while there are free places and transfers that may go."""
        while not self._closing and len(self._tasks) < self.at_once:
            large = sum(1 for key in self._tasks if self._book.transfers[key].size_bytes > LARGE_BYTES)
            transfer = self._lineup.take(
                large_running=large,
                large_allowed=max(1, self.at_once - 1),
                closed=self._is_closed,
                busy=self._tasks,
            )
            if transfer is None:
                return
            task = self._group.create_task(self._run(transfer), name=f"run-{transfer.id}")
            self._tasks[transfer.id] = task
            task.add_done_callback(partial(self._ended, transfer.id))

    def _is_closed(self, batch_id: str) -> bool:
        gate = self._gates.get(self._book.batches[batch_id].profile_id)
        return gate is not None and gate.closed

    async def _run(self, transfer: Transfer) -> None:
        batch = self._book.batches[transfer.batch_id]
        offset_before = transfer.offset_bytes
        try:
            self._begin(transfer, batch)
            outcome = await self._worker.attempt(transfer, batch, self.stall_s)
            if transfer.state in RUNNING:
                if transfer.offset_bytes > offset_before:
                    transfer.attempts = 1  # it moved: delays start anew
                self._apply(transfer, batch, outcome)
        finally:
            self._book.run_ended(transfer)
            self._settle(batch)

    def _begin(self, transfer: Transfer, batch: Batch) -> None:
        self._book.step(transfer, Step.START)
        transfer.attempts += 1
        if batch.started_at is None:
            batch.started_at = self._clock.now()
            self._book.save_batch(batch)

    def _ended(self, transfer_id: str, _: asyncio.Task[None]) -> None:
        """Also for a run that was cancelled before its first line."""
        del self._tasks[transfer_id]
        self.dispatch()

    def _apply(self, transfer: Transfer, batch: Batch, outcome: Outcome) -> None:
        match outcome:
            case Arrived(sent):
                transfer.sha256, transfer.remote_id = sent.sha256, sent.remote_id
                self._book.step(transfer, Step.COMPLETE, sent.answer, answer=sent.answer)
                self.gate(batch.profile_id).answered()
            case Failed(failure):
                self._fail(transfer, batch, failure)
            case CancelledElsewhere():
                self._cancelled_elsewhere(transfer)
            case _:
                self._begin_again(transfer)

    def _fail(self, transfer: Transfer, batch: Batch, failure: Failure) -> None:
        """Wait with everybody, wait alone, or give up."""
        if failure.scope is Scope.SERVER:
            self._close_gate(transfer, batch, failure)
            return
        delay = file_delay_s(failure, transfer.attempts)
        if delay is None:
            self._book.step(transfer, Step.FAIL, failure=failure)
            return
        retry_at = self._clock.now() + delay
        self._book.step(transfer, Step.BACK_OFF, failure=failure, retry_at=retry_at)
        self._group.create_task(self._requeue_later(transfer, delay, retry_at))

    async def _requeue_later(self, transfer: Transfer, delay: float, retry_at: float) -> None:
        await self._clock.sleep(delay)
        if transfer.state is TransferState.WAITING and transfer.retry_at == retry_at:
            self.requeue(transfer)
            self.dispatch()

    def _begin_again(self, transfer: Transfer) -> None:
        """The server lost the partial upload (it expired, or the server was emptied)."""
        self._book.start_over(transfer)
        if file_delay_s(Failure(FailureKind.CONNECTION_LOST), transfer.attempts) is None:
            self._book.step(transfer, Step.FAIL, failure=Failure(FailureKind.REMOTE_GONE))
        else:
            self._book.step(transfer, Step.REQUEUE, "the server no longer had it")
            self._lineup.put(transfer, front=True)

    def _cancelled_elsewhere(self, transfer: Transfer) -> None:
        self._book.step(transfer, Step.CANCEL, "cancelled at the server")
        self._book.step(
            transfer,
            Step.CONFIRM,
            "cancelled at the server",
            ending=CancelEnding.CANCELLED,
            answer="cancelled_elsewhere",
        )

    def gate(self, profile_id: str) -> Gate:
        """Return the server's gate."""
        return self._gates.setdefault(profile_id, Gate())

    def _close_gate(self, transfer: Transfer, batch: Batch, failure: Failure) -> None:
        gate = self.gate(batch.profile_id)
        was_until, until = gate.until, gate.close(failure, self._clock.now())
        gate.waiting[transfer.id] = transfer
        self._book.step(transfer, Step.BACK_OFF, failure=failure, retry_at=until)
        if until is not None and until != was_until:
            self._group.create_task(self._open_later(batch.profile_id, until))
        self._gates_changed()

    async def _open_later(self, profile_id: str, until: float) -> None:
        await self._clock.sleep(until - self._clock.now())
        if self.gate(profile_id).until == until:
            self.open_gate(profile_id)
            self.dispatch()

    def open_gate(self, profile_id: str) -> None:
        """Let everything to a server try now."""
        for transfer in self.gate(profile_id).open():
            if transfer.state is TransferState.WAITING:
                self.requeue(transfer)
        self._gates_changed()
