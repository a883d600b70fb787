"""Each stored file of an API that wants it is told to a webhook: once, signed, again after failures, and after kill -9."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server import ServerProcess
from tests.support.waiting import eventually

PROBE = "tests.support.probe_server"
SECRET = "of the webhook"


class Webhook:
    """Takes events on loopback; answers with the next of *answers*, then with 204."""

    def __init__(self, answers: list[int]) -> None:
        self.answers = answers
        self.requests: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.answers.pop(0) if outer.answers else 204
                outer.requests.append(({k.lower(): v for k, v in self.headers.items()}, content))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def webhook(request: pytest.FixtureRequest) -> Iterator[Webhook]:
    hook = Webhook(list(getattr(request, "param", [])))
    yield hook
    hook.close()


def serve(data: Path, *options: str) -> ServerProcess:
    return ServerProcess(data, *options, module=PROBE, environment={"UPHAUL_WEBHOOK_SECRET": SECRET})


def store(server: ServerProcess, *contents: bytes) -> list[str]:
    files = [("files", (f"{n}.bin", one)) for n, one in enumerate(contents)]
    ids: list[str] = httpx.post(f"{server.url}/probe/bulk", files=files, headers=server.headers).json()[
        "files"
    ]
    return ids


def events(server: ServerProcess, file_id: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{server.url}/probe/files/{file_id}/events", headers=server.headers)
    found: list[dict[str, Any]] = answer.json()
    return found


def delivered(server: ServerProcess, file_id: str) -> dict[str, Any]:
    return eventually(lambda: events(server, file_id), lambda seen: seen[0]["status"] == "delivered", 20)[0]


def test_a_stored_file_is_told_once_and_signed(tmp_path: Path, webhook: Webhook) -> None:
    with serve(tmp_path, "--webhook-url", webhook.url) as server:
        ids = store(server, b"one", b"two")
        sent = [delivered(server, one) for one in ids]
        log = server.log
    bodies = [json.loads(content) for _, content in webhook.requests]
    headers, content = webhook.requests[0]
    signature = "sha256=" + hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()
    assert [(one["event"], one["actor"], one["file"]["id"], one["file"]["sha256"]) for one in bodies] == [
        ("file.stored", "local", file_id, hashlib.sha256(text).hexdigest())
        for file_id, text in zip(ids, (b"one", b"two"), strict=True)
    ]
    assert [one["event_id"] for one in bodies] == [one["id"] for one in sent]
    assert (headers["x-uphaul-signature"], headers["x-uphaul-delivery"]) == (signature, bodies[0]["event_id"])
    assert SECRET not in log


@pytest.mark.parametrize("webhook", [[500, 302]], indirect=True)
def test_a_refused_event_is_sent_again_later_with_the_same_id(tmp_path: Path, webhook: Webhook) -> None:
    with serve(tmp_path, "--webhook-url", webhook.url) as server:
        (file_id,) = store(server, b"again")
        found = delivered(server, file_id)
    assert (found["attempts"], len(webhook.requests)) == (3, 3)
    assert len({headers["x-uphaul-delivery"] for headers, _ in webhook.requests}) == 1


def test_an_event_that_was_written_before_kill_9_is_delivered_after_it(
    tmp_path: Path, webhook: Webhook
) -> None:
    with serve(tmp_path) as server:  # nobody delivers yet
        ids = store(server, *[b"%d" % n for n in range(5)])
        server.kill()
    with serve(tmp_path, "--webhook-url", webhook.url) as server:
        server.token = server.token
        eventually(lambda: len(webhook.requests), lambda number: number == 5)
    told = [json.loads(content)["file"]["id"] for _, content in webhook.requests]
    assert sorted(told) == sorted(ids)


def test_two_servers_on_one_data_send_each_event_once(tmp_path: Path, webhook: Webhook) -> None:
    with (
        serve(tmp_path, "--webhook-url", webhook.url) as one,
        serve(tmp_path, "--webhook-url", webhook.url) as two,
    ):
        ids = [*store(one, *[b"a%d" % n for n in range(10)]), *store(two, *[b"b%d" % n for n in range(10)])]
        for file_id in ids:
            delivered(one, file_id)
    told = [json.loads(content)["file"]["id"] for _, content in webhook.requests]
    assert sorted(told) == sorted(ids)
