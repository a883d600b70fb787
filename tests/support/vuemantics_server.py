"""A vuemantics that behaves as the real one does (its backend at commit 4d33b24), quirks included; faults by name.

POST bulk ──► files "pending" ──► worker, one file after another, two tries each ──► counts, messages to the sockets

As in the original, without any fault asked for: cancel answers 500 and does nothing; an unhandled exception is a 500 in
plain text after which the connection is closed; refused files have no reason; empty files break the reads that hold them;
the limits come as text, after the body; a frame that is no JSON makes a socket deaf; nothing is ever ``failed``.
"""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID, uuid4

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.support.edge import Pretended
from tests.support.vuemantics_answers import (
    AppError,
    Windows,
    app_error,
    client_config,
    health,
    jwt,
    psyop,
    row_of,
)
from tests.support.vuemantics_worker import Batch, File, Waits, Worker

TYPES = frozenset(
    "image/jpeg image/jpg image/png image/webp image/heic image/heif "
    "video/mp4 video/quicktime video/x-msvideo video/webm video/mpeg video/x-flv".split()
)


class FakeVuemantics(Waits, Pretended):
    """``async with FakeVuemantics() as fake``; talk to ``fake.url`` as ``fake.user`` with ``fake.password``."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.user, self.password = "anna@example.org", "Secret-123"
        self.said: list[dict[str, Any]] = []
        """What clients said on their sockets."""
        self.batches: list[Batch] = []
        self.broken_rows: list[File] = []
        self.sockets_opened = 0
        self._now = now
        self._issued = 0
        self._expired: set[str] = set()
        self._token_life_s = 1800.0
        self._windows = Windows(now)
        self._cancel = "500"
        self._types = set(TYPES)
        self._no_worker = self._no_socket = self._queue_is_down = False
        self._half_stored: int | None = None
        self._answers = asyncio.Event()
        self._answers.set()
        self.sockets: set[WebSocket] = set()
        self.worker = Worker(self._tell)
        self.serve(Starlette(routes=self._routes(), exception_handlers={HTTPException: psyop}))

    # What every fake has

    async def __aenter__(self) -> Self:
        self._working = asyncio.create_task(self.worker.work())
        return await super().__aenter__()

    async def leave_work(self) -> None:
        """Its worker does no more."""
        self._working.cancel()
        await asyncio.gather(self._working, return_exceptions=True)

    async def restart(self) -> None:
        """Stop and start: sockets close with 1012, counters of limits are forgotten, batches stay."""
        self._windows.clear()
        await super().restart()

    def stored(self) -> dict[str, str]:
        """Return the SHA-256 of every file it holds, by the name it was sent with."""
        return {file.name: hashlib.sha256(file.content).hexdigest() for file in self.files}

    # Faults by name

    def cancel_answers_500(self) -> None:
        """As in the original: an AttributeError, and the batch runs on."""
        self._cancel = "500"

    def cancel_answers_204_but_goes_on(self) -> None:
        """A cancel that only writes a word into the database: the worker ends the batch as if nothing had been."""
        self._cancel = "204 goes on"

    def cancel_works(self) -> None:
        """A later version, as documented."""
        self._cancel = "204"
        self.worker.stops_when_cancelled = True

    def cancel_answers(self, status: int) -> None:
        """404, 409 or 422, without doing anything."""
        self._cancel = str(status)

    def second_try_moves_progress_back(self, name: str) -> None:
        """This file fails once and succeeds when it is tried again."""
        self.worker.fail_once.add(name)

    def counts_twice_after_worker_death(self) -> None:
        """The worker dies in its last batch and goes through it again: 150 %, and no message about its end."""
        batch = self.batches[-1]
        batch.good, batch.bad = batch.good * 2, batch.bad * 2
        batch.status = "processing"
        self.worker.put(batch)

    def sends_no_final_message(self) -> None:
        """The message that a batch is completed is not sent."""
        self.worker.tells_the_end = False

    def stays_pending_for_ever(self) -> None:
        """There is no worker (its production set-up has none)."""
        self._no_worker = True

    def answers_late(self) -> None:
        """The next POSTs store and process everything, and their answers never come."""
        self._answers.clear()

    def queue_is_down(self) -> None:
        """Redis is away: a POST answers 500, and its batch exists and stays pending."""
        self._queue_is_down = True

    def stores_slowly(self, files: int) -> None:
        """Of the next POSTs only so many files are listed at first: the others follow with :meth:`stores_the_rest`."""
        self._half_stored = files

    def stores_the_rest(self) -> None:
        """All files are there now."""
        self._half_stored = None

    def takes_no_longer(self, media_type: str) -> None:
        """Refuses a type (refuses_types_with_internal_error): without a reason, as it refuses everything."""
        self._types.discard(media_type)

    def has_a_broken_row(self) -> None:
        """There is an empty file: GETs that would show it answer 500."""
        self.broken_rows.append(File("", "empty.png", "image/png", b"", status="failed"))

    def used_up(self, posts: int = 5) -> None:
        """Somebody else with this account has sent POSTs in this hour (rate_limit_text)."""
        self._windows.fill("bulk", posts)

    def polled_too_often(self) -> None:
        """Somebody else has asked for the batches 60 times in this minute."""
        for batch in self.batches:
            self._windows.fill(f"batch {batch.id}", 60)

    def nginx_in_front(self, most_bytes: int = 0) -> None:
        """The API is below /api; every other path is a page. Bodies over *most_bytes* are refused by nginx."""
        self._edge.nginx(most_bytes)

    def token_expires(self) -> None:
        """All access tokens given so far have expired."""
        self._expired.update(f"access-{number}" for number in range(1, self._issued + 1))

    def tokens_live(self, seconds: float) -> None:
        """How long the next access tokens live."""
        self._token_life_s = seconds

    def keeps_sockets_out(self, is_so: bool = True) -> None:
        """Something in between lets no new WebSocket through."""
        self._no_socket = is_so

    def has_batches(self, number: int) -> None:
        """So many batches are listed, from long ago."""
        self.batches += [
            Batch([], 1, "2026-01-01T00:00:00", status="completed", good=1) for _ in range(number)
        ]

    def socket_goes_deaf(self) -> None:
        """The open sockets stay open and say nothing more; new ones are well."""
        self.sockets.clear()

    async def closes_sockets(self, code: int) -> None:
        """Close the open sockets with this code."""
        for socket in list(self.sockets):
            self.sockets.discard(socket)
            await socket.close(code)

    async def _tell(self, message: dict[str, Any]) -> None:
        for socket in list(self.sockets):
            with suppress(WebSocketDisconnect, RuntimeError):
                await socket.send_text(json.dumps({**message, "timestamp": "2026-11-21T01:36:37.317476"}))

    # HTTP

    def _routes(self) -> list[Route | WebSocketRoute]:
        bulk = "/v1/uploads/bulk"
        return [
            Route("/v1/health", health),
            Route("/v1/client-config", client_config),
            Route("/v1/auth/token", self._token, methods=["POST"]),
            Route("/v1/auth/token/refresh", self._refresh, methods=["POST"]),
            Route("/v1/auth/me", self._me),
            Route(bulk, self._bulk, methods=["POST"]),
            Route(f"{bulk}/delete", self._delete, methods=["POST"]),
            Route("/v1/uploads", self._page),
            Route("/v1/uploads/batches", self._list),
            Route("/v1/uploads/batches/{id}", self._batch),
            Route("/v1/uploads/batches/{id}/cancel", self._cancelled, methods=["POST"]),
            Route("/v1/uploads/{id}", self._upload),
            WebSocketRoute("/ws/uploads", self._socket),
        ]

    def _require(self, request: Request) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token:
            raise HTTPException(401, "Not authenticated")
        if not self._is_good(token):
            raise AppError(401, "Token has expired", "AuthenticationError")

    def _is_good(self, token: str) -> bool:
        with suppress(ValueError, IndexError):
            claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
            return (
                claims["type"] == "access"
                and claims["exp"] > self._now()
                and claims["n"] not in self._expired
            )
        return False

    def _tokens(self, refresh: str | None = None) -> JSONResponse:
        self._issued += 1
        access = jwt(
            {"type": "access", "exp": self._now() + self._token_life_s, "n": f"access-{self._issued}"}
        )
        refresh = refresh or jwt({"type": "refresh", "exp": self._now() + 30 * 86400})
        return JSONResponse({"access_token": access, "refresh_token": refresh, "token_type": "bearer"})

    async def _token(self, request: Request) -> Response:
        async with request.form() as form:
            told = str(form.get("username", "")).lower(), form.get("password")
        if told != (self.user, self.password):
            return app_error(401, "Incorrect email or password", "AuthenticationError")
        return self._tokens()

    async def _refresh(self, request: Request) -> Response:
        return self._tokens((await request.json())["refresh_token"])

    async def _me(self, request: Request) -> Response:
        self._require(request)
        return JSONResponse({"email": self.user, "id": str(uuid4()), "is_active": True})

    async def _bulk(self, request: Request) -> Response:
        async with request.form(max_files=1000) as form:  # read before anything else is looked at
            self._require(request)
            parts = [part for part in form.getlist("files") if not isinstance(part, str)]
            sent = [(part.filename or "", part.content_type or "", await part.read()) for part in parts]
        if not sent:
            detail = [{"type": "missing", "loc": ["body", "files"], "msg": "Field required", "input": None}]
            return JSONResponse({"detail": detail}, 422)
        self._windows.take("bulk", 5, 3600, "5 per 1 hour")
        batch = Batch([], len(sent), datetime.fromtimestamp(self._now(), UTC).isoformat()[:19])
        refused = []
        for name, media_type, content in sent:
            if media_type not in self._types or len(content) > 104_857_600:
                refused.append({"filename": name, "error": "Internal error during file processing"})
            else:
                batch.files.append(File(batch.id, name, media_type, content))
        batch.total = len(batch.files)
        self.batches.append(batch)
        if self._queue_is_down:
            raise ConnectionError("Redis")
        if batch.files and not self._no_worker:
            self.worker.put(batch)
        await self._answers.wait()
        answer = {
            "batch_id": batch.id,
            "total_files": len(sent),
            "queued": batch.total,
            "failed": len(refused),
            "upload_ids": [file.id for file in batch.files],
            "failed_files": refused,
        }
        return JSONResponse(answer, 201)

    async def _list(self, request: Request) -> Response:
        self._require(request)
        self._windows.take("list", 30, 60, "30 per 1 minute")
        limit, offset = int(request.query_params["limit"]), int(request.query_params["offset"])
        if not 1 <= limit <= 100:
            return app_error(422, "Limit must be between 1 and 100", "ValidationError")
        newest = self.batches[::-1][offset : offset + limit]
        return JSONResponse([batch.shown(in_list=True) for batch in newest])

    async def _batch(self, request: Request) -> Response:
        self._require(request)
        batch_id = request.path_params["id"]
        self._windows.take(f"batch {batch_id}", 60, 60, "60 per 1 minute")
        with suppress(ValueError):
            UUID(batch_id)
            found = [batch for batch in self.batches if batch.id == batch_id]
            return (
                JSONResponse(found[0].shown())
                if found
                else app_error(404, "Batch not found", "NotFoundError")
            )
        return JSONResponse({"detail": [{"type": "uuid_parsing", "loc": ["path", "batch_id"]}]}, 422)

    async def _cancelled(self, request: Request) -> Response:
        self._require(request)
        found = [batch for batch in self.batches if batch.id == request.path_params["id"]]
        if self._cancel == "500":
            raise AttributeError("'BulkUploadService' object has no attribute 'cancel_batch'")
        if self._cancel.startswith("204"):
            if not found:
                return app_error(404, "Batch not found", "NotFoundError")
            if self._cancel == "204":
                found[0].status = "cancelled"
            return Response(status_code=204)
        return app_error(int(self._cancel), "Batch is already completed", "ConflictError")

    def _rows(self) -> list[File]:
        listed = []
        for batch in self.batches:
            listed += batch.files[: self._half_stored]
        return [*self.broken_rows, *listed][::-1]

    async def _page(self, request: Request) -> Response:
        self._require(request)
        page, size = int(request.query_params["page"]), int(request.query_params["page_size"])
        rows = self._rows()
        items = [row_of(file) for file in rows[(page - 1) * size : page * size]]
        return JSONResponse({"items": items, "total": len(rows), "page": page, "page_size": size})

    async def _upload(self, request: Request) -> Response:
        self._require(request)
        found = [file for file in self._rows() if file.id == request.path_params["id"]]
        return (
            JSONResponse(row_of(found[0])) if found else app_error(404, "Upload not found", "NotFoundError")
        )

    async def _delete(self, request: Request) -> Response:
        self._require(request)
        ids = set(await request.json())
        if len(ids) > 100:
            return app_error(422, "Maximum 100 uploads", "ValidationError")
        before = len(self.files)
        for batch in self.batches:
            batch.files = [file for file in batch.files if file.id not in ids]
        return JSONResponse({"deleted": before - len(self.files)})

    # The WebSocket

    async def _socket(self, socket: WebSocket) -> None:
        if "origin" in socket.headers or self._no_socket:
            raise ValueError("a foreign origin")
        await socket.accept()
        self.sockets_opened += 1
        try:
            first = json.loads(await socket.receive_text())
            if first.get("type") != "auth" or not self._is_good(str(first.get("token"))):
                await socket.send_text(json.dumps({"action": "auth_error", "message": "Token has expired"}))
                await socket.close(4003)
                return
            await socket.send_text(json.dumps({"action": "auth_success", "user_id": str(uuid4())}))
            self.sockets.add(socket)
            while True:
                self.said.append(json.loads(await socket.receive_text()))
        except ValueError:  # no JSON: it stays open, and is deaf
            self.sockets.discard(socket)
            with suppress(WebSocketDisconnect):
                while True:
                    await socket.receive_text()
        except WebSocketDisconnect:
            pass
        finally:
            self.sockets.discard(socket)
