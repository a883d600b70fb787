"""A client of Doorito's API as its PEPs describe it: httpx, nothing of ours."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from tests.support.server import ROOT, ServerProcess

PREFIX = "/doorito"


def serve_user(server: ServerProcess, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the management command on the server's DATA."""
    command = [sys.executable, "-m", "app.server", "--data", str(server.data_dir), "user", *arguments]
    return subprocess.run(
        command, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=30, check=False
    )


def new_token(server: ServerProcess) -> str:
    """Add a user and a token of theirs, as an administrator does."""
    name = f"{uuid4().hex}@example.org"
    added = serve_user(server, "add", name, "--password-stdin", stdin="correct horse\n")
    made = serve_user(server, "token", name)
    assert (added.returncode, made.returncode) == (0, 0), (added.stderr, made.stderr)
    return made.stdout.strip()


class Doorito:
    """One user of a server, or nobody; a context manager."""

    def __init__(self, server: ServerProcess, token: str | None) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.server = server
        self.http = httpx.Client(base_url=server.url + PREFIX, headers=headers, timeout=60, verify=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.http.close()

    def batch(self, **told: Any) -> str:
        """Make a batch; return its id."""
        answer = self.http.post("/batches", json=told)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["batch_id"])

    def create(self, size: int, name: str = "f.bin", **more: Any) -> httpx.Response:
        """Announce a file."""
        told = {"original_filename": name, "content_type": "text/plain", "total_size_bytes": size}
        return self.http.post("/uploads/sessions", json=told | more)

    def session(self, size: int, chunk: int | None = None, **more: Any) -> str:
        """Announce a file that may be announced; return the session's id."""
        wish: dict[str, Any] = {} if chunk is None else {"chunk_size_bytes": chunk}
        answer = self.create(size, **wish, **more)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["session_id"])

    def put(self, session: str, number: int | str, content: bytes | Iterator[bytes]) -> httpx.Response:
        """Send one part."""
        return self.http.put(f"/uploads/sessions/{session}/parts/{number}", content=content)

    def status(self, session: str) -> dict[str, Any]:
        """Ask how far a session is."""
        answer = self.http.get(f"/uploads/sessions/{session}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def finalize(self, session: str) -> httpx.Response:
        """Say that all parts are there."""
        return self.http.post(f"/uploads/sessions/{session}/finalize")

    def cancel(self, session: str) -> httpx.Response:
        """Cancel a session."""
        return self.http.post(f"/uploads/sessions/{session}/cancel")

    def uploaded(self, content: bytes, chunk: int, **more: Any) -> str:
        """Announce a file and send all its parts; return the session's id."""
        session = self.session(len(content), chunk, **more)
        for number, start in enumerate(range(0, len(content), chunk), 1):
            answer = self.put(session, number, content[start : start + chunk])
            assert answer.status_code == 200, answer.text
        return session

    def batch_body(self, batch: str) -> dict[str, Any]:
        """Show a batch."""
        return dict(self.http.get(f"/batches/{batch}").json())

    def counts(self, batch: str) -> tuple[int, int, int, int]:
        """Return total, stored, failed and cancelled."""
        body = self.batch_body(batch)
        return body["total_files"], body["stored_count"], body["failed_count"], body["cancelled_count"]


class HeldPart:
    """A part of which only the first bytes are sent until it is let go; a context manager."""

    def __init__(self, client: Doorito, session: str, number: int, first: bytes, rest: bytes) -> None:
        self._rest = rest
        address = urlsplit(client.server.url)
        self._connection = HTTPConnection(address.hostname or "", address.port, timeout=30)
        self._connection.putrequest("PUT", f"{PREFIX}/uploads/sessions/{session}/parts/{number}")
        self._connection.putheader("Authorization", client.http.headers["Authorization"])
        self._connection.putheader("Content-Length", str(len(first) + len(rest)))
        self._connection.endheaders(first)

    def let_go(self) -> int | str:
        """Send the rest; return the status."""
        try:
            self._connection.send(self._rest)
        except OSError as error:
            return type(error).__name__
        return self.answer()

    def answer(self) -> int | str:
        """Return the status, whether the body is over or not, or the error if the connection is gone."""
        try:
            return self._connection.getresponse().status
        except (OSError, HTTPException) as error:
            return type(error).__name__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._connection.close()


class WebhookReceiver:
    """Takes events on loopback; answers with the next of *answers*, then with 204. A context manager."""

    def __init__(self, *answers: int) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        left = list(answers)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(left.pop(0) if left else 204)
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """What `--webhook-url` takes."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def parts_on_disk(data_dir: Path) -> list[str]:
    """Return what lies in DATA/parts."""
    folder = data_dir / "parts"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
