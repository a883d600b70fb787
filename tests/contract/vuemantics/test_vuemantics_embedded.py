"""The same adapter against our own server's vuemantics: there a cancel cancels, and refusals have reasons."""

from collections.abc import AsyncIterator, Iterator

import pytest

from app.domain.failure import CancelledElsewhereError, FailureKind, TransferError
from app.remote.account import Account, Endpoint
from app.remote.base import CancelAnswer, ParcelItem, RemoteState
from tests.support.clock import until
from tests.support.server import ServerProcess
from tests.support.vuemantics_client import PASSWORD, VuemanticsClient, picture
from tests.support.vuemantics_sender import QUICK, Courier, MemoryFeed, ids, open_courier, outgoings

K = FailureKind
PHOTOS = {f"a/{number}.png": picture(number) for number in range(3)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that has nothing to complain about in the end."""
    with ServerProcess(tmp_path_factory.mktemp("vuemantics")) as running:
        yield running
        running.stop()
    assert [line for line in running.log.splitlines() if "level=INFO" not in line] == []


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that processes nothing as long as DATA/hold is there."""
    data_dir = tmp_path_factory.mktemp("held")
    (data_dir / "hold").touch()
    with ServerProcess(data_dir, module="tests.support.held_server") as running:
        yield running


@pytest.fixture
async def courier(server: ServerProcess) -> AsyncIterator[Courier]:
    """A new user of it."""
    with VuemanticsClient(server) as client:
        async with open_courier(f"{server.url}/vuemantics", client.email, PASSWORD) as opened:
            yield opened


@pytest.fixture
async def patient(held: ServerProcess) -> AsyncIterator[Courier]:
    """A new user of the one that stands still."""
    with VuemanticsClient(held) as client:
        async with open_courier(f"{held.url}/vuemantics/api", client.email, PASSWORD) as opened:
            yield opened


async def test_files_arrive_and_are_processed(courier: Courier) -> None:
    assert (await courier.server.greet()).processing
    seen = await courier.over(ids(await courier.send(PHOTOS)))
    (row,) = await courier.server.list_batches()
    assert [file.state for file in seen] == [RemoteState.STORED] * 3
    assert (row.state, row.total_files, row.done_files) == (RemoteState.STORED, 3, 3)


async def test_a_picture_that_is_none_fails_with_the_reason(courier: Courier) -> None:
    good, bad = await courier.over(ids(await courier.send({"1.png": picture(1), "2.png": b"none"})))
    assert (good.state, bad.state) == (RemoteState.STORED, RemoteState.FAILED)
    assert bad.message.endswith("The file was sent as image/png, but it is no picture.")


async def test_a_cancel_cancels_the_whole_batch(patient: Courier) -> None:
    remote_ids = ids(await patient.send(PHOTOS))
    (batch_id,) = patient.server.batches_of(remote_ids)
    answers = [await patient.server.cancel_batch(batch_id) for _ in range(2)]
    seen = await patient.server.look_many(remote_ids)
    said = "the batch is cancelled; files that had arrived stay there until they are deleted"
    assert answers == [CancelAnswer(204, said), CancelAnswer(409, said)]
    assert [file.state for file in seen] == [RemoteState.CANCELLED] * 3
    (row,) = await patient.server.list_batches()
    assert (row.state, row.message) == (RemoteState.CANCELLED, "3 of 3 files were cancelled.")


async def test_a_cancel_after_the_end_is_told_as_such(courier: Courier) -> None:
    remote_ids = ids(await courier.send(PHOTOS))
    await courier.over(remote_ids)
    (batch_id,) = courier.server.batches_of(remote_ids)
    assert await courier.server.cancel_batch(batch_id) == CancelAnswer(409, "the batch was over already")


async def test_deleted_files_are_gone(courier: Courier) -> None:
    remote_ids = ids(await courier.send(PHOTOS))
    await courier.over(remote_ids)
    await courier.server.delete_files(remote_ids[:2])
    assert [file.state for file in await courier.server.look_many(remote_ids)] == [
        RemoteState.UNKNOWN,
        RemoteState.UNKNOWN,
        RemoteState.STORED,
    ]


async def test_names_are_kept_in_all_scripts(courier: Courier) -> None:
    files = {"a/Łódź β 日本.png": picture(1), "a/x.png": picture(2), "b/x.png": picture(3)}
    sent = await courier.send(files)
    courier.account.notes.write({})  # as if the answer had been lost
    found = await courier.server.find(outgoings(files, begun_at=courier.account.now()))
    assert [found[f"key of {path}"].remote_id for path in files] == ids(sent)


async def test_a_given_token_is_good_too(server: ServerProcess) -> None:
    courier = Courier(Account(Endpoint(f"{server.url}/vuemantics", server.token)), QUICK)
    assert (await courier.server.greet()).lists_batches
    await courier.aclose()


async def test_its_limit_says_itself_when_it_ends(server: ServerProcess) -> None:
    with VuemanticsClient(server) as client:
        for _ in range(5):
            client.bulk([("a.png", picture(1), "image/png")])
        async with open_courier(f"{server.url}/vuemantics", client.email, PASSWORD) as courier:
            with pytest.raises(TransferError) as caught:
                await courier.send(PHOTOS)
    failure = caught.value.failure
    assert (failure.kind, failure.http_status) == (K.BUSY, 429)
    assert 3000 < (failure.retry_after_s or 0.0) <= 3602


async def test_three_hundred_files_in_one_parcel(courier: Courier) -> None:
    files = {f"{number}.png": picture(number % 256, (1 + number, 2)) for number in range(300)}
    remote_ids = ids(await courier.send(files))
    await courier.server.cancel_batch(courier.server.batches_of(remote_ids)[0])
    assert (len(set(remote_ids)), len(courier.server.batches_of(remote_ids))) == (300, 1)


async def test_a_batch_cancelled_from_elsewhere_while_it_is_sent_ends_the_post(server: ServerProcess) -> None:
    with VuemanticsClient(server) as client:
        async with open_courier(f"{server.url}/vuemantics", client.email, PASSWORD) as courier:
            content = b"x" * 3_000_000
            feed = _CancellingFeed(content, client)
            (outgoing,) = outgoings({"1.png": content})
            with pytest.raises(CancelledElsewhereError):
                await courier.server.send_parcel([ParcelItem(outgoing, feed)])


class _CancellingFeed(MemoryFeed):
    """In the middle of it, somebody cancels the batch."""

    def __init__(self, content: bytes, client: VuemanticsClient) -> None:
        super().__init__(content)
        self._client = client
        self._blocks = 0

    async def block(self) -> bytes:
        self._blocks += 1
        if self._blocks == 2:
            await until(lambda: bool(self._client.batches()))
            self._client.cancel(self._client.batches()[0]["batch_id"])
        return await super().block()
