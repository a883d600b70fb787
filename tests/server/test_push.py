"""What happens is pushed to whom it belongs: by the WebSocket of our own API, with a real client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.server import ServerProcess
from tests.support.tus import OpenPatch, TusClient, file_id


def opened(server: ServerProcess) -> ClientConnection:
    return connect(server.url.replace("http", "ws", 1) + "/api/v1/ws", open_timeout=5, proxy=None)


@pytest.fixture
def socket(server: ServerProcess) -> Iterator[ClientConnection]:
    """A socket that is logged in."""
    with opened(server) as made:
        made.send(json.dumps({"type": "auth", "token": server.token}))
        assert json.loads(made.recv(5)) == {"action": "auth_success", "user_id": "local"}
        yield made


def until(socket: ClientConnection, action: str, **payload: Any) -> list[dict[str, Any]]:
    """Read messages until one has these fields, and return them all."""
    seen: list[dict[str, Any]] = []
    while True:
        seen.append(json.loads(socket.recv(10)))
        told = seen[-1].get("payload", {})
        if seen[-1]["action"] == action and payload.items() <= told.items():
            return seen


def until_closed(socket: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """Read messages until the server closes; return them and the code."""
    seen = []
    try:
        while True:
            seen.append(json.loads(socket.recv(10)))
    except ConnectionClosed as closed:
        return seen, closed.rcvd.code if closed.rcvd is not None else 0


def test_a_batch_is_told_from_its_first_file_to_its_last(socket: ClientConnection, tus: TusClient) -> None:
    batch = tus.batch("Pushed")
    first = tus.created(3, b"abc", filename="a.txt", batch_id=batch)
    location = tus.created(6, filename="b.txt", batch_id=batch)
    tus.patch(location, 0, b"abc")
    tus.patch(location, 3, b"def")
    seen = until(socket, "batch_progress", processed=2)
    files = [one["payload"] for one in seen if one["action"] == "file_progress"]
    last = seen[-1]["payload"]
    assert (
        last["batch_id"],
        last["status"],
        last["total"],
        last["successful"],
        last["progress_percentage"],
    ) == (
        batch,
        "completed",
        2,
        2,
        100.0,
    )
    assert [(one["file_id"], one["status"], one["progress_percentage"]) for one in files][-1] == (
        file_id(location),
        "stored",
        100,
    )
    assert {(file_id(first), "stored", 100), (file_id(location), "uploading", 50)} <= {
        (one["file_id"], one["status"], one["progress_percentage"]) for one in files
    }


def test_cancels_are_told(socket: ClientConnection, tus: TusClient, server: ServerProcess) -> None:
    batch = tus.batch("Cancelled")
    one = tus.created(5, filename="one", batch_id=batch)
    two = tus.created(1_000_000, filename="two", batch_id=batch)
    tus.cancel_file(one)
    with OpenPatch(server, two, 0, 1_000_000) as patch:
        patch.send(bytes(1000))
        tus.cancel_batch(batch)
    seen = until(socket, "batch_cancelled", batch_id=batch)
    alone = [message["payload"]["file_id"] for message in seen if message["action"] == "file_cancelled"]
    assert (alone, seen[-1]["payload"]) == ([file_id(one)], {"batch_id": batch, "cancelled": 2, "stored": 0})


def test_processing_is_told(socket: ClientConnection, tus: TusClient) -> None:
    batch = tus.batch("Processed")
    location = tus.created(3, b"abc", filename="a.txt", batch_id=batch, process="1")
    until(socket, "batch_progress", batch_id=batch, status="completed", successful=1)
    assert tus.file_body(location)["processing"]["status"] == "completed"


@pytest.mark.parametrize(
    ("frame", "code", "says"),
    [
        ('{"type": "auth", "token": "wrong"}', 4003, True),
        ('{"type": "hello"}', 4002, True),
        ('{"type": "auth", "token": 7}', 4002, True),
        ("[]", 4004, False),
        ("no json", 4004, False),
        (b"\x00", 4004, False),
    ],
)
def test_who_does_not_say_who_it_is_is_closed_out(
    server: ServerProcess, frame: str | bytes, code: int, says: bool
) -> None:
    with opened(server) as made:
        made.send(frame)
        messages, closed = until_closed(made)
    assert (closed, [one["action"] for one in messages]) == (code, ["auth_error"] if says else [])


def test_silence_is_closed_out(server: ServerProcess) -> None:
    with opened(server) as made:
        assert until_closed(made)[1] == 4001


def test_nonsense_after_the_login_is_ignored(socket: ClientConnection, tus: TusClient) -> None:
    for frame in ("no json", b"\xff", '{"action": "unknown"}', "[1]"):
        socket.send(frame)
    batch = tus.batch("Heard still")
    tus.created(3, b"abc", filename="a.txt", batch_id=batch)
    assert until(socket, "batch_progress", batch_id=batch, status="completed")


def test_a_stopping_server_says_goodbye(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ServerProcess(tmp_path_factory.mktemp("bye")) as server, opened(server) as made:
        made.send(json.dumps({"type": "auth", "token": server.token}))
        made.recv(5)
        assert server.terminate() == 0
        assert until_closed(made)[1] == 1012
