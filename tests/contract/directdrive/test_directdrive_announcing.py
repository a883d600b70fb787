"""How the real DirectDrive announces files, and who it takes us for: each quirk by name, and what the adapter makes of it."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from app.domain.failure import WRONG_SIGN_IN, Failure, FailureKind, TransferError
from app.remote.base import Outgoing
from tests.support.directdrive_sender import failure_of, open_courier
from tests.support.directdrive_server import FakeDirectDrive, Generation
from tests.support.sender import make_parcel

K = FailureKind


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
    """renames_files: the name is predicted, or asked for where only the server can know it. The older one keeps all."""
    async with open_courier(fake.url) as courier:
        sent = await courier.send(make_parcel(tmp_path, 10, name))
    renamed = stored if fake.generation is Generation.X else ""
    assert (sent.answer, list(fake.stored())) == (
        f"stored as {renamed}" if renamed else "",
        [renamed or name],
    )


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
    wrong = Failure(K.SIGN_IN, WRONG_SIGN_IN, 401)
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
