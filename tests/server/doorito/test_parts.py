"""PEP 0012: parts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.doorito_client import Doorito, HeldPart, parts_on_disk
from tests.support.server import ServerProcess
from tests.support.waiting import eventually


def test_the_same_part_with_the_same_content_does_not_count_twice(client: Doorito) -> None:
    session = client.session(30, 10)
    answers = [client.put(session, 1, b"0123456789") for _ in range(3)]
    assert [(one.status_code, one.json()["completed_parts"]) for one in answers] == [(200, 1)] * 3
    assert client.status(session)["bytes_received"] == 10


def test_the_same_part_with_different_content_is_409_and_the_first_stays(client: Doorito) -> None:
    session = client.session(10, 10)
    client.put(session, 1, b"0123456789")
    other = client.put(session, 1, b"9876543210")
    assert (other.status_code, other.json()["code"]) == (409, "part_conflict")
    assert client.finalize(session).json()["file"]["sha256"] == (
        "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
    )


@pytest.mark.parametrize("number,size", [(1, 9), (1, 11), (1, 0), (2, 9), (2, 11), (3, 4), (3, 6), (3, 10)])
def test_a_wrong_size_is_400_and_only_the_last_part_may_be_shorter(
    client: Doorito, number: int, size: int
) -> None:
    session = client.session(25, 10)
    declared = client.put(session, number, b"x" * size)
    chunked = client.put(session, number, iter([b"x" * size]))
    assert [(one.status_code, one.json()["code"]) for one in (declared, chunked)] == [(400, "part_size")] * 2
    assert client.status(session)["received_parts"] == []


def test_parts_are_accepted_out_of_order(client: Doorito) -> None:
    session = client.session(25, 10)
    for number, content in ((3, b"ccccc"), (1, b"a" * 10), (2, b"b" * 10)):
        assert client.put(session, number, content).status_code == 200
    stored = client.finalize(session).json()["file"]
    path = next(one for one in client.server.files_dir.iterdir() if one.read_bytes()[-5:] == b"ccccc")
    assert (path.read_bytes(), stored["size_bytes"]) == (b"a" * 10 + b"b" * 10 + b"ccccc", 25)


def test_the_first_part_moves_a_session_from_init_to_in_progress(client: Doorito) -> None:
    session = client.session(20, 10)
    before = client.status(session)["status"]
    client.put(session, 2, b"x" * 10)
    assert (before, client.status(session)["status"]) == ("init", "in_progress")


@pytest.mark.parametrize("number", [0, -1, 4, 10**30, "x", "1.5"])
def test_a_part_outside_1_to_total_parts_is_400(client: Doorito, number: int | str) -> None:
    session = client.session(25, 10)
    assert client.put(session, number, b"x" * 10).status_code == 400


@pytest.mark.parametrize("end", ["finalize", "cancel"])
def test_a_session_that_is_not_init_or_in_progress_rejects_parts(client: Doorito, end: str) -> None:
    session = client.uploaded(b"x" * 10, 10)
    assert client.http.post(f"/uploads/sessions/{session}/{end}").status_code == 200
    answer = client.put(session, 1, b"x" * 10)
    status = {"finalize": "complete", "cancel": "aborted"}[end]
    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (
        409,
        "session_over",
        status,
    )


def test_multipart_is_not_the_bytes_of_a_part(client: Doorito) -> None:
    session = client.session(10, 10)
    answer = client.http.put(f"/uploads/sessions/{session}/parts/1", files={"file": b"x" * 10})
    assert answer.status_code == 415


def test_parts_may_come_at_the_same_time(client: Doorito, server: ServerProcess) -> None:
    content = bytes(range(250)) * 400
    session = client.session(len(content), 1000)

    def send(number: int) -> int:
        with Doorito(server, server.token) as one:
            return one.put(session, number, content[(number - 1) * 1000 : number * 1000]).status_code

    with ThreadPoolExecutor(10) as pool:
        seen = list(pool.map(send, range(1, 101)))
    body = client.status(session)
    assert seen == [200] * 100
    assert (body["completed_parts"], body["bytes_received"], body["received_parts"]) == (
        100,
        len(content),
        ["1-100"],
    )


def test_the_same_part_sent_by_ten_at_once_counts_once(client: Doorito, server: ServerProcess) -> None:
    session = client.session(20, 10)

    def send(number: int) -> int:
        with Doorito(server, server.token) as one:
            return one.put(session, 1, b"%010d" % (number % 2)).status_code

    with ThreadPoolExecutor(10) as pool:
        seen = set(pool.map(send, range(10)))
    assert (seen <= {200, 409, 423}, 200 in seen) == (True, True)
    assert (client.status(session)["completed_parts"], client.status(session)["bytes_received"]) == (1, 10)


def test_a_part_that_is_being_sent_is_locked_for_another_request(client: Doorito) -> None:
    session = client.session(20, 20)
    with HeldPart(client, session, 1, b"x" * 10, b"y" * 10) as held:
        eventually(
            lambda: [one for one in parts_on_disk(client.server.data_dir) if one.startswith(f"{session}/")],
            bool,
        )
        second = client.put(session, 1, b"z" * 20)
        first = held.let_go()
    assert (first, second.status_code, second.headers["Retry-After"]) == (200, 423, "1")
    assert client.status(session)["completed_parts"] == 1


def test_of_a_part_that_breaks_off_nothing_is_kept(client: Doorito) -> None:
    session = client.session(20, 20)
    data_dir = client.server.data_dir
    with HeldPart(client, session, 1, b"x" * 10, b"y" * 10):
        eventually(lambda: [one for one in parts_on_disk(data_dir) if one.startswith(f"{session}/")], bool)
    eventually(
        lambda: [one for one in parts_on_disk(data_dir) if one.startswith(f"{session}/")], lambda it: not it
    )
    assert client.status(session)["received_parts"] == []
    assert client.put(session, 1, b"z" * 20).status_code == 200
