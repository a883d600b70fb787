"""Accounts: register, login by httpOnly cookies, single-use refresh, logout."""

from __future__ import annotations

import re
from http import HTTPStatus

from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from app.server.accounts import Tokens, User
from app.server.api.cell_segmentation_hub.envelope import NO_TOKEN, invalid, said, success
from app.server.core import Core
from app.server.limits import address
from app.server.problems import Problem

ACCESS_SECONDS = 15 * 60
REFRESH_SECONDS = 7 * 24 * 3600
LONG_REFRESH_SECONDS = 30 * 24 * 3600
LOGIN_RATE = "20/15 minutes"
OPEN_PATHS = frozenset(
    {"/api/auth/login", "/api/auth/register", "/api/auth/refresh-token", "/api/auth/refresh"}
)

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_SHORTEST_PASSWORD = 8


class LoginIn(BaseModel):
    """Who wants in."""

    email: str
    password: str
    rememberMe: bool = False


class RegisterIn(BaseModel):
    """Who wants an account."""

    email: str
    password: str


def add(app: FastAPI, core: Core) -> None:
    """Add the routes."""
    _add_doors(app, core)
    _add_session(app, core)


def _add_doors(app: FastAPI, core: Core) -> None:
    async def let_in(request: Request, user: User, message: str, seconds: int, status: int) -> JSONResponse:
        tokens = await core.accounts.issue(user, access_seconds=ACCESS_SECONDS, refresh_seconds=seconds)
        answer = success({"user": shown(user)}, message, status)
        _set_cookies(request, answer, tokens, seconds)
        return answer

    @app.post("/api/auth/register")
    async def register(request: Request, body: RegisterIn) -> JSONResponse:
        """Make an account and let it in."""
        core.limits.take(LOGIN_RATE, "csh-register", address(request))
        if not _EMAIL.fullmatch(body.email):
            raise invalid(email="Neplatný formát emailu")
        if len(body.password) < _SHORTEST_PASSWORD:
            raise invalid(password=f"Heslo musí mít alespoň {_SHORTEST_PASSWORD} znaků")
        user = await core.accounts.register(body.email, body.password)
        return await let_in(request, user, "Registrace byla úspěšná", REFRESH_SECONDS, HTTPStatus.CREATED)

    @app.post("/api/auth/login")
    async def login(request: Request, body: LoginIn) -> JSONResponse:
        """Set the cookies; only failures count against the rate limit."""
        key = ("csh-login", address(request))
        core.limits.take(LOGIN_RATE, *key)
        user = await core.accounts.check(body.email, body.password)
        if user is None:
            raise Problem("unauthorized", "Neplatné přihlašovací údaje")
        core.limits.give_back(LOGIN_RATE, *key)
        seconds = LONG_REFRESH_SECONDS if body.rememberMe else REFRESH_SECONDS
        return await let_in(request, user, "Přihlášení bylo úspěšné", seconds, HTTPStatus.OK)


def _add_session(app: FastAPI, core: Core) -> None:
    @app.post("/api/auth/refresh-token")
    @app.post("/api/auth/refresh", include_in_schema=False)
    async def refresh(request: Request) -> JSONResponse:
        """Exchange the refresh cookie for new ones; it works once."""
        tokens = await _exchanged(core, request.cookies.get("refresh_token"))
        answer = success(None, "Token byl úspěšně obnoven")
        _set_cookies(request, answer, tokens, LONG_REFRESH_SECONDS)
        return answer

    @app.post("/api/auth/logout")
    async def logout(request: Request) -> JSONResponse:
        """Make the tokens of this login worthless and take the cookies back."""
        await core.accounts.revoke(request.cookies["access_token"])
        answer = said("Odhlášení bylo úspěšné")
        answer.delete_cookie("access_token", path="/")
        answer.delete_cookie("refresh_token", path=_auth_path(request))
        answer.delete_cookie("authenticated", path="/")
        return answer

    @app.get("/api/auth/profile")
    async def profile(request: Request) -> JSONResponse:
        """Show who asks."""
        if request.state.user is None:
            raise Problem("unauthorized", NO_TOKEN)
        return success({"user": shown(request.state.user)})


async def _exchanged(core: Core, token: str | None) -> Tokens:
    if not token:
        raise Problem("unauthorized", "Chybí refresh token")
    try:
        _, tokens = await core.accounts.refresh(
            token, access_seconds=ACCESS_SECONDS, refresh_seconds=LONG_REFRESH_SECONDS
        )
    except Problem as problem:
        if problem.code != "token_invalid":
            raise
        raise Problem("unauthorized", "Neplatný nebo vypršený refresh token") from None
    return tokens


def shown(user: User) -> dict[str, object]:
    """Return a user as the wire has it."""
    return {"id": user.id, "email": user.name, "emailVerified": True, "createdAt": user.created_at}


def _auth_path(request: Request) -> str:
    return f"{request.scope.get('root_path', '').rstrip('/')}/api/auth"


def _set_cookies(request: Request, answer: Response, tokens: Tokens, refresh_seconds: int) -> None:
    """Secure only over HTTPS: a client on loopback would not send such a cookie back over HTTP."""
    secure = request.url.scheme == "https"
    answer.set_cookie(
        "access_token",
        tokens.access,
        ACCESS_SECONDS,
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )
    if tokens.refresh is not None:
        answer.set_cookie(
            "refresh_token",
            tokens.refresh,
            refresh_seconds,
            path=_auth_path(request),
            secure=secure,
            httponly=True,
            samesite="strict",
        )
    answer.set_cookie("authenticated", "1", refresh_seconds, path="/", secure=secure, samesite="strict")
