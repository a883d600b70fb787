"""Cancel where the server has its own ideas: batches of its own, no cancel at all, work that goes on, late arrivals."""

from pathlib import Path

import pytest

from app.domain.batch import Batch
from app.domain.events import CancelEnded
from app.domain.state import CancelEnding, TransferState
from app.domain.transfer import Transfer
from app.engine.engine import Limits
from app.engine.verdicts import LATE_AFTER_S, READ_BACK_AFTER_S
from app.remote.base import CancelAnswer, ParcelLimits, RemoteState
from tests.support.clock import until
from tests.support.engine_house import House, make_files, open_house
from tests.support.memory_server import (
    MemoryServer,
    ParcelBatchConnection,
    ParcelConnection,
    WorkingConnection,
)

S, E, R = TransferState, CancelEnding, RemoteState
PARCEL = ParcelLimits(100, 100_000_000)
NOT_DONE = CancelAnswer(500, "Internal Server Error")


def row(house: House, batch: Batch, name: str = "f0") -> Transfer:
    return house.rows(batch)[name]


def ends(house: House, batch: Batch) -> set[tuple[TransferState, CancelEnding | None, str]]:
    return {(each.state, each.ending, each.answer) for each in house.rows(batch).values()}


def told(house: House) -> list[CancelEnded]:
    return [event for event in house.events if isinstance(event, CancelEnded)]


def working_server(connections: type) -> MemoryServer:
    server = MemoryServer(connections)
    server.processes = True
    return server


async def in_processing(house: House, folder: Path, files: int) -> Batch:
    make_files(folder, [10] * files)
    batch = house.drop(folder)
    await house.reach(batch, S.PROCESSING, files)
    return batch


async def let_it_read_back(house: House) -> None:
    for seconds in READ_BACK_AFTER_S:
        await house.clock.advance(seconds)


async def test_a_batch_that_became_several_there_takes_one_request_each(tmp_path: Path) -> None:
    server = working_server(ParcelBatchConnection)
    async with open_house(tmp_path / "home", server, parcel=PARCEL) as house:
        batch = await in_processing(house, tmp_path / "Photos", 250)
        server.requests.clear()
        house.engine.cancel(batch)
        await house.over(batch)
        assert (sorted(server.asked("cancel")), server.asked("look"), ends(house, batch), batch.ending) == (
            [f"cancel batch parcel-{number}" for number in (1, 2, 3)],
            ["look at 200", "look at 50"],
            {(S.CANCELLED, E.CANCELLED, "Batch upload cancelled successfully")},
            E.CANCELLED,
        )


async def test_a_cancel_that_answers_500_and_does_nothing_is_told_plainly(tmp_path: Path) -> None:
    server = working_server(ParcelBatchConnection)
    server.cancel_answers = [NOT_DONE]
    async with open_house(tmp_path / "home", server, parcel=PARCEL) as house:
        batch = await in_processing(house, tmp_path / "Photos", 3)
        house.engine.cancel(batch)
        await let_it_read_back(house)
        await house.over(batch)
        (ended,) = told(house)
        assert (ends(house, batch), batch.ending, batch.answer, ended.counts, ended.kept_there) == (
            {(S.CANCELLED, E.HERE_ONLY, "goes_on 500: Internal Server Error")},
            E.HERE_ONLY,
            "goes_on 500: Internal Server Error",
            (("here_only", 3),),
            3,
        )


async def test_a_cancel_that_takes_effect_a_moment_later_is_seen(tmp_path: Path) -> None:
    server = working_server(ParcelBatchConnection)
    server.cancel_answers = [CancelAnswer(204, "")]
    async with open_house(tmp_path / "home", server, parcel=PARCEL) as house:
        batch = await in_processing(house, tmp_path / "Photos", 3)
        house.engine.cancel(batch)
        await until(lambda: house.clock.sleepers > 0)
        server.end_processing(R.CANCELLED)
        await house.clock.advance(READ_BACK_AFTER_S[0])
        await house.over(batch)
        assert ends(house, batch) == {(S.CANCELLED, E.CANCELLED, "")}


async def test_what_ends_well_while_the_cancel_is_read_back_finished_first(tmp_path: Path) -> None:
    server = working_server(ParcelBatchConnection)
    server.cancel_answers = [NOT_DONE]
    async with open_house(tmp_path / "home", server, parcel=PARCEL) as house:
        batch = await in_processing(house, tmp_path / "Photos", 2)
        house.engine.cancel(batch)
        await until(lambda: house.clock.sleepers > 0)
        server.end_processing()
        await house.clock.advance(READ_BACK_AFTER_S[0])
        await house.over(batch)
        assert {each[:2] for each in ends(house, batch)} == {(S.COMPLETED, E.FINISHED_FIRST)}


async def test_one_file_of_a_batch_that_is_cancelled_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    server = working_server(ParcelBatchConnection)
    async with open_house(tmp_path / "home", server, parcel=PARCEL) as house:
        batch = await in_processing(house, tmp_path / "Photos", 3)
        server.requests.clear()
        house.engine.cancel(batch, [row(house, batch, "f0"), row(house, batch, "f1")])
        await until(lambda: batch.counts.files[S.CANCELLED] == 2)
        server.end_processing()
        await house.over(batch)
        assert (ends(house, batch), len(server.asked("cancel"))) == (
            {(S.CANCELLED, E.HERE_ONLY, "goes_on 405: whole batches alone"), (S.COMPLETED, None, "verified")},
            1,
        )


async def test_all_files_of_such_a_batch_chosen_one_by_one_are_a_batch(tmp_path: Path) -> None:
    server = working_server(ParcelBatchConnection)
    async with open_house(tmp_path / "home", server, parcel=PARCEL) as house:
        batch = await in_processing(house, tmp_path / "Photos", 3)
        house.engine.cancel(batch, list(house.rows(batch).values()))
        await house.over(batch)
        assert (server.asked("cancel"), {each[1] for each in ends(house, batch)}) == (
            ["cancel batch parcel-1"],
            {E.CANCELLED},
        )


async def test_a_file_that_is_worked_on_is_cancelled_like_any_other(tmp_path: Path) -> None:
    server = working_server(WorkingConnection)
    async with open_house(tmp_path / "home", server) as house:
        batch = await in_processing(house, tmp_path / "Photos", 2)
        house.engine.cancel(batch, [row(house, batch)])
        await until(lambda: row(house, batch).state is S.CANCELLED)
        server.end_processing()
        await house.over(batch)
        assert (row(house, batch).ending, row(house, batch, "f1").state) == (E.CANCELLED, S.COMPLETED)


async def test_a_cancel_taken_back_is_followed_again(tmp_path: Path) -> None:
    server = working_server(WorkingConnection)
    async with open_house(tmp_path / "home", server, limits=Limits(undo_cancel_s=5.0)) as house:
        batch = await in_processing(house, tmp_path / "Photos", 2)
        server.requests.clear()
        house.engine.cancel(batch)
        await until(lambda: house.clock.sleepers > 0)
        house.engine.undo_cancel()
        await house.reach(batch, S.PROCESSING, 2)
        server.end_processing()
        await house.over(batch)
        assert (server.asked("send"), house.view(batch).done_files) == ([], 2)


async def test_a_cancel_of_what_is_worked_on_survives_the_program(tmp_path: Path) -> None:
    server = working_server(WorkingConnection)
    async with open_house(tmp_path / "home", server) as house:
        batch = await in_processing(house, tmp_path / "Photos", 2)
        server.away = True
        house.engine.cancel(batch)
        await house.over(batch)
        pending = {each[1] for each in ends(house, batch)}
    server.away = False
    async with open_house(tmp_path / "home", server) as house:
        await until(lambda: {each.ending for each in house.rows(house.batch).values()} == {E.CANCELLED})
    assert (pending, {file.state for file in server.files.values()}) == ({E.CLEANUP_PENDING}, {R.CANCELLED})


async def test_without_a_cancel_what_was_cut_in_time_left_nothing(tmp_path: Path) -> None:
    server = MemoryServer(ParcelConnection)
    make_files(tmp_path / "Photos", [10] * 150)
    server.hold.clear()
    limits = Limits(uploads_at_once=1)
    async with open_house(tmp_path / "home", server, limits=limits, parcel=PARCEL) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.UPLOADING, 100)
        house.engine.cancel(batch)
        await house.over(batch)
        (ended,) = told(house)
        assert (ends(house, batch), server.asked("find"), ended.nothing_there, batch.ending) == (
            {(S.CANCELLED, E.HERE_ONLY, "nothing_stored"), (S.CANCELLED, E.CANCELLED, "nothing_sent")},
            ["find 100"],
            100,
            E.HERE_ONLY,
        )


@pytest.mark.parametrize("whole_batch", [True, False])
async def test_without_a_cancel_what_was_stored_all_the_same_finished_first(
    tmp_path: Path, whole_batch: bool
) -> None:
    server = MemoryServer(ParcelConnection)
    make_files(tmp_path / "Photos", [10] * 3)
    server.hold_answer.clear()
    server.stores_after_abort = True
    async with open_house(tmp_path / "home", server, parcel=PARCEL) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.PROCESSING, 3)
        house.engine.cancel(batch, None if whole_batch else list(house.rows(batch).values()))
        await house.over(batch)
        assert ({each[:2] for each in ends(house, batch)}, server.asked("find")) == (
            {(S.COMPLETED, E.FINISHED_FIRST)},
            ["find 3"],
        )


async def test_what_is_stored_after_the_client_has_left_is_found_however_late(tmp_path: Path) -> None:
    server = MemoryServer(ParcelConnection)
    make_files(tmp_path / "Photos", [10] * 3)
    server.hold_answer.clear()
    async with open_house(tmp_path / "home", server, parcel=PARCEL) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.PROCESSING, 3)
        house.engine.cancel(batch)
        for outgoing in server.sent[:2]:  # one a second, and the third never
            await until(lambda: house.clock.sleepers > 0)
            server.arrive(server.add(outgoing))
            await house.clock.advance(LATE_AFTER_S)
        await house.clock.advance(LATE_AFTER_S)
        await house.over(batch)
        assert ({each[:2] for each in ends(house, batch)}, server.asked("find")) == (
            {(S.COMPLETED, E.FINISHED_FIRST), (S.CANCELLED, E.HERE_ONLY)},
            ["find 3", "find 3", "find 2", "find 1"],
        )


async def test_a_server_that_stops_and_keeps_what_it_has_is_told_so(tmp_path: Path) -> None:
    server = working_server(ParcelBatchConnection)
    server.keeps_cancelled = True
    async with open_house(tmp_path / "home", server, parcel=PARCEL) as house:
        batch = await in_processing(house, tmp_path / "Photos", 2)
        house.engine.cancel(batch)
        await house.over(batch)
        before = ends(house, batch)
        deleted = await house.engine.again.delete_remote(list(house.rows(batch).values()))
        assert (before, deleted, server.files) == ({(S.CANCELLED, E.HERE_ONLY, "stays")}, 2, {})


async def test_what_is_still_there_is_the_word_for_the_whole_batch(tmp_path: Path) -> None:
    server = working_server(ParcelConnection)
    make_files(tmp_path / "Photos", [10] * 3)
    server.hold_answer.clear()
    async with open_house(tmp_path / "home", server, parcel=PARCEL) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.PROCESSING, 3)
        server.arrive(server.add(server.sent[0]))
        house.engine.cancel(batch)
        await house.clock.advance(LATE_AFTER_S)
        await house.over(batch)
        (ended,) = told(house)
        assert (batch.ending, batch.answer, ended.kept_there, ended.nothing_there) == (
            E.HERE_ONLY,
            "stored",
            1,
            2,
        )


async def test_what_was_stored_and_is_worked_on_stays_and_can_be_deleted(tmp_path: Path) -> None:
    server = working_server(ParcelConnection)
    make_files(tmp_path / "Photos", [10] * 150)
    async with open_house(tmp_path / "home", server, parcel=PARCEL) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.PROCESSING, 150)
        house.engine.cancel(batch)
        await house.over(batch)
        before = ends(house, batch)
        rows = list(house.rows(batch).values())
        deleted = [await house.engine.again.delete_remote(rows) for _ in range(2)]
        assert (
            before,
            deleted,
            [len(each.split()) - 1 for each in server.asked("delete")],
            server.files,
        ) == (
            {(S.CANCELLED, E.HERE_ONLY, "stored")},
            [150, 0],
            [100, 50],
            {},
        )


@pytest.mark.parametrize("connections", [ParcelConnection, ParcelBatchConnection])
@pytest.mark.parametrize("works", [True, False])
async def test_a_late_arrival_is_rolled_back_if_that_was_chosen(
    tmp_path: Path, connections: type, works: bool
) -> None:
    server = MemoryServer(connections)
    make_files(tmp_path / "Photos", [10] * 3)
    server.hold_answer.clear()
    server.stores_after_abort, server.processes = True, works
    server.cancel_answers = [NOT_DONE] * 3
    limits = Limits(roll_back=True)
    async with open_house(tmp_path / "home", server, limits=limits, parcel=PARCEL) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.reach(batch, S.PROCESSING, 3)
        house.engine.cancel(batch)
        if works and connections is ParcelBatchConnection:
            await let_it_read_back(house)
        await house.over(batch)
        assert (ends(house, batch), server.files, batch.ending) == (
            {(S.CANCELLED, E.CANCELLED, "rolled_back")},
            {},
            E.CANCELLED,
        )


async def test_a_roll_back_that_the_server_does_not_carry_out_is_not_believed(tmp_path: Path) -> None:
    server = working_server(ParcelConnection)
    server.deletes = False
    limits = Limits(roll_back=True)
    async with open_house(tmp_path / "home", server, limits=limits, parcel=PARCEL) as house:
        batch = await in_processing(house, tmp_path / "Photos", 2)
        house.engine.cancel(batch)
        await house.over(batch)
        assert (ends(house, batch), len(server.asked("delete"))) == (
            {(S.CANCELLED, E.HERE_ONLY, "stored")},
            1,
        )


async def test_what_completed_before_the_cancel_is_not_rolled_back(tmp_path: Path) -> None:
    server = MemoryServer(ParcelConnection)
    make_files(tmp_path / "Photos", [10] * 3)
    limits = Limits(roll_back=True)
    async with open_house(tmp_path / "home", server, limits=limits, parcel=PARCEL) as house:
        batch = house.drop(tmp_path / "Photos")
        await house.over(batch)
        house.engine.cancel(batch)
        assert (len(server.stored()), server.asked("delete")) == (3, [])
