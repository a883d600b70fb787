"""The ledger: what a listener sees ten times a second, and that it is never wrong about sums."""

import pytest

from app.domain.batch import Batch
from app.domain.events import Link, ServerView
from app.domain.failure import Failure, FailureKind
from app.domain.state import BatchState, Step, TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.engine.gates import Gate
from app.engine.progress import ProgressLedger
from app.journal.journal import Entry, PendingCancel

S, E, B = TransferState, Step, BatchState


class Drawer:
    """A journal that keeps everything in lists: the protocol, and nothing more."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, TransferState]] = []
        self.notes: list[str] = []

    def put_batches(self, batches: object) -> None: ...

    def put_transfers(self, transfers: list[Transfer], entries: list[Entry] = []) -> None:  # noqa: B006
        self.rows += [(transfer.id, transfer.state) for transfer in transfers]
        self.notes += [entry.state.value for entry in entries]

    def put_cancel(self, cancel: PendingCancel, *, done: bool = False) -> None: ...

    def remove_batches(self, batch_ids: object, *, restore: bool = False) -> None: ...

    async def commit(self) -> None: ...


class Desk:
    """A book, its ledger and a clock."""

    def __init__(self, *sizes: int) -> None:
        self.time = 100.0
        self.drawer = Drawer()
        self.ledger = ProgressLedger(lambda: self.time)
        self.book = Book(self.drawer, self.ledger, lambda: self.time)
        self.batch = Batch("b", "Photos", "p", 100.0)
        self.book.add_batch(self.batch)
        self.transfers = [
            Transfer(f"t{number}", "b", number, f"/f{number}", f"f{number}", size, 0)
            for number, size in enumerate(sizes)
        ]
        self.book.add_transfers(self.batch, self.transfers)

    def start(self, transfer: Transfer) -> None:
        self.book.step(transfer, E.START)
        self.book.step(transfer, E.SEND)

    def finish(self, transfer: Transfer) -> None:
        self.start(transfer)
        self.book.step(transfer, E.COMPLETE)


def test_a_frame_has_what_changed_and_the_next_one_nothing() -> None:
    desk = Desk(10, 20)
    first = desk.ledger.drain("b")
    second = desk.ledger.drain("b")
    assert (len(first.batches), len(first.transfers), second.batches, second.transfers) == (1, 2, (), ())


def test_rows_of_other_batches_are_not_in_the_frame() -> None:
    assert Desk(10).ledger.drain("another").transfers == ()


def test_what_runs_is_in_every_frame() -> None:
    desk = Desk(10, 20)
    desk.start(desk.transfers[0])
    desk.ledger.drain("b")
    assert [view.id for view in desk.ledger.drain("b").transfers] == ["t0"]


def test_bytes_are_summed_as_they_go_and_come_back_when_they_were_not_accepted() -> None:
    desk = Desk(100, 100)
    desk.start(desk.transfers[0])
    desk.book.progress(desk.transfers[0], 80, 30)
    sent = desk.batch.done_bytes
    desk.book.step(desk.transfers[0], E.BACK_OFF, failure=Failure(FailureKind.CONNECTION_LOST))
    desk.book.run_ended(desk.transfers[0])
    kept = desk.batch.done_bytes
    desk.book.start_over(desk.transfers[0])
    assert (sent, kept, desk.batch.done_bytes) == (80, 30, 0)


def test_a_batch_is_whole_only_when_every_file_is() -> None:
    desk = Desk(1_000_000_000, 0)
    desk.finish(desk.transfers[0])
    almost = desk.ledger.view(desk.batch).progress
    desk.finish(desk.transfers[1])
    assert (almost, desk.ledger.view(desk.batch).progress) == (0.999, 1.0)


def test_a_batch_of_empty_files_is_measured_by_files() -> None:
    desk = Desk(0, 0, 0, 0)
    desk.finish(desk.transfers[0])
    assert (desk.ledger.view(desk.batch).progress, desk.ledger.view(desk.batch).done_share) == (0.25, 0.25)


def test_speed_and_time_left_come_from_what_moved() -> None:
    desk = Desk(1000, 1000)
    desk.start(desk.transfers[0])
    for sent in range(0, 501, 50):
        desk.book.progress(desk.transfers[0], sent, sent)
        frame = desk.ledger.drain("b")
        desk.time += 0.5
    (batch,) = frame.batches
    low, high = batch.left_s or (0.0, 0.0)
    assert (batch.speed_bps, frame.transfers[0].speed_bps, low < 15.0 < high) == (100.0, 100.0, True)


@pytest.mark.parametrize(
    "link, state", [(Link.WAITING, B.WAITING), (Link.SIGN_IN, B.WAITING), (Link.READY, B.QUEUED)]
)
def test_what_is_queued_waits_when_its_server_is_in_trouble(link: Link, state: BatchState) -> None:
    desk = Desk(10)
    why = Failure(FailureKind.BUSY, "the server takes 5 uploads an hour")
    desk.ledger.gates["p"] = Gate(link=link, until=140.0, failure=why)
    view = desk.ledger.view(desk.batch)
    waits = state is B.WAITING
    assert (view.state, view.retry_at, view.trouble) == (
        state,
        140.0 if waits else None,
        why if waits else None,
    )


def test_a_batch_is_named_after_its_server() -> None:
    desk = Desk(10)
    desk.ledger.set_servers([ServerView("p", "lab", "http://lab", False, Link.READY)])
    assert desk.ledger.drain(None).batches[0].server == "lab"


def test_a_removed_batch_is_told_once() -> None:
    desk = Desk(10)
    desk.book.drop_batch("b")
    assert (desk.ledger.drain(None).removed_batches, desk.ledger.drain(None).removed_batches) == (("b",), ())


def test_the_totals_count_all_batches() -> None:
    desk = Desk(10, 20, 30, 40)
    desk.start(desk.transfers[0])
    desk.book.step(desk.transfers[1], E.PAUSE)
    desk.start(desk.transfers[2])
    desk.book.step(desk.transfers[2], E.FAIL, failure=Failure(FailureKind.FILE_GONE))
    totals = desk.ledger.drain(None).totals
    assert (totals.running, totals.waiting, totals.paused, totals.failed, totals.total_bytes) == (
        1,
        1,
        1,
        1,
        100,
    )


def test_the_journal_hears_of_durable_states_and_gets_the_whole_timeline() -> None:
    desk = Desk(10)
    desk.finish(desk.transfers[0])
    assert (desk.drawer.rows, desk.drawer.notes) == (
        [("t0", S.QUEUED), ("t0", S.COMPLETED)],
        ["queued", "preparing", "uploading", "completed"],
    )


def test_offsets_are_written_at_most_once_a_second() -> None:
    desk = Desk(1000)
    desk.start(desk.transfers[0])
    desk.drawer.rows.clear()
    for sent in range(100):
        desk.book.progress(desk.transfers[0], sent, sent)
        desk.time += 0.1
    assert 9 <= len(desk.drawer.rows) <= 11


def test_progress_after_a_pause_is_not_counted() -> None:
    desk = Desk(100)
    desk.start(desk.transfers[0])
    desk.book.progress(desk.transfers[0], 50, 50)
    desk.book.step(desk.transfers[0], E.PAUSE)
    desk.book.progress(desk.transfers[0], 90, 90)
    assert desk.batch.done_bytes == 50


def test_a_file_that_changed_size_changes_the_sum() -> None:
    desk = Desk(100)
    desk.book.resize(desk.transfers[0], 70, 5)
    assert (desk.batch.counts.total_bytes, desk.transfers[0].mtime_ns) == (70, 5)


def test_batches_come_in_the_order_in_which_they_were_made() -> None:
    desk = Desk(10)
    for number in range(20):
        desk.book.add_batch(Batch(f"later {number}", "Photos", "p", 101.0 + number))
    assert [view.id for view in desk.ledger.drain(None).batches] == ["b", *(f"later {n}" for n in range(20))]
