"""The same adapter against our own server's Hub: there a request is whole or not there at all, and a cancel cancels."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from app.domain.batch import Batch
from app.domain.failure import CancelledElsewhereError, TransferError
from app.domain.state import TransferState
from app.engine.engine import Limits
from app.remote.base import CancelAnswer, ParcelItem, RemoteState, Sent
from tests.support import hub_client
from tests.support.cell_segmentation_hub_sender import Courier, open_courier, open_hub_house, outgoings, told
from tests.support.clock import TestClock, until
from tests.support.engine_house import House
from tests.support.fake_server import FakeServer
from tests.support.server import ServerProcess
from tests.support.vuemantics_sender import MemoryFeed

S = TransferState
ARRIVED = (S.COMPLETED, "Arrived.")
CONFIRMED = (S.CANCELLED, "Cancelled. The server confirmed it and kept nothing.")
PHOTOS = {"a.png": hub_client.png(3), "β.png": hub_client.png(4), "細胞.png": hub_client.png(5)}
PATH = "/cell-segmentation-hub"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that has nothing to complain about in the end."""
    with ServerProcess(tmp_path_factory.mktemp("hub"), "--rate-limits", "off") as running:
        yield running
        running.stop()
    assert [line for line in running.log.splitlines() if "level=INFO" not in line] == []


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    """A new user, seen through another program."""
    with hub_client.login(server) as opened:
        yield opened


@pytest.fixture
def project(client: httpx.Client) -> str:
    """A project of that user's."""
    return hub_client.project(client)


@pytest.fixture
async def courier(server: ServerProcess, client: httpx.Client, project: str) -> AsyncIterator[Courier]:
    """The user's account."""
    async with open_courier(
        server.url + PATH, client.headers["x-test-email"], hub_client.PASSWORD, project
    ) as opened:
        yield opened


@asynccontextmanager
async def program(home: Path, url: str, client: httpx.Client) -> AsyncIterator[House]:
    """A program whose only server it is."""
    user, clock = client.headers["x-test-email"], TestClock(time.time())
    async with open_hub_house(home, url + PATH, user, hub_client.PASSWORD, clock) as house:
        yield house


def pictures(folder: Path, names: list[str], size_bytes: int) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(random.Random(name).randbytes(size_bytes))
    return folder


def stored(client: httpx.Client, project: str) -> list[str]:
    names: list[str] = []
    for page in range(1, 10):
        query = {"page": page, "limit": 100}
        listed = client.get(f"/api/projects/{project}/images", params=query).json()["data"]["images"]
        names += [one["name"] for one in listed]
    return sorted(names)


def status_of(client: httpx.Client, remote_id: str) -> str:
    project, _, upload, *_ = remote_id.split("/")
    return str(client.get(f"/api/projects/{project}/uploads/{upload}").json()["data"]["status"])


async def sending(house: House, folder: Path, names: list[str], project: str) -> Batch:
    """Send large pictures, until some bytes are on their way."""
    batch = house.drop(pictures(folder, names, 16_000_000), target=project)
    await until(lambda: batch.done_bytes > 1_000_000, 20)
    return batch


async def test_it_says_what_it_can(courier: Courier) -> None:
    abilities = await courier.server.greet()
    assert (abilities.cancel_file, abilities.cancel_batch, abilities.delete_file) == (True, True, True)


async def test_three_hundred_pictures_in_every_script(
    server: ServerProcess, client: httpx.Client, project: str, tmp_path: Path
) -> None:
    names = sorted(
        f"{script} {number:03}.png" for script in ("ěß", "αβ", "細胞 \"q'") for number in range(100)
    )
    async with program(tmp_path / "home", server.url, client) as house:
        batch = house.drop(pictures(tmp_path / "Photos", names, 700), target=project)
        await house.over(batch)
        assert set(told(house, batch).values()) == {ARRIVED}
    assert stored(client, project) == names


async def test_a_cancel_during_the_bytes_is_confirmed_and_leaves_nothing(
    server: ServerProcess, client: httpx.Client, project: str, tmp_path: Path
) -> None:
    async with program(tmp_path / "home", server.url, client) as house:
        batch = await sending(house, tmp_path / "Photos", ["a.png", "b.png", "c.png"], project)
        house.engine.cancel(batch)
        house.engine.cancel(batch)
        await house.over(batch)
        assert set(told(house, batch).values()) == {CONFIRMED}
        ids = [row.remote_id for row in house.rows(batch).values()]
    states = {status_of(client, each or "") for each in ids}
    left = [*server.partials_dir.iterdir(), *server.files_dir.rglob("[abc].png")]
    # "failed" where the server saw the connection end before it heard the cancel: nothing is kept of either.
    assert (states <= {"cancelled", "failed"}, stored(client, project), left) == (True, [], [])


async def test_one_file_is_cancelled_and_the_others_arrive_once(
    server: ServerProcess, client: httpx.Client, project: str, tmp_path: Path
) -> None:
    async with program(tmp_path / "home", server.url, client) as house:
        batch = await sending(house, tmp_path / "Photos", ["a.png", "b.png", "c.png"], project)
        house.engine.cancel(batch, [house.rows(batch)["b.png"]])
        await house.over(batch)
        assert told(house, batch) == {"a.png": ARRIVED, "b.png": CONFIRMED, "c.png": ARRIVED}
    assert stored(client, project) == ["a.png", "c.png"]


@pytest.mark.parametrize("rolls_back", [False, True])
async def test_what_was_whole_before_the_cancel_is_told_and_can_be_rolled_back(
    server: ServerProcess, client: httpx.Client, project: str, tmp_path: Path, rolls_back: bool
) -> None:
    """The answer is lost; the cancel comes when the request is completed there."""
    async with FakeServer(server.url) as front, program(tmp_path / "home", front.url, client) as house:
        house.engine.set_limits(Limits(roll_back=rolls_back))
        front.plan("POST", "", "silent_after_it")
        batch = house.drop(pictures(tmp_path / "Photos", ["α.png", "b.png"], 700), target=project)
        await until(lambda: len(hub_client.names_of(client, project)) == 2)
        house.engine.cancel(batch)
        await house.over(batch)
        words = set(told(house, batch).values())
    ending = (
        (S.CANCELLED, "Cancelled. It had been stored all the same, and was deleted again.")
        if rolls_back
        else (S.COMPLETED, "It had finished before the cancel took effect, and stays on the server.")
    )
    assert (words, stored(client, project)) == ({ending}, [] if rolls_back else ["b.png", "α.png"])


async def test_a_lost_answer_makes_no_second_picture(
    server: ServerProcess, client: httpx.Client, project: str, tmp_path: Path
) -> None:
    async with FakeServer(server.url) as front, program(tmp_path / "home", front.url, client) as house:
        front.plan("POST", "", "lost_answer")  # the sign-in, and the pictures
        batch = house.drop(pictures(tmp_path / "Photos", ["α.png", "b.png"], 700), target=project)
        await house.reach(batch, S.WAITING, 2)
        await house.clock.advance(1)
        await house.over(batch)
        assert set(told(house, batch).values()) == {ARRIVED}
    assert stored(client, project) == ["b.png", "α.png"]


async def test_a_server_that_is_killed_in_the_middle_and_started_again_has_everything_once(
    client: httpx.Client, project: str, server: ServerProcess, tmp_path: Path
) -> None:
    async with program(tmp_path / "home", server.url, client) as house:
        names = ["a.png", "b.png", "c.png", "d.png"]
        batch = await sending(house, tmp_path / "Photos", names, project)
        await asyncio.to_thread(server.kill)
        await house.reach(batch, S.WAITING, 4)
        await asyncio.to_thread(server.start)
        while batch.counts.unfinished:
            await until(lambda: house.clock.sleepers > 0 or not batch.counts.unfinished, 20)
            if house.clock.sleepers:
                await house.clock.advance(60)
        assert set(told(house, batch).values()) == {ARRIVED}
    assert stored(client, project) == names


async def test_a_cancel_from_another_program_ends_the_request(courier: Courier, client: httpx.Client) -> None:
    content = bytes(3_000_000)
    (outgoing,) = outgoings({"a.png": content}, courier.target)
    with pytest.raises(CancelledElsewhereError):
        await courier.server.send_parcel([ParcelItem(outgoing, _CancelledFeed(content, client))])
    assert hub_client.names_of(client, courier.target) == []


class _CancelledFeed(MemoryFeed):
    """In the middle of it, somebody cancels the request."""

    def __init__(self, content: bytes, client: httpx.Client) -> None:
        super().__init__(content)
        self._client = client
        self._blocks = 0

    async def block(self) -> bytes:
        self._blocks += 1
        if self._blocks == 2:
            project, _, upload, *_ = self.remote_id.split("/")
            path = f"/api/projects/{project}/uploads/{upload}"
            await asyncio.to_thread(hub_client.until, lambda: self._client.get(path).status_code == 200)
            told = await asyncio.to_thread(self._client.post, f"{path}/cancel")
            assert told.json()["data"]["status"] == "cancelled"
        return await super().block()


async def test_a_completed_request_cannot_be_cancelled_but_deleted_file_by_file(courier: Courier) -> None:
    await courier.send(PHOTOS)
    ids = [feed.remote_id for feed in courier.feeds.values()]
    (request,) = courier.server.batches_of(ids)
    answers = [await courier.server.cancel_file(ids[0]), await courier.server.cancel_batch(request)]
    before = [(await courier.server.look(each)).state for each in ids]
    await courier.server.delete_files(ids[:2])
    after = [(await courier.server.look(each)).state for each in ids]
    assert answers == [CancelAnswer(400, "Upload already completed")] * 2
    assert (before, after) == (
        [RemoteState.STORED] * 3,
        [RemoteState.UNKNOWN, RemoteState.UNKNOWN, RemoteState.STORED],
    )


async def test_a_cancelled_request_is_read_back_and_twice_is_an_answer(courier: Courier) -> None:
    unknown = f"{courier.target}/upload/{uuid4()}/3/a.png"
    assert (await courier.server.cancel_file(unknown)).http_status == 404
    assert (await courier.server.look(unknown)).state is RemoteState.UNKNOWN


async def test_an_image_of_an_earlier_request_is_not_sent_again(
    courier: Courier, client: httpx.Client
) -> None:
    first = await courier.send(PHOTOS)
    ids = [each.remote_id for each in first if isinstance(each, Sent)]
    begun_at = time.time()
    found = await courier.server.find(outgoings(PHOTOS, courier.target, begun_at))
    assert [found[each.key].remote_id for each in outgoings(PHOTOS, courier.target)] == ids
    assert hub_client.names_of(client, courier.target) == list(PHOTOS)


async def test_projects_and_somebody_elses(courier: Courier, server: ServerProcess) -> None:
    made = await courier.server.create_target("Žlutý 細胞")
    assert made in await courier.server.targets()
    with hub_client.login(server) as other:
        courier.target = hub_client.project(other)
        results = await courier.send(PHOTOS)
    assert {getattr(each, "detail", "") for each in results} == {"the project is gone, or it is not yours"}


async def test_a_video_goes_alone_is_found_and_deleted(courier: Courier) -> None:
    begun_at = time.time()
    files = {"α.mp4": b"a film", "b.png": hub_client.png()}
    video, picture = await courier.send(files)
    assert isinstance(video, Sent)
    assert isinstance(picture, Sent)
    found = await courier.server.find(outgoings(files, courier.target, begun_at))
    await courier.server.delete_files([video.remote_id])
    assert {each.remote_id for each in found.values()} == {video.remote_id, picture.remote_id}
    assert (await courier.server.look(video.remote_id)).state is RemoteState.UNKNOWN
    assert (await courier.server.look(picture.remote_id)).state is RemoteState.STORED


async def test_its_socket_tells_of_uploads_from_elsewhere(courier: Courier, client: httpx.Client) -> None:
    line = courier.line.line
    line.listen()
    news = asyncio.create_task(line.news(60))
    while not news.done():
        await asyncio.to_thread(hub_client.send, client, courier.target, "a.png")
        await asyncio.wait([news], timeout=0.1)
    assert line.has_cancel is None  # the news needed no request


async def test_a_wrong_password(server: ServerProcess, client: httpx.Client) -> None:
    user = client.headers["x-test-email"]
    async with open_courier(server.url + PATH, user, "wrong password", "x") as courier:
        with pytest.raises(TransferError, match="sign_in"):
            await courier.server.greet()
