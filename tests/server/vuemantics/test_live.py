"""Progress of vuemantics by WebSocket: the messages of the contract, and how a socket closes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.server import ServerProcess
from tests.support.vuemantics_client import VuemanticsClient, pictures


def until(socket: ClientConnection, action: str, status: str | None = None) -> list[dict[str, Any]]:
    """Return what comes up to the first message of that action and status."""
    heard: list[dict[str, Any]] = []
    while True:
        heard.append(json.loads(socket.recv(timeout=20)))
        found = heard[-1]["action"], heard[-1].get("payload", {}).get("status")
        if found == (action, found[1] if status is None else status):
            return heard


@contextmanager
def logged_in(client: VuemanticsClient, path: str = "") -> Iterator[ClientConnection]:
    with connect(client.socket_url.replace("/ws/", f"{path}/ws/")) as socket:
        socket.send(client.login_frame)
        assert json.loads(socket.recv(timeout=10)) == {
            "action": "auth_success",
            "user_id": client.user["id"],
        }
        yield socket


@pytest.mark.parametrize("path", ["", "/api"])
def test_a_batch_tells_its_progress_to_its_owner(client: VuemanticsClient, path: str) -> None:
    with logged_in(client, path) as socket:
        body = client.bulk([*pictures(2), ("no.png", b"no", "image/png")]).json()
        heard = until(socket, "batch_progress", "completed")
    last = heard[-1]
    assert (sorted(last), last["payload"]) == (
        ["action", "payload", "timestamp"],
        {
            "batch_id": body["batch_id"],
            "status": "completed",
            "total": 3,
            "processed": 3,
            "successful": 2,
            "failed": 1,
            "progress_percentage": 100.0,
        },
    )
    files = [one["payload"] for one in heard if one["action"] == "file_progress"]
    ends = {one["file_name"]: one["status"] for one in files if one["status"] != "processing"}
    assert ends == {"0.png": "completed", "1.png": "completed", "no.png": "failed"}
    assert {tuple(sorted(one)) for one in files} == {
        ("batch_id", "file_name", "file_size", "progress_percentage", "status", "upload_id")
    }


def test_a_cancel_is_told(patient: VuemanticsClient) -> None:
    with logged_in(patient) as socket:
        batch_id = patient.bulk(pictures(3)).json()["batch_id"]
        patient.cancel(batch_id)
        heard = until(socket, "batch_progress", "cancelled")
    assert (heard[-1]["payload"]["total"], heard[-1]["payload"]["processed"]) == (3, 0)


def test_who_subscribes_to_a_file_hears_why_it_failed(patient: VuemanticsClient, held: ServerProcess) -> None:
    answer = patient.http.post("/v1/uploads", files={"file": ("no.png", b"no", "image/png")})
    with logged_in(patient) as socket:
        for text in (b"\x00", "no json", "[]", json.dumps({"action": "pong"})):
            socket.send(text)
        socket.send(json.dumps({"action": "subscribe_upload", "upload_id": answer.json()["id"]}))
        until(socket, "upload_progress")
        (held.data_dir / "hold").unlink()
        heard = until(socket, "upload_failed")
    assert heard[-1]["error_message"] == "The file was sent as image/png, but it is no picture."


def test_nobody_hears_of_somebody_elses_files(server: ServerProcess, client: VuemanticsClient) -> None:
    with VuemanticsClient(server) as other, logged_in(other) as socket:
        body = client.bulk(pictures(1)).json()
        socket.send(json.dumps({"action": "subscribe_upload", "upload_id": body["upload_ids"][0]}))
        client.over(body["batch_id"])
        mine = other.bulk(pictures(1)).json()["batch_id"]
        heard = until(socket, "batch_progress", "completed")
    assert {one["payload"]["batch_id"] for one in heard} == {mine}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('{"type": "auth", "token": "nonsense"}', 4003),
        ('{"type": "auth", "token": ""}', 4002),
        ('{"action": "auth", "token": "x"}', 4002),
        ("no json", 4004),
        (b"binary", 4004),
    ],
)
def test_a_socket_without_a_good_token_is_closed(
    client: VuemanticsClient, frame: str | bytes, code: int
) -> None:
    with connect(client.socket_url) as socket:
        socket.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            receive_all(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


def receive_all(socket: ClientConnection) -> None:
    while True:
        assert json.loads(socket.recv(timeout=10))["action"] == "auth_error"
