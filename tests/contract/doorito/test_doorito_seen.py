"""What a person sees of a Doorito with sessions: the whole engine with its journal and real files, before the fake of the specified server."""

from pathlib import Path

import pytest

from app.domain.batch import Batch
from app.domain.state import BatchState, CancelEnding, TransferState
from app.engine.engine import Limits
from app.words import batch_state_text, ending_text
from tests.support.clock import until
from tests.support.doorito_sender import house_of, told
from tests.support.doorito_server import FakeDoorito
from tests.support.engine_house import House, make_files

S, E = TransferState, CancelEnding
LINGERS = "Cancelled here only: this server has no cancel. What had arrived stays there until the server lets it expire."


async def dropped(house: House, folder: Path, sizes: list[int]) -> Batch:
    make_files(folder, sizes)
    batch = house.drop(folder)
    await until(lambda: not batch.scanning)
    return batch


async def test_a_folder_arrives(fake: FakeDoorito, tmp_path: Path) -> None:
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        batch = await dropped(house, tmp_path / "Photos", [0, 10, 5500])
        await house.over(batch)
        assert told(house, batch) == dict.fromkeys(("f0", "f1", "f2"), (S.COMPLETED, "Arrived."))
        assert house.view(batch).state is BatchState.COMPLETED
    assert len(fake.stored()) == 3


async def test_a_hash_that_is_told_is_said(fake: FakeDoorito, tmp_path: Path) -> None:
    fake.finalize_answers("file")
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.over(batch)
        assert told(house, batch) == {"f0": (S.COMPLETED, "Arrived; the server has checked its SHA-256.")}


async def test_another_hash_is_a_failure_and_a_retry_is_a_new_upload(
    fake: FakeDoorito, tmp_path: Path
) -> None:
    """stores_other_hash"""
    fake.stores_other_hash()
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.over(batch)
        seen = told(house, batch)
        fake.stores_the_hash_again()
        await house.engine.again.retry(house.engine.book.members[batch.id])
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert seen == {"f0": (S.FAILED, "What arrived differs from the file. Retry to send it again.")}
    assert len(fake.sessions) == 2


async def test_a_file_that_is_being_put_together_is_not_done(fake: FakeDoorito, tmp_path: Path) -> None:
    """Long, and asked for again and again: neither the file nor its batch is done before the server says so."""
    fake.finalize_takes_long()
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        batch = await dropped(house, tmp_path / "Photos", [10])
        await until(lambda: fake.asked("/finalize") == 2)
        seen, state = told(house, batch), house.view(batch).state
        fake.may_assemble.set()
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert seen == {"f0": (S.PROCESSING, "Everything arrived; the server is working on it.")}
    assert state is BatchState.PROCESSING


@pytest.mark.parametrize("word", ["ABORTED", "FAILED"])
async def test_an_upload_that_expired_while_it_was_paused_begins_again(
    fake: FakeDoorito, tmp_path: Path, word: str
) -> None:
    """aborts_expired_session: without a cancel at the server, that word means that the time was over."""
    gates = [fake.holds_part(number) for number in range(3, 8)]
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        batch = await dropped(house, tmp_path / "Photos", [5500])
        rows = house.engine.book.members[batch.id]
        await until(lambda: rows[0].offset_bytes == 2000)
        house.engine.pause(rows)
        await house.reach(batch, S.PAUSED)
        await until(lambda: told(house, batch)["f0"][1] == "2.0 kB arrived; resume goes on from there.")
        for gate in gates:
            gate.set()
        fake.lets_all_parts_through()
        await until(lambda: fake.parts_under_way == 0)
        fake.expires(word)
        house.engine.resume(rows)
        await house.over(batch)
        assert told(house, batch) == {"f0": (S.COMPLETED, "Arrived.")}
    keys = [session.key or "" for session in fake.sessions.values()]
    assert (keys[1], len(fake.stored())) == (f"{keys[0]}-1", 1)


async def test_a_program_that_was_killed_goes_on_where_it_was(fake: FakeDoorito, tmp_path: Path) -> None:
    """Only the parts that are missing go over the wire, and there is one session."""
    gates = [fake.holds_part(number) for number in range(4, 9)]
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        batch = await dropped(house, tmp_path / "Photos", [7500])
        rows = house.engine.book.members[batch.id]
        await until(lambda: rows[0].offset_bytes == 3000)
    for gate in gates:
        gate.set()
    fake.lets_all_parts_through()
    await until(lambda: fake.parts_under_way == 0)
    there, fake.part_bytes = sum(map(len, fake.session.parts.values())), 0
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        await house.over(house.batch)
        assert house.states(house.batch) == {"f0": S.COMPLETED}
    assert (there >= 3000, fake.part_bytes, len(fake.stored())) == (True, 7500 - there, 1)


async def test_a_program_that_was_killed_before_the_answer_makes_no_second_session(
    fake: FakeDoorito, tmp_path: Path
) -> None:
    """The key is in the journal before the POST."""
    fake.fail_next("POST", "/uploads/sessions", "loses_the_answer")
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        batch = await dropped(house, tmp_path / "Photos", [1500])
        await house.reach(batch, S.WAITING)
        words = told(house, batch)["f0"][1]
        assert (len(fake.sessions), house.rows(batch)["f0"].remote_id) == (1, None)
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        await house.over(house.batch)
        assert house.states(house.batch) == {"f0": S.COMPLETED}
    assert (len(fake.sessions), len(fake.stored())) == (1, 1)
    assert words == "The connection was lost: the server closed the connection. Trying again in 1 s."


async def test_a_server_that_restarts_costs_no_file(fake: FakeDoorito, tmp_path: Path) -> None:
    gates = [fake.holds_part(number) for number in (2, 3, 4)]
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        batch = await dropped(house, tmp_path / "Photos", [5500])
        await until(lambda: fake.parts_under_way == 3)
        fake.lets_all_parts_through()
        await fake.restart()
        for gate in gates:
            gate.set()
        await house.reach(batch, S.WAITING)
        await house.clock.advance(2)
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert len(fake.sessions) == 1


async def test_a_token_that_ends_keeps_the_queue_waiting(fake: FakeDoorito, tmp_path: Path) -> None:
    good = fake.token
    fake.revokes_token()
    async with house_of(tmp_path / "home", fake.url, good) as house:
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.reach(batch, S.WAITING)
        words = told(house, batch)["f0"][1]
        fake.token = good
        house.engine.open_gate("profile")
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert words.startswith("The server asks you to sign in (401).")


async def test_too_large_is_said(fake: FakeDoorito, tmp_path: Path) -> None:
    fake.takes_at_most(100)
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        batch = await dropped(house, tmp_path / "Photos", [101])
        await house.over(batch)
        assert told(house, batch) == {
            "f0": (
                S.FAILED,
                "Too large for this server. Send a smaller file, or ask who runs the server for more.",
            )
        }


# Cancel, where the server has none


async def test_a_cancel_in_the_middle_says_that_the_upload_lingers(fake: FakeDoorito, tmp_path: Path) -> None:
    """has_no_cancel: no part more, no finalize, and plain words."""
    gate = fake.holds_part(2)
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        batch = await dropped(house, tmp_path / "Photos", [1500])
        rows = house.engine.book.members[batch.id]
        await until(lambda: rows[0].offset_bytes == 1000)
        house.engine.cancel(batch, rows)
        await until(lambda: rows[0].state is S.CANCELLED)
        seen, ending = told(house, batch), rows[0].ending
        gate.set()
    assert (seen, ending) == ({"f0": (S.CANCELLED, LINGERS)}, E.HERE_ONLY)
    assert (fake.stored(), fake.asked("/finalize"), fake.session.status) == ({}, 0, "IN_PROGRESS")


async def test_a_cancelled_batch_says_it_of_the_whole(fake: FakeDoorito, tmp_path: Path) -> None:
    """One cancel asked for, whose page says that there is none; what was done stays done, what waited never went."""
    gates = [fake.holds_part(2)]
    async with house_of(tmp_path / "home", fake.url, fake.token, limits=Limits(uploads_at_once=2)) as house:
        batch = await dropped(house, tmp_path / "Photos", [500, 1500, 1500, 1500])
        await until(lambda: fake.parts_under_way == 2 and len(fake.stored()) == 1)
        house.engine.cancel(batch)
        await until(lambda: batch.ending is not None)
        seen = sorted(words for _, words in told(house, batch).values())
        view = house.view(batch)
        label, whole = batch_state_text(view, 0.0), ending_text(E.HERE_ONLY, batch.answer)
        for gate in gates:
            gate.set()
    assert seen == ["Arrived.", "Cancelled before anything was sent.", LINGERS, LINGERS]
    assert (label, whole) == ("Cancelled here only", LINGERS)
    assert sum(request.endswith("/cancel") for request in fake.requests) == 1


async def test_a_cancel_while_it_is_put_together_says_that_the_server_goes_on(
    fake: FakeDoorito, tmp_path: Path
) -> None:
    fake.finalize_takes_long()
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        batch = await dropped(house, tmp_path / "Photos", [1500])
        rows = house.engine.book.members[batch.id]
        await until(lambda: fake.asked("/finalize") == 1)
        house.engine.cancel(batch, rows)
        await until(lambda: rows[0].state is S.CANCELLED)
        assert (rows[0].ending, told(house, batch)["f0"][1]) == (
            E.HERE_ONLY,
            "The server answered 404 and goes on with it. Delete it there if it should go.",
        )


async def test_a_cancel_after_the_end_comes_too_late(fake: FakeDoorito, tmp_path: Path) -> None:
    fake.finalize_times_out()
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        batch = await dropped(house, tmp_path / "Photos", [1500])
        rows = house.engine.book.members[batch.id]
        await until(lambda: len(fake.stored()) == 1)
        house.engine.cancel(batch, rows)
        await until(lambda: rows[0].ending is not None)
        assert told(house, batch)["f0"] == (
            S.COMPLETED,
            "It had finished before the cancel took effect, and stays on the server.",
        )


async def test_a_cancel_before_the_answer_to_the_creation(fake: FakeDoorito, tmp_path: Path) -> None:
    """The id was lost with the answer: a file without bytes stays there, which is nothing."""
    fake.fail_next("POST", "/uploads/sessions", "loses_the_answer")
    async with house_of(tmp_path / "home", fake.url, fake.token) as house:
        batch = await dropped(house, tmp_path / "Photos", [1500])
        rows = house.engine.book.members[batch.id]
        await house.reach(batch, S.WAITING)
        house.engine.cancel(batch, rows)
        await until(lambda: rows[0].state is S.CANCELLED)
        words = told(house, batch)["f0"][1]
    assert (len(fake.sessions), fake.part_bytes) == (1, 0)
    assert words == "Cancelled here only: this server has no cancel. Nothing had been stored."
