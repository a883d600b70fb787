"""The same stories for every dialect, through the whole engine: real files, a real journal, real servers, a clock that is turned."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from app.domain.batch import Batch
from app.domain.failure import FailureKind
from app.domain.state import BatchState, TransferState
from app.engine.engine import Limits
from tests.contract.dialects import CASES, Case
from tests.contract.sites import Servers
from tests.contract.stage import Stage, open_stage, write_pictures
from tests.support.front import CutOff, Hold, reply
from tests.support.node import node_modules

S, K = TransferState, FailureKind
LARGE_BYTES = 6 * 2**20
"""More than the sockets between a sender and a server that reads no more can hold."""
_CANCELLED = "Cancelled. The server confirmed it and kept nothing."
every_case = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Servers]:
    """The servers that are processes of their own."""
    cache = request.config.cache
    assert cache is not None
    modules = partial(
        node_modules, Path(cache.mkdir("foreign-servers")), Path(__file__).parent / "tus" / "js"
    )
    running = Servers(tmp_path_factory.mktemp("servers"), modules)
    yield running
    running.close()


_PAGE = "<!DOCTYPE html><html><h1>nginx</h1></html>"
_SIGN_IN = "The server asks you to sign in (401). Sign in again, then resume."
_AGAIN = "Trying again in 1 s."
REFUSALS = {
    "403": (reply(403, '{"detail": "Not you."}'), S.WAITING, "Your account may not upload to this server (403): Not you. Ask who runs the server for access, then resume."),
    "404": (reply(404, '{"detail": "Not Found"}'), S.WAITING, f"No upload server answers at this address (404): Not Found. {_AGAIN}"),
    "409": (reply(409, '{"detail": "Elsewhere."}'), S.WAITING, f"The server and Uphaul did not agree on how the file stands (409): Elsewhere. {_AGAIN}"),
    "413": (reply(413, '{"detail": "Too much."}'), S.FAILED, "Too large for this server. Send a smaller file, or ask who runs the server for more."),
    "420": (reply(420, '{"detail": "Calm."}'), S.WAITING, f"The server is busy (420): Calm. {_AGAIN}"),
    "429": (reply(429, '{"detail": "Slow down."}', "Retry-After: 7"), S.WAITING, "The server is busy (429): Slow down. Trying again in 7 s."),
    "500": (reply(500, '{"detail": "Oh no."}'), S.WAITING, f"The server had a problem of its own (500): Oh no. {_AGAIN}"),
    "502": (reply(502, _PAGE, content_type="text/html"), S.WAITING, f"The server is busy (502). {_AGAIN}"),
    "503": (reply(503, '{"detail": "Later."}'), S.WAITING, f"The server is busy (503): Later. {_AGAIN}"),
}  # fmt: skip
"""What is answered to the first request of a sending, and what a person reads then; Case.own_words has the exceptions."""


async def begun(stage: Stage, folder: Path, hold: Hold) -> Batch:
    """Drop a folder, and return in the middle of the first file."""
    stage.front.plan(stage.case.brings, hold)
    batch = await stage.drop(folder)
    async with asyncio.timeout(20):
        await hold.reached.wait()
    return batch


# Arriving


@every_case
async def test_files_arrive(case: Case, servers: Servers, tmp_path: Path) -> None:
    async with open_stage(case, servers, tmp_path) as stage:
        batch = await stage.drop(write_pictures(tmp_path / "Photos", 3))
        await stage.over(batch)
        assert (set(stage.told(batch).values()), stage.copies(batch)) == (
            {(S.COMPLETED, case.arrived)},
            [1, 1, 1],
        )


@every_case
async def test_names_of_all_scripts_arrive(case: Case, servers: Servers, tmp_path: Path) -> None:
    names = ["Łódź β 日本語.png", "été 🐙.png", "it's; \u202eme.png"]
    folder = write_pictures(tmp_path / "Żółć", 3)
    for number, name in enumerate(names):
        (folder / f"{number}.png").rename(folder / name)
    async with open_stage(case, servers, tmp_path) as stage:
        batch = await stage.drop(folder)
        await stage.over(batch)
        assert (stage.told(batch), stage.names(batch), stage.copies(batch)) == (
            {name: (S.COMPLETED, case.arrives_as(name)) for name in names},
            case.names(names),
            [1, 1, 1],
        )


@every_case
async def test_an_empty_file_is_stored_or_refused_with_a_reason(
    case: Case, servers: Servers, tmp_path: Path
) -> None:
    folder = write_pictures(tmp_path / "Photos", 2)
    (folder / "0.png").write_bytes(b"")
    async with open_stage(case, servers, tmp_path) as stage:
        batch = await stage.drop(folder)
        await stage.over(batch)
        assert stage.told(batch) == {
            "0.png": case.own_words.get("empty", (S.COMPLETED, case.arrived)),
            "1.png": (S.COMPLETED, case.arrived),
        }


@every_case
async def test_hundreds_of_small_files_arrive_once(case: Case, servers: Servers, tmp_path: Path) -> None:
    async with open_stage(case, servers, tmp_path) as stage:
        batch = await stage.drop(write_pictures(tmp_path / "Photos", case.many_files))
        await stage.over(batch)
        assert (stage.house.view(batch).state, stage.copies(batch)) == (
            BatchState.COMPLETED,
            [1] * case.many_files,
        )


# Who one is


@every_case
async def test_a_wrong_password_waits_for_the_right_one(case: Case, servers: Servers, tmp_path: Path) -> None:
    async with open_stage(case, servers, tmp_path, endpoint=lambda site: site.wrong()) as stage:
        batch = await stage.drop(write_pictures(tmp_path / "Photos"))
        await stage.at_rest(batch)
        waits = stage.kinds(batch), stage.states(batch), stage.copies(batch)
        await stage.sign_in(stage.site.endpoint)
        await stage.over(batch)
        assert (waits, stage.copies(batch)) == (([K.SIGN_IN], [S.WAITING], [0]), [1])


@every_case
async def test_a_sign_in_that_has_run_out_is_renewed_or_asked_for(
    case: Case, servers: Servers, tmp_path: Path
) -> None:
    async with open_stage(case, servers, tmp_path) as stage:
        stage.front.plan(case.announces, case.signed_out)
        batch = await stage.drop(write_pictures(tmp_path / "Photos"))
        await stage.at_rest(batch)
        said = stage.words(batch)
        await stage.again(batch)
        assert (said, stage.copies(batch)) == (case.own_words.get("expired", (S.WAITING, _SIGN_IN)), [1])


@every_case
async def test_who_is_refused_with_a_fresh_sign_in_too_is_asked(
    case: Case, servers: Servers, tmp_path: Path
) -> None:
    async with open_stage(case, servers, tmp_path) as stage:
        stage.front.plan(case.announces, *[case.signed_out] * 20)
        batch = await stage.drop(write_pictures(tmp_path / "Photos"))
        await stage.until(batch, lambda: stage.waits_for_a_person(batch))
        said = stage.words(batch), stage.copies(batch)
        stage.front.plan_nothing()
        await stage.sign_in(stage.site.endpoint)
        await stage.over(batch)
        assert (said, stage.copies(batch)) == (
            (case.own_words.get("refused", (S.WAITING, _SIGN_IN)), [0]),
            [1],
        )


# What can go wrong


@every_case
async def test_without_a_network_everything_waits_and_then_goes_on(
    case: Case, servers: Servers, tmp_path: Path
) -> None:
    async with open_stage(case, servers, tmp_path) as stage:
        await stage.front.away()
        batch = await stage.drop(write_pictures(tmp_path / "Photos"))
        await stage.at_rest(batch)
        waits = stage.kinds(batch), stage.states(batch)
        await stage.front.back()
        await stage.over(batch)
        assert (waits, stage.copies(batch)) == (([K.UNREACHABLE], [S.WAITING]), [1])


@pytest.mark.parametrize("status", REFUSALS)
@every_case
async def test_a_refusal_is_told_and_nothing_is_lost(
    case: Case, status: str, servers: Servers, tmp_path: Path
) -> None:
    answer, *expected = REFUSALS[status]
    async with open_stage(case, servers, tmp_path) as stage:
        stage.front.plan(case.announces, answer)
        batch = await stage.drop(write_pictures(tmp_path / "Photos"))
        await stage.at_rest(batch)
        said = stage.words(batch), stage.copies(batch)
        await stage.again(batch)
        assert (said, stage.states(batch), stage.copies(batch)) == (
            (case.own_words.get(status, tuple(expected)), [0]),
            [S.COMPLETED],
            [1],
        )


@pytest.mark.parametrize("up_bytes", [0, 1, 1_000, 1_199_000])
@every_case
async def test_a_connection_cut_at_any_byte_costs_no_file(
    case: Case, up_bytes: int, servers: Servers, tmp_path: Path
) -> None:
    async with open_stage(case, servers, tmp_path) as stage:
        stage.front.plan(case.brings, CutOff(up_bytes))
        batch = await stage.drop(write_pictures(tmp_path / "Photos", size_bytes=1_200_000))
        await stage.over(batch)
        said = stage.words(batch)
        await stage.again(batch)  # only where nobody can know: elsewhere it has arrived by itself
        arrived_or_told = said[0] is S.COMPLETED or said == case.own_words.get("cut")
        assert (arrived_or_told, stage.states(batch), stage.copies(batch)) == (True, [S.COMPLETED], [1])


@every_case
async def test_an_answer_that_was_lost_makes_no_second_file(
    case: Case, servers: Servers, tmp_path: Path
) -> None:
    async with open_stage(case, servers, tmp_path) as stage:
        stage.front.plan(case.ends, case.loses)
        batch = await stage.drop(write_pictures(tmp_path / "Photos"))
        await stage.over(batch)
        assert (stage.words(batch), stage.copies(batch)) == (
            case.own_words.get("lost", (S.COMPLETED, case.arrived)),
            [1],
        )


@every_case
async def test_a_server_that_starts_anew_in_the_middle_gets_the_rest(
    case: Case, servers: Servers, tmp_path: Path
) -> None:
    async with open_stage(case, servers, tmp_path) as stage:
        hold = Hold(100_000)
        batch = await begun(stage, write_pictures(tmp_path / "Photos", size_bytes=LARGE_BYTES), hold)
        await stage.site.restart()
        hold.let_go.set()
        await stage.over(batch)
        assert (stage.states(batch), stage.copies(batch)) == ([S.COMPLETED], [1])


# Cancel


@every_case
async def test_what_is_cancelled_before_it_begins_never_goes_out(
    case: Case, servers: Servers, tmp_path: Path
) -> None:
    async with open_stage(case, servers, tmp_path) as stage:
        batch = stage.house.drop(write_pictures(tmp_path / "Photos", 2), target="nowhere")
        stage.engine.pause_batch(batch)
        await stage.scanned(batch)
        stage.engine.cancel(batch)
        await stage.over(batch)
        assert (set(stage.told(batch).values()), stage.front.asked(case.announces)) == (
            {(S.CANCELLED, "Cancelled before anything was sent.")},
            0,
        )


@pytest.mark.parametrize("times", [1, 2])
@every_case
async def test_a_cancel_in_the_middle_leaves_nothing_there(
    case: Case, times: int, servers: Servers, tmp_path: Path
) -> None:
    async with open_stage(case, servers, tmp_path) as stage:
        hold = Hold(100_000)
        batch = await begun(stage, write_pictures(tmp_path / "Photos", size_bytes=LARGE_BYTES), hold)
        for _ in range(times):
            stage.engine.cancel(batch, stage.members(batch))
        hold.let_go.set()
        await stage.over(batch)
        assert (stage.words(batch), stage.copies(batch)) == (
            (S.CANCELLED, case.own_words.get("cancelled", _CANCELLED)),
            [0],
        )


@every_case
async def test_a_whole_batch_is_cancelled_in_the_middle(case: Case, servers: Servers, tmp_path: Path) -> None:
    async with open_stage(case, servers, tmp_path, limits=Limits(uploads_at_once=1)) as stage:
        hold = Hold(100_000)
        batch = await begun(stage, write_pictures(tmp_path / "Photos", 3, LARGE_BYTES), hold)
        stage.engine.cancel(batch)
        hold.let_go.set()
        await stage.over(batch)
        assert (stage.house.view(batch).state, stage.states(batch), stage.copies(batch)) == (
            BatchState.CANCELLED,
            [S.CANCELLED] * 3,
            [0, 0, 0],
        )


@pytest.mark.parametrize("case", [case for case in CASES if case.held], ids=str)
async def test_a_cancel_while_the_server_works_ends_as_it_says(
    case: Case, servers: Servers, tmp_path: Path
) -> None:
    """What is there in the end, and what a person is told of it, agree."""
    assert case.held is not None
    async with open_stage(replace(case, start=case.held), servers, tmp_path) as stage:
        batch = await stage.drop(write_pictures(tmp_path / "Photos"))
        await stage.at_work(batch)
        stage.engine.cancel(batch)
        await stage.over(batch)
        told = stage.words(batch), stage.copies(batch)
        stage.site.let_work()
        assert told == case.own_words["cancelled_in_work"]


@every_case
async def test_a_cancel_after_the_end_changes_nothing(case: Case, servers: Servers, tmp_path: Path) -> None:
    async with open_stage(case, servers, tmp_path) as stage:
        batch = await stage.drop(write_pictures(tmp_path / "Photos"))
        await stage.over(batch)
        stage.engine.cancel(batch)
        await stage.over(batch)
        assert (stage.words(batch), stage.copies(batch)) == ((S.COMPLETED, case.arrived), [1])
