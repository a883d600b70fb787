"""Each quirk of the real DirectDrive, played by name, and what the adapter makes of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from app.domain.failure import CancelledElsewhereError, Failure, FailureKind, RemoteGoneError, TransferError
from app.remote.base import Outgoing, RemoteState, Sent
from tests.support.clock import until
from tests.support.directdrive_sender import QUICK, Courier, open_courier
from tests.support.directdrive_server import FakeDirectDrive, Generation
from tests.support.sender import MIB, Parcel, make_parcel

K = FailureKind


@pytest.fixture(params=list(Generation), ids=lambda generation: generation.name)
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[FakeDirectDrive]:
    """The server of each generation."""
    async with FakeDirectDrive(request.param) as running:
        yield running


@pytest.fixture
async def newest() -> AsyncIterator[FakeDirectDrive]:
    """The newest server."""
    async with FakeDirectDrive() as running:
        yield running


@pytest.fixture
async def oldest() -> AsyncIterator[FakeDirectDrive]:
    """The older server."""
    async with FakeDirectDrive(Generation.OLD) as running:
        yield running


async def failure_of(courier: Courier, parcel: Parcel) -> Failure:
    with pytest.raises(TransferError) as raised:
        await courier.send(parcel)
    return raised.value.failure


async def stopped_at(courier: Courier, parcel: Parcel, fake: FakeDirectDrive, size_bytes: int) -> None:
    """Send until the server has so much, then stop."""
    arrived = fake.arrives(size_bytes)
    task = asyncio.create_task(courier.send(parcel))
    await asyncio.wait_for(arrived.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# What works everywhere


@pytest.mark.parametrize("size", [1, 4 * MIB, 9 * MIB + 1])
async def test_a_file_arrives_in_frames_of_4_mib(fake: FakeDirectDrive, tmp_path: Path, size: int) -> None:
    fake.takes_frames_of_4_mib_only()
    parcel = make_parcel(tmp_path, size, "Żółć 日本.bin")
    async with open_courier(fake.url, fake.user, fake.password) as courier:
        sent = await courier.send(parcel)
    assert sent == Sent(parcel.remote_id or "", "", parcel.sha256)
    assert fake.stored() == {"Żółć 日本.bin": parcel.sha256}
    assert [file.owner for file in fake.files.values()] == [fake.user]


async def test_words_in_strings_are_understood(fake: FakeDirectDrive, tmp_path: Path) -> None:
    fake.speaks_in_strings()
    parcel = make_parcel(tmp_path, 5 * MIB)
    async with open_courier(fake.url) as courier:
        await courier.send(parcel)
    assert fake.stored() == {"a.bin": parcel.sha256}


async def test_a_server_that_tells_no_progress_is_sent_a_window_and_then_all(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    """Eight frames may be on their way unheard of; once the server says that it is at it, the rest goes too."""
    fake.tells_no_progress()
    parcel = make_parcel(tmp_path, 45 * MIB)
    async with open_courier(fake.url) as courier:
        await courier.send(parcel)
    paused_at = next(sent for (sent, _), (again, _) in pairwise(parcel.told) if sent == again != 0)
    assert (paused_at, fake.stored()) == (36 * MIB, {"a.bin": parcel.sha256})


async def test_without_a_description_of_its_api_the_server_is_known_all_the_same(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    fake.has_no_openapi()
    async with open_courier(fake.url, fake.user, fake.password) as courier:
        abilities = await courier.server.greet()
        await courier.send(make_parcel(tmp_path, 10))
    assert (abilities.cancel_file, abilities.cancel_batch) == (True, False)


async def test_without_the_parallel_socket_the_other_one_is_taken(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    newest.has_no_parallel_socket()
    parcels = [make_parcel(tmp_path, size, f"{size}.bin") for size in (10, 11)]
    async with open_courier(newest.url) as courier:
        for parcel in parcels:
            await courier.send(parcel)
    assert len(newest.stored()) == 2
    assert newest.asked("GET /ws_api/upload_parallel/") == 1


# Announcing


async def test_equal_names_are_matched_by_their_index(newest: FakeDirectDrive, tmp_path: Path) -> None:
    """matches_by_index_only: the answer names both files alike."""
    one, other = make_parcel(tmp_path, 10, "a:b.txt"), make_parcel(tmp_path, 20, "a_b.txt")
    async with open_courier(newest.url) as courier:
        first = await courier.send(one, batch_key="b", neighbours=lambda: [other.outgoing])
        second = await courier.send(other, batch_key="b")
    sizes = {file.original: len(file.content) for file in newest.files.values()}
    assert sizes == {"a:b.txt": 10, "a_b.txt": 20}
    assert (first.answer, second.answer) == ("stored as a_b.txt", "")
    assert newest.asked("initiate") == 1


@pytest.mark.parametrize(
    "name, stored", [("Photos/a?.jpg", "Photos_a_.jpg"), (".profile", "file_profile"), ("plain.txt", "")]
)
async def test_a_server_that_renames_files_is_told_of(
    fake: FakeDirectDrive, tmp_path: Path, name: str, stored: str
) -> None:
    """renames_files: the name is predicted, or asked for where only the server can know it."""
    async with open_courier(fake.url) as courier:
        sent = await courier.send(make_parcel(tmp_path, 10, name))
    assert sent.answer == (f"stored as {stored}" if stored else "")


async def test_one_file_that_is_not_wanted_does_not_take_the_others_with_it(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    """The server refuses the whole batch for one file; its rules may be newer than ours."""
    newest.refuses_initiate(400, "Upload rejected: dangerous file 'b.xyz' detected.")
    good, bad = make_parcel(tmp_path, 10, "a.txt"), make_parcel(tmp_path, 11, "b.xyz")
    async with open_courier(newest.url) as courier:
        await courier.send(good, batch_key="b", neighbours=lambda: [bad.outgoing])
        newest.refuses_initiate(400, "File type '.xyz' is not allowed for security reasons")
        failure = await failure_of(courier, bad)
    assert failure == Failure(K.REFUSED, "File type '.xyz' is not allowed for security reasons", 400)
    assert newest.statuses() == {"a.txt": "completed"}


async def test_the_older_server_gets_one_announcement_at_a_time(
    oldest: FakeDirectDrive, tmp_path: Path
) -> None:
    """An announced file takes one of its places for a day."""
    one, other = make_parcel(tmp_path, 10, "a.txt"), make_parcel(tmp_path, 11, "b.txt")
    async with open_courier(oldest.url) as courier:
        await courier.send(one, batch_key="b", neighbours=lambda: [other.outgoing])
    assert list(oldest.statuses()) == ["a.txt"]


REFUSALS: list[tuple[Callable[[FakeDirectDrive], None], Failure]] = [
    (
        lambda fake: fake.storage_busy(),
        Failure(
            K.BUSY,
            "All storage accounts are currently busy or unavailable. Please try again in a minute.",
            503,
            60.0,
        ),
    ),
    (
        lambda fake: fake.answers_200_with_error(),
        Failure(K.SERVER_ERROR, "Failed to get storage: no such account", 200),
    ),
    (
        lambda fake: fake.error_shape_of_middleware(),
        Failure(K.SERVER_ERROR, "Internal server error", 500),
    ),
    (
        lambda fake: fake.refuses_initiate(429, "Too many concurrent uploads. Max 3 allowed for anonymous users"),
        Failure(K.BUSY, "Too many concurrent uploads. Max 3 allowed for anonymous users", 429, 10.0),
    ),
    (
        lambda fake: fake.refuses_initiate(429, "Daily limit exceeded. 0.50GB remaining"),
        Failure(K.REFUSED, "Daily limit exceeded. 0.50GB remaining", 429),
    ),
    (
        lambda fake: fake.refuses_initiate(400, "File 1 exceeds 2GB limit for anonymous users"),
        Failure(
            K.TOO_LARGE, "File 1 exceeds 2GB limit for anonymous users", 400, limit_bytes=2 * 2**30
        ),
    ),
    (
        lambda fake: fake.refuses_initiate(400, "System error occurred"),
        Failure(K.SERVER_ERROR, "System error occurred", 400),
    ),
    (
        lambda fake: fake.refuses_initiate(422, [{"loc": ["body", "size"], "msg": "Input should be smaller"}]),
        Failure(K.REFUSED, "Input should be smaller", 422),
    ),
    (lambda fake: fake.refuses_initiate(413, "File too large"), Failure(K.TOO_LARGE, "File too large", 413)),
]  # fmt: skip


@pytest.mark.parametrize("quirk, expected", REFUSALS, ids=lambda value: getattr(value, "detail", "")[:20])
async def test_what_initiate_says_is_understood(
    newest: FakeDirectDrive, tmp_path: Path, quirk: Callable[[FakeDirectDrive], None], expected: Failure
) -> None:
    quirk(newest)
    async with open_courier(newest.url) as courier:
        assert await failure_of(courier, make_parcel(tmp_path, 10)) == expected
    assert newest.sockets == []


@pytest.mark.parametrize(
    "fault, kind",
    [
        ("hangs_up", K.CONNECTION_LOST),
        ("lost_answer", K.CONNECTION_LOST),
        ("rate_limited", K.BUSY),
        ("server_error", K.SERVER_ERROR),
        ("bad_gateway", K.BUSY),
        ("maintenance", K.BUSY),
        ("portal", K.NOT_A_SERVER),
        ("page_not_found", K.NOT_A_SERVER),
        ("forbidden", K.FORBIDDEN),
        ("disk_full", K.DISK_FULL),
    ],
)
@pytest.mark.parametrize("where", ["/api/v1/batch/initiate", "/api/v1/upload/initiate"])
async def test_what_goes_wrong_at_the_announcement_is_no_end(
    newest: FakeDirectDrive, tmp_path: Path, where: str, fault: str, kind: FailureKind
) -> None:
    one, other = make_parcel(tmp_path, 10, "a.txt"), make_parcel(tmp_path, 11, "b.txt")
    newest.fail_next("POST", where, fault)
    async with open_courier(newest.url, newest.user, newest.password) as courier:
        send = partial(
            courier.send, batch_key="b", neighbours=lambda: [other.outgoing] if "batch" in where else []
        )
        with pytest.raises(TransferError) as raised:
            await send(one)
        await send(one)
    assert raised.value.failure.kind is kind
    assert newest.stored() == {"a.txt": one.sha256}


@pytest.mark.parametrize("fault", ["bad_gateway", "rate_limited", "maintenance"])
async def test_a_server_that_is_busy_at_first_is_not_taken_for_another(
    newest: FakeDirectDrive, tmp_path: Path, fault: str
) -> None:
    newest.fail_next("GET", "/openapi.json", fault)
    async with open_courier(newest.url, newest.user, newest.password) as courier:
        failure = await failure_of(courier, make_parcel(tmp_path, 10))
        await courier.send(make_parcel(tmp_path, 11))
        abilities = courier.server.abilities
    assert (failure.kind, abilities.cancel_batch) == (K.BUSY, True)


@pytest.mark.parametrize(
    "name, size, limits, expected",
    [
        ("setup.EXE", 10, False, Failure(K.REFUSED, "File type '.exe' is not allowed for security reasons")),
        ("empty.txt", 0, False, Failure(K.REFUSED, "this server takes no empty files")),
        ("big.bin", 11 * 2**30, False, Failure(K.TOO_LARGE, "larger than the server takes", limit_bytes=10 * 2**30)),
        ("big.bin", 3 * 2**30, False, None),
        ("big.bin", 3 * 2**30, True, Failure(K.TOO_LARGE, "larger than the server takes", limit_bytes=2 * 2**30)),
    ],
)  # fmt: skip
async def test_what_the_server_would_refuse_is_known_before(
    newest: FakeDirectDrive, name: str, size: int, limits: bool, expected: Failure | None
) -> None:
    if limits:
        newest.limits_anonymous()
    async with open_courier(newest.url) as courier:
        await courier.server.greet()
        assert courier.server.refusal(Outgoing("k", name, size, 0, None, None)) == expected
    assert newest.asked("initiate") == 0


async def test_the_older_server_tells_no_limit_and_has_one_for_nobody(oldest: FakeDirectDrive) -> None:
    async with open_courier(oldest.url) as courier:
        assert (await courier.server.greet()).max_size_bytes == 2 * 2**30


# Who we are


async def test_an_old_token_makes_no_file_nobodys(fake: FakeDirectDrive, tmp_path: Path) -> None:
    """The secret was changed: the token looks good, and is nobody's."""
    now = [fake.now()]
    async with open_courier(fake.url, fake.user, fake.password, now=lambda: now[0]) as courier:
        await courier.send(make_parcel(tmp_path, 10, "a"))
        fake.forgets_tokens()
        await courier.send(make_parcel(tmp_path, 11, "b"))
        fake.forgets_tokens()
        now[0] += 3600
        await courier.send(make_parcel(tmp_path, 12, "c"))
    stored = [file.owner for file in fake.files.values() if file.status == "completed"]
    assert stored == [fake.user] * 3


async def test_a_wrong_password_is_shown_once_for_all_files(fake: FakeDirectDrive, tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path, 10 + n, f"{n}") for n in range(6)]
    now = [1e9]
    async with open_courier(fake.url, fake.user, "wrong", now=lambda: now[0]) as courier:
        ends = await asyncio.gather(*map(courier.send, parcels), return_exceptions=True)
        asked = fake.asked("auth/token")
        now[0] += 10
        await failure_of(courier, parcels[0])
    wrong = Failure(K.SIGN_IN, "Incorrect username or password", 401)
    assert [end.failure for end in ends if isinstance(end, TransferError)] == [wrong] * 6
    assert (asked, fake.asked("auth/token")) == (1, 2)


async def test_the_end_of_a_token_is_seen_before_it_comes(fake: FakeDirectDrive, tmp_path: Path) -> None:
    now = [fake.now()]
    fake.now = lambda: now[0]
    async with open_courier(fake.url, fake.user, fake.password, now=lambda: now[0]) as courier:
        await courier.send(make_parcel(tmp_path, 10, "a"))
        now[0] += 25 * 3600
        await courier.send(make_parcel(tmp_path, 11, "b"))
    assert [file.owner for file in fake.files.values()] == [fake.user] * 2
    assert fake.asked("auth/token") == 2


@pytest.mark.parametrize("lives_s", [None, -10.0])
async def test_a_given_token_that_is_over_sends_nothing(
    fake: FakeDirectDrive, tmp_path: Path, lives_s: float | None
) -> None:
    fake.token_lives_s = lives_s
    token = fake.token()
    fake.forgets_tokens()
    async with open_courier(fake.url, token=token) as courier:
        failure = await failure_of(courier, make_parcel(tmp_path, 10))
    assert (failure.kind, fake.asked("initiate")) == (K.SIGN_IN, 0)


async def test_a_server_that_takes_us_for_nobody_gets_no_bytes(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    """becomes_anonymous: even `/users/me` says that all is well. A new sign-in helps, a token that was given cannot."""
    token = newest.token()
    newest.becomes_anonymous()
    async with open_courier(newest.url, token=token) as courier:
        failure = await failure_of(courier, make_parcel(tmp_path, 10))
    assert failure.kind is K.SIGN_IN
    assert (newest.statuses(), newest.sockets) == ({"a.bin": "cancelled"}, [])
    async with open_courier(newest.url, newest.user, newest.password) as courier:
        await courier.server.greet()
        newest.becomes_anonymous()
        await courier.send(make_parcel(tmp_path, 10, "b.bin"))
    assert [file.owner for file in newest.files.values() if file.status == "completed"] == [newest.user]


# The socket


@pytest.mark.parametrize(
    "code, reason",
    [
        (1008, "Upload limit exceeded or insufficient resources"),
        (1008, "Insufficient memory for upload"),
        (1011, "Server error during upload initialization: OSError"),
    ],
)
async def test_a_place_that_is_taken_is_waited_for_with_the_same_id(
    newest: FakeDirectDrive, tmp_path: Path, code: int, reason: str
) -> None:
    newest.slots_taken(1, code, reason)
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(newest.url) as courier:
        failure = await failure_of(courier, parcel)
        first = parcel.remote_id
        sent = await courier.send(parcel)
    assert (failure.kind, failure.detail) == (K.BUSY, reason)
    assert (sent.remote_id, newest.asked("initiate")) == (first, 1)


async def test_the_older_server_refuses_a_place_at_the_handshake(
    oldest: FakeDirectDrive, tmp_path: Path
) -> None:
    oldest.slots_taken()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(oldest.url) as courier:
        failure = await failure_of(courier, parcel)
        await courier.send(parcel)
    assert (failure.kind, failure.http_status, oldest.asked("initiate")) == (K.BUSY, 403, 1)


async def test_a_handshake_that_waits_for_a_place_means_busy(
    oldest: FakeDirectDrive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.remote.websocket._PATIENT_HANDSHAKE_S", 0.2)
    oldest.lets_the_handshake_wait()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(oldest.url) as courier:
        failure = await failure_of(courier, parcel)
        oldest.accept.set()
        await courier.send(parcel)
    assert (failure, oldest.asked("initiate")) == (Failure(K.BUSY, "all places for uploads are taken"), 1)


async def test_a_file_that_was_cancelled_meanwhile_is_not_raised_from_the_dead(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    """resurrects_cancelled: the server takes the bytes of a cancelled file, so nothing may connect to it."""
    newest.slots_taken()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(newest.url) as courier, open_courier(newest.url) as other:
        await failure_of(courier, parcel)
        await other.server.cancel_file(parcel.remote_id or "")
        with pytest.raises(CancelledElsewhereError):
            await courier.send(parcel)
    assert (newest.statuses(), newest.sockets) == ({"a.bin": "cancelled"}, [])


async def test_a_neighbour_that_was_cancelled_meanwhile_is_left_alone(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    now = [1e9]
    one, other = make_parcel(tmp_path, 10, "a.txt"), make_parcel(tmp_path, 11, "b.txt")
    async with open_courier(newest.url, now=lambda: now[0]) as courier:
        await courier.send(one, batch_key="b", neighbours=lambda: [other.outgoing])
        await courier.server.cancel_batch(courier.server.batches_of([one.remote_id or ""])[0])
        newest.batches.clear()
    async with open_courier(newest.url, now=lambda: now[0]) as courier:
        await courier.send(
            make_parcel(tmp_path, 12, "c.txt"), batch_key="b", neighbours=lambda: [other.outgoing]
        )
        [batch] = newest.batches
        async with open_courier(newest.url) as stranger:
            await stranger.server.cancel_batch(batch)
        now[0] += 60
        with pytest.raises(CancelledElsewhereError):
            await courier.send(other)
    assert newest.sockets == ["a.txt", "c.txt"]


async def test_nobody_opens_more_sockets_than_there_are_places(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    """All who are anonymous share five places: we take no more than that ourselves."""
    parcels = [make_parcel(tmp_path, 300_000 + n, f"{n}") for n in range(12)]
    async with open_courier(newest.url) as courier:
        await asyncio.gather(*(courier.send(parcel) for parcel in parcels))
    assert (len(newest.stored()), newest.refused_sockets) == (12, [])


async def test_all_received_and_then_failed_is_a_failure(fake: FakeDirectDrive, tmp_path: Path) -> None:
    fake.progress_on_receipt_then_fails()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(fake.url) as courier:
        failure = await failure_of(courier, parcel)
    assert failure == Failure(K.SERVER_ERROR, "Upload failed: Failed to finalize upload: 308 -")
    assert parcel.told[-1][0] == 10


@pytest.mark.parametrize("stored", [True, False])
async def test_a_polite_close_says_nothing_so_the_file_is_asked(
    fake: FakeDirectDrive, tmp_path: Path, stored: bool
) -> None:
    fake.closes_1000_without_success(stored=stored)
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(fake.url) as courier:
        if stored:
            await courier.send(parcel)
        else:
            assert (await failure_of(courier, parcel)).kind is K.CONNECTION_LOST
    assert fake.statuses() == {"a.bin": "completed" if stored else "failed"}


async def test_a_success_that_is_never_said_is_found(fake: FakeDirectDrive, tmp_path: Path) -> None:
    fake.never_says_success()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(fake.url) as courier:
        await courier.send(parcel)
    assert fake.stored() == {"a.bin": parcel.sha256}


async def test_a_slow_end_is_waited_for_and_kept_alive(fake: FakeDirectDrive, tmp_path: Path) -> None:
    fake.keeps_processing()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(fake.url) as courier:
        task = asyncio.create_task(courier.send(parcel))
        await fake.finalising.wait()
        await until(lambda: len(parcel.told) >= 6)  # told again and again while nothing moves
        fake.finalise.set()
        await task
    assert (set(parcel.told[-4:-1]), parcel.told[-1]) == ({(10, 0)}, (10, 10))


async def test_a_server_that_never_goes_on_is_given_up(fake: FakeDirectDrive, tmp_path: Path) -> None:
    fake.keeps_processing()
    pace = replace(QUICK, idle_s=0.1, patience_s=0.25)
    async with open_courier(fake.url, pace=pace) as courier:
        failure = await failure_of(courier, make_parcel(tmp_path, 10))
    assert failure == Failure(K.STALLED, "the server does not go on with the file")


async def test_a_proxy_that_takes_no_large_frames_is_named(newest: FakeDirectDrive, tmp_path: Path) -> None:
    newest.slots_taken(1, 1009, "")
    async with open_courier(newest.url) as courier:
        failure = await failure_of(courier, make_parcel(tmp_path, 10))
    assert failure == Failure(K.REFUSED, "the server, or a proxy before it, takes no frames of 4 MiB (1009)")


@pytest.mark.parametrize("cut_at", [1, 4 * MIB + 1])
async def test_a_cut_connection_means_from_the_start_under_another_id(
    fake: FakeDirectDrive, tmp_path: Path, cut_at: int
) -> None:
    """No resume: bytes for a file that has some already make it fail."""
    fake.cuts_at(cut_at)
    parcel = make_parcel(tmp_path, 9 * MIB)
    async with open_courier(fake.url) as courier:
        failure = await failure_of(courier, parcel)
        first = parcel.remote_id
        sent = await courier.send(parcel)
    assert (failure.kind, sent.remote_id == first) == (K.CONNECTION_LOST, False)
    assert fake.stored() == {"a.bin": parcel.sha256}
    assert "uploading" not in fake.statuses().values()


async def test_a_trouble_of_the_server_after_a_cut_is_not_taken_for_a_cancel(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    newest.cuts_at(MIB)
    newest.fail_next("GET", "/api/v1/files/", "server_error")
    parcel = make_parcel(tmp_path, 9 * MIB)
    async with open_courier(newest.url) as courier:
        failure = await failure_of(courier, parcel)
        await courier.send(parcel)
    assert (failure.kind, sorted(file.status for file in newest.files.values())) == (
        K.CONNECTION_LOST,
        ["completed", "failed"],
    )


async def test_a_file_whose_connection_is_cut_at_its_last_byte_is_there_once(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    fake.cuts_at(9 * MIB)
    parcel = make_parcel(tmp_path, 9 * MIB)
    async with open_courier(fake.url) as courier:
        with contextlib.suppress(TransferError):
            await courier.send(parcel)
        await courier.send(parcel)
    assert [file.status for file in fake.files.values()].count("completed") == 1


async def test_a_file_that_the_server_has_lost_is_announced_anew(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 10)
    fake.slots_taken()
    async with open_courier(fake.url) as courier:
        await failure_of(courier, parcel)
        fake.files.clear()
        sent = await courier.send(parcel)
    assert fake.stored() == {"a.bin": sent.sha256}


async def test_a_restart_of_the_server_is_survived(fake: FakeDirectDrive, tmp_path: Path) -> None:
    fake.stops_reading()
    parcel = make_parcel(tmp_path, 9 * MIB)
    async with open_courier(fake.url, fake.user, fake.password) as courier:
        task = asyncio.create_task(courier.send(parcel))
        await until(lambda: bool(parcel.told) and parcel.told[-1][0] >= MIB)
        fake.read.set()
        await fake.restart()
        with pytest.raises((TransferError, RemoteGoneError)):
            await task
        await courier.send(parcel)
    assert fake.stored() == {"a.bin": parcel.sha256}


# Cancel


async def test_the_cancel_is_asked_before_the_socket_closes(fake: FakeDirectDrive, tmp_path: Path) -> None:
    """Closed first, the file would be `failed`, and the cancel refused."""
    parcel = make_parcel(tmp_path, 30 * MIB)
    async with open_courier(fake.url) as courier:
        await stopped_at(courier, parcel, fake, 4 * MIB)
        answer = await courier.cancel(parcel)
        seen = await courier.look(parcel)
    assert (answer.http_status, answer.message) == (200, "Upload cancelled successfully")
    assert (seen.state, fake.statuses()) == (RemoteState.CANCELLED, {"a.bin": "cancelled"})


async def test_a_socket_that_nobody_cancels_is_closed_in_a_moment(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 30 * MIB)
    async with open_courier(newest.url) as courier:
        await stopped_at(courier, parcel, newest, 4 * MIB)
        before = newest.statuses()
        await until(lambda: newest.statuses() != before)
    assert (before, newest.statuses()) == ({"a.bin": "uploading"}, {"a.bin": "failed"})


async def test_a_cancel_that_the_server_ignores_ends_as_finished(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    """ignores_cancel: everything had arrived; 200, and completed all the same."""
    newest.ignores_cancel()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(newest.url) as courier:
        task = asyncio.create_task(courier.send(parcel))
        await newest.finalising.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        answer = await courier.cancel(parcel)
        seen = await courier.look(parcel)
    assert (answer.http_status, seen.state) == (200, RemoteState.STORED)


async def test_where_the_cancel_fails_closing_the_socket_is_the_cancel(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    """cancel_answers_500: `Failed to update file status`."""
    newest.cancel_answers_500()
    parcel = make_parcel(tmp_path, 30 * MIB)
    async with open_courier(newest.url) as courier:
        await stopped_at(courier, parcel, newest, 4 * MIB)
        answer = await courier.cancel(parcel)
        seen = await courier.look(parcel)
    words = "Failed to update file status (500); its connection was closed instead"
    assert (answer.http_status, answer.message, seen.state) == (500, words, RemoteState.FAILED)


async def test_a_cancel_that_failed_without_a_socket_is_asked_again(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    newest.slots_taken()
    newest.cancel_answers_500()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(newest.url) as courier:
        await failure_of(courier, parcel)
        with pytest.raises(TransferError) as raised:
            await courier.cancel(parcel)
    assert raised.value.failure == Failure(K.SERVER_ERROR, "Failed to update file status", 500)


async def test_the_old_status_is_read_out_of_a_refusal(fake: FakeDirectDrive, tmp_path: Path) -> None:
    """get_of_cancelled_is_500 on the older server: the second cancel says what the file cannot."""
    parcel = make_parcel(tmp_path, 30 * MIB)
    async with open_courier(fake.url) as courier:
        await stopped_at(courier, parcel, fake, 4 * MIB)
        await courier.cancel(parcel)
    async with open_courier(fake.url) as courier:
        again = await courier.cancel(parcel)
        seen = await courier.look(parcel)
    assert (again.http_status, seen.state) == (400, RemoteState.CANCELLED)


async def test_the_older_server_cannot_cancel_what_waits(oldest: FakeDirectDrive, tmp_path: Path) -> None:
    oldest.slots_taken()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(oldest.url) as courier:
        await failure_of(courier, parcel)
        answer = await courier.cancel(parcel)
        seen = await courier.look(parcel)
    assert (answer.http_status, answer.message) == (400, "Cannot cancel upload. File status: pending")
    assert seen.state is RemoteState.UNFINISHED


async def test_a_cancel_elsewhere_ends_the_socket_of_the_older_server(
    oldest: FakeDirectDrive, tmp_path: Path
) -> None:
    """Closed with 1000 and no word, and then a file that cannot be shown."""
    parcel = make_parcel(tmp_path, 60 * MIB)
    arrived = oldest.arrives(4 * MIB)
    async with open_courier(oldest.url) as courier, open_courier(oldest.url) as other:
        task = asyncio.create_task(courier.send(parcel))
        await arrived.wait()
        oldest.read.clear()
        await other.server.cancel_file(parcel.remote_id or "")
        oldest.read.set()
        with pytest.raises(CancelledElsewhereError):
            await task


@pytest.mark.parametrize("partly", [False, True])
async def test_a_batch_is_cancelled_with_what_was_never_sent(
    newest: FakeDirectDrive, tmp_path: Path, partly: bool
) -> None:
    """cancels_partly: what the server left is cancelled file by file."""
    if partly:
        newest.cancels_partly()
    running = make_parcel(tmp_path, 30 * MIB)
    waiting = [make_parcel(tmp_path, 10 + n, f"{n}") for n in range(5)]
    arrived = newest.arrives(4 * MIB)
    async with open_courier(newest.url) as courier:
        task = asyncio.create_task(
            courier.send(running, batch_key="b", neighbours=lambda: [each.outgoing for each in waiting])
        )
        await arrived.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        [batch] = courier.server.batches_of([running.remote_id or ""])
        answer = await courier.server.cancel_batch(batch)
        seen = await courier.look(running)
    assert (answer.http_status, seen.state) == (200, RemoteState.CANCELLED)
    assert set(newest.statuses().values()) == {"cancelled"}
    assert newest.asked("upload/cancel") == (3 if partly else 0)


async def test_a_stop_in_the_middle_of_an_announcement_leaves_nothing_behind(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    newest.is_slow_to_announce()
    parcels = [make_parcel(tmp_path, 10 + n, f"{n}") for n in range(3)]
    async with open_courier(newest.url) as courier:
        task = asyncio.create_task(
            courier.send(parcels[0], batch_key="b", neighbours=lambda: [p.outgoing for p in parcels[1:]])
        )
        await until(lambda: newest.asked("batch/initiate") > 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        newest.announce.set()
        await courier.send(parcels[1])
    assert (newest.asked("initiate"), newest.statuses()) == (
        1,
        {"0": "cancelled", "1": "completed", "2": "cancelled"},
    )
