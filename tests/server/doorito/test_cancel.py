"""Cancel of a session, which the PEPs leave out: before, during, after, twice, by others; and sessions that get too old."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.doorito_client import Doorito, HeldPart, parts_on_disk
from tests.support.server import ServerProcess
from tests.support.waiting import eventually


def of(client: Doorito, session: str) -> list[str]:
    return [one for one in parts_on_disk(client.server.data_dir) if one.startswith(session)]


def test_cancel_before_the_first_part(client: Doorito) -> None:
    batch = client.batch()
    session = client.session(10, batch_id=batch, name="a.txt")
    body = client.cancel(session).json()
    assert (body["session_id"], body["original_filename"], body["status"]) == (session, "a.txt", "aborted")
    assert (client.status(session)["status"], client.counts(batch)) == ("aborted", (1, 0, 0, 1))
    assert client.status(session)["cancelled_at"] == body["cancelled_at"] is not None


def test_cancel_removes_the_parts_before_it_answers(client: Doorito) -> None:
    session = client.session(30, 10)
    client.put(session, 1, b"x" * 10)
    before = len(of(client, session))
    answer = client.cancel(session)
    assert (before > 0, answer.status_code, of(client, session)) == (True, 200, [])


def test_cancel_ends_a_part_that_is_arriving(client: Doorito) -> None:
    session = client.session(20, 20)
    with HeldPart(client, session, 1, b"x" * 10, b"y" * 10) as held:
        eventually(lambda: any("/" in one for one in of(client, session)), bool)
        answer = client.cancel(session)
        left = of(client, session)
        ended = held.answer()  # before the rest of its body was sent
    assert (answer.status_code, left) == (200, [])
    assert ended == 409


def test_cancel_during_finalize_wins_or_loses_as_a_whole(client: Doorito) -> None:
    content = random.Random(4).randbytes(32 * 1024 * 1024)
    session = client.uploaded(content, 8 * 1024 * 1024, batch_id=client.batch(name="Race"))
    with ThreadPoolExecutor(1) as pool, Doorito(client.server, client.server.token) as other:
        end = pool.submit(other.finalize, session)
        cancel = client.cancel(session)
        finalized = end.result(30)
    stored = list((client.server.files_dir / "Race").glob("*"))
    assert (cancel.status_code, finalized.status_code, client.status(session)["status"], len(stored)) in (
        (200, 409, "aborted", 0),
        (409, 200, "complete", 1),
    )
    assert (of(client, session), list(client.server.partials_dir.iterdir())) == ([], [])


@pytest.mark.parametrize("end,status", [("finalize", "complete"), ("cancel", "aborted")])
def test_what_is_over_cannot_be_cancelled(client: Doorito, end: str, status: str) -> None:
    session = client.uploaded(b"abc", 2)
    client.http.post(f"/uploads/sessions/{session}/{end}")
    answer = client.cancel(session)
    assert (answer.status_code, answer.json()) == (
        409,
        {"detail": f"The session is {status}.", "code": "not_cancellable", "status": status},
    )


def test_ten_cancels_at_once_are_one(client: Doorito, server: ServerProcess) -> None:
    batch = client.batch()
    session = client.uploaded(b"abc", 2, batch_id=batch)

    def cancel(_number: int) -> int:
        with Doorito(server, server.token) as one:
            return one.cancel(session).status_code

    with ThreadPoolExecutor(10) as pool:
        seen = sorted(pool.map(cancel, range(10)))
    assert (seen, client.counts(batch)) == ([200] + [409] * 9, (1, 0, 0, 1))


@pytest.mark.parametrize("what", ["batch", "upload"])
def test_a_cancel_by_another_api_removes_the_parts_too(client: Doorito, what: str) -> None:
    batch = client.batch()
    session = client.uploaded(b"abc", 2, batch_id=batch)
    name = batch if what == "batch" else client.status(session)["file_id"]
    server = client.server
    answer = httpx.post(f"{server.url}/api/v1/{what}/cancel/{name}", headers=server.headers)
    assert (answer.status_code, client.status(session)["status"]) == (200, "aborted")
    eventually(lambda: of(client, session), lambda left: left == [])


def test_a_stale_session_fails_and_leaks_no_parts(tmp_path: Path) -> None:
    hours = str(2 / 3600)
    with (
        ServerProcess(tmp_path, "--expire-hours", hours) as server,
        Doorito(server, server.token) as client,
    ):
        batch = client.batch()
        session = client.session(10, 5, batch_id=batch)
        client.put(session, 1, b"x" * 5)
        eventually(lambda: client.status(session)["status"], lambda now: now == "failed")
        eventually(lambda: of(client, session), lambda left: left == [])
        late = client.put(session, 2, b"x" * 5)
        seen = (
            client.counts(batch),
            client.batch_body(batch)["status"],
            client.status(session)["error_message"],
            client.status(session)["cancelled_at"],
        )
    assert (late.status_code, late.json()["status"]) == (409, "failed")
    assert seen == ((1, 0, 1, 0), "failed", "The upload was not finished in time and has expired.", None)
