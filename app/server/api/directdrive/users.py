"""Accounts as DirectDrive has them: a form for a token of a day, registration, and who I am."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy import Connection, func, select
from starlette.datastructures import Headers

from app.server.accounts import ANONYMOUS, User
from app.server.api.directdrive.answers import NAME, user_answer
from app.server.api.room import Authenticate, bearer
from app.server.core import Core
from app.server.limits import address
from app.server.problems import Problem
from app.server.schema import files
from app.server.states import FileStatus

TOKEN_SECONDS = 24 * 3600
LOGIN_RATE = "50/minute"
"""Ours, as vuemantics has it: the original has no limit, and a password takes time to check."""
MAX_FORM_BYTES = 64 * 1024
GIB = 2**30
_BEARER = {"WWW-Authenticate": "Bearer"}
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["username", "password"],
                    "properties": {"username": {"type": "string"}, "password": {"type": "string"}},
                }
            }
        },
    }
}


class Registration(BaseModel):
    """A new user."""

    email: Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s.]+$")]
    password: Annotated[str, Field(min_length=1, max_length=1024)]


def somebody_or_nobody(core: Core) -> Authenticate:
    """Without a token a request is anonymous; with one that is not valid (any more) it is refused.

    The original takes the second for the first: an upload after the token's end silently belongs to nobody.
    """
    known = bearer(core)

    async def authenticate(headers: Headers) -> User | None:
        return await known(headers) if "authorization" in headers else ANONYMOUS

    return authenticate


def require_user(request: Request) -> User:
    """Return who is asking; raises `Problem("unauthorized")` for nobody."""
    user: User | None = request.state.user
    if user is None or user.id == ANONYMOUS.id:
        raise Problem("unauthorized", "Not authenticated", headers=_BEARER)
    return user


def who_asks(request: Request) -> str:
    """Return whom a limit holds for: a user, or the address of nobody in particular."""
    owner: str = request.state.owner
    return address(request) if owner == ANONYMOUS.id else owner


def router(core: Core) -> APIRouter:
    """Build the routes over one core."""
    api = APIRouter(prefix="/api/v1/auth", tags=["auth"])

    @api.post("/token", openapi_extra=_FORM)
    async def token(request: Request) -> dict[str, str]:
        """Log in; the token is good for a day."""
        core.limits.take(LOGIN_RATE, NAME, "token", address(request))
        name, password = await _form(request)
        user = await core.accounts.check(name, password)
        if user is None:
            raise Problem("unauthorized", "Incorrect username or password", headers=_BEARER)
        tokens = await core.accounts.issue(user, access_seconds=TOKEN_SECONDS, claims={"sub": user.name})
        return {"access_token": tokens.access, "token_type": "bearer"}

    @api.post("/register")
    async def register(request: Request, body: Registration) -> dict[str, Any]:
        """Make an account."""
        core.limits.take(LOGIN_RATE, NAME, "register", address(request))
        return user_answer(await core.accounts.register(body.email, body.password))

    @api.get("/users/me")
    async def me(request: Request) -> dict[str, Any]:
        """Show who is asking and how much they have stored."""
        user = require_user(request)
        by_type = await core.database.read(_stored, user.id)
        return user_answer(user) | _profile(by_type)

    return api


async def _form(request: Request) -> tuple[str, str]:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_FORM_BYTES:
            raise Problem("body_too_long", "The form is too long.")
    fields = parse_qs(content.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=None)
    missing = [name for name in ("username", "password") if name not in fields]
    if missing:
        raise RequestValidationError(
            [
                {"type": "missing", "loc": ("body", name), "msg": "Field required", "input": None}
                for name in missing
            ]
        )
    return fields["username"][0], fields["password"][0]


def _stored(connection: Connection, owner: str) -> list[tuple[str, int, int]]:
    kind = func.coalesce(func.json_extract(files.c.extra, "$.content_type"), "")
    rows = connection.execute(
        select(kind, func.count(), func.sum(files.c.size_bytes))
        .where(files.c.owner == owner, files.c.status == FileStatus.STORED)
        .group_by(kind)
    )
    return [(str(row[0]), int(row[1]), int(row[2])) for row in rows]


def _profile(by_type: list[tuple[str, int, int]]) -> dict[str, Any]:
    shares = {"documents": 0, "images": 0, "videos": 0, "other": 0}
    for content_type, _, size_bytes in by_type:
        shares[_share(content_type)] += size_bytes
    used_bytes = sum(shares.values())
    return {
        "storage_used_bytes": used_bytes,
        "storage_used_gb": round(used_bytes / GIB, 2),
        "storage_limit_gb": None,
        "storage_percentage": None,
        "remaining_storage_bytes": None,
        "remaining_storage_gb": None,
        "file_type_breakdown": shares,
        "total_files": sum(count for _, count, _ in by_type),
        "has_password": True,
    }


def _share(content_type: str) -> str:
    if content_type.startswith("image/"):
        return "images"
    if content_type.startswith("video/"):
        return "videos"
    is_document = content_type.startswith("text/") or content_type == "application/pdf"
    return "documents" if is_document or "document" in content_type else "other"
