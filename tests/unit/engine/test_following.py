"""Files that their server works on after they have arrived: shown, followed to their end, and again after a new start."""

import hashlib
from pathlib import Path

import pytest

from app.domain.batch import Batch
from app.domain.events import BatchEnded
from app.domain.failure import Failure, FailureKind, TransferError
from app.domain.state import BatchState, CancelEnding, TransferState
from app.domain.transfer import Transfer
from app.engine.engine import Limits
from app.remote.base import ParcelLimits, RemoteState
from tests.support.clock import until
from tests.support.engine_house import House, make_files, open_house
from tests.support.memory_server import (
    MemoryConnection,
    MemoryServer,
    ParcelConnection,
    StoredFile,
    WorkingConnection,
)

S, K, R = TransferState, FailureKind, RemoteState
ONE = Limits(uploads_at_once=1)
PARCEL = ParcelLimits(1000, 100_000_000)


def working_server(connections: type = WorkingConnection) -> MemoryServer:
    server = MemoryServer(connections)
    server.processes = True
    return server


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def row(house: House, batch: Batch, name: str = "f0") -> Transfer:
    return house.rows(batch)[name]


def show(server: MemoryServer, stage: str, share: float | None, path: str = "f0") -> None:
    file = server.by_path(path)
    file.stage, file.stage_share = stage, share
    server.changed.set()


async def test_what_arrived_is_done_only_when_the_server_says_so(tmp_path: Path) -> None:
    server, folder = working_server(), tmp_path / "Photos"
    make_files(folder, [10, 20, 30])
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(folder)
        await house.reach(batch, S.PROCESSING, 3)
        before = house.view(batch)
        ended = [event for event in house.events if isinstance(event, BatchEnded)]
        server.end_processing()
        await house.over(batch)
        assert (before.state, before.finished_at, ended, house.view(batch).state, server.stored()) == (
            BatchState.PROCESSING,
            None,
            [],
            BatchState.COMPLETED,
            digests(folder),
        )


async def test_a_file_that_is_worked_on_holds_no_place(tmp_path: Path) -> None:
    server = working_server()
    make_files(tmp_path / "Photos", [10] * 5)
    async with open_house(tmp_path / "home", server, limits=ONE) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.PROCESSING, 5)
        assert house.view(batch).total_bytes == house.view(batch).done_bytes == 50


@pytest.mark.parametrize("connections", [WorkingConnection, ParcelConnection])
async def test_the_stage_is_shown_and_may_go_back(tmp_path: Path, connections: type) -> None:
    server = working_server(connections)
    make_files(tmp_path / "Photos", [10])
    parcel = PARCEL if connections is ParcelConnection else None
    async with open_house(tmp_path / "home", server, parcel=parcel) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.PROCESSING)
        steps = [("analysing", 0.4), ("analysing", 0.12), ("embedding", 1.5), ("assembling", None)]
        shown = [("analysing", 0.4), ("analysing", 0.12), ("embedding", 1.0), ("assembling", None)]
        for step, expected in zip(steps, shown, strict=True):
            show(server, *step)
            await until(
                lambda expected=expected: (row(house, batch).stage, row(house, batch).stage_share) == expected
            )
        server.end_processing()
        await house.over(batch)
        after = row(house, batch).view()
        assert (after.state, after.stage, after.stage_share) == (S.COMPLETED, "", None)


@pytest.mark.parametrize(
    "state, ends",
    [
        (R.FAILED, (S.FAILED, Failure(K.PROCESSING_FAILED, "not an image"), None)),
        (R.CANCELLED, (S.CANCELLED, None, CancelEnding.CANCELLED)),
        (R.UNKNOWN, (S.FAILED, Failure(K.REMOTE_GONE), None)),
    ],
)
async def test_every_end_of_the_servers_work_is_told(
    tmp_path: Path, state: RemoteState, ends: object
) -> None:
    server = working_server()
    make_files(tmp_path / "Photos", [10])
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.PROCESSING)
        server.end_processing(state, "not an image")
        await house.over(batch)
        end = row(house, batch)
        assert (end.state, end.failure, end.ending) == ends


async def test_a_retry_of_what_the_server_could_not_process_is_a_new_upload(tmp_path: Path) -> None:
    server = working_server()
    make_files(tmp_path / "Photos", [10])
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.PROCESSING)
        server.end_processing(R.FAILED, "out of memory")
        await house.over(batch)
        server.processes = False
        await house.engine.again.retry([row(house, batch)])
        await house.over(batch)
        assert ([file.state for file in server.files.values()], row(house, batch).generation) == (
            [R.FAILED, R.STORED],
            1,
        )


async def test_bytes_that_are_missing_at_the_server_are_sent_again(tmp_path: Path) -> None:
    server, folder = working_server(), tmp_path / "Photos"
    make_files(folder, [10])
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(folder)
        await house.reach(batch, S.PROCESSING)
        server.by_path("f0").content.clear()
        server.end_processing(R.UNFINISHED)
        await house.reach(batch, S.WAITING)
        shown = row(house, batch).done_bytes
        server.processes = False
        await house.clock.advance(1.0)
        await house.over(batch)
        assert (shown, server.stored(), len(server.files)) == (0, digests(folder), 1)


async def test_a_network_that_is_away_costs_no_file_anything(tmp_path: Path) -> None:
    server = working_server()
    make_files(tmp_path / "Photos", [10] * 3)
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.PROCESSING, 3)
        server.away = True
        server.end_processing()
        for looks in range(2, 7):
            await until(lambda looks=looks: len(server.asked("look")) == looks)
            await house.clock.advance(61.0)
        await until(lambda: len(server.asked("look")) == 7)
        still = dict(batch.counts.files)
        server.away = False
        await house.clock.advance(61.0)
        await house.over(batch)
        assert (still[S.PROCESSING], house.view(batch).state) == (3, BatchState.COMPLETED)


async def test_a_sign_in_that_is_wanted_stops_the_looking_until_somebody_resumes(tmp_path: Path) -> None:
    server = working_server()
    make_files(tmp_path / "Photos", [10])

    class Asks(WorkingConnection):
        async def look_many(self, remote_ids):  # type: ignore[no-untyped-def]
            if server.faults:
                raise server.faults.pop(0)
            return await super().look_many(remote_ids)

    server.connections = Asks
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.PROCESSING)
        await until(lambda: bool(server.asked("news")))
        server.faults = [TransferError(Failure(K.SIGN_IN, http_status=401))]
        server.end_processing()
        await until(lambda: house.engine.gate("profile").closed)
        waiting = (row(house, batch).state, house.clock.sleepers)
        house.engine.resume_batch(batch)
        house.engine.open_gate("profile")
        await house.over(batch)
        assert (waiting, row(house, batch).state) == ((S.PROCESSING, 0), S.COMPLETED)


@pytest.mark.parametrize("connections", [WorkingConnection, ParcelConnection])
async def test_a_new_start_follows_and_sends_not_a_byte(tmp_path: Path, connections: type) -> None:
    server = working_server(connections)
    make_files(tmp_path / "Photos", [10] * 450)
    parcel = PARCEL if connections is ParcelConnection else None
    async with open_house(tmp_path / "home", server, parcel=parcel) as house:
        await house.reach(house.drop(tmp_path / "Photos"), S.PROCESSING, 450)
    server.requests.clear()
    async with open_house(tmp_path / "home", server, parcel=parcel) as house:
        await until(lambda: bool(server.asked("news")))
        looks = server.asked("look")
        at_start = house.view(house.batch).state
        server.end_processing()
        await house.over(house.batch)
        sent = [each for each in server.requests if each.startswith(("send", "block", "parcel"))]
        assert (looks, at_start, sent, house.view(house.batch).done_files) == (
            ["look at 200", "look at 200", "look at 50"],
            BatchState.PROCESSING,
            [],
            450,
        )


async def test_where_the_server_tells_nothing_of_it_the_file_is_sent_again(tmp_path: Path) -> None:
    """A journal of a program that could follow, and a server that no longer says anything."""
    server, folder = working_server(), tmp_path / "Photos"
    make_files(folder, [10])
    async with open_house(tmp_path / "home", server) as house:
        await house.reach(house.drop(folder), S.PROCESSING)
    server.connections, server.processes = MemoryConnection, False
    server.files.clear()
    server.files["file-0"] = StoredFile("file-0", "", "f0", None, 10)
    async with open_house(tmp_path / "home", server) as house:
        await house.clock.advance(1.0)
        await house.over(house.batch)
        assert server.stored() == digests(folder)


async def test_looks_grow_rarer_while_nothing_moves(tmp_path: Path) -> None:
    server = working_server()
    make_files(tmp_path / "Photos", [10])
    async with open_house(tmp_path / "home", server) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.PROCESSING)
        for count in range(1, 5):
            await until(lambda count=count: len(server.asked("news")) == count)
            server.changed.set()
        show(server, "analysing", 0.5)
        await until(lambda: row(house, batch).stage == "analysing" and not server.changed.is_set())
        pauses = [float(each.removeprefix("news ")) for each in server.asked("news")]
        assert (pauses[:4], pauses[-1]) == ([3.0, 4.5, 5.0, 5.0], 2.0)


async def test_a_server_that_could_say_more_but_works_on_nothing_is_done_at_once(tmp_path: Path) -> None:
    server = MemoryServer(WorkingConnection)
    make_files(tmp_path / "Photos", [10] * 3)
    async with open_house(tmp_path / "home", server) as house:
        await house.over(house.drop(tmp_path / "Photos"))
        assert server.asked("look at") == []
