"""Many files in one request: how a parcel is filled, what becomes of each file, and what happens when it is cut."""

import hashlib
import shutil
from pathlib import Path

import pytest

from app.domain.batch import Batch
from app.domain.failure import Failure, FailureKind, TransferError
from app.domain.state import BatchState, CancelEnding, TransferState
from app.domain.transfer import Transfer
from app.engine.engine import Limits
from app.journal.sqlite import SqliteJournal
from app.remote.base import ParcelLimits
from tests.support.clock import until
from tests.support.engine_house import House, make_files, open_house, settle
from tests.support.memory_server import MemoryServer, ParcelConnection

S, K = TransferState, FailureKind
MIB = 1024 * 1024
ONE = Limits(uploads_at_once=1)
LIMITS = ParcelLimits(100, 50 * MIB)


def parcel_server() -> MemoryServer:
    return MemoryServer(ParcelConnection)


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def row(house: House, batch: Batch, name: str = "f0") -> Transfer:
    return house.rows(batch)[name]


def failures(house: House, batch: Batch) -> dict[str, FailureKind]:
    return {name: each.failure.kind for name, each in house.rows(batch).items() if each.failure}


async def test_small_files_go_a_hundred_to_a_request_and_arrive(tmp_path: Path) -> None:
    server, folder = parcel_server(), tmp_path / "Photos"
    make_files(folder, [0, 1] * 125)
    async with open_house(tmp_path / "home", server, limits=ONE, parcel=LIMITS) as house:
        batch = house.drop(folder)
        await house.over(batch)
        assert (server.requests, server.stored(), house.view(batch).state) == (
            ["parcel 100", "parcel 100", "parcel 50"],
            digests(folder),
            BatchState.COMPLETED,
        )


async def test_a_parcel_holds_what_fits_and_at_least_one_file(tmp_path: Path) -> None:
    server, folder = parcel_server(), tmp_path / "Photos"
    make_files(folder, [3 * MIB, 30, 30, 80, 30])
    async with open_house(tmp_path / "home", server, limits=ONE, parcel=ParcelLimits(100, 100)) as house:
        await house.over(house.drop(folder))
        sizes = [outgoing.size_bytes for outgoing in server.sent]
        assert (server.requests, sizes) == (
            ["parcel 1", "parcel 2", "parcel 1", "parcel 1"],
            [3 * MIB, 30, 30, 80, 30],
        )


async def test_a_parcel_is_of_one_batch(tmp_path: Path) -> None:
    server = parcel_server()
    make_files(tmp_path / "Photos", [10] * 3)
    make_files(tmp_path / "Films", [10] * 2)
    server.hold.clear()
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        first, second = (
            house.drop(tmp_path / "Photos"),
            house.drop(tmp_path / "Films", name="Films", target="p1"),
        )
        await until(lambda: len(server.requests) == 2)
        server.hold.set()
        await house.over(first)
        await house.over(second)
        told = [(outgoing.batch_key, outgoing.target) for outgoing in server.sent]
        assert sorted(set(told), key=str) == [("batch-of-Films", "p1"), ("batch-of-Photos", None)]


async def test_what_the_server_would_refuse_is_not_sent(tmp_path: Path) -> None:
    server = parcel_server()
    make_files(tmp_path / "Photos", [10] * 4)
    server.refuses_before = {"f1": Failure(K.TOO_LARGE, limit_bytes=5)}
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.over(batch)
        assert (server.requests, failures(house, batch), sorted(server.stored())) == (
            ["parcel 3"],
            {"f1": K.TOO_LARGE},
            ["f0", "f2", "f3"],
        )


async def test_each_file_has_an_outcome_of_its_own(tmp_path: Path) -> None:
    server = parcel_server()
    make_files(tmp_path / "Photos", [10] * 3)
    server.refuses = {"f1": Failure(K.REFUSED, "not an image")}
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.over(batch)
        assert (failures(house, batch), house.view(batch).state, row(house, batch, "f1").begun_at) == (
            {"f1": K.REFUSED},
            BatchState.PARTIAL,
            None,
        )


async def test_a_file_that_has_gone_or_changed_fails_alone(tmp_path: Path) -> None:
    server, folder = parcel_server(), tmp_path / "Photos"
    made = make_files(folder, [10] * 4)
    server.away = True
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(folder)
        await house.reach(batch, S.WAITING, 4)
        made["f1"].unlink()
        made["f2"].write_bytes(b"another content")
        server.away = False
        await house.clock.advance(1.0)
        await house.over(batch)
        assert (failures(house, batch), sorted(server.stored())) == (
            {"f1": K.FILE_GONE, "f2": K.FILE_CHANGED},
            ["f0", "f3"],
        )


async def test_a_file_that_goes_while_the_request_is_sent_costs_the_others_nothing(tmp_path: Path) -> None:
    server, folder = parcel_server(), tmp_path / "Photos"
    made = make_files(folder, [10, 10, 10])
    server.hold.clear()
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(folder)
        await server.first_request()
        made["f1"].unlink()
        server.hold.set()
        await house.over(batch)
        attempts = [row(house, batch, name).attempts for name in ("f0", "f2")]
        assert (failures(house, batch), sorted(server.stored()), attempts) == (
            {"f1": K.FILE_GONE},
            ["f0", "f2"],
            [1, 1],
        )


async def test_a_request_that_failed_is_tried_again_as_a_whole(tmp_path: Path) -> None:
    server, folder = parcel_server(), tmp_path / "Photos"
    make_files(folder, [10] * 20)
    server.faults = [TransferError(Failure(K.SERVER_ERROR, http_status=500))]
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(folder)
        await house.reach(batch, S.WAITING, 20)
        await house.clock.advance(1.0)
        await house.over(batch)
        again = {outgoing.begun_at for outgoing in server.sent[20:]}
        assert (server.requests, server.stored(), again) == (
            ["parcel 20"] * 2,
            digests(folder),
            {1_000_000.0},
        )


async def test_a_server_that_is_busy_closes_the_gate_once_for_all(tmp_path: Path) -> None:
    server, folder = parcel_server(), tmp_path / "Photos"
    make_files(folder, [10] * 250)
    server.faults = [TransferError(Failure(K.BUSY, http_status=429, retry_after_s=900.0))]
    async with open_house(tmp_path / "home", server, limits=ONE, parcel=LIMITS) as house:
        batch = house.drop(folder)
        await house.reach(batch, S.WAITING, 100)
        waiting, begun = house.view(batch).retry_at, {t.begun_at for t in house.rows(batch).values()}
        await house.clock.advance(900.0)
        await house.over(batch)
        assert (waiting, begun, server.requests[1:]) == (
            1_000_900.0,
            {None},
            ["parcel 100", "parcel 100", "parcel 50"],
        )


@pytest.mark.parametrize("kind", [K.TOO_LARGE, K.TOO_MANY_FILES])
async def test_a_request_that_is_too_much_is_halved_and_no_file_fails_for_it(
    tmp_path: Path, kind: FailureKind
) -> None:
    """As a proxy does that takes less than the server behind it."""

    class Narrow(ParcelConnection):
        async def send_parcel(self, items):  # type: ignore[no-untyped-def]
            if sum(item.outgoing.size_bytes for item in items) > 300 or len(items) > 30:
                server.faults = [TransferError(Failure(kind, http_status=413))]
            return await super().send_parcel(items)

    server, folder = MemoryServer(Narrow), tmp_path / "Photos"
    make_files(folder, [10] * 100 + [301])
    async with open_house(tmp_path / "home", server, limits=ONE, parcel=ParcelLimits(1000, MIB)) as house:
        batch = house.drop(folder)
        await house.over(batch)
        tries = {each.attempts for each in house.rows(batch).values()}
        assert (failures(house, batch), len(server.stored()), tries) == ({"f100": kind}, 100, {1})


@pytest.mark.parametrize(
    "failure, begun_at",
    [
        (Failure(K.UNREACHABLE), None),
        (Failure(K.SIGN_IN, http_status=401), None),
        (Failure(K.BUSY, http_status=420), None),
        (Failure(K.BUSY, http_status=503), 1_000_000.0),
        (Failure(K.CONNECTION_LOST), 1_000_000.0),
        (Failure(K.SERVER_ERROR, http_status=500), 1_000_000.0),
    ],
)
async def test_only_what_may_have_arrived_is_looked_for(
    tmp_path: Path, failure: Failure, begun_at: float | None
) -> None:
    server = parcel_server()
    make_files(tmp_path / "Photos", [10, 10])
    server.faults = [TransferError(failure)]
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.WAITING, 2)
        assert {each.begun_at for each in house.rows(batch).values()} == {begun_at}


async def test_a_later_connection_that_fails_does_not_make_it_forget(tmp_path: Path) -> None:
    """As an adapter has it that asks for something more once its request was answered."""

    class Asks(ParcelConnection):
        async def send_parcel(self, items):  # type: ignore[no-untyped-def]
            sent = await super().send_parcel(items)
            server.ask("and then")
            return sent

    server, folder = MemoryServer(Asks), tmp_path / "Photos"
    make_files(folder, [10, 10])
    server.hold_answer.clear()
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(folder)
        await house.reach(batch, S.PROCESSING, 2)
        server.away = True
        server.hold_answer.set()
        await house.reach(batch, S.WAITING, 2)
        server.away = False
        await house.clock.advance(1.0)
        await house.over(batch)
        assert (len(server.files), server.stored()) == (2, digests(folder))


async def test_an_answer_that_was_lost_makes_no_second_file(tmp_path: Path) -> None:
    server, folder = parcel_server(), tmp_path / "Photos"
    make_files(folder, [10] * 5)
    server.loses_answers = 1
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(folder)
        await house.reach(batch, S.WAITING, 5)
        await until(lambda: batch.done_bytes == 0)
        await house.clock.advance(1.0)
        await house.over(batch)
        left = {t.begun_at for t in house.rows(batch).values()}
        assert (len(server.files), server.stored(), left) == (5, digests(folder), {None})


async def test_a_program_that_was_killed_looks_before_it_sends_again(tmp_path: Path) -> None:
    server, folder = parcel_server(), tmp_path / "Photos"
    make_files(folder, [10] * 5)
    server.hold_answer.clear()
    server.stores_after_abort = True
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(folder)
        await house.reach(batch, S.PROCESSING, 5)
        shutil.copytree(tmp_path / "home", tmp_path / "killed")  # as kill -9 leaves it
    server.hold_answer.set()
    async with open_house(tmp_path / "killed", server, parcel=LIMITS) as house:
        await house.over(house.batch)
        assert (len(server.files), server.stored(), {each.begun_at for each in server.sent[5:]}) == (
            5,
            digests(folder),
            {1_000_000.0},
        )


async def test_that_a_request_goes_out_is_on_disk_before_its_first_byte(tmp_path: Path) -> None:
    server = parcel_server()
    make_files(tmp_path / "Photos", [10] * 3)
    server.hold.clear()
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(tmp_path / "Photos")
        await server.first_request()
        other = SqliteJournal(tmp_path / "home" / "journal.sqlite3")
        await other.open()
        on_disk = {each.begun_at for each in await other.transfers(batch.id)}
        await other.close()
        first = {each.begun_at for each in server.sent}
        assert (on_disk, first) == ({1_000_000.0}, {None})


async def test_other_programs_see_that_a_parcel_is_sent_and_then_that_the_server_has_it(
    tmp_path: Path,
) -> None:
    server = parcel_server()
    make_files(tmp_path / "Photos", [10] * 3)
    server.hold.clear()
    server.hold_answer.clear()
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(tmp_path / "Photos")
        other = SqliteJournal(tmp_path / "home" / "journal.sqlite3")
        await other.open()
        await server.first_request()
        told = [{each.state for each in await other.transfers(batch.id)}]
        server.hold.set()
        await until(lambda: house.states(batch)["f2"] is S.PROCESSING)
        await house.engine.book.written()
        told.append({each.state for each in await other.transfers(batch.id)})
        await other.close()
        server.hold_answer.set()
        await house.over(batch)
    assert told == [{S.UPLOADING}, {S.PROCESSING}]


async def test_pausing_one_file_sends_the_others_again_at_once(tmp_path: Path) -> None:
    server = parcel_server()
    make_files(tmp_path / "Photos", [10] * 4)
    server.hold.clear()
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(tmp_path / "Photos")
        await server.first_request()
        house.engine.pause([row(house, batch, "f1")])
        server.hold.set()
        await house.reach(batch, S.COMPLETED, 3)
        paused = row(house, batch, "f1")
        tries = {each.attempts for each in house.rows(batch).values() if each is not paused}
        assert (server.requests, tries, paused.state, paused.begun_at, len(server.files)) == (
            ["parcel 4", "parcel 3"],
            {1},
            S.PAUSED,
            None,
            3,
        )


async def test_cancelling_one_file_sends_the_others_again_at_once(tmp_path: Path) -> None:
    server = parcel_server()
    make_files(tmp_path / "Photos", [10] * 4)
    server.hold.clear()
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(tmp_path / "Photos")
        await server.first_request()
        house.engine.cancel(batch, [row(house, batch, "f1")])
        server.hold.set()
        await house.over(batch)
        cancelled = row(house, batch, "f1")
        assert (sorted(server.stored()), cancelled.state, cancelled.ending, cancelled.answer) == (
            ["f0", "f2", "f3"],
            S.CANCELLED,
            CancelEnding.HERE_ONLY,
            "nothing_stored",
        )


async def test_a_parcel_that_was_cut_before_it_began_is_not_lost(tmp_path: Path) -> None:
    server = parcel_server()
    make_files(tmp_path / "Photos", [10] * 4)
    async with open_house(
        tmp_path / "home", server, limits=Limits(uploads_at_once=0), parcel=LIMITS
    ) as house:
        batch = house.drop(tmp_path / "Photos")
        await until(lambda: not batch.scanning)
        house.engine.set_limits(ONE)  # the parcel's task is made, and has not run yet
        house.engine.pause([row(house, batch, "f1")])
        await house.reach(batch, S.COMPLETED, 3)
        assert (server.requests, row(house, batch, "f1").state) == (["parcel 3"], S.PAUSED)


async def test_what_is_resumed_or_retried_together_goes_together(tmp_path: Path) -> None:
    server, folder = parcel_server(), tmp_path / "Photos"
    make_files(folder, [10] * 50)
    server.refuses = {f"f{number}": Failure(K.REFUSED) for number in range(50)}
    async with open_house(
        tmp_path / "home", server, limits=Limits(uploads_at_once=0), parcel=LIMITS
    ) as house:
        batch = house.drop(folder)
        await until(lambda: not batch.scanning)
        house.engine.pause_batch(batch)
        house.engine.set_limits(Limits())
        house.engine.resume_batch(batch)
        await house.over(batch)
        server.refuses = {}
        await house.engine.again.retry(list(house.rows(batch).values()))
        await house.over(batch)
        assert (server.requests, server.stored()) == (["parcel 50"] * 2, digests(folder))


async def test_a_scan_that_goes_on_waits_for_whole_parcels(tmp_path: Path) -> None:
    server = parcel_server()
    make_files(tmp_path / "Photos", [10] * 1300)
    async with open_house(tmp_path / "home", server, parcel=ParcelLimits(1000, 100 * MIB)) as house:
        await house.over(house.drop(tmp_path / "Photos"))
        assert sorted(server.requests) == ["parcel 1000", "parcel 300"]


async def test_each_file_shows_its_own_progress(tmp_path: Path) -> None:
    server = parcel_server()
    make_files(tmp_path / "Photos", [2 * MIB, 2 * MIB])
    server.hold.clear()
    server.hold_at_bytes = MIB
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(tmp_path / "Photos")
        await until(lambda: batch.done_bytes == MIB)
        house.ledger.drain(batch.id)
        seen = {view.name: (view.state, view.done_bytes) for view in house.ledger.drain(batch.id).transfers}
        assert seen == {"f0": (S.UPLOADING, MIB), "f1": (S.UPLOADING, 0)}


async def test_a_request_in_which_nothing_moves_is_cut_and_tried_again(tmp_path: Path) -> None:
    server = parcel_server()
    make_files(tmp_path / "Photos", [10] * 3)
    server.hold.clear()
    async with open_house(tmp_path / "home", server, limits=Limits(stall_s=0.05), parcel=LIMITS) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.WAITING, 3)
        stalled = set(failures(house, batch).values())
        server.hold.set()
        house.engine.set_limits(Limits())
        await house.clock.advance(1.0)
        await house.over(batch)
        assert (stalled, len(server.files)) == ({K.STALLED}, 3)


async def test_a_new_start_sends_a_parcel_that_was_stopped(tmp_path: Path) -> None:
    server, folder = parcel_server(), tmp_path / "Photos"
    make_files(folder, [10] * 30)
    server.hold.clear()
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        house.drop(folder)
        await server.first_request()
    server.hold.set()
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        await house.over(house.batch)
        assert (server.requests, server.stored()) == (["parcel 30"] * 2, digests(folder))


@pytest.mark.parametrize("size", [10, 3 * MIB])
async def test_a_request_that_is_repeated_reads_its_files_anew(tmp_path: Path, size: int) -> None:
    """As an adapter does whose token was refused after it had sent everything."""

    class Twice(ParcelConnection):
        async def send_parcel(self, items):  # type: ignore[no-untyped-def]
            await self._receive(items)
            for item in items:
                await item.feed.seek(0)
            return await super().send_parcel(items)

    server, folder = MemoryServer(Twice), tmp_path / "Photos"
    make_files(folder, [size, size])
    async with open_house(tmp_path / "home", server, parcel=LIMITS) as house:
        batch = house.drop(folder)
        await house.over(batch)
        assert (server.stored(), house.view(batch).done_bytes) == (digests(folder), 2 * size)


async def test_a_server_that_announces_many_at_once_hears_what_comes_next(tmp_path: Path) -> None:
    server = MemoryServer()
    make_files(tmp_path / "Photos", [10] * 150)
    server.hold.clear()
    async with open_house(tmp_path / "home", server, limits=ONE) as house:
        batch = house.drop(tmp_path / "Photos")
        await until(lambda: not batch.scanning and bool(server.sent))
        await settle()
        next_ones = [each.relative_path for each in server.sent[0].neighbours()]
        order = [each.relative_path for each in house.engine.book.members[batch.id]]
        assert (next_ones, batch.counts.files[S.QUEUED]) == (order[1:100], 149)
