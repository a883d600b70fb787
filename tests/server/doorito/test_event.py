"""PEP 0014, 0016, 0017: one event a stored file, told to a webhook."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema

from tests.support.doorito_client import Doorito, WebhookReceiver, parts_on_disk
from tests.support.server import ROOT, ServerProcess
from tests.support.waiting import eventually

SCHEMA = json.loads((ROOT / "docs/server/doorito-event.schema.json").read_text())


def outbox(data: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(data / "server.sqlite3", timeout=10)) as database:
        return database.execute("SELECT kind, status, attempts, delivered_at FROM outbox").fetchall()


def test_the_payload_validates_against_the_schema_and_points_to_the_bytes(tmp_path: Path) -> None:
    secret = {"UPHAUL_WEBHOOK_SECRET": "of the webhook"}
    with WebhookReceiver() as hook:
        server = ServerProcess(tmp_path, "--webhook-url", hook.url, environment=secret)
        with server, Doorito(server, server.token) as client:
            batch = client.batch()
            session = client.uploaded("é".encode(), 1, batch_id=batch, name="ü.txt")
            stored = client.finalize(session).json()["file"]
            eventually(lambda: outbox(tmp_path)[0][1], lambda status: status == "delivered")
            token = server.token
    (body,) = hook.bodies
    jsonschema.validate(body, SCHEMA)
    same = ("session_id", "batch_id", "original_filename", "content_type", "size_bytes", "sha256")
    assert (body["event"], body["actor"], body["file"]["id"]) == ("file.uploaded", "local", stored["file_id"])
    assert {name: body["file"][name] for name in same} == {name: stored[name] for name in same}
    assert (tmp_path / body["storage"]["bucket"] / body["storage"]["key"]).read_text() == "é"
    assert [word in json.dumps(body) for word in (token, "of the webhook")] == [False, False]
    assert "x-uphaul-signature" in hook.headers[0]


def test_the_schema_refuses_a_payload_without_a_pointer_and_allows_no_actor() -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    body: dict[str, Any] = {
        "event_id": "1b4e28ba-2fa1-4d3b-a3f5-ef19b5a7633b",
        "event": "file.uploaded",
        "occurred_at": "2026-01-31T12:00:00.000Z",
        "actor": None,
        "file": {
            "id": "f",
            "session_id": None,
            "batch_id": None,
            "original_filename": "a",
            "content_type": "",
            "size_bytes": 0,
            "sha256": "0" * 64,
        },
        "storage": {"backend": "local", "bucket": "files", "key": "a"},
    }
    without = {name: value for name, value in body.items() if name != "storage"}
    assert (validator.is_valid(body), validator.is_valid(without)) == (True, False)


def test_a_duplicate_finalize_makes_no_second_event(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, Doorito(server, server.token) as client:
        session = client.uploaded(b"abc" * 500_000, 200_000)

        def end(_number: int) -> int:
            with Doorito(server, server.token) as one:
                return one.finalize(session).status_code

        with ThreadPoolExecutor(5) as pool:
            seen = [*pool.map(end, range(5)), client.finalize(session).status_code]
    assert (seen, outbox(tmp_path)) == ([200] * 6, [("file.uploaded", "pending", 0, None)])


def test_what_was_not_stored_is_not_told(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, Doorito(server, server.token) as client:
        client.cancel(client.uploaded(b"abc", 2))
        client.finalize(client.session(5, 1))
    assert outbox(tmp_path) == []


def test_a_refused_event_is_tried_again_later_with_the_same_event_id(tmp_path: Path) -> None:
    with WebhookReceiver(500) as hook, ServerProcess(tmp_path, "--webhook-url", hook.url) as server:
        with Doorito(server, server.token) as client:
            client.finalize(client.uploaded(b"abc", 2))
        eventually(lambda: outbox(tmp_path)[0][1], lambda status: status == "delivered", 20)
        ((_, _, attempts, delivered_at),) = outbox(tmp_path)
    assert (attempts, len(hook.bodies), len({one["event_id"] for one in hook.bodies})) == (2, 2, 1)
    assert delivered_at.endswith("Z")


def test_downtime_of_the_receiver_and_kill_9_of_the_server_lose_nothing(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, Doorito(server, server.token) as client:  # nobody delivers yet
        ids = [client.finalize(client.uploaded(b"%d" % n, 2)).json()["file"]["file_id"] for n in range(5)]
        server.kill()
    with WebhookReceiver() as hook, ServerProcess(tmp_path, "--webhook-url", hook.url):
        eventually(lambda: [row[1] for row in outbox(tmp_path)], lambda seen: seen == ["delivered"] * 5, 20)
    assert sorted(one["file"]["id"] for one in hook.bodies) == sorted(ids)
    assert parts_on_disk(tmp_path) == []
