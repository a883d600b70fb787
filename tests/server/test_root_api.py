"""`--root-api`: an API of another server shares the root with ours, and neither takes what is the other's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.support.directdrive_client import DirectDrive
from tests.support.server import ServerProcess
from tests.support.tus import TusClient


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with DirectDrive at its root. It must not have complained at the end."""
    root = tmp_path_factory.mktemp("root")
    with ServerProcess(root, "--root-api", "directdrive", "--rate-limits", "off") as running:
        yield running
        running.stop()
    assert [line for line in running.log.splitlines() if "level=INFO" not in line] == []


@pytest.fixture
def ours(server: ServerProcess) -> Iterator[TusClient]:
    """The client of our own API, as the window that started this server is one."""
    with TusClient(server) as client:
        yield client


@pytest.fixture(params=[False, True], ids=["nobody", "same user"])
async def theirs(server: ServerProcess, request: pytest.FixtureRequest) -> AsyncIterator[DirectDrive]:
    """A client of DirectDrive at the root: one without a token, and one with the very token of the window."""
    async with DirectDrive(server, server.token if request.param else None, prefix="") as client:
        yield client


def keys(answer: httpx.Response) -> tuple[int, set[str]]:
    return answer.status_code, set(answer.json())


def test_our_own_api_keeps_its_files_and_its_cancels(ours: TusClient) -> None:
    batch = ours.batch()
    one, two = (ours.created(5, filename=f"{n}.txt", batch_id=batch).rpartition("/")[2] for n in "12")
    shown = ours.http.get(f"/api/v1/files/{one}")
    cancelled = ours.http.post(f"/api/v1/upload/cancel/{one}")
    whole = ours.http.post(f"/api/v1/batch/cancel/{batch}")
    gone = ours.http.get(f"/api/v1/files/{two}").json()
    assert (
        shown.json()["file_id"],
        keys(cancelled),
        whole.json()["cancelled_files_count"],
        gone["status"],
    ) == (
        one,
        (200, {"message", "file_id", "filename", "cancelled_at"}),
        1,
        "cancelled",
    )


def test_our_own_api_keeps_the_methods_that_the_other_does_not_have(ours: TusClient) -> None:
    made = ours.create(5, b"12345", filename="deleted.txt")
    file_id = made.headers["Location"].rpartition("/")[2]
    answers = [
        ours.http.delete(f"/api/v1/files/{file_id}"),
        ours.http.get("/api/v1/batches"),
        ours.http.get("/"),
    ]
    assert [answer.status_code for answer in answers] == [204, 200, 200]
    assert {one["name"]: one["at_root"] for one in answers[2].json()["apis"]}["directdrive"]


async def test_a_client_of_the_original_gets_what_it_knows(theirs: DirectDrive) -> None:
    file, batch = await theirs.initiate("a.txt", 3), await theirs.initiate_batch(("b.txt", 3))
    shown = await theirs.file(file)
    cancelled, whole = await theirs.cancel(file), await theirs.cancel_batch(batch)
    again = await theirs.cancel(file)
    answers: list[Any] = [
        shown["_id"],
        keys(cancelled),
        keys(whole),
        (again.status_code, again.json()["detail"][:19]),
    ]
    assert answers == [
        file["file_id"],
        (200, {"message", "file_id", "filename", "safe_filename_for_display", "cancelled_at"}),
        (200, {"message", "batch_id", "cancelled_files_count", "total_files_in_batch", "cancelled_at"}),
        (400, "Cannot cancel file "),
    ]


@pytest.mark.parametrize("path", ["/api/v1/upload/cancel/{}", "/api/v1/batch/cancel/{}"])
async def test_an_id_that_nobody_knows_is_refused_in_the_words_of_the_original(
    theirs: DirectDrive, path: str
) -> None:
    answer = await theirs.http.post(path.format("00000000-0000-4000-8000-000000000000"))
    assert (answer.status_code, answer.json()["detail"]) in {
        (404, "File not found"),
        (404, "Batch not found"),
    }


async def test_a_stranger_does_not_learn_that_an_id_of_ours_exists(
    server: ServerProcess, ours: TusClient
) -> None:
    file_id = ours.created(5, filename="mine.txt").rpartition("/")[2]
    async with DirectDrive(server, prefix="") as nobody:
        answer = await nobody.http.get(f"/api/v1/files/{file_id}")
    assert (answer.status_code, answer.json()) == (404, {"detail": "File not found"})
