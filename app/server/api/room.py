"""What every API of the server is to the rest of it: a name, a prefix, an application, and who may come in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.server.accounts import ANONYMOUS, User
from app.server.core import Core
from app.server.problems import Problem

Authenticate = Callable[[Headers], Awaitable[User | None]]
"""Returns who sends a request with these headers, or None."""
Refuse = Callable[[Problem], Response]


@dataclass(frozen=True, slots=True)
class Api:
    """One API. Its application's paths are those of the original: the prefix is put before them here."""

    name: str
    prefix: str
    app: Starlette
    authenticate: Authenticate
    refuse: Refuse
    """Writes a refusal in the shape of this API."""
    open_paths: frozenset[str] = frozenset()
    """Exact paths below the prefix that need no user."""
    aliases: tuple[str, ...] = ()
    """Further prefixes, below the prefix, of the same application: `/api`."""
    claims: Callable[[Headers, str], Awaitable[bool]] | None = None
    """Says at the root whether a request with these headers for this path, which our own API has as well, is meant for this
    one; without it, never."""
    on_start: Callable[[], Awaitable[None]] | None = None
    on_close: Callable[[], Awaitable[None]] | None = None


def bearer(core: Core) -> Authenticate:
    """Authorization: Bearer <the token of the server, or an access token>."""

    async def authenticate(headers: Headers) -> User | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return await core.accounts.who(token.strip()) if scheme.casefold() == "bearer" else None

    return authenticate


def cookie(core: Core, name: str) -> Authenticate:
    """An access token in a cookie."""

    async def authenticate(headers: Headers) -> User | None:
        token = Request({"type": "http", "headers": headers.raw}).cookies.get(name)
        return await core.accounts.who(token) if token else None

    return authenticate


def first_of(*ways: Authenticate) -> Authenticate:
    """The first way that knows the user."""

    async def authenticate(headers: Headers) -> User | None:
        for way in ways:
            if (user := await way(headers)) is not None:
                return user
        return None

    return authenticate


def or_anonymous(way: Authenticate) -> Authenticate:
    """Whoever that way does not know is the anonymous user."""

    async def authenticate(headers: Headers) -> User | None:
        return await way(headers) or ANONYMOUS

    return authenticate


def room_app(
    title: str,
    refuse: Refuse,
    *,
    invalid: Callable[[RequestValidationError], Response] | None = None,
    crashed: Callable[[], Response] | None = None,
) -> FastAPI:
    """Make the application of an API whose every error comes out in its own shape."""
    app = FastAPI(title=title, docs_url=None, redoc_url=None, redirect_slashes=False)
    answer_errors(app, refuse, invalid=invalid, crashed=crashed)
    return app


def answer_errors(
    app: FastAPI,
    refuse: Refuse,
    *,
    invalid: Callable[[RequestValidationError], Response] | None = None,
    crashed: Callable[[], Response] | None = None,
) -> None:
    """Let *refuse* write every error of *app*."""

    @app.exception_handler(Problem)
    async def problem(_request: Request, error: Problem) -> Response:
        return refuse(error)

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
        known = Problem(code, headers=error.headers)
        if code == "invalid_request":
            known = Problem(code, HTTPStatus(error.status_code).phrase, headers=error.headers)
            known.status = error.status_code
        return refuse(known)

    @app.exception_handler(RequestValidationError)
    async def validation(_request: Request, error: RequestValidationError) -> Response:
        if invalid is not None:
            return invalid(error)
        places = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return refuse(Problem("validation_failed", places))

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> Response:
        return crashed() if crashed is not None else refuse(Problem("internal_error"))
