"""Which transfers run now, and what follows from how an attempt ended.

lineup ──dispatch──► run (worker.attempt) ──outcome──► completed | processing | failed | waiting | queued again
             │        at most `at_once`                 a server-wide failure closes the server's gate
             └─────► run of a parcel (parcels.attempt), where the server takes many files a request: an outcome each
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from app.domain.batch import Batch
from app.domain.failure import Failure, FailureKind, Scope
from app.domain.state import RUNNING, CancelEnding, Step, TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.engine.clock import Clock
from app.engine.gates import Gate
from app.engine.parcels import LimitsOfParcels, ParcelWorker
from app.engine.retry import file_delay_s
from app.engine.scheduler import LARGE_BYTES, Lineup
from app.engine.worker import Arrived, CancelledElsewhere, Failed, HandedOver, NotSent, Outcome, Worker

Follow = Callable[[Batch, Sequence[Transfer]], None]
"""Watch over files that their server works on."""


class Runs:
    """The queue and the runs of all batches. *settle* is told each time that a batch may have come to its end."""

    def __init__(
        self,
        book: Book,
        lineup: Lineup,
        worker: Worker,
        parcels: ParcelWorker,
        parcel_limits: LimitsOfParcels,
        follow: Follow,
        gates: dict[str, Gate],
        clock: Clock,
        group: asyncio.TaskGroup,
        settle: Callable[[Batch], None],
        gates_changed: Callable[[], None],
        gate_opened: Callable[[str], None],
    ) -> None:
        self.at_once = 6
        self.stall_s = 60.0
        self._book = book
        self._worker = worker
        self._parcels = parcels
        self._parcel_limits = parcel_limits
        self._follow = follow
        self._gates = gates
        self._clock = clock
        self._group = group
        self._settle = settle
        self._gates_changed = gates_changed
        self._gate_opened = gate_opened
        self._lineup = lineup
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._held: dict[asyncio.Task[None], Sequence[Transfer]] = {}
        self._closing = False

    def close(self) -> None:
        """Start nothing more."""
        self._closing = True

    def enqueue(self, batch: Batch, transfers: Sequence[Transfer]) -> None:
        """Line queued transfers of a batch up, and start what may start."""
        for transfer in transfers:
            if transfer.state is TransferState.QUEUED:
                self._lineup.put(transfer)
        if transfers:
            batch.finished_at = None
        self.dispatch()

    def enqueue_all(self, transfers: Sequence[Transfer]) -> None:
        """Line queued transfers of any batches up before anything starts, so that they can go in one request."""
        for transfer in transfers:
            self._lineup.put(transfer)
            self._book.batches[transfer.batch_id].finished_at = None
        self.dispatch()

    def requeue(self, transfer: Transfer) -> None:
        """Let a waiting transfer have its turn now."""
        self._book.step(transfer, Step.REQUEUE)
        self._lineup.put(transfer, front=True)

    def stop(self, transfers: Iterable[Transfer]) -> list[asyncio.Task[None]]:
        """Take transfers out, whose states are changed already; return the runs that are still ending."""
        stopped: dict[asyncio.Task[None], None] = {}
        for transfer in transfers:
            self._lineup.discard(transfer)
            task = self._tasks.get(transfer.id)
            if task is not None:
                stopped[task] = None
        for task in stopped:
            task.cancel()
        return list(stopped)

    def dispatch(self) -> None:
        """Start runs while there are free places and transfers that may go."""
        while not self._closing and len(self._held) < self.at_once:
            large = sum(1 for held in self._held.values() if held[0].size_bytes > LARGE_BYTES)
            transfer = self._lineup.take(
                large_running=large,
                large_allowed=max(1, self.at_once - 1),
                closed=self._is_closed,
                busy=self._tasks,
            )
            if transfer is None:
                return
            limits = self._parcel_limits(self._book.batches[transfer.batch_id].profile_id)
            if limits is None:
                self._hold(
                    [transfer], self._group.create_task(self._run(transfer), name=f"run-{transfer.id}")
                )
            else:
                parcel = self._lineup.fill(
                    transfer, max_files=limits.max_files, max_bytes=limits.max_bytes, busy=self._tasks
                )
                self._hold(
                    parcel, self._group.create_task(self._run_parcel(parcel), name=f"run-{transfer.id}")
                )

    def _hold(self, transfers: Sequence[Transfer], task: asyncio.Task[None]) -> None:
        self._held[task] = transfers
        for transfer in transfers:
            self._tasks[transfer.id] = task
        task.add_done_callback(self._ended)

    def _is_closed(self, batch_id: str) -> bool:
        """Whether a batch must wait: for its server, or for its scan to find enough for a whole parcel."""
        batch = self._book.batches[batch_id]
        gate = self._gates.get(batch.profile_id)
        if gate is not None and gate.closed:
            return True
        limits = self._parcel_limits(batch.profile_id) if batch.scanning else None
        return limits is not None and self._lineup.length(batch_id) < limits.max_files

    async def _run(self, transfer: Transfer) -> None:
        batch = self._book.batches[transfer.batch_id]
        offset_before = transfer.offset_bytes
        try:
            self._begin(transfer, batch)
            outcome = await self._worker.attempt(transfer, batch, self.stall_s)
            if transfer.state in RUNNING:
                if transfer.offset_bytes > offset_before:
                    transfer.attempts = 1  # it moved: delays start anew
                self.apply(transfer, batch, outcome)
        finally:
            self._book.run_ended(transfer)
            self._settle(batch)

    async def _run_parcel(self, transfers: Sequence[Transfer]) -> None:
        batch = self._book.batches[transfers[0].batch_id]
        try:
            for transfer in transfers:
                self._begin(transfer, batch)
            outcomes = await self._parcels.attempt(transfers, batch, self.stall_s)
            self._apply_all(transfers, batch, outcomes)
        except asyncio.CancelledError:
            for transfer in reversed(
                transfers
            ):  # one of them was paused or cancelled: the others go again at once
                self._not_sent(transfer)
            raise
        finally:
            for transfer in transfers:
                self._book.run_ended(transfer)
            self._settle(batch)

    def _begin(self, transfer: Transfer, batch: Batch) -> None:
        self._book.step(transfer, Step.START)
        transfer.attempts += 1
        if batch.started_at is None:
            batch.started_at = self._clock.now()
            self._book.save_batch(batch)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Also for a run that was cancelled before its first line."""
        transfers = self._held.pop(task)
        for transfer in reversed(transfers):
            del self._tasks[transfer.id]
            if transfer.state is TransferState.QUEUED:
                self._lineup.put(transfer, front=True)
        self.dispatch()

    def apply(self, transfer: Transfer, batch: Batch, outcome: Outcome) -> None:
        """Let follow what follows from the outcome of one transfer that a worker held or the server worked on."""
        match outcome:
            case Arrived(sent):
                transfer.sha256, transfer.remote_id, transfer.begun_at = sent.sha256, sent.remote_id, None
                self._book.step(transfer, Step.COMPLETE, sent.answer, answer=sent.answer)
                self.gate(batch.profile_id).answered()
            case HandedOver(sent):
                transfer.sha256, transfer.remote_id, transfer.begun_at = sent.sha256, sent.remote_id, None
                self._book.step(transfer, Step.HAND_OVER, sent.answer, answer=sent.answer)
                self.gate(batch.profile_id).answered()
                self._follow(batch, [transfer])
            case Failed(failure):
                self._fail([transfer], batch, failure)
            case NotSent():
                self._not_sent(transfer)
            case CancelledElsewhere():
                self._cancelled_elsewhere(transfer)
            case _:
                self._begin_again(transfer)

    def _apply_all(self, transfers: Sequence[Transfer], batch: Batch, outcomes: Sequence[Outcome]) -> None:
        """Apply the outcomes of a parcel; what failed alike waits together, and so goes together again."""
        failed: dict[Failure, list[Transfer]] = defaultdict(list)
        for transfer, outcome in reversed(list(zip(transfers, outcomes, strict=True))):
            if transfer.state not in RUNNING:
                continue
            if isinstance(outcome, Failed):
                failed[outcome.failure].insert(0, transfer)
            else:
                self.apply(transfer, batch, outcome)
        for failure, together in failed.items():
            self._fail(together, batch, failure)

    def _not_sent(self, transfer: Transfer) -> None:
        """Put a transfer back whose request was cut for another's sake: that was no try."""
        if transfer.state in RUNNING:
            transfer.attempts -= 1
            self.requeue(transfer)

    def _fail(self, transfers: Sequence[Transfer], batch: Batch, failure: Failure) -> None:
        """Wait with everybody, wait alone (those of one request together), or give up."""
        if failure.scope is Scope.SERVER:
            self._close_gate(transfers, batch, failure)
            return
        waiting: dict[float, list[Transfer]] = defaultdict(list)
        for transfer in transfers:
            delay = file_delay_s(failure, transfer.attempts)
            if delay is None:
                self._book.step(transfer, Step.FAIL, failure=failure)
            else:
                waiting[delay].append(transfer)
        for delay, together in waiting.items():
            retry_at = self._clock.now() + delay
            self._book.step_many(together, Step.BACK_OFF, failure=failure, retry_at=retry_at)
            self._group.create_task(self._requeue_later(together, delay, retry_at))

    async def _requeue_later(self, transfers: Sequence[Transfer], delay: float, retry_at: float) -> None:
        await self._clock.sleep(delay)
        for transfer in reversed(transfers):
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

    def _close_gate(self, transfers: Sequence[Transfer], batch: Batch, failure: Failure) -> None:
        until = self.trouble(batch.profile_id, failure)
        self.gate(batch.profile_id).waiting.update((transfer.id, transfer) for transfer in transfers)
        self._book.step_many(transfers, Step.BACK_OFF, failure=failure, retry_at=until)

    def trouble(self, profile_id: str, failure: Failure) -> float | None:
        """Close a server's gate; return when it opens again (epoch seconds), or None: when a person acts."""
        gate = self.gate(profile_id)
        was_until, until = gate.until, gate.close(failure, self._clock.now())
        if until is not None and until != was_until:
            self._group.create_task(self._open_later(profile_id, until))
        self._gates_changed()
        return until

    async def _open_later(self, profile_id: str, until: float) -> None:
        await self._clock.sleep(until - self._clock.now())
        if self.gate(profile_id).until == until:
            self.open_gate(profile_id)
            self.dispatch()

    def open_gate(self, profile_id: str) -> None:
        """Let everything to a server try now."""
        for transfer in reversed(self.gate(profile_id).open()):
            if transfer.state is TransferState.WAITING:
                self.requeue(transfer)
        self._gates_changed()
        self._gate_opened(profile_id)
