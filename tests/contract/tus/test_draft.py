"""The IETF's draft "Resumable Uploads for HTTP" against a server that speaks it, interim answers and limits included."""

from pathlib import Path

import pytest

from app.domain.failure import FailureKind
from app.domain.state import CancelEnding, TransferState
from app.engine.engine import Limits
from app.remote.base import Abilities, RemoteState
from app.remote.detect import detect
from app.remote.registry import TUS, connect
from tests.contract.stage import write_pictures
from tests.contract.tus.conftest import APPEND, CREATE, END, LOOK, OpenStage
from tests.support.draft_server import FakeDraft
from tests.support.front import CutOff, Hold, LoseAnswer

S, K = TransferState, FailureKind
MIB = 2**20
LARGE_BYTES = 6 * MIB


async def test_interim_answers_while_a_body_goes_out_are_no_answer(before: OpenStage, tmp_path: Path) -> None:
    """The server says how much it has with every block; the body goes on, in one request."""
    async with FakeDraft() as server, before(server) as stage:
        batch = await stage.drop(write_pictures(tmp_path / "Photos", size_bytes=24 * MIB))
        await stage.over(batch)
        assert (stage.copies(batch), stage.front.asked(APPEND), server.largest_append >= 24 * MIB) == (
            [1],
            1,
            True,
        )


async def test_a_cut_file_goes_on_where_it_stood(before: OpenStage, tmp_path: Path) -> None:
    async with FakeDraft() as server, before(server) as stage:
        stage.front.plan(APPEND, CutOff(3 * MIB), CutOff(MIB))
        batch = await stage.drop(write_pictures(tmp_path / "Photos", size_bytes=LARGE_BYTES))
        await stage.over(batch)
        offsets = [int(seen.headers["upload-offset"]) for seen in stage.front.seen if APPEND.is_for(seen)]
        assert (stage.copies(batch), offsets) == ([1], [0, 3 * MIB, 4 * MIB])


async def test_a_lost_answer_is_looked_up(before: OpenStage, tmp_path: Path) -> None:
    async with FakeDraft() as server, before(server) as stage:
        stage.front.plan(APPEND, LoseAnswer(b"HTTP/1.1 200"))
        batch = await stage.drop(write_pictures(tmp_path / "Photos"))
        await stage.over(batch)
        assert (stage.copies(batch), stage.front.asked(APPEND), stage.front.asked(LOOK)) == ([1], 1, 1)


async def test_appends_are_as_small_as_the_server_wants(before: OpenStage, tmp_path: Path) -> None:
    async with FakeDraft(max_append_size=MIB) as server, before(server) as stage:
        batch = await stage.drop(write_pictures(tmp_path / "Photos", size_bytes=LARGE_BYTES))
        await stage.over(batch)
        assert (stage.copies(batch), server.largest_append, stage.front.asked(APPEND)) == ([1], MIB, 6)


async def test_what_is_too_large_is_known_before_a_byte_goes(before: OpenStage, tmp_path: Path) -> None:
    async with FakeDraft(max_size=1000) as server, before(server) as stage:
        batch = await stage.drop(write_pictures(tmp_path / "Photos", size_bytes=1001))
        await stage.over(batch)
        assert (stage.kinds(batch), stage.front.asked(CREATE)) == ([K.TOO_LARGE], 0)


@pytest.mark.parametrize("times, appends", [(1, 2), (2, 3)])
async def test_a_disputed_offset_is_asked_for(
    times: int, appends: int, before: OpenStage, tmp_path: Path
) -> None:
    """409 with mismatching-upload-offset: the server is asked where it stands."""
    async with FakeDraft() as server, before(server) as stage:
        server.disputes_offsets(times)
        batch = await stage.drop(write_pictures(tmp_path / "Photos"))
        await stage.over(batch)
        assert (stage.copies(batch), stage.front.asked(APPEND), stage.front.asked(LOOK)) == (
            [1],
            appends,
            times,
        )


async def test_a_server_that_never_agrees_is_told_and_tried_again(before: OpenStage, tmp_path: Path) -> None:
    async with FakeDraft() as server, before(server) as stage:
        server.disputes_offsets(4)
        batch = stage.house.drop(write_pictures(tmp_path / "Photos"))
        await stage.reach(batch, S.WAITING)
        said = stage.words(batch)
        await stage.over(batch)
        assert (said, stage.copies(batch)) == (
            (
                S.WAITING,
                "The server and Uphaul did not agree on how the file stands (409): "
                "the server stands elsewhere each time. Trying again in 1 s.",
            ),
            [1],
        )


async def test_an_upload_that_has_expired_goes_again_from_its_start(
    before: OpenStage, tmp_path: Path
) -> None:
    async with FakeDraft() as server, before(server) as stage:
        stage.front.plan(APPEND, CutOff(MIB))
        batch = stage.house.drop(write_pictures(tmp_path / "Photos", size_bytes=LARGE_BYTES))
        await stage.reach(batch, S.WAITING)
        server.forgets_uploads()
        await stage.over(batch)
        assert (stage.copies(batch), stage.front.asked(CREATE)) == ([1], 2)


async def test_a_cancel_ends_the_upload_there(before: OpenStage, tmp_path: Path) -> None:
    hold = Hold(100_000)
    async with FakeDraft() as server, before(server, Limits(uploads_at_once=1)) as stage:
        stage.front.plan(APPEND, hold)
        batch = await stage.drop(write_pictures(tmp_path / "Photos", 2, LARGE_BYTES))
        await hold.reached.wait()
        stage.engine.cancel(batch)
        hold.let_go.set()
        await stage.over(batch)
        endings = [row.ending for row in stage.members(batch)]
        assert (endings, stage.front.asked(END), server.uploads) == ([CancelEnding.CANCELLED] * 2, 1, {})


async def test_what_is_there_is_read_back(before: OpenStage, tmp_path: Path) -> None:
    async with FakeDraft(max_size=10 * MIB) as server, before(server) as stage:
        batch = await stage.drop(write_pictures(tmp_path / "Photos"))
        await stage.over(batch)
        (row,) = stage.members(batch)
        connection = connect(TUS, stage.site.endpoint)
        seen = [await connection.look(remote_id) for remote_id in (row.remote_id or "", "unknown")]
        told = await connection.greet()
        await connection.aclose()
        assert ([file.state for file in seen], told) == (
            [RemoteState.STORED, RemoteState.UNKNOWN],
            Abilities(resume=True, cancel_file=True, max_size_bytes=10 * MIB),
        )


@pytest.mark.parametrize("pasted", ["/uploads", "/uploads/", ""])
async def test_a_pasted_address_is_found_out(pasted: str) -> None:
    async with FakeDraft() as server:
        found = await detect(server.url.removesuffix("/uploads") + pasted)
        assert (found.dialect, found.url) == (TUS, server.url)
