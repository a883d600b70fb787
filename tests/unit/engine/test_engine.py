"""Stories about the engine: what is dropped arrives, failures wait or end, and a new start goes on."""

import hashlib
from pathlib import Path

import pytest

from app.domain.events import BatchEnded, IntakeEnded
from app.domain.failure import Failure, FailureKind, RemoteGoneError, TransferError
from app.domain.state import BatchState, TransferState
from app.engine.engine import Limits
from tests.support.clock import until
from tests.support.engine_house import make_files, open_house
from tests.support.memory_server import MemoryServer

S, K = TransferState, FailureKind
MIB = 1024 * 1024


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


async def test_what_is_dropped_arrives_and_the_end_is_told_once(tmp_path: Path) -> None:
    server, folder = MemoryServer(), tmp_path / "Photos"
    make_files(folder, [0, 1, 70_000, 3 * MIB])
    make_files(folder / "day 2", [10, 20])
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(folder)
        await house.over(batch)
        told = [type(event) for event in house.events]
        assert (server.stored(), told, house.view(batch).state) == (
            digests(folder),
            [IntakeEnded, BatchEnded],
            BatchState.COMPLETED,
        )


async def test_progress_is_the_bytes_that_arrived(tmp_path: Path) -> None:
    server = MemoryServer()
    server.hold.clear()
    server.hold_at_bytes = 2 * MIB
    make_files(tmp_path / "Photos", [4 * MIB])
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(tmp_path / "Photos")
        await until(lambda: batch.done_bytes == 2 * MIB)
        seen = house.view(batch)
        assert (seen.progress, seen.done_bytes, seen.total_bytes) == (0.5, 2 * MIB, 4 * MIB)


async def test_a_lost_connection_is_tried_again_from_the_servers_offset(tmp_path: Path) -> None:
    server, folder = MemoryServer(), tmp_path / "Photos"
    make_files(folder, [3 * MIB])
    cuts = [TransferError(Failure(K.CONNECTION_LOST))]

    def cut(_: object) -> None:
        if cuts:
            raise cuts.pop()

    server.after_bytes = cut
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(folder)
        await house.reach(batch, S.WAITING)
        await house.clock.advance(1.0)
        await house.over(batch)
        assert (server.stored(), server.requests.count("block")) == (digests(folder), 3)


async def test_a_file_that_keeps_failing_has_failed_and_the_others_arrive(tmp_path: Path) -> None:
    server = MemoryServer()
    make_files(tmp_path / "Photos", [10, 10])
    server.faults = [TransferError(Failure(K.TOO_LARGE, limit_bytes=5))]
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.over(batch)
        failures = [t.failure.kind for t in house.rows(batch).values() if t.failure]
        assert (failures, house.view(batch).state) == ([K.TOO_LARGE], BatchState.PARTIAL)


async def test_a_server_that_is_away_costs_no_file_a_try(tmp_path: Path) -> None:
    server = MemoryServer()
    make_files(tmp_path / "Photos", [10] * 20)
    server.away = True
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.WAITING)
        for _ in range(30):
            await house.clock.advance(61.0)
        await until(lambda: batch.counts.running == 0 and house.clock.sleepers > 0)
        waited = house.view(batch).state
        server.away = False
        await house.clock.advance(61.0)
        await house.over(batch)
        assert (waited, house.view(batch).done_files) == (BatchState.WAITING, 20)


async def test_a_captive_portal_in_the_servers_place_is_waited_out(tmp_path: Path) -> None:
    server, folder = MemoryServer(), tmp_path / "Photos"
    make_files(folder, [10] * 3)
    server.faults = [TransferError(Failure(K.NOT_A_SERVER, "a login page"))]
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(folder)
        await house.clock.advance(1.0)
        await house.over(batch)
        assert server.stored() == digests(folder)


async def test_a_sign_in_that_is_wanted_keeps_the_queue_until_somebody_resumes(tmp_path: Path) -> None:
    server = MemoryServer()
    make_files(tmp_path / "Photos", [10] * 3)
    server.faults = [TransferError(Failure(K.SIGN_IN))]
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(tmp_path / "Photos")
        await until(lambda: house.engine.gate("profile").closed)
        await until(lambda: batch.counts.running == 0 and not batch.scanning)
        unfinished = batch.counts.unfinished
        house.engine.resume_batch(batch)
        await house.over(batch)
        assert (unfinished >= 1, batch.counts.files[S.COMPLETED]) == (True, 3)


async def test_a_partial_that_the_server_lost_begins_again_under_a_new_key(tmp_path: Path) -> None:
    server, folder = MemoryServer(), tmp_path / "Photos"
    make_files(folder, [100])
    server.faults = [RemoteGoneError()]
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(folder)
        await house.over(batch)
        (row,) = house.rows(batch).values()
        assert (server.stored(), row.key) == (digests(folder), f"{row.id}-1")


async def test_pause_keeps_what_arrived_and_resume_goes_on_there(tmp_path: Path) -> None:
    server, folder = MemoryServer(), tmp_path / "Photos"
    make_files(folder, [4 * MIB])
    server.hold.clear()
    server.hold_at_bytes = MIB
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(folder)
        await until(lambda: batch.done_bytes == MIB)
        house.engine.pause_batch(batch)
        paused = house.states(batch)
        server.hold.set()
        house.engine.resume_batch(batch)
        await house.over(batch)
        blocks = server.requests.count("block")
        assert (paused, server.stored(), blocks) == ({"f0": S.PAUSED}, digests(folder), 4)


async def test_a_file_that_changed_is_told_and_retried_as_it_is_now(tmp_path: Path) -> None:
    server = MemoryServer()
    (path,) = make_files(tmp_path / "Photos", [100]).values()
    server.away = True
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.WAITING)
        path.write_bytes(b"another content")
        server.away = False
        await house.clock.advance(2.0)
        await house.over(batch)
        (row,) = house.rows(batch).values()
        failed_as = row.failure.kind if row.failure else None
        await house.engine.again.retry([row])
        await house.over(batch)
        assert (failed_as, server.stored()) == (K.FILE_CHANGED, digests(tmp_path / "Photos"))


@pytest.mark.parametrize("sizes", [[0, 10, 3 * MIB], [10] * 50])
async def test_a_new_start_goes_on_and_sends_nothing_twice(tmp_path: Path, sizes: list[int]) -> None:
    server, folder = MemoryServer(), tmp_path / "Photos"
    make_files(folder, sizes)
    server.hold.clear()
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(folder)
        await until(lambda: not batch.scanning and batch.counts.files[S.UPLOADING] > 0)
    server.hold.set()
    async with open_house(tmp_path / "home", server) as house:
        (batch,) = house.engine.book.batches.values()
        await house.over(batch)
        assert (server.stored(), len(server.files)) == (digests(folder), len(sizes))


async def test_a_stalled_transfer_is_tried_again(tmp_path: Path) -> None:
    server = MemoryServer()
    make_files(tmp_path / "Photos", [2 * MIB])
    server.hold.clear()
    async with open_house(tmp_path / "home", server, limits=Limits(stall_s=0.05)) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.WAITING)
        (row,) = house.rows(batch).values()
        stalled = row.failure.kind if row.failure else None
        server.hold.set()
        house.engine.set_limits(Limits())
        await house.clock.advance(1.0)
        await house.over(batch)
        assert (stalled, row.state) == (K.STALLED, S.COMPLETED)
