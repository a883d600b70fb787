"""Cancel with a confirmed ending: each of the four, for a file and for a batch, before, during, after, twice."""

from pathlib import Path

import pytest

from app.domain.batch import Batch
from app.domain.events import CancelEnded
from app.domain.failure import Failure, FailureKind, TransferError
from app.domain.state import BatchState, CancelEnding, TransferState
from app.domain.transfer import Transfer
from app.engine.engine import Limits
from app.remote.base import CancelAnswer, RemoteState
from tests.support.clock import until
from tests.support.engine_house import House, make_files, open_house, settle
from tests.support.memory_server import MemoryConnection, MemoryServer, StoredFile

S, E = TransferState, CancelEnding
MIB = 1024 * 1024


def endings(house: House, batch: Batch) -> dict[str, tuple[TransferState, CancelEnding | None]]:
    return {name: (row.state, row.ending) for name, row in house.rows(batch).items()}


def row(house: House, batch: Batch, name: str = "f0") -> Transfer:
    return house.rows(batch)[name]


def told(house: House) -> list[tuple[bool, tuple[tuple[str, int], ...]]]:
    return [(event.whole_batch, event.counts) for event in house.events if isinstance(event, CancelEnded)]


def held_server() -> MemoryServer:
    server = MemoryServer()
    server.hold.clear()
    server.hold_at_bytes = MIB
    return server


async def uploading(house: House, folder: Path, sizes: list[int]) -> Batch:
    make_files(folder, sizes)
    batch = house.drop(folder)
    await until(lambda: not batch.scanning and row(house, batch).offset_bytes == MIB)
    return batch


async def test_the_rows_are_cancelling_before_anything_is_awaited(tmp_path: Path) -> None:
    async with open_house(tmp_path / "home", held_server()) as house:
        batch = await uploading(house, tmp_path / "Photos", [4 * MIB, 10])
        house.ledger.drain(batch.id)
        house.engine.cancel(batch, [row(house, batch)])
        frame = house.ledger.drain(batch.id)
        assert [view.state for view in frame.transfers if view.name == "f0"] == [S.CANCELLING]


async def test_one_file_is_cancelled_and_the_server_confirms(tmp_path: Path) -> None:
    server = held_server()
    async with open_house(tmp_path / "home", server) as house:
        batch = await uploading(house, tmp_path / "Photos", [4 * MIB, 10])
        house.engine.cancel(batch, [row(house, batch)])
        await until(lambda: row(house, batch).state is S.CANCELLED)
        server.hold.set()
        await house.over(batch)
        assert (endings(house, batch), list(server.stored()), row(house, batch).answer) == (
            {"f0": (S.CANCELLED, E.CANCELLED), "f1": (S.COMPLETED, None)},
            ["f1"],
            "Upload cancelled successfully",
        )


async def test_a_batch_is_cancelled_by_one_request_and_nothing_is_left(tmp_path: Path) -> None:
    server = held_server()
    async with open_house(tmp_path / "home", server) as house:
        batch = await uploading(house, tmp_path / "Photos", [4 * MIB] * 3 + [10] * 300)
        house.engine.cancel(batch)
        await house.over(batch)
        asked = [request for request in server.requests if request.startswith("cancel")]
        left = [file for file in server.files.values() if file.state is not RemoteState.CANCELLED]
        assert (asked, left, house.view(batch).state) == (["cancel batch batch-0"], [], BatchState.CANCELLED)


async def test_a_file_that_was_complete_before_the_cancel_finished_first(tmp_path: Path) -> None:
    server = held_server()
    async with open_house(tmp_path / "home", server) as house:
        batch = await uploading(house, tmp_path / "Photos", [4 * MIB])
        file = server.files[row(house, batch).remote_id or ""]
        file.state = RemoteState.STORED
        house.engine.cancel(batch)
        await house.over(batch)
        assert (endings(house, batch), told(house)) == (
            {"f0": (S.COMPLETED, E.FINISHED_FIRST)},
            [(True, (("finished_first", 1),))],
        )


@pytest.mark.parametrize("whole_batch", [True, False])
async def test_a_lost_answer_is_found_by_its_key(tmp_path: Path, whole_batch: bool) -> None:
    server = MemoryServer()
    make_files(tmp_path / "Photos", [10])
    server.faults = [TransferError(Failure(FailureKind.CONNECTION_LOST))]
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.WAITING)
        lost = row(house, batch)
        server.files["x"] = StoredFile("x", lost.key, "f0", "batch-0", 10, RemoteState.STORED)
        house.engine.cancel(batch, None if whole_batch else [lost])
        await house.over(batch)
        assert endings(house, batch) == {"f0": (S.COMPLETED, E.FINISHED_FIRST)}


async def test_what_was_never_sent_is_cancelled_without_a_request(tmp_path: Path) -> None:
    server = MemoryServer()
    make_files(tmp_path / "Photos", [10] * 3)
    async with open_house(tmp_path / "home", server, limits=Limits(uploads_at_once=0)) as house:
        batch = house.drop(tmp_path / "Photos")
        await until(lambda: not batch.scanning)
        house.engine.cancel(batch)
        await house.over(batch)
        assert (server.requests, house.view(batch).state) == ([], BatchState.CANCELLED)


class OddAnswers(MemoryConnection):
    """Its first answer to a cancel is one that no adapter foresaw."""

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        if "cancel, oddly" not in self._server.requests:
            self._server.ask("cancel, oddly")
            raise OverflowError("signed integer is greater than maximum")
        return await super().cancel_file(remote_id)


@pytest.mark.expects_log
async def test_an_answer_that_nobody_foresaw_stops_no_other_file(tmp_path: Path) -> None:
    server = held_server()
    server.connections = OddAnswers
    async with open_house(tmp_path / "home", server) as house:
        batch = await uploading(house, tmp_path / "Photos", [4 * MIB, 10])
        house.engine.cancel(batch, [row(house, batch)])
        await until(lambda: row(house, batch).ending is E.CLEANUP_PENDING)
        await house.clock.advance(1.0)
        await until(lambda: row(house, batch).ending is not E.CLEANUP_PENDING)
        server.hold.set()
        await house.over(batch)
        assert endings(house, batch) == {"f0": (S.CANCELLED, E.CANCELLED), "f1": (S.COMPLETED, None)}


async def test_a_server_that_is_away_gets_its_cancel_later(tmp_path: Path) -> None:
    server = held_server()
    async with open_house(tmp_path / "home", server) as house:
        batch = await uploading(house, tmp_path / "Photos", [4 * MIB])
        server.away = True
        house.engine.cancel(batch)
        await house.over(batch)
        pending = endings(house, batch)["f0"]
        server.away = False
        await house.clock.advance(1.0)
        await until(lambda: row(house, batch).ending is not E.CLEANUP_PENDING)
        assert (pending, endings(house, batch)["f0"], [file.state for file in server.files.values()]) == (
            (S.CANCELLED, E.CLEANUP_PENDING),
            (S.CANCELLED, E.CANCELLED),
            [RemoteState.CANCELLED],
        )


@pytest.mark.parametrize("whole_batch", [True, False])
async def test_a_cancel_survives_the_program(tmp_path: Path, whole_batch: bool) -> None:
    server = held_server()
    async with open_house(tmp_path / "home", server) as house:
        batch = await uploading(house, tmp_path / "Photos", [4 * MIB])
        server.away = True
        house.engine.cancel(batch, None if whole_batch else [row(house, batch)])
        await house.over(batch)
    server.away = False
    async with open_house(tmp_path / "home", server) as house:
        (batch,) = house.engine.book.batches.values()
        await until(lambda: row(house, batch).ending is E.CANCELLED)
        await until(
            lambda: not [file for file in server.files.values() if file.state is not RemoteState.CANCELLED]
        )
    assert [file.state for file in server.files.values()] == [RemoteState.CANCELLED]


async def test_a_cancel_can_be_taken_back_before_it_is_sent(tmp_path: Path) -> None:
    server = held_server()
    async with open_house(tmp_path / "home", server, limits=Limits(undo_cancel_s=5.0)) as house:
        batch = await uploading(house, tmp_path / "Photos", [4 * MIB, 10])
        house.engine.cancel(batch)
        await settle()
        taken_back = house.engine.undo_cancel()
        server.hold.set()
        await house.over(batch)
        asked = [request for request in server.requests if request.startswith("cancel")]
        assert (taken_back, asked, house.view(batch).state) == (2, [], BatchState.COMPLETED)


async def test_after_the_time_to_undo_the_cancel_goes_out(tmp_path: Path) -> None:
    server = held_server()
    async with open_house(tmp_path / "home", server, limits=Limits(undo_cancel_s=5.0)) as house:
        batch = await uploading(house, tmp_path / "Photos", [4 * MIB])
        house.engine.cancel(batch)
        await house.clock.advance(5.0)
        await house.over(batch)
        assert endings(house, batch) == {"f0": (S.CANCELLED, E.CANCELLED)}


async def test_cancel_twice_asks_once(tmp_path: Path) -> None:
    server = held_server()
    async with open_house(tmp_path / "home", server) as house:
        batch = await uploading(house, tmp_path / "Photos", [4 * MIB])
        house.engine.cancel(batch)
        house.engine.cancel(batch)
        await house.over(batch)
        house.engine.cancel(batch)
        await settle()
        assert [request for request in server.requests if request.startswith("cancel")] == [
            "cancel batch batch-0"
        ]


async def test_a_scan_that_still_runs_ends_with_its_batch(tmp_path: Path) -> None:
    server = held_server()
    make_files(tmp_path / "Photos", [10] * 1500)
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(tmp_path / "Photos")
        await until(lambda: batch.counts.total_files > 0)
        house.engine.cancel(batch)
        await house.over(batch)
        assert (batch.scanning, house.view(batch).state) == (False, BatchState.CANCELLED)


async def test_a_cancelled_file_can_be_sent_again_from_zero(tmp_path: Path) -> None:
    server = held_server()
    async with open_house(tmp_path / "home", server) as house:
        batch = await uploading(house, tmp_path / "Photos", [4 * MIB])
        house.engine.cancel(batch, [row(house, batch)])
        await house.over(batch)
        server.hold.set()
        await house.engine.again.retry([row(house, batch)])
        await house.over(batch)
        assert (list(server.stored()), endings(house, batch)) == (["f0"], {"f0": (S.COMPLETED, None)})


async def test_a_cancel_by_somebody_else_is_believed(tmp_path: Path) -> None:
    server = held_server()
    async with open_house(tmp_path / "home", server) as house:
        batch = await uploading(house, tmp_path / "Photos", [4 * MIB])
        server.files[row(house, batch).remote_id or ""].state = RemoteState.CANCELLED
        server.hold.set()
        await house.over(batch)
        assert (endings(house, batch), row(house, batch).answer) == (
            {"f0": (S.CANCELLED, E.CANCELLED)},
            "cancelled_elsewhere",
        )


async def test_after_a_crash_a_batch_is_cancelled_without_asking_for_each_file(tmp_path: Path) -> None:
    server = held_server()
    async with open_house(tmp_path / "home", server) as house:
        await uploading(house, tmp_path / "Photos", [4 * MIB] + [10] * 200)
    async with open_house(tmp_path / "home", server, limits=Limits(uploads_at_once=0)) as house:
        (batch,) = house.engine.book.batches.values()
        server.requests.clear()
        house.engine.cancel(batch)
        await house.over(batch)
        assert (len(server.requests) < 20, house.view(batch).state) == (True, BatchState.CANCELLED)


async def test_a_cancel_that_is_taken_back_gives_the_scan_back_too(tmp_path: Path) -> None:
    server = held_server()
    make_files(tmp_path / "Photos", [10] * 1500)
    async with open_house(tmp_path / "home", server, limits=Limits(undo_cancel_s=5.0)) as house:
        batch = house.drop(tmp_path / "Photos")
        await until(lambda: batch.counts.total_files > 0)
        house.engine.cancel(batch)
        await settle()
        house.engine.undo_cancel()
        server.hold.set()
        await house.over(batch)
        assert house.view(batch).done_files == 1500
