"""What a person sees of vuemantics' quirks: the whole engine with its journal and real files, before the original's fake."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.domain.batch import Batch
from app.domain.state import BatchState, CancelEnding, TransferState
from app.engine.engine import Limits
from app.remote.account import Account, Endpoint, ForgetfulNotes, Notes
from app.remote.base import ParcelLimits, RemoteServer
from app.remote.vuemantics import VuemanticsLine
from app.units import time_text
from app.words import what_happened
from tests.support.clock import TestClock, until
from tests.support.engine_house import House, open_house
from tests.support.vuemantics_sender import QUICK
from tests.support.vuemantics_server import FakeVuemantics
from tests.support.vuemantics_worker import BROKEN

S, E = TransferState, CancelEnding


@pytest.fixture
def clock() -> TestClock:
    """The time for all."""
    return TestClock()


@pytest.fixture
async def fake(clock: TestClock) -> AsyncIterator[FakeVuemantics]:
    """The server, which is in the same time."""
    async with FakeVuemantics(clock.now) as running:
        yield running


@asynccontextmanager
async def house_of(
    home: Path, fake: FakeVuemantics, clock: TestClock, *, files: int = 1000, notes: Notes | None = None
) -> AsyncIterator[House]:
    """A program whose only server is *fake*, with parcels of so many files."""
    endpoint = Endpoint(fake.url, user=fake.user, password=fake.password)
    line = VuemanticsLine(Account(endpoint, notes or ForgetfulNotes(), clock.now, 20), QUICK)

    async def connect(_profile_id: str) -> RemoteServer:
        return line.connect()

    limits = ParcelLimits(files, 100 * 2**20)
    try:
        async with open_house(home / "home", connect, clock, parcel=limits) as house:
            yield house
    finally:
        await line.aclose()


def photos(folder: Path, **contents: bytes) -> Path:
    """Write files ``<name>.jpg``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.jpg").write_bytes(content)
    return folder


def told(house: House, batch: Batch) -> dict[str, tuple[TransferState, str]]:
    """Return what the window says of each file."""
    now = house.clock.now()
    return {name: (row.state, what_happened(row.view(), now)) for name, row in house.rows(batch).items()}


async def test_a_folder_arrives_in_one_post_and_is_done_when_the_server_is(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    fake.worker.hold()
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(photos(tmp_path / "Photos", a=b"1", b=b"2", c=b"3"))
        await house.reach(batch, S.PROCESSING, 3)
        await until(
            lambda: "worker" in told(house, batch)["a.jpg"][1] or "turn" in told(house, batch)["a.jpg"][1]
        )
        fake.worker.go()
        await house.over(batch)
        assert told(house, batch) == {f"{name}.jpg": (S.COMPLETED, "Arrived.") for name in "abc"}
    assert (sorted(fake.stored()), fake.requests.count("POST /v1/uploads/bulk")) == (
        ["a.jpg", "b.jpg", "c.jpg"],
        1,
    )


async def test_what_the_server_would_refuse_is_told_with_the_reason(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    folder = photos(tmp_path / "Photos", a=b"1", empty=b"")
    (folder / "notes.txt").write_text("x")
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(folder)
        await house.over(batch)
        assert told(house, batch) == {
            "a.jpg": (S.COMPLETED, "Arrived."),
            "empty.jpg": (
                S.FAILED,
                "The server did not accept the file: the file is empty, and this server takes no empty files. "
                "Change what it names, then retry.",
            ),
            "notes.txt": (
                S.FAILED,
                "The server did not accept the file: it takes JPEG, PNG, WebP, HEIC, MP4, MOV, AVI, WebM, MPEG and "
                "FLV; .txt is none of them. Change what it names, then retry.",
            ),
        }
    assert list(fake.stored()) == ["a.jpg"]


async def test_a_picture_that_cannot_be_processed_has_failed(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(photos(tmp_path / "Photos", a=b"1", b=BROKEN))
        await house.over(batch)
        seen = told(house, batch)
        assert (house.view(batch).state, seen["a.jpg"]) == (BatchState.PARTIAL, (S.COMPLETED, "Arrived."))
        assert seen["b.jpg"][0] is S.FAILED
        assert seen["b.jpg"][1].startswith("The server could not process it")


async def test_without_a_worker_it_says_what_it_waits_for(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    """stays_pending_for_ever"""
    fake.stays_pending_for_ever()
    words = "Waits for the server's worker."
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(photos(tmp_path / "Photos", a=b"1"))
        await house.reach(batch, S.PROCESSING)
        await until(lambda: told(house, batch) == {"a.jpg": (S.PROCESSING, words)})


async def test_a_second_try_moves_back_and_says_so(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    """second_try_moves_progress_back"""
    fake.second_try_moves_progress_back("a.jpg")
    fake.worker.hold()
    working = "Everything arrived; the server is working on it"
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(photos(tmp_path / "Photos", a=b"1"))
        await house.reach(batch, S.PROCESSING)
        await fake.connected()
        fake.worker.hold(at_percent=80)
        fake.worker.step()
        await until(lambda: told(house, batch)["a.jpg"][1] == f"{working}: 40 %.")
        fake.worker.hold(at_percent=60)
        fake.worker.step()
        await until(lambda: told(house, batch)["a.jpg"][1] == "Second try, 12 %.")
        fake.worker.go()
        await house.over(batch)
        assert told(house, batch) == {"a.jpg": (S.COMPLETED, "Arrived.")}


async def test_the_sixth_parcel_of_the_hour_waits_with_its_time_and_then_goes(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    """rate_limit_text, kept by our own clock"""
    async with house_of(tmp_path, fake, clock, files=1) as house:
        began = clock.now()
        batch = house.drop(photos(tmp_path / "Photos", **{f"f{number}": b"x" for number in range(6)}))
        await house.reach(batch, S.COMPLETED, 5)
        await house.reach(batch, S.WAITING)
        (waiting,) = [words for state, words in told(house, batch).values() if state is S.WAITING]
        posts = fake.requests.count("POST /v1/uploads/bulk")
        await clock.advance(3602)
        await house.over(batch)
        assert house.view(batch).state is BatchState.COMPLETED
    said = f"The server takes 5 uploads an hour; Uphaul goes on at {time_text(began + 3601, began)}."
    assert (waiting, posts, len(fake.stored())) == (said, 5, 6)


async def test_an_answer_that_was_lost_makes_no_second_copy(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    """loses_the_answer"""
    fake.fail_next("POST", "/v1/uploads/bulk", "loses_the_answer")
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(photos(tmp_path / "Photos", a=b"1", b=b"2"))
        await house.reach(batch, S.WAITING, 2)
        words = told(house, batch)["a.jpg"][1]
        await clock.advance(2)
        await house.over(batch)
        assert house.view(batch).state is BatchState.COMPLETED
    assert words == "The connection was lost: the server closed the connection. Trying again in 1 s."
    assert (len(fake.files), fake.requests.count("POST /v1/uploads/bulk")) == (2, 1)


async def test_a_program_that_ends_while_the_server_works_follows_it_after_its_next_start(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    fake.worker.hold()
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(photos(tmp_path / "Photos", a=b"1", b=b"2"))
        await house.reach(batch, S.PROCESSING, 2)
    fake.worker.go()
    await fake.done(2)
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.engine.book.batches[batch.id]
        await house.over(batch)
        assert house.states(batch) == {"a.jpg": S.COMPLETED, "b.jpg": S.COMPLETED}
    assert fake.requests.count("POST /v1/uploads/bulk") == 1


# Cancel


async def cancelled(house: House, fake: FakeVuemantics, clock: TestClock, folder: Path) -> Batch:
    """Drop a folder, cancel its batch while the server works on it, and wait for the ending."""
    fake.worker.hold()
    batch = house.drop(folder)
    await house.reach(batch, S.PROCESSING, 2)
    await fake.begun()
    house.engine.cancel(batch)
    await turn(clock, lambda: batch.counts.unfinished == 0)
    return batch


async def turn(clock: TestClock, is_so: Callable[[], bool]) -> None:
    """Turn the clock until something is so."""
    while not is_so():
        await until(lambda: is_so() or clock.sleepers > 0)
        if not is_so():
            await clock.advance(1.0)


@pytest.mark.parametrize(
    "fault, said",
    [
        ("cancel_answers_500", "The server answered 500 (its cancel is broken) and goes on with it."),
        (
            "cancel_answers_204_but_goes_on",
            "The server answered 204 (it said yes and did nothing) and goes on with it.",
        ),
    ],
)
async def test_a_cancel_that_does_nothing_is_told(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path, fault: str, said: str
) -> None:
    getattr(fake, fault)()
    async with house_of(tmp_path, fake, clock) as house:
        batch = await cancelled(house, fake, clock, photos(tmp_path / "Photos", a=b"1", b=b"2"))
        words = f"{said} Delete it there if it should go."
        assert told(house, batch) == dict.fromkeys(("a.jpg", "b.jpg"), (S.CANCELLED, words))
        assert {row.ending for row in house.rows(batch).values()} == {E.HERE_ONLY}
    assert len([each for each in fake.requests if each.endswith("/cancel")]) == 1


async def test_a_cancel_that_works_stops_the_work_and_keeps_the_files(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    """cancel_works"""
    fake.cancel_works()
    async with house_of(tmp_path, fake, clock) as house:
        batch = await cancelled(house, fake, clock, photos(tmp_path / "Photos", a=b"1", b=b"2"))
        words = "The server has stopped working on it, and keeps the file. Delete it there if it should go."
        assert told(house, batch) == dict.fromkeys(("a.jpg", "b.jpg"), (S.CANCELLED, words))


async def test_a_cancel_before_anything_was_sent_asks_nobody(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    fake.used_up()
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(photos(tmp_path / "Photos", a=b"1"))
        await house.reach(batch, S.WAITING)
        house.engine.cancel(batch)
        await turn(clock, lambda: batch.counts.unfinished == 0)
        assert house.states(batch) == {"a.jpg": S.CANCELLED}
    assert fake.stored() == {}


async def test_rolling_back_deletes_what_goes_on(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    """The separate act, for those who chose it beforehand."""
    async with house_of(tmp_path, fake, clock) as house:
        house.engine.set_limits(Limits(roll_back=True))
        batch = await cancelled(house, fake, clock, photos(tmp_path / "Photos", a=b"1", b=b"2"))
        words = "Cancelled. It had been stored all the same, and was deleted again."
        assert told(house, batch) == dict.fromkeys(("a.jpg", "b.jpg"), (S.CANCELLED, words))
    assert fake.stored() == {}


@pytest.mark.parametrize("answered", [True, False])
async def test_one_file_of_a_parcel_cannot_be_cancelled_alone_and_the_others_go_on(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path, answered: bool
) -> None:
    """answers_late: also while nobody knows yet in which of its batches the files are."""
    fake.cancel_works()
    fake.worker.hold()
    if not answered:
        fake.answers_late()
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(photos(tmp_path / "Photos", a=b"1", b=b"2", c=b"3"))
        await house.reach(batch, S.PROCESSING, 3)
        await until(lambda: bool(fake.batches) and answered is bool(house.rows(batch)["b.jpg"].remote_id))
        house.engine.cancel(batch, [house.rows(batch)["b.jpg"]])
        await turn(clock, lambda: house.states(batch)["b.jpg"] is S.CANCELLED)
        fake.worker.go()
        await turn(clock, lambda: batch.counts.unfinished == 0)
        seen = told(house, batch)
        assert {name: state for name, (state, _) in seen.items()} == {
            "a.jpg": S.COMPLETED,
            "b.jpg": S.CANCELLED,
            "c.jpg": S.COMPLETED,
        }
        assert seen["b.jpg"][1] == (
            "The server answered 405 (this server cancels whole batches alone; this one has 3 files) and goes on with "
            "it. Delete it there if it should go."
        )
    assert (len(fake.files), fake.batches[0].status) == (3, "completed")


async def test_a_cancel_whose_answer_is_lost_is_asked_again(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    fake.cancel_works()
    fake.fail_next("POST", "/v1/uploads/batches/", "hangs_up")
    async with house_of(tmp_path, fake, clock) as house:
        fake.worker.hold()
        batch = house.drop(photos(tmp_path / "Photos", a=b"1"))
        await house.reach(batch, S.PROCESSING)
        house.engine.cancel(batch)
        await until(lambda: house.rows(batch)["a.jpg"].ending is E.CLEANUP_PENDING)
        await turn(clock, lambda: house.rows(batch)["a.jpg"].ending is E.HERE_ONLY)
        assert told(house, batch)["a.jpg"][0] is S.CANCELLED
    assert fake.batches[0].status == "cancelled"


# Bad days


async def test_a_proxy_that_takes_less_gets_smaller_parcels(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    fake.nginx_in_front(most_bytes=250_000)
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(
            photos(tmp_path / "Photos", **{f"f{number}": b"x" * 100_000 for number in range(4)})
        )
        await house.over(batch)
        assert house.view(batch).state is BatchState.COMPLETED
    assert (len(fake.stored()), len(fake.batches)) == (4, 2)


async def test_five_hundred_after_storing_leaves_one_copy_and_says_that_it_waits(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    """queue_is_down"""
    fake.queue_is_down()
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(photos(tmp_path / "Photos", a=b"1"))
        await house.reach(batch, S.WAITING)
        words = told(house, batch)["a.jpg"][1]
        await clock.advance(2)
        await house.reach(batch, S.PROCESSING)
    assert words == "The server had a problem of its own (500): Internal Server Error. Trying again in 1 s."
    assert (len(fake.files), fake.requests.count("POST /v1/uploads/bulk")) == (1, 1)


async def test_tokens_that_expire_on_the_way_disturb_nobody(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    """token_expires"""
    fake.worker.hold()
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(photos(tmp_path / "Photos", a=b"1", b=b"2"))
        await house.reach(batch, S.PROCESSING, 2)
        fake.token_expires()
        fake.worker.go()
        await house.over(batch)
        assert house.view(batch).state is BatchState.COMPLETED


async def test_a_password_that_was_changed_keeps_the_queue_waiting(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    async with house_of(tmp_path, fake, clock) as house:
        fake.password = "Another-123"
        batch = house.drop(photos(tmp_path / "Photos", a=b"1"))
        await house.reach(batch, S.WAITING)
        assert told(house, batch)["a.jpg"][1].startswith("The user name or the password is wrong.")
        fake.password = "Secret-123"
        house.engine.open_gate("profile")
        await house.over(batch)
        assert house.view(batch).state is BatchState.COMPLETED


async def test_a_file_that_is_gone_costs_the_others_nothing(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    fake.used_up()
    async with house_of(tmp_path, fake, clock) as house:
        folder = photos(tmp_path / "Photos", a=b"1", b=b"2")
        batch = house.drop(folder)
        await house.reach(batch, S.WAITING, 2)
        (folder / "a.jpg").unlink()
        await clock.advance(3602)
        await house.over(batch)
        assert house.states(batch) == {"a.jpg": S.FAILED, "b.jpg": S.COMPLETED}


async def test_a_restart_of_the_server_while_it_works(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    fake.worker.hold()
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(photos(tmp_path / "Photos", a=b"1"))
        await house.reach(batch, S.PROCESSING)
        await fake.connected()
        await fake.restart()
        fake.worker.go()
        await turn(clock, lambda: batch.counts.unfinished == 0)
        assert house.states(batch) == {"a.jpg": S.COMPLETED}


async def test_counts_over_a_hundred_per_cent_end_as_they_should(
    fake: FakeVuemantics, clock: TestClock, tmp_path: Path
) -> None:
    """counts_twice_after_worker_death, sends_no_final_message"""
    fake.sends_no_final_message()
    fake.worker.hold()
    async with house_of(tmp_path, fake, clock) as house:
        batch = house.drop(photos(tmp_path / "Photos", a=b"1", b=b"2"))
        await house.reach(batch, S.PROCESSING, 2)
        await fake.begun()
        fake.batches[0].good = 2  # the dead worker's count
        fake.worker.go()
        await house.over(batch)
        assert house.view(batch).state is BatchState.COMPLETED
    assert fake.batches[0].shown()["progress_percentage"] == 200.0
