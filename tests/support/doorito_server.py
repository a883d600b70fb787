"""A Doorito with the upload sessions that its PEPs 0011 to 0015 specify, gaps and all; faults by name.

POST session ──► INIT ──first part──► IN_PROGRESS ──finalize──► COMPLETE        there is no cancel
                   └──────────────────────┴──expiry──► FAILED or ABORTED, its parts are deleted

As specified, without any fault asked for: states in capitals, no chunk size in the status, ``received_parts`` as texts and
numbers, no word about what went wrong beyond the status, a batch that is COMPLETE while files of it are still to come.
"""

import asyncio
import hashlib
from collections import deque
from itertools import count
from uuid import uuid4

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.support.doorito_records import OPEN, Batch, Session, written
from tests.support.edge import Pretended

PAGE = "<!doctype html><html><body><h1>Not Found</h1></body></html>"


class FakeDoorito(Pretended):
    """``async with FakeDoorito(chunk_bytes) as fake``; talk to ``fake.url`` with ``fake.token``."""

    def __init__(self, chunk_bytes: int = 5 * 2**20) -> None:
        self.token = "a-token-of-annas"
        self.sessions: dict[str, Session] = {}
        self.batches: dict[str, Batch] = {}
        self.part_bytes = 0
        """Bytes of parts that came over the wire, whatever became of them."""
        self.parts_put: list[int] = []
        """Numbers of the parts in the order in which they were there."""
        self.most_at_once = 0
        self.may_assemble = asyncio.Event()
        self.may_assemble.set()
        self._chunk_bytes = chunk_bytes
        self.parts_under_way = 0
        self._ranges = "texts"
        self._part_statuses: tuple[int, ...] = (200,)
        self._part_count = count()
        self._over = 409
        self._finalized = "status"
        self._unheard: deque[str] = deque()
        self._held: dict[int, asyncio.Event] = {}
        self._most_bytes: int | None = None
        self._hash: str | None = None
        self._pages_for_404 = False
        self._ids = count(1)
        handlers = {HTTPException: self._refuse, 404: self._page}
        self.serve(Starlette(routes=self._routes(), exception_handlers=handlers))

    # What every fake has

    async def leave_work(self) -> None:
        """What is being put together stays as it is."""
        working = [session.work for session in self.sessions.values() if session.work is not None]
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    def stored(self) -> dict[str, str]:
        """Return the SHA-256 of every stored file, by the name it was sent with."""
        return {
            session.name: hashlib.sha256(session.content).hexdigest()
            for session in self.sessions.values()
            if session.content is not None
        }

    def asked(self, ending: str) -> int:
        """Return how many requests had such an end."""
        return sum(request.endswith(ending) for request in self.requests)

    @property
    def session(self) -> Session:
        """The only session."""
        (session,) = self.sessions.values()
        return session

    # Faults by name

    def formats_ranges(self, how: str) -> None:
        """Write received_parts as ``"brackets"`` "[1-3, 5]", ``"pairs"`` [[1, 3], [5, 5]], ``"comma"`` "1-3,5", ``"mixed"`` ["1-3", 5] or ``"list"``."""
        self._ranges = how

    def answers_parts_with(self, *statuses: int) -> None:
        """The code of a part that arrived is specified nowhere: these, in turn."""
        self._part_statuses = statuses

    def expires(self, word: str = "ABORTED") -> None:
        """The time of all open sessions is over (aborts_expired_session): FAILED or ABORTED, their parts are deleted."""
        for session in self.sessions.values():
            if session.status in OPEN:
                session.status, session.parts = word, {}

    def forgets_sessions(self, *, pages: bool = False) -> None:
        """Its database was emptied: 404; *pages*: as Django's own page, not as JSON."""
        self.sessions.clear()
        self._pages_for_404 = pages

    def rejects_with(self, status: int) -> None:
        """How a part of a session that is over is rejected is specified nowhere: 409, 400 or 410."""
        self._over = status

    def holds_other_bytes(self) -> None:
        """What arrived is not what the client has now: a part sent again is a conflict."""
        for session in self.sessions.values():
            session.parts = {number: bytes(len(part)) for number, part in session.parts.items()}

    def forgets_in_status(self) -> None:
        """The status lists no part, although it has them (a replica that lags behind)."""
        self._ranges = "none"

    def loses_part(self, number: int) -> None:
        """A part that was confirmed is gone."""
        for session in self.sessions.values():
            session.parts.pop(number, None)

    def holds_part(self, number: int) -> asyncio.Event:
        """This part is not answered before the returned event is set."""
        self._held[number] = asyncio.Event()
        return self._held[number]

    def lets_all_parts_through(self) -> None:
        """No part is held from now on."""
        self._held.clear()

    def finalize_takes_long(self) -> None:
        """Putting together waits for :attr:`may_assemble`; a client that leaves does not end it."""
        self.may_assemble.clear()

    def finalize_times_out(self, times: int = 1) -> None:
        """Finalize does its work, and no answer comes."""
        self._unheard += ["silent"] * times

    def finalize_does_nothing(self, times: int = 1) -> None:
        """Finalize hangs, and the work is not done (a worker that died)."""
        self._unheard += ["dead"] * times

    def finalize_answers(self, how: str) -> None:
        """``"empty"``: 204; ``"status"``: a status; ``"file"``: with the file and its SHA-256."""
        self._finalized = how

    def stores_other_hash(self) -> None:
        """What it stored differs from what was sent, and it says so by its SHA-256."""
        self._finalized, self._hash = "file", "0" * 64

    def stores_the_hash_again(self) -> None:
        """It says the true one from now on."""
        self._hash = None

    def takes_at_most(self, size_bytes: int) -> None:
        """Larger files are 413."""
        self._most_bytes = size_bytes

    def revokes_token(self) -> None:
        """The token is good no more."""
        self.token = "another-token"

    # HTTP

    def _routes(self) -> list[Route]:
        one = "/uploads/sessions/{id}"
        return [
            Route("/healthz/", self._health),
            Route("/uploads/sessions", self._create, methods=["POST"]),
            Route(one, self._status),
            Route(f"{one}/parts/{{number:int}}", self._part, methods=["PUT"]),
            Route(f"{one}/finalize", self._finalize, methods=["POST"]),
            Route("/batches", self._new_batch, methods=["POST"]),
            Route("/batches/{id}", self._batch),
            Route("/batches/{id}/files", self._files),
        ]

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @staticmethod
    async def _refuse(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, error.status_code)

    async def _page(self, request: Request, error: Exception) -> Response:
        """A path that is not there is a page; an id that is not there is whatever the view made of it."""
        assert isinstance(error, HTTPException)
        if error.detail.startswith("No ") and not self._pages_for_404:
            return await self._refuse(request, error)
        return HTMLResponse(PAGE, 404)

    def _require(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            raise HTTPException(401, "Authentication required")

    def _known(self, request: Request) -> Session:
        self._require(request)
        session = self.sessions.get(request.path_params["id"])
        if session is None:
            raise HTTPException(404, "No such session")
        return session

    async def _create(self, request: Request) -> Response:
        self._require(request)
        told = await request.json()
        try:
            name, size_bytes = str(told["original_filename"]), int(told["total_size_bytes"])
        except KeyError as missing:
            raise HTTPException(400, f"{missing.args[0]} is required") from None
        if self._most_bytes is not None and size_bytes > self._most_bytes:
            raise HTTPException(413, "File too large")
        if told.get("batch_id") is not None and told["batch_id"] not in self.batches:
            raise HTTPException(404, "No such batch")
        key = told.get("idempotency_key")
        known = next((each for each in self.sessions.values() if key and each.key == key), None)
        session = known or Session(
            str(uuid4()), key, name, size_bytes, self._chunk_bytes, told.get("batch_id")
        )
        self.sessions[session.id] = session
        answer = {
            "session_id": session.id,
            "chunk_size_bytes": session.chunk_bytes,
            "total_parts": session.total_parts,
        }
        return JSONResponse(answer, 200 if known else 201)

    async def _status(self, request: Request) -> Response:
        session = self._known(request)
        answer = {
            "session_id": session.id,
            "status": session.status,
            "total_parts": session.total_parts,
            "completed_parts": len(session.parts),
            "received_parts": written(sorted(session.parts), self._ranges),
        }
        if session.cancelled_at is not None:  # of a server that has cancels, as ours has
            answer["cancelled_at"] = session.cancelled_at
        return JSONResponse(answer)

    async def _part(self, request: Request) -> Response:
        self.parts_under_way += 1
        self.most_at_once = max(self.most_at_once, self.parts_under_way)
        try:
            return await self._take(request)
        except ClientDisconnect:
            return Response(status_code=400)
        finally:
            self.parts_under_way -= 1

    async def _take(self, request: Request) -> Response:
        session, number = self._known(request), request.path_params["number"]
        body = bytearray()
        async for piece in request.stream():
            body += piece
            self.part_bytes += len(piece)
        if number in self._held:
            await self._held[number].wait()
        if session.status not in OPEN:
            raise HTTPException(self._over, f"Session is {session.status}")
        if not 1 <= number <= session.total_parts:
            raise HTTPException(400, "Part number out of range")
        if len(body) != session.part_bytes(number):
            raise HTTPException(400, "Wrong part size")
        if session.parts.get(number, body) != body:
            raise HTTPException(409, "Part was received with other content")
        session.parts[number] = bytes(body)
        session.status = "IN_PROGRESS"
        self.parts_put.append(number)
        status = self._part_statuses[next(self._part_count) % len(self._part_statuses)]
        return Response(status_code=204) if status == 204 else JSONResponse({"status": "RECEIVED"}, status)

    async def _finalize(self, request: Request) -> Response:
        session = self._known(request)
        unheard = self._unheard.popleft() if self._unheard else ""
        if unheard == "dead":
            await _until_it_leaves(request)
            return Response(status_code=400)
        if session.status in OPEN:
            missing = [n for n in range(1, session.total_parts + 1) if n not in session.parts]
            if missing:
                raise HTTPException(400, f"Missing parts: {', '.join(map(str, missing))}")
            if session.work is None:
                session.work = asyncio.create_task(self._assemble(session))
            await asyncio.shield(session.work)
        if session.status != "COMPLETE":
            raise HTTPException(self._over, f"Session is {session.status}")
        if unheard:
            await _until_it_leaves(request)
        if self._finalized == "empty":
            return Response(status_code=204)
        sha256 = self._hash or hashlib.sha256(session.content or b"").hexdigest()
        file = {"file": {"status": "STORED", "sha256": sha256}} if self._finalized == "file" else {}
        return JSONResponse({"session_id": session.id, "status": session.status, **file})

    async def _assemble(self, session: Session) -> None:
        await self.may_assemble.wait()
        if session.status not in OPEN:
            return
        session.content = b"".join(session.parts[number] for number in sorted(session.parts))
        session.status = "COMPLETE"

    async def _new_batch(self, request: Request) -> Response:
        self._require(request)
        batch = Batch(f"batch-{next(self._ids)}", await request.json())
        self.batches[batch.id] = batch
        return JSONResponse({"id": batch.id, "status": "INIT"}, 201)

    def _of_batch(self, request: Request) -> tuple[Batch, list[Session]]:
        self._require(request)
        batch = self.batches.get(request.path_params["id"])
        if batch is None:
            raise HTTPException(404, "No such batch")
        return batch, [each for each in self.sessions.values() if each.batch_id == batch.id]

    async def _batch(self, request: Request) -> Response:
        """As finalize_batch has it: no failures, so it is complete, even if some are still uploading."""
        batch, sessions = self._of_batch(request)
        words = [session.file_status for session in sessions]
        failed, stored = words.count("FAILED"), words.count("STORED")
        status = "INIT" if not sessions else "COMPLETE"
        if failed:
            status = "PARTIAL" if stored else "FAILED"
        counts = {"total_files": len(sessions), "stored_count": stored, "failed_count": failed}
        return JSONResponse({"id": batch.id, "status": status, **counts})

    async def _files(self, request: Request) -> Response:
        """All of them: there is no word about pages."""
        _, sessions = self._of_batch(request)
        return JSONResponse(
            [
                {
                    "id": f"file of {session.id}",
                    "session_id": session.id,
                    "original_filename": session.name,
                    "size_bytes": session.size_bytes,
                    "status": session.file_status,
                }
                for session in sessions
            ]
        )


async def _until_it_leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
