"""The tus dialect against the tus project's own server, @tus/server, as it comes and with less than it can."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from app.domain.state import CancelEnding, TransferState
from app.remote.account import Endpoint
from app.remote.base import Abilities, RemoteState
from app.remote.registry import TUS, connect
from tests.contract.stage import write_pictures
from tests.contract.tus.conftest import APPEND, CREATE, END, LOOK, OpenStage
from tests.support.front import CutOff, Hold, LoseAnswer
from tests.support.npm_tus import NpmTus

S = TransferState
pytestmark = pytest.mark.timeout(180)  # the first test may install @tus/server
MakeNpm = Callable[..., NpmTus]
LARGE_BYTES = 6 * 2**20
ALL = ("creation", "creation-with-upload", "creation-defer-length", "termination", "expiration")


@pytest.mark.parametrize(
    "extensions, abilities",
    [
        (ALL, Abilities(resume=True, cancel_file=True)),
        (("creation",), Abilities(resume=True)),
        (("creation", "termination"), Abilities(resume=True, cancel_file=True)),
    ],
)
async def test_a_file_arrives_with_what_the_server_can(
    extensions: Sequence[str], abilities: Abilities, npm: MakeNpm, before: OpenStage, tmp_path: Path
) -> None:
    with npm(extensions=extensions) as server:
        async with before(server) as stage:
            batch = await stage.drop(write_pictures(tmp_path / "Photos", 2, 1_500_000))
            await stage.over(batch)
            connection = connect(TUS, stage.site.endpoint)
            told = await connection.greet()
            await connection.aclose()
            assert (stage.copies(batch), told) == ([1, 1], abilities)


async def test_a_file_is_never_sent_with_its_creation(
    npm: MakeNpm, before: OpenStage, tmp_path: Path
) -> None:
    """An answer that was lost leaves an empty upload behind, and no second file."""
    with npm() as server:
        async with before(server) as stage:
            stage.front.plan(CREATE, LoseAnswer())
            batch = await stage.drop(write_pictures(tmp_path / "Photos"))
            await stage.over(batch)
            assert (stage.copies(batch), len(server.stored()), server.uploads()) == ([1], 1, 2)


async def test_a_cut_file_goes_on_where_it_stood(npm: MakeNpm, before: OpenStage, tmp_path: Path) -> None:
    with npm() as server:
        async with before(server) as stage:
            stage.front.plan(APPEND, CutOff(3 * 2**20), CutOff(2**20))
            batch = await stage.drop(write_pictures(tmp_path / "Photos", size_bytes=LARGE_BYTES))
            await stage.over(batch)
            offsets = [int(seen.headers["upload-offset"]) for seen in stage.front.seen if APPEND.is_for(seen)]
            resumed = [offset > 0 for offset in offsets[:3]]
            assert (stage.copies(batch), resumed, stage.front.asked(LOOK) >= 2) == (
                [1],
                [False, True, True],
                True,
            )


async def test_its_largest_size_is_known_before_a_byte_goes(
    npm: MakeNpm, before: OpenStage, tmp_path: Path
) -> None:
    with npm(maxSize=1000) as server:
        async with before(server) as stage:
            batch = await stage.drop(write_pictures(tmp_path / "Photos", size_bytes=1001))
            await stage.over(batch)
            assert (stage.words(batch), stage.front.asked(CREATE)) == (
                (
                    S.FAILED,
                    "Too large for this server (limit 1.0 kB). Send a smaller file, or ask who runs the server for more.",
                ),
                0,
            )


async def test_names_are_kept_in_all_scripts(npm: MakeNpm, before: OpenStage, tmp_path: Path) -> None:
    names = ["Łódź 日本語 🐙.png", "a, b; c=d.png", "e\u0301.png"]
    folder = write_pictures(tmp_path / "Photos", 3)
    for number, name in enumerate(names):
        (folder / f"{number}.png").rename(folder / name)
    with npm() as server:
        async with before(server) as stage:
            batch = await stage.drop(folder)
            await stage.over(batch)
            assert stage.names(batch) == sorted(["Łódź 日本語 🐙.png", "a, b; c=d.png", "é.png"])


@pytest.mark.parametrize(
    "extensions, ending, requests, uploads",
    [(ALL, CancelEnding.CANCELLED, 1, 0), (("creation",), CancelEnding.HERE_ONLY, 0, 1)],
)
async def test_a_cancel_terminates_where_it_can_be(
    extensions: Sequence[str],
    ending: CancelEnding,
    requests: int,
    uploads: int,
    npm: MakeNpm,
    before: OpenStage,
    tmp_path: Path,
) -> None:
    hold = Hold(100_000)
    with npm(extensions=extensions) as server:
        async with before(server) as stage:
            stage.front.plan(APPEND, hold)
            batch = await stage.drop(write_pictures(tmp_path / "Photos", size_bytes=LARGE_BYTES))
            await hold.reached.wait()
            stage.engine.cancel(batch)
            hold.let_go.set()
            await stage.over(batch)
            (row,) = stage.members(batch)
            assert (row.ending, stage.front.asked(END), server.uploads()) == (ending, requests, uploads)


async def test_an_upload_that_the_server_has_lost_goes_again_from_its_start(
    npm: MakeNpm, before: OpenStage, tmp_path: Path
) -> None:
    """404 of this server; others say 410."""
    with npm() as server:
        async with before(server) as stage:
            stage.front.plan(APPEND, CutOff(2**20))
            batch = stage.house.drop(write_pictures(tmp_path / "Photos", size_bytes=LARGE_BYTES))
            await stage.reach(batch, S.WAITING)
            server.forget()
            await stage.over(batch)
            assert (stage.copies(batch), server.uploads()) == ([1], 1)


async def test_a_relative_location_is_followed(npm: MakeNpm, before: OpenStage, tmp_path: Path) -> None:
    with npm(relativeLocation=True) as server:
        async with before(server) as stage:
            batch = await stage.drop(write_pictures(tmp_path / "Photos"))
            await stage.over(batch)
            assert stage.copies(batch) == [1]


async def test_what_is_there_is_read_back(npm: MakeNpm, before: OpenStage, tmp_path: Path) -> None:
    with npm() as server:
        async with before(server) as stage:
            batch = await stage.drop(write_pictures(tmp_path / "Photos"))
            await stage.over(batch)
            (row,) = stage.members(batch)
            connection = connect(TUS, stage.site.endpoint)
            seen = [await connection.look(remote_id) for remote_id in (row.remote_id or "", "unknown")]
            await connection.aclose()
            assert [file.state for file in seen] == [RemoteState.STORED, RemoteState.UNKNOWN]


async def test_the_slash_at_the_end_is_found(npm: MakeNpm) -> None:
    with npm() as server:
        connection = connect(TUS, Endpoint(f"{server.url}/", server.token))
        told = await connection.greet()
        await connection.aclose()
        assert told.resume
