"""The tus endpoint serves clients that others wrote: whole, resumed, checked, created with data, terminated."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.server.clients.conftest import ForeignClient
from tests.support.server import ServerProcess
from tests.support.tus import TusClient

pytestmark = pytest.mark.timeout(180)  # the first test may install tus-js-client
CONTENT = os.urandom(12_000_000)
NAME = "zażółć 🐙 \u202enaïve\u202c 文件.bin"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file to send."""
    path = tmp_path / "source.bin"
    path.write_bytes(CONTENT)
    return path


def arrived(server: ServerProcess, tus: TusClient, location: str) -> bytes:
    """Return the stored bytes of a file."""
    return (server.files_dir / tus.file_body(location)["stored_path"]).read_bytes()


def test_a_file_arrives(server: ServerProcess, tus: TusClient, foreign: ForeignClient, source: Path) -> None:
    location = foreign.uploaded(source, metadata={"filename": f"{foreign.name}.bin"})
    assert arrived(server, tus, location) == CONTENT


def test_a_file_arrives_in_many_patches(
    server: ServerProcess, tus: TusClient, foreign: ForeignClient, source: Path
) -> None:
    location = foreign.uploaded(source, chunk=1_000_001, metadata={"filename": "pieces.bin"})
    assert arrived(server, tus, location) == CONTENT


def test_an_empty_file_arrives(
    server: ServerProcess, tus: TusClient, foreign: ForeignClient, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    location = foreign.uploaded(empty, metadata={"filename": "empty"})
    assert (tus.file_body(location)["status"], arrived(server, tus, location)) == ("stored", b"")


def test_an_upload_goes_on_in_another_process_after_an_abort(
    server: ServerProcess, tus: TusClient, foreign: ForeignClient, source: Path, tmp_path: Path
) -> None:
    store = tmp_path / "urls.json"
    told = {"store": store, "chunk": 4_000_000, "metadata": {"filename": "resumed.bin"}}
    begun = foreign.uploaded(source, stopAt=5_000_000, **told)
    between = tus.file_body(begun)
    ended = foreign.uploaded(source, **told)
    assert (between["status"], 4_000_000 <= between["offset"] < len(CONTENT)) == ("uploading", True)
    assert (ended, arrived(server, tus, ended)) == (begun, CONTENT)


def test_an_upload_goes_on_after_the_server_was_killed(
    tmp_path: Path, foreign: ForeignClient, source: Path
) -> None:
    store, told = tmp_path / "urls.json", {"chunk": 4_000_000, "metadata": {"filename": "killed.bin"}}
    with ServerProcess(tmp_path / "fragile") as server:
        address = {"url": f"{server.url}/files", "token": server.token, "store": store}
        begun = foreign.uploaded(source, stopAt=5_000_000, **told, **address)
        server.kill()
        server.restart()
        ended = foreign.uploaded(source, **told, **address)
        with TusClient(server) as tus:
            assert (ended, arrived(server, tus, ended)) == (begun, CONTENT)


def test_names_of_all_scripts_are_kept(
    server: ServerProcess, tus: TusClient, foreign: ForeignClient, source: Path
) -> None:
    told = {"filename": NAME, "relative_path": f"{foreign.name}/été/{NAME}"}
    file = tus.file_body(foreign.uploaded(source, metadata=told))
    assert (file["filename"], file["relative_path"]) == (NAME, told["relative_path"])
    assert (server.files_dir / told["relative_path"]).read_bytes() == CONTENT


def test_a_batch_counts_what_they_send(tus: TusClient, foreign: ForeignClient, source: Path) -> None:
    batch = tus.batch(foreign.name)
    for number in range(3):
        foreign.uploaded(source, metadata={"filename": f"{number}.bin", "batch_id": batch})
    body = tus.batch_body(batch)
    assert (body["status"], body["stored_count"], body["stored_bytes"]) == ("completed", 3, 3 * len(CONTENT))


def test_they_hear_of_a_cancel(
    tus: TusClient, foreign: ForeignClient, source: Path, tmp_path: Path, server: ServerProcess
) -> None:
    batch = tus.batch(foreign.name)
    told = {"chunk": 4_000_000, "metadata": {"filename": "cancelled.bin", "batch_id": batch}}
    location = foreign.uploaded(source, stopAt=5_000_000, store=tmp_path / "urls.json", **told)
    cancelled = tus.cancel_batch(batch).status_code
    refused = foreign.act(do="upload", path=source, **told)
    assert (cancelled, tus.file_body(location)["status"], refused["status"]) == (200, "cancelled", 409)
    assert not (server.partials_dir / location.rpartition("/")[2]).exists()


def test_a_wrong_token_is_told(foreign: ForeignClient, source: Path) -> None:
    assert foreign.act(do="upload", path=source, token="wrong")["status"] == 401


def test_tuspy_sends_checksums(
    server: ServerProcess, tus: TusClient, py: ForeignClient, source: Path
) -> None:
    location = py.uploaded(source, chunk=3_000_000, checksum=True, metadata={"filename": "checked.bin"})
    assert arrived(server, tus, location) == CONTENT


def test_tuspy_sends_asynchronously(
    server: ServerProcess, tus: TusClient, py: ForeignClient, source: Path
) -> None:
    location = py.uploaded(source, chunk=3_000_000, asynchronous=True, metadata={"filename": "async.bin"})
    assert arrived(server, tus, location) == CONTENT


@pytest.mark.parametrize("size_bytes, requests", [(100, ["POST"]), (len(CONTENT), ["POST"])])
def test_data_may_come_with_the_creation(
    server: ServerProcess,
    tus: TusClient,
    js: ForeignClient,
    tmp_path: Path,
    size_bytes: int,
    requests: list[str],
) -> None:
    path = tmp_path / "source"
    path.write_bytes(CONTENT[:size_bytes])
    answer = js.act(do="upload", path=path, duringCreation=True, metadata={"filename": "at once"})
    location = "/files/" + answer["location"].rpartition("/")[2]
    assert (answer["requests"], arrived(server, tus, location)) == (requests, CONTENT[:size_bytes])


def test_an_abort_may_terminate(
    server: ServerProcess, tus: TusClient, js: ForeignClient, source: Path
) -> None:
    told = {"chunk": 4_000_000, "metadata": {"filename": "terminated.bin"}}
    answer = js.act(do="upload", path=source, stopAt=5_000_000, terminates=True, **told)
    location = "/files/" + answer["location"].rpartition("/")[2]
    assert (tus.file_body(location)["status"], tus.head(location).status_code) == ("cancelled", 410)
    assert not (server.partials_dir / location.rpartition("/")[2]).exists()


def test_a_finished_upload_may_be_terminated(
    server: ServerProcess, tus: TusClient, js: ForeignClient, source: Path
) -> None:
    location = js.uploaded(source, metadata={"filename": "gone.bin"})
    stored = server.files_dir / tus.file_body(location)["stored_path"]
    answer = js.act(do="terminate", url=server.url + location)
    assert ("error" in answer, tus.head(location).status_code, stored.exists()) == (False, 404, False)
