"""Upload sessions: create, parts, status, finalize, cancel."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from app.server.api.doorito import answers, rules
from app.server.api.doorito.answers import SessionIn
from app.server.api.doorito.numbers import MOST_PARTS, chunk_size_bytes, count_of_parts
from app.server.api.doorito.rules import NAME, NewSession
from app.server.api.doorito.shelf import Shelf
from app.server.appending import DisconnectedError
from app.server.body import RequestBody
from app.server.core import Core
from app.server.files import NewFile
from app.server.names import safe_name
from app.server.problems import Problem


def router(core: Core, shelf: Shelf) -> APIRouter:
    """Build the routes below /uploads/sessions."""
    api = APIRouter(prefix="/uploads/sessions", tags=["sessions"])
    _add_creation(api, core)
    _add_parts(api, core, shelf)
    _add_ends(api, core, shelf)
    return api


def _add_creation(api: APIRouter, core: Core) -> None:
    @api.post("", status_code=201)
    async def create(request: Request, response: Response, body: SessionIn) -> dict[str, Any]:
        """Announce a file; the same idempotency_key again answers 200 with the same session."""
        most_bytes = core.config.max_file_bytes
        if most_bytes is not None and body.total_size_bytes > most_bytes:
            raise Problem("too_large", f"The file is larger than {most_bytes} bytes.")
        core.storage.require_room(body.total_size_bytes)
        session, is_new = await core.database.write(
            rules.create,
            _new_session(request.state.owner, body),
            most_files=core.config.max_batch_files,
            now=core.now(),
            expires_at=core.expires_at(),
        )
        response.status_code = 201 if is_new else 200
        return answers.session_created(session)

    @api.get("/{session_id}")
    async def status(request: Request, session_id: str) -> dict[str, Any]:
        """Show how far a session is, and which parts are here."""
        session, received = await core.database.read(rules.status, request.state.owner, session_id)
        return answers.session_status(session, received)


def _new_session(owner: str, body: SessionIn) -> NewSession:
    chunk_bytes = body.chunk_size_bytes or chunk_size_bytes(body.total_size_bytes)
    if count_of_parts(body.total_size_bytes, chunk_bytes) > MOST_PARTS:
        raise Problem("invalid_request", f"A session has at most {MOST_PARTS} parts.")
    file = NewFile(
        id=str(uuid4()),
        owner=owner,
        filename=body.original_filename,
        relative_path=safe_name(body.original_filename),
        size_bytes=body.total_size_bytes,
        batch_id=body.batch_id,
        origin=NAME,
        extra={"content_type": body.content_type},
    )
    return NewSession(file, chunk_bytes, body.idempotency_key)


def _add_parts(api: APIRouter, core: Core, shelf: Shelf) -> None:
    @api.put("/{session_id}/parts/{number}")
    async def put_part(request: Request, session_id: str, number: int) -> Response:
        """Take the bytes of one part as the raw body; in any order, several at once, the same one again."""
        body = RequestBody(request.receive, request.headers)
        try:
            try:
                return JSONResponse(await take(request, body, session_id, number))
            except Problem as problem:
                return await answers.answer_to_body(body, problem)
        except DisconnectedError:
            return Response(status_code=400)  # nobody hears it

    async def take(request: Request, body: RequestBody, session_id: str, number: int) -> dict[str, Any]:
        session = await core.database.read(rules.get, request.state.owner, session_id)
        if request.headers.get("content-type", "").casefold().startswith("multipart/"):
            raise Problem("content_type_unsupported", "The body of a part is its bytes, not multipart.")
        session.require_open()
        size_bytes = session.part_bytes(number)
        if body.length_bytes is not None and body.length_bytes != size_bytes:
            raise Problem("part_size", f"Part {number} has {size_bytes} bytes; {body.length_bytes} came.")
        return answers.part_received(await shelf.receive(session, number, body), number, size_bytes)


def _add_ends(api: APIRouter, core: Core, shelf: Shelf) -> None:
    @api.post("/{session_id}/finalize")
    async def finalize(request: Request, session_id: str) -> dict[str, Any]:
        """Put the parts together and store the file; again, it answers the same."""
        session = await core.database.read(rules.get, request.state.owner, session_id)
        return answers.finalized(await shelf.finalize(session))

    @api.post("/{session_id}/cancel")
    async def cancel(request: Request, session_id: str) -> dict[str, Any]:
        """Cancel a session that is not over. Its parts are gone from the disk when the answer leaves."""
        owner = request.state.owner
        session = await core.database.read(rules.get, owner, session_id)
        try:
            file = await core.cancel_file(owner, session.file.id, owner)
        except Problem as problem:
            if problem.code == "not_cancellable":
                raise answers.not_cancellable(problem, of_session=True) from None
            raise
        await shelf.discard([session_id])
        return {
            "message": "Upload session cancelled",
            "session_id": session_id,
            "file_id": file.id,
            "original_filename": file.filename,
            "status": rules.SESSION_STATUS[file.status],
            "cancelled_at": file.cancelled_at,
        }
