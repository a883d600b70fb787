"""The adapter before a Doorito that is built as its PEPs say: what they leave open, and what may go wrong, one by one."""

import asyncio
from pathlib import Path

import pytest

from app.domain.failure import FailureKind, TransferError
from app.remote.base import Abilities, RemoteState, Sent
from tests.support.clock import until
from tests.support.doorito_sender import Courier, begun, failure, open_courier
from tests.support.doorito_server import FakeDoorito
from tests.support.sender import MIB, make_parcel

K, R = FailureKind, RemoteState


# Sign in, and what there is


async def test_a_server_without_cancels_says_so_when_it_is_greeted(courier: Courier) -> None:
    """has_no_cancel"""
    assert await courier.server.greet() == Abilities(resume=True, checksum=True, lists_batches=True)


async def test_a_greeting_leaves_nothing_there(fake: FakeDoorito, courier: Courier) -> None:
    await courier.server.greet()
    assert (fake.sessions, fake.batches) == ({}, {})


async def test_a_wrong_token_is_a_sign_in(fake: FakeDoorito, courier: Courier, tmp_path: Path) -> None:
    fake.revokes_token()
    with pytest.raises(TransferError) as caught:
        await courier.server.greet()
    assert caught.value.failure.kind is K.SIGN_IN
    assert await failure(courier, make_parcel(tmp_path, 10)) == (K.SIGN_IN, 401)


async def test_a_server_without_sessions_is_none_of_these(courier: Courier, fake: FakeDoorito) -> None:
    for _ in range(2):
        fake.fail_next("POST", "/uploads/sessions", "page_not_found")
    with pytest.raises(TransferError) as caught:
        await courier.server.greet()
    assert caught.value.failure.kind is K.NOT_A_SERVER


# Bytes


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 25_003])
async def test_a_file_arrives_whole(fake: FakeDoorito, courier: Courier, tmp_path: Path, size: int) -> None:
    parcel = make_parcel(tmp_path, size)
    sent = await courier.send(parcel)
    assert (sent, parcel.told[-1]) == (Sent(fake.session.id, "", parcel.sha256), (size, size))
    assert (fake.stored(), fake.part_bytes) == ({"a.bin": parcel.sha256}, size)


@pytest.mark.parametrize("statuses", [(200,), (201,), (204,), (200, 201, 204)])
async def test_a_part_that_arrived_is_answered_by_any_code(
    fake: FakeDoorito, courier: Courier, tmp_path: Path, statuses: tuple[int, ...]
) -> None:
    fake.answers_parts_with(*statuses)
    parcel = make_parcel(tmp_path, 5500)
    await courier.send(parcel)
    assert fake.stored() == {"a.bin": parcel.sha256}


async def test_three_parts_are_under_way_and_end_in_any_order(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    gates = [fake.holds_part(number) for number in (1, 2, 3)]
    parcel = make_parcel(tmp_path, 6000)
    attempt = asyncio.create_task(courier.send(parcel))
    await until(lambda: fake.parts_under_way == 3 and fake.part_bytes == 3000)
    gates[2].set()
    gates[1].set()
    await until(lambda: len(fake.parts_put) == 5)
    gates[0].set()
    await attempt
    assert (set(fake.parts_put[:2]) <= {2, 3, 4}, fake.parts_put[-1], fake.most_at_once) == (True, 1, 3)
    assert fake.stored() == {"a.bin": parcel.sha256}


async def test_a_file_never_holds_more_than_sixteen_mebibytes(tmp_path: Path) -> None:
    """Of parts of 7 MiB two are under way at once."""
    async with FakeDoorito(7 * MIB) as fake, open_courier(fake.url, fake.token) as courier:
        gates = [fake.holds_part(number) for number in (1, 2)]
        attempt = asyncio.create_task(courier.send(make_parcel(tmp_path, 30 * MIB)))
        await until(lambda: fake.part_bytes == 14 * MIB)
        for gate in gates:
            gate.set()
        await attempt
    assert (fake.most_at_once, fake.part_bytes) == (2, 30 * MIB)


async def test_a_large_chunk_streams(tmp_path: Path) -> None:
    """64 MiB a part: it goes out alone, as it is read."""
    async with FakeDoorito(64 * MIB) as fake, open_courier(fake.url, fake.token) as courier:
        parcel = make_parcel(tmp_path, 70 * MIB)
        arrived_when_told: list[int] = []
        parcel.act_once_sent(8 * MIB, lambda: arrived_when_told.append(fake.part_bytes))
        await courier.send(parcel)
    assert (fake.stored(), fake.most_at_once) == ({"a.bin": parcel.sha256}, 1)
    assert 0 < arrived_when_told[0] < 64 * MIB


async def test_names_go_as_they_are(fake: FakeDoorito, courier: Courier, tmp_path: Path) -> None:
    names = ["Łódź & 日本 😀.txt", 'a"b<c>.txt', "plain.txt"]
    for name in names:
        await courier.send(make_parcel(tmp_path, 5, f"folder/{name}"))
    assert list(fake.stored()) == names


async def test_too_large_is_told_before_a_byte(fake: FakeDoorito, courier: Courier, tmp_path: Path) -> None:
    fake.takes_at_most(1000)
    assert await failure(courier, make_parcel(tmp_path, 1001)) == (K.TOO_LARGE, 413)
    assert fake.part_bytes == 0


# Resume


@pytest.mark.parametrize("how", ["list", "texts", "mixed", "pairs", "comma", "brackets"])
async def test_only_what_is_missing_goes_over_the_wire(
    fake: FakeDoorito, courier: Courier, tmp_path: Path, how: str
) -> None:
    """formats_ranges: parts 1 to 4, 6 and 10 are there; the status names no length of a part."""
    fake.formats_ranges(how)
    parcel = make_parcel(tmp_path, 11_500)
    await begun(fake, courier, parcel, 4)
    content = parcel.path.read_bytes()
    fake.session.parts = {n: content[(n - 1) * 1000 : n * 1000] for n in (1, 2, 3, 4, 6, 10)}
    await courier.send(parcel)
    assert (sorted(fake.parts_put), fake.part_bytes) == ([5, 7, 8, 9, 11, 12], 5500)
    assert (fake.stored(), len(fake.sessions)) == ({"a.bin": parcel.sha256}, 1)


async def test_a_status_that_tells_no_part_costs_bytes_and_nothing_else(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    """forgets_in_status: a part sent again is a success without effect."""
    fake.forgets_in_status()
    parcel = make_parcel(tmp_path, 3000)
    await begun(fake, courier, parcel, 2)
    await courier.send(parcel)
    assert (fake.part_bytes, fake.stored()) == (3000, {"a.bin": parcel.sha256})


async def test_everything_is_there_but_the_end(fake: FakeDoorito, courier: Courier, tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path, 3000)
    fake.fail_next("POST", "/uploads/sessions/", "server_error")
    assert await failure(courier, parcel) == (K.SERVER_ERROR, 500)
    fake.part_bytes = 0
    await courier.send(parcel)
    assert (fake.part_bytes, fake.stored()) == (0, {"a.bin": parcel.sha256})


async def test_a_lost_answer_to_the_creation_makes_no_second_session(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    """loses_the_answer: the same key again is the same session."""
    fake.fail_next("POST", "/uploads/sessions", "loses_the_answer")
    parcel = make_parcel(tmp_path, 3000)
    assert await failure(courier, parcel) == (K.CONNECTION_LOST, None)
    lost = parcel.remote_id
    await courier.send(parcel)
    assert (lost, len(fake.sessions), fake.stored()) == (None, 1, {"a.bin": parcel.sha256})


async def test_a_lost_answer_to_a_part_is_asked_after(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    fake.fail_next("PUT", "/uploads/sessions", "loses_the_answer")
    parcel = make_parcel(tmp_path, 1000)
    assert await failure(courier, parcel) == (K.CONNECTION_LOST, None)
    fake.part_bytes = 0
    await courier.send(parcel)
    assert (fake.part_bytes, fake.stored()) == (0, {"a.bin": parcel.sha256})


@pytest.mark.parametrize("fault", ["hangs_up", "bad_gateway", "rate_limited", "maintenance", "server_error"])
async def test_a_part_that_fails_is_sent_by_the_next_try(
    fake: FakeDoorito, courier: Courier, tmp_path: Path, fault: str
) -> None:
    parcel = make_parcel(tmp_path, 5000)
    fake.fail_next("PUT", "/uploads/sessions", fault)
    kind, _ = await failure(courier, parcel)
    await courier.send(parcel)
    assert kind in (K.CONNECTION_LOST, K.BUSY, K.SERVER_ERROR)
    assert (len(fake.sessions), fake.stored()) == (1, {"a.bin": parcel.sha256})
