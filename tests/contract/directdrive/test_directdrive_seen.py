"""What a person sees of DirectDrive's quirks: the whole engine with its journal and real files, before the fake of the real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.domain.batch import Batch
from app.domain.state import BatchState, CancelEnding, TransferState
from app.engine.engine import Limits
from app.words import what_happened
from tests.support.clock import until
from tests.support.directdrive_sender import open_program
from tests.support.directdrive_server import FakeDirectDrive, Generation
from tests.support.engine_house import House, make_files

S, E = TransferState, CancelEnding
MIB = 1024 * 1024


@asynccontextmanager
async def house_of(
    home: Path, fake: FakeDirectDrive, *, token: str | None = None, limits: Limits | None = None
) -> AsyncIterator[House]:
    """A program whose only server is *fake*."""
    user, password = ("", None) if token else (fake.user, fake.password)
    async with open_program(home / "home", fake.url, user, password, token=token, limits=limits) as house:
        yield house


def told(house: House, batch: Batch) -> dict[str, tuple[TransferState, str]]:
    """Return what the window says of each file."""
    now = house.clock.now()
    return {name: (row.state, what_happened(row.view(), now)) for name, row in house.rows(batch).items()}


async def dropped(house: House, folder: Path, sizes: list[int], **renamed: str) -> Batch:
    for name, path in make_files(folder, sizes).items():
        path.rename(folder / renamed.get(name, name))
    batch = house.drop(folder)
    await until(lambda: not batch.scanning)
    return batch


async def test_a_folder_arrives_by_one_announcement(newest: FakeDirectDrive, tmp_path: Path) -> None:
    async with house_of(tmp_path, newest) as house:
        batch = await dropped(house, tmp_path / "Photos", [10, 5 * MIB, 300])
        await house.over(batch)
        assert told(house, batch) == dict.fromkeys(("f0", "f1", "f2"), (S.COMPLETED, "Arrived."))
    assert (newest.asked("initiate"), len(newest.stored())) == (1, 3)


async def test_a_name_that_the_server_changes_is_told(newest: FakeDirectDrive, tmp_path: Path) -> None:
    """renames_files"""
    async with house_of(tmp_path, newest) as house:
        batch = await dropped(house, tmp_path / "Photos", [10, 11, 12], f0="what?.txt", f1=".profile")
        await house.over(batch)
        assert {words for _, words in told(house, batch).values()} == {
            "Arrived, stored as what_.txt.",
            "Arrived, stored as file_profile.",
            "Arrived.",
        }


async def test_three_hundred_files_arrive_by_a_few_announcements(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    async with house_of(tmp_path, newest) as house:
        batch = await dropped(house, tmp_path / "Photos", [100 + n for n in range(300)])
        await house.over(batch)
        assert house.view(batch).state is BatchState.COMPLETED
    assert (len(newest.stored()), newest.asked("initiate") <= 5) == (300, True)


async def test_all_bytes_are_there_and_it_is_not_done(fake: FakeDirectDrive, tmp_path: Path) -> None:
    """100 % is what has been received: `finalising` until the server says success."""
    fake.keeps_processing()
    async with house_of(tmp_path, fake) as house:
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.reach(batch, S.PROCESSING)
        words = told(house, batch)["f0"]
        fake.finalise.set()
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert words == (S.PROCESSING, "Everything arrived; the server is working on it.")


async def test_a_storage_that_fails_after_100_is_told_and_tried_again(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    fake.progress_on_receipt_then_fails()
    async with house_of(tmp_path, fake) as house:
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.reach(batch, S.WAITING)
        state, words = told(house, batch)["f0"]
        fake.work_again()
        await house.clock.advance(2)
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert (state, words) == (
        S.WAITING,
        "The server had a problem of its own: Upload failed: Failed to finalize upload: 308 -. Trying again in 1 s.",
    )


async def test_busy_storage_is_left_alone_for_a_minute(newest: FakeDirectDrive, tmp_path: Path) -> None:
    newest.storage_busy()
    async with house_of(tmp_path, newest) as house:
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.reach(batch, S.WAITING)
        words = told(house, batch)["f0"][1]
        await house.clock.advance(60)
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert words == (
        "The server is busy (503): All storage accounts are currently busy or unavailable. Trying again in 1 min."
    )


async def test_a_place_that_is_taken_is_waited_for(fake: FakeDirectDrive, tmp_path: Path) -> None:
    fake.slots_taken()
    async with house_of(tmp_path, fake) as house:
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.reach(batch, S.WAITING)
        words = told(house, batch)["f0"][1]
        await house.clock.advance(10)
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert words.startswith(("The server is busy: ", "The server takes no upload at this moment."))
    assert fake.asked("initiate") == 1


async def test_what_the_server_would_refuse_is_said_and_the_rest_arrives(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    async with house_of(tmp_path, fake) as house:
        batch = await dropped(house, tmp_path / "Photos", [10, 0, 12], f0="setup.exe")
        await house.over(batch)
        assert told(house, batch) == {
            "setup.exe": (
                S.FAILED,
                "The server did not accept the file: File type '.exe' is not allowed for security reasons. "
                "Change what it names, then retry.",
            ),
            "f1": (
                S.FAILED,
                "The server did not accept the file: this server takes no empty files. Change what it names, then retry.",
            ),
            "f2": (S.COMPLETED, "Arrived."),
        }


async def test_a_token_that_is_nobodys_waits_for_a_sign_in(newest: FakeDirectDrive, tmp_path: Path) -> None:
    token = newest.token()
    newest.becomes_anonymous()
    async with house_of(tmp_path, newest, token=token) as house:
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.reach(batch, S.WAITING)
        words = told(house, batch)["f0"][1]
    assert words == "The server asks you to sign in. Sign in again, then resume."
    assert newest.sockets == []


# Cancel


async def uploading(house: House, fake: FakeDirectDrive, folder: Path, sizes: list[int]) -> Batch:
    """Drop files of which the first is large, and return once the server has some of it, and reads no more."""
    arrived = fake.arrives(4 * MIB)
    batch = await dropped(house, folder, sizes)
    await arrived.wait()
    fake.stops_reading()
    return batch


async def test_a_running_file_is_cancelled_and_the_others_go_on(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    async with house_of(tmp_path, fake) as house:
        batch = await uploading(house, fake, tmp_path / "Photos", [30 * MIB, 10])
        house.engine.cancel(batch, [house.rows(batch)["f0"]])
        await until(lambda: house.rows(batch)["f0"].state is S.CANCELLED)
        fake.read.set()
        await house.over(batch)
        assert told(house, batch) == {
            "f0": (S.CANCELLED, "Cancelled. The server confirmed it and kept nothing."),
            "f1": (S.COMPLETED, "Arrived."),
        }
    assert fake.statuses() == {"f0": "cancelled", "f1": "completed"}


async def test_a_cancel_that_the_server_ignores_is_told_plainly(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    newest.ignores_cancel()
    async with house_of(tmp_path, newest) as house:
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.reach(batch, S.PROCESSING)
        house.engine.cancel(batch, [house.rows(batch)["f0"]])
        await house.over(batch)
        assert told(house, batch) == {
            "f0": (S.COMPLETED, "It had finished before the cancel took effect, and stays on the server.")
        }
    assert list(newest.stored()) == ["f0"]


async def test_a_cancel_that_answers_500_closes_the_connection_instead(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    newest.cancel_answers_500()
    async with house_of(tmp_path, newest) as house:
        batch = await uploading(house, newest, tmp_path / "Photos", [30 * MIB])
        house.engine.cancel(batch, [house.rows(batch)["f0"]])
        newest.read.set()
        await house.over(batch)
        row = house.rows(batch)["f0"]
        assert (row.state, row.ending, row.answer) == (
            S.CANCELLED,
            E.CANCELLED,
            "Failed to update file status (500); its connection was closed instead",
        )
    assert newest.statuses() == {"f0": "failed"}


async def test_a_cancel_that_nobody_hears_is_asked_again(newest: FakeDirectDrive, tmp_path: Path) -> None:
    newest.fail_next("POST", "/api/v1/upload/cancel", "hangs_up")
    async with house_of(tmp_path, newest) as house:
        batch = await uploading(house, newest, tmp_path / "Photos", [30 * MIB])
        house.engine.cancel(batch, [house.rows(batch)["f0"]])
        newest.read.set()
        await until(lambda: house.rows(batch)["f0"].ending is E.CLEANUP_PENDING)
        await house.clock.advance(1)
        await until(lambda: house.rows(batch)["f0"].ending is E.CANCELLED)
        assert house.states(batch) == {"f0": S.CANCELLED}
    assert newest.statuses() == {"f0": "failed"}


async def test_the_older_server_shows_no_cancelled_file_and_is_understood(tmp_path: Path) -> None:
    """get_of_cancelled_is_500."""
    async with FakeDirectDrive(Generation.OLD) as oldest, house_of(tmp_path, oldest) as house:
        batch = await uploading(house, oldest, tmp_path / "Photos", [30 * MIB])
        house.engine.cancel(batch)
        await house.over(batch)
        assert told(house, batch) == {
            "f0": (S.CANCELLED, "Cancelled. The server confirmed it and kept nothing.")
        }


async def test_where_there_is_no_cancel_the_connection_is_closed_and_that_is_told(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    """has_no_cancel: the newest then writes `failed`; the older one writes nothing, and says `uploading` for ever."""
    fake.has_no_cancel()
    async with house_of(tmp_path, fake) as house:
        batch = await uploading(house, fake, tmp_path / "Photos", [30 * MIB])
        house.engine.cancel(batch)
        fake.read.set()
        await house.over(batch)
        row = house.rows(batch)["f0"]
        expected = E.CANCELLED if fake.generation is Generation.X else E.HERE_ONLY
        assert (row.state, row.ending) == (S.CANCELLED, expected)
    assert fake.statuses()["f0"] == ("failed" if fake.generation is Generation.X else "uploading")


async def test_a_file_that_waits_at_the_older_server_cannot_be_cancelled_there(tmp_path: Path) -> None:
    async with FakeDirectDrive(Generation.OLD) as oldest, house_of(tmp_path, oldest) as house:
        oldest.slots_taken()
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.reach(batch, S.WAITING)
        house.engine.cancel(batch)
        await house.over(batch)
        row = house.rows(batch)["f0"]
        assert (row.state, row.ending, row.answer) == (
            S.CANCELLED,
            E.HERE_ONLY,
            "Cannot cancel upload. File status: pending",
        )


async def test_a_batch_is_cancelled_with_what_was_announced(newest: FakeDirectDrive, tmp_path: Path) -> None:
    async with house_of(tmp_path, newest, limits=Limits(uploads_at_once=2)) as house:
        batch = await uploading(house, newest, tmp_path / "Photos", [30 * MIB] * 2 + [10] * 8)
        house.engine.cancel(batch)
        await house.over(batch)
        assert {state for state, _ in told(house, batch).values()} == {S.CANCELLED}
    assert set(newest.statuses().values()) == {"cancelled"}
    assert (newest.asked("batch/cancel"), newest.asked("upload/cancel")) == (1, 0)


async def test_a_file_cancelled_by_somebody_else_says_so(fake: FakeDirectDrive, tmp_path: Path) -> None:
    async with house_of(tmp_path, fake) as house:
        batch = await uploading(house, fake, tmp_path / "Photos", [60 * MIB])
        [file] = fake.files.values()
        file.status = "cancelled"
        fake.read.set()
        if fake.generation is Generation.X:  # its socket does not look; the connection breaks
            fake.cuts_at(8 * MIB)
        await house.reach(batch, S.CANCELLED)
        assert told(house, batch) == {"f0": (S.CANCELLED, "Cancelled at the server, from another program.")}


async def test_a_cancelled_file_goes_again_as_a_new_one(newest: FakeDirectDrive, tmp_path: Path) -> None:
    async with house_of(tmp_path, newest) as house:
        batch = await uploading(house, newest, tmp_path / "Photos", [30 * MIB])
        row = house.rows(batch)["f0"]
        house.engine.cancel(batch, [row])
        await house.over(batch)
        newest.read.set()
        await house.engine.again.retry([row])
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert sorted(file.status for file in newest.files.values()) == ["cancelled", "completed"]


# Interruptions


async def test_a_pause_goes_on_from_the_start(fake: FakeDirectDrive, tmp_path: Path) -> None:
    async with house_of(tmp_path, fake) as house:
        batch = await uploading(house, fake, tmp_path / "Photos", [30 * MIB])
        house.engine.pause_batch(batch)
        row = house.rows(batch)["f0"]
        await until(lambda: row.done_bytes == 0)  # nothing that had arrived is of use: nothing else is said
        words = told(house, batch)
        fake.read.set()
        house.engine.resume_batch(batch)
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert (words, len(fake.stored())) == ({"f0": (S.PAUSED, "")}, 1)
    assert "uploading" not in fake.statuses().values()


async def test_the_program_ends_and_starts_and_the_file_arrives_once(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    async with house_of(tmp_path, fake) as house:
        await uploading(house, fake, tmp_path / "Photos", [30 * MIB])
    fake.read.set()
    async with house_of(tmp_path, fake) as house:
        [batch] = house.engine.book.batches.values()
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert list(fake.stored()) == ["f0"]


async def test_a_cut_connection_is_told_and_the_file_goes_again(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    fake.cuts_at(5 * MIB)
    async with house_of(tmp_path, fake) as house:
        batch = await dropped(house, tmp_path / "Photos", [9 * MIB])
        await house.reach(batch, S.WAITING)
        words = told(house, batch)["f0"][1]
        await house.clock.advance(1)
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert words == "The connection was lost: the server closed the connection. Trying again in 1 s."


async def test_nothing_of_a_capability_is_kept(
    newest: FakeDirectDrive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The address of an announced file lets whoever has it send it: it is in no file of ours."""
    async with house_of(tmp_path, newest) as house:
        batch = await dropped(house, tmp_path / "Photos", [10, 11])
        await house.over(batch)
    await asyncio.sleep(0)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
    secrets = [file.upload_url.partition("upload_id=")[2][:32] for file in newest.files.values()]
    assert [secret for secret in secrets if secret.encode() in kept or secret in caplog.text] == []
