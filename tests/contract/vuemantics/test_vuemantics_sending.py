"""What the original does with a bulk POST, and what becomes of the files: each quirk is a fault of the fake by name."""

import hashlib
from collections.abc import Callable

import pytest

from app.domain.failure import WRONG_SIGN_IN, Failure, FailureKind, TransferError
from app.remote.base import Abilities, Outgoing, ParcelItem, RemoteState, Sent
from tests.support.vuemantics_sender import Clock, Courier, MemoryFeed, ids, open_courier, outgoings
from tests.support.vuemantics_server import FakeVuemantics
from tests.support.vuemantics_worker import BROKEN

K = FailureKind
PHOTOS = {"a/1.jpg": b"one", "a/2.png": b"two", "b/clip.MOV": b"three"}


async def test_the_server_tells_who_we_are_and_what_it_takes(courier: Courier) -> None:
    assert await courier.server.greet() == Abilities(
        cancel_batch=True,
        delete_file=True,
        processing=True,
        lists_batches=True,
        max_size_bytes=104_857_600,
        max_files=1000,
    )


async def test_a_parcel_arrives_in_one_post_and_is_followed_to_its_end(
    courier: Courier, fake: FakeVuemantics
) -> None:
    sent = await courier.send(PHOTOS)
    seen = await courier.over(ids(sent))
    assert [file.state for file in seen] == [RemoteState.STORED] * 3
    assert fake.stored() == {
        path.rpartition("/")[2]: hashlib.sha256(content).hexdigest() for path, content in PHOTOS.items()
    }
    assert [file.media_type for file in fake.files] == ["image/jpeg", "image/png", "video/quicktime"]
    assert fake.requests.count("POST /v1/uploads/bulk") == 1


async def test_names_of_all_kinds_arrive_and_alike_ones_are_told_apart(
    courier: Courier, fake: FakeVuemantics
) -> None:
    files = {
        "a/Łódź β 日本.jpg": b"1",
        'a/say "hi".jpg': b"2",
        "a/x.jpg": b"3",
        "b/x.jpg": b"4",
        "c/X.jpg": b"5",
    }
    sent = await courier.send(files)
    names = {file.id: file.name for file in fake.files}
    contents = {file.id: file.content for file in fake.files}
    upload_ids = [remote_id.rpartition("/")[2] for remote_id in ids(sent)]
    assert [contents[each] for each in upload_ids] == list(files.values())
    assert [names[each] for each in upload_ids][:2] == ["Łódź β 日本.jpg", "say _hi_.jpg"]
    assert len(set(names.values())) == 5


@pytest.mark.parametrize("prefix", ["", "/", "/api", "/api/"])
async def test_the_address_may_have_the_prefix_or_not(
    fake: FakeVuemantics, clock: Clock, prefix: str
) -> None:
    async with open_courier(fake.url + prefix, fake.user, fake.password, now=clock) as courier:
        seen = await courier.over(ids(await courier.send(PHOTOS)))
        await fake.connected()
    assert {file.state for file in seen} == {RemoteState.STORED}


async def test_behind_nginx_the_api_is_found_below_api(fake: FakeVuemantics, courier: Courier) -> None:
    fake.nginx_in_front()
    seen = await courier.over(ids(await courier.send(PHOTOS)))
    assert {file.state for file in seen} == {RemoteState.STORED}


async def test_an_address_with_pages_alone_is_no_server(clock: Clock) -> None:
    async with FakeVuemantics(clock) as fake:
        fake.nginx_in_front()
        async with open_courier(f"{fake.url}/somewhere", fake.user, fake.password, now=clock) as courier:
            with pytest.raises(TransferError) as caught:
                await courier.server.greet()
    assert (caught.value.failure.kind, caught.value.failure.detail) == (
        K.NOT_A_SERVER,
        "no vuemantics answers at this address",
    )


# Refusals


@pytest.mark.parametrize(
    "path, size, kind, detail",
    [
        ("a.txt", 5, K.REFUSED, "it takes JPEG, PNG, WebP, HEIC, MP4, MOV, AVI, WebM, MPEG and FLV; .txt is none of them"),
        ("a.gif", 5, K.REFUSED, "it takes JPEG, PNG, WebP, HEIC, MP4, MOV, AVI, WebM, MPEG and FLV; .gif is none of them"),
        ("photo", 5, K.REFUSED, "it takes JPEG, PNG, WebP, HEIC, MP4, MOV, AVI, WebM, MPEG and FLV; this name does not say what it is"),
        ("a.jpg", 0, K.REFUSED, "the file is empty, and this server takes no empty files"),
        ("a.jpg", 104_857_601, K.TOO_LARGE, "larger than the server takes"),
    ],
)  # fmt: skip
async def test_what_the_server_would_refuse_is_refused_before_a_byte_is_sent(
    courier: Courier, fake: FakeVuemantics, path: str, size: int, kind: FailureKind, detail: str
) -> None:
    failure = courier.server.refusal(Outgoing("key", path, size, 0, None, None))
    assert failure is not None
    assert (failure.kind, failure.detail, fake.requests) == (kind, detail, [])


async def test_the_largest_and_the_smallest_file_pass(courier: Courier) -> None:
    sizes = [1, 104_857_600]
    assert [courier.server.refusal(Outgoing("key", "a.JPG", size, 0, None, None)) for size in sizes] == [
        None,
        None,
    ]


async def test_refused_files_are_matched_by_their_order(
    courier: Courier, fake: FakeVuemantics, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server that takes less than it says: the preflight lets these two pass.
    fake.takes_no_longer("image/png")
    sent = await courier.send({"1.png": b"1", "2.jpg": b"2", "3.png": b"3", "4.jpg": b"4"})
    contents = {file.id: file.content for file in fake.files}
    assert [
        contents[each.remote_id.rpartition("/")[2]] if isinstance(each, Sent) else each for each in sent
    ] == [
        Failure(K.REFUSED, "Internal error during file processing"),
        b"2",
        Failure(K.REFUSED, "Internal error during file processing"),
        b"4",
    ]


async def test_a_parcel_of_which_nothing_is_taken_is_over_at_once(
    courier: Courier, fake: FakeVuemantics
) -> None:
    fake.takes_no_longer("image/png")
    sent = await courier.send({"1.png": b"1"})
    (row,) = await courier.server.list_batches()
    assert (sent, row.state, row.message) == (
        [Failure(K.REFUSED, "Internal error during file processing")],
        RemoteState.FAILED,
        "no file was taken",
    )


async def test_what_nginx_takes_not_is_too_large_and_costs_nothing(
    courier: Courier, fake: FakeVuemantics
) -> None:
    fake.nginx_in_front(most_bytes=2_000_000)
    with pytest.raises(TransferError) as caught:
        await courier.send({"1.jpg": b"x" * 3_000_000})
    failure = caught.value.failure
    assert (failure.kind, failure.http_status, courier.account.notes.read()["posts"]) == (
        K.TOO_LARGE,
        413,
        [],
    )


# Signing in


async def test_a_wrong_password_is_said(fake: FakeVuemantics, clock: Clock) -> None:
    async with open_courier(fake.url, fake.user, "Wrong-123", now=clock) as courier:
        with pytest.raises(TransferError) as caught:
            await courier.server.greet()
    assert caught.value.failure == Failure(K.SIGN_IN, WRONG_SIGN_IN, 401)


async def test_an_expired_token_is_renewed_on_401_once(courier: Courier, fake: FakeVuemantics) -> None:
    await courier.server.greet()
    fake.token_expires()
    await courier.server.greet()
    assert fake.requests[-2:] == ["POST /v1/auth/token/refresh", "GET /v1/auth/me"]


async def test_a_token_that_would_end_during_the_post_is_renewed_before(
    courier: Courier, fake: FakeVuemantics
) -> None:
    fake.tokens_live(100)  # more than for any short request
    await courier.server.greet()
    fake.tokens_live(1800)
    await courier.send(PHOTOS)
    assert fake.requests[-3:] == [
        "POST /v1/auth/token/refresh",
        "GET /v1/uploads/batches",
        "POST /v1/uploads/bulk",
    ]


async def test_a_post_whose_token_was_revoked_goes_again_with_a_new_one_and_costs_nothing(
    courier: Courier, fake: FakeVuemantics
) -> None:
    fake.fail_next("POST", "/v1/uploads/bulk", "token_revoked")
    with pytest.raises(TransferError) as caught:
        await courier.send(PHOTOS)
    assert (caught.value.failure.kind, caught.value.failure.http_status) == (K.CONFLICT, 401)
    assert courier.account.notes.read()["posts"] == []
    assert len(ids(await courier.send(PHOTOS))) == 3


# Processing


async def test_a_picture_that_is_none_fails_with_the_reason_that_only_the_socket_tells(
    courier: Courier, fake: FakeVuemantics
) -> None:
    fake.worker.hold()
    remote_ids = ids(await courier.send({"1.jpg": b"1", "2.jpg": BROKEN}))
    await courier.server.look_many(remote_ids)
    await fake.heard(2)
    fake.worker.go()
    good, bad = await courier.over(remote_ids)
    assert (good.state, bad.state, bad.message) == (
        RemoteState.STORED,
        RemoteState.FAILED,
        "Vision model error: bad data",
    )


async def test_without_a_socket_polling_tells_the_same(courier: Courier, fake: FakeVuemantics) -> None:
    fake.keeps_sockets_out()
    good, bad = await courier.over(ids(await courier.send({"1.jpg": b"1", "2.jpg": BROKEN})))
    assert (good.state, bad.state, bad.message) == (
        RemoteState.STORED,
        RemoteState.FAILED,
        "Failed after retry",
    )


async def shown(
    courier: Courier, remote_id: str, is_so: Callable[[str, float | None], bool]
) -> tuple[str, float | None]:
    """Follow a file until its stage and share are so."""
    while True:
        (file,) = await courier.server.look_many([remote_id])
        if is_so(file.stage, file.stage_share):
            return file.stage, file.stage_share
        await courier.server.news(1.0)


async def test_progress_goes_back_on_the_second_try_and_says_so(
    courier: Courier, fake: FakeVuemantics
) -> None:
    fake.second_try_moves_progress_back("1.jpg")
    fake.worker.hold()
    (remote_id,) = ids(await courier.send({"1.jpg": b"1"}))
    await fake.connected()
    fake.worker.hold(at_percent=80)
    fake.worker.step()
    first = await shown(courier, remote_id, lambda _, share: share == 0.4)
    fake.worker.hold(at_percent=60)
    fake.worker.step()
    second = await shown(courier, remote_id, lambda _, share: share == 0.12)
    fake.worker.go()
    (end,) = await courier.over([remote_id])
    assert (first, second, end.state) == (("", 0.4), ("second try", 0.12), RemoteState.STORED)


async def test_without_a_worker_a_batch_waits_and_says_for_what(
    courier: Courier, fake: FakeVuemantics
) -> None:
    fake.stays_pending_for_ever()
    (remote_id,) = ids(await courier.send({"1.jpg": b"1"}))
    (file,) = await courier.server.look_many([remote_id])
    (row,) = await courier.server.list_batches()
    assert (file.state, file.stage, row.message) == (
        RemoteState.PROCESSING,
        "waits for the server's worker",
        "waits for the server's worker",
    )


async def test_counts_above_the_total_harm_nothing(courier: Courier, fake: FakeVuemantics) -> None:
    remote_ids = ids(await courier.send({"1.jpg": b"1", "2.jpg": BROKEN}))
    fake.counts_twice_after_worker_death()
    await fake.done(2)
    (row,) = await courier.server.list_batches()
    seen = await courier.over(remote_ids)
    assert fake.batches[0].shown()["progress_percentage"] > 100
    assert (row.total_files, row.done_files, row.failed_files, row.share, row.message) == (
        *(2, 2, 2, 1.0),
        "the server has counted some files twice",
    )
    assert [file.state for file in seen] == [RemoteState.STORED, RemoteState.FAILED]


async def test_a_batch_whose_end_is_not_told_ends_by_polling(courier: Courier, fake: FakeVuemantics) -> None:
    fake.sends_no_final_message()
    seen = await courier.over(ids(await courier.send(PHOTOS)))
    assert {file.state for file in seen} == {RemoteState.STORED}


async def test_empty_files_of_other_clients_break_no_read_of_ours(
    courier: Courier, fake: FakeVuemantics
) -> None:
    fake.has_a_broken_row()
    seen = await courier.over(ids(await courier.send({"1.jpg": b"1", "2.jpg": BROKEN})))
    assert [file.state for file in seen] == [RemoteState.STORED, RemoteState.FAILED]


@pytest.mark.parametrize("has_socket", [True, False])
async def test_files_end_one_by_one_and_a_failed_one_with_its_batch(
    courier: Courier, fake: FakeVuemantics, has_socket: bool
) -> None:
    fake.keeps_sockets_out(not has_socket)
    fake.worker.hold_at_file(2)
    remote_ids = ids(await courier.send({"1.jpg": b"1", "2.jpg": BROKEN, "3.jpg": b"3"}))
    await fake.processed(2)
    await shown(courier, remote_ids[1], lambda stage, _: stage == "failed; it may be tried again")
    during = [(file.state, file.stage) for file in await courier.server.look_many(remote_ids)]
    fake.worker.go()
    after = [file.state for file in await courier.over(remote_ids)]
    assert during[:2] == [
        (RemoteState.STORED, ""),
        (RemoteState.PROCESSING, "failed; it may be tried again"),
    ]
    assert during[2][0] is RemoteState.PROCESSING
    assert after == [RemoteState.STORED, RemoteState.FAILED, RemoteState.STORED]


async def test_a_large_batch_without_a_failure_needs_no_look_at_each_file(
    courier: Courier, fake: FakeVuemantics
) -> None:
    fake.keeps_sockets_out()
    fake.worker.hold()
    remote_ids = ids(await courier.send({f"{number}.jpg": b"x" for number in range(150)}))
    fake.worker.go()
    await fake.done(150)
    before = len(fake.requests)
    states = {file.state for file in await courier.over(remote_ids)}
    assert (states, len(fake.requests) - before) == ({RemoteState.STORED}, 1)


async def test_a_large_batch_with_a_failure_is_read_file_by_file(
    courier: Courier, fake: FakeVuemantics
) -> None:
    files = {f"{number}.jpg": b"x" for number in range(50)} | {"bad.jpg": BROKEN}
    seen = await courier.over(ids(await courier.send(files)))
    assert [file.state for file in seen] == [RemoteState.STORED] * 50 + [RemoteState.FAILED]


async def test_a_file_that_the_server_cannot_show_has_failed_once_its_batch_is_over(
    courier: Courier, fake: FakeVuemantics
) -> None:
    remote_ids = ids(await courier.send({"1.jpg": b"1", "2.jpg": b"2"}))
    await fake.done(2)
    fake.files[0].content = b""  # a row that breaks every read of it
    broken, good = await courier.over(remote_ids)
    assert (broken.state, broken.message, good.state) == (
        RemoteState.FAILED,
        "the server cannot show this file (500)",
        RemoteState.STORED,
    )


async def test_a_post_right_after_a_500_does_not_meet_the_connection_that_was_closed(
    courier: Courier, fake: FakeVuemantics
) -> None:
    """closes_after_500"""
    await courier.server.greet()
    fake.fail_next("GET", "/v1/auth/me", "hangs_up_after_500")
    with pytest.raises(TransferError):
        await courier.server.greet()
    await courier.server.delete_files(["batch/upload"])
    assert fake.requests[-1] == "POST /v1/uploads/bulk/delete"


async def test_progress_of_the_transfer_is_told_file_by_file(courier: Courier) -> None:
    files = {"1.jpg": b"x" * 200_000, "2.jpg": b"y" * 10}
    feeds = [MemoryFeed(content) for content in files.values()]
    items = [ParcelItem(each, feed) for each, feed in zip(outgoings(files), feeds, strict=True)]
    sent = await courier.server.send_parcel(items)
    assert [feed.told[-1] for feed in feeds] == [(200_000, 200_000), (10, 10)]
    assert feeds[0].told[0] == (65_536, 0)
    assert [feed.remote_id for feed in feeds] == ids(sent)
