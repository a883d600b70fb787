"""Register, log in, refresh, me."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.server.accounts import Tokens, User
from app.server.api.vuemantics.bodies import RefreshRequest, Registration, TokenResponse, UserResponse
from app.server.api.vuemantics.errors import not_valid
from app.server.api.vuemantics.reading import NAME
from app.server.body import RequestBody
from app.server.core import Core
from app.server.limits import address
from app.server.multipart import parts
from app.server.problems import Problem

ACCESS_SECONDS = 30 * 60
REFRESH_SECONDS = 30 * 24 * 3600
CLAIMS = {"token_version": 0}
MOST_FORM_BYTES = 64 * 1024


def router(core: Core) -> APIRouter:
    """Build the routes below /v1/auth."""
    api = APIRouter(prefix="/v1/auth", tags=["auth"])

    @api.post("/register", status_code=201)
    async def register(request: Request, told: Registration) -> UserResponse:
        """Make an account; no tokens come with it."""
        core.limits.take("50/minute", NAME, "register", address(request))
        return shown(await core.accounts.register(told.email, told.password))

    @api.post("/token", response_model=TokenResponse)
    async def token(request: Request) -> TokenResponse | Response:
        """Log in with the form fields `username` (the address) and `password`."""
        core.limits.take("50/minute", NAME, "token", address(request))
        form = await _form(request)
        missing = [("body", name) for name in ("username", "password") if not form.get(name)]
        if missing:
            return not_valid(*missing)
        if form.get("grant_type", "password") != "password":
            return not_valid(
                ("body", "grant_type"),
                message="String should match pattern '^password$'",
                kind="string_pattern_mismatch",
            )
        user = await core.accounts.check(form["username"], form["password"])
        if user is None:
            raise Problem("token_invalid", "Incorrect email or password")
        return _tokens(
            await core.accounts.issue(
                user, access_seconds=ACCESS_SECONDS, refresh_seconds=REFRESH_SECONDS, claims=CLAIMS
            )
        )

    @api.post("/token/refresh")
    async def refresh(request: Request, told: RefreshRequest) -> TokenResponse:
        """Exchange a refresh token, which stays the same."""
        core.limits.take("100/minute", NAME, "refresh", address(request))
        try:
            _, tokens = await core.accounts.refresh(
                told.refresh_token,
                access_seconds=ACCESS_SECONDS,
                refresh_seconds=REFRESH_SECONDS,
                rotate=False,
                claims=CLAIMS,
            )
        except Problem as problem:
            if problem.code != "token_invalid":
                raise
            raise Problem("token_invalid", await _why(core, told.refresh_token)) from None
        return _tokens(tokens)

    @api.get("/me")
    async def me(request: Request) -> UserResponse:
        """Show who the token belongs to."""
        core.limits.take("100/minute", NAME, "me", request.state.owner)
        return shown(request.state.user)

    return api


def shown(user: User) -> UserResponse:
    """Show a user."""
    return UserResponse(created_at=user.created_at, updated_at=user.created_at, email=user.name, id=user.id)


def _tokens(tokens: Tokens) -> TokenResponse:
    return TokenResponse(access_token=tokens.access, refresh_token=tokens.refresh or "")


async def _why(core: Core, token: str) -> str:
    if await core.accounts.why(token) is None:
        return "Invalid token type. Expected refresh"
    is_expired = await core.accounts.why(token, "refresh") == "expired"
    return "Token has expired" if is_expired else "Could not validate token"


async def _form(request: Request) -> dict[str, str]:
    """Read a form of either encoding; anything else has no fields."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return {part.name: await part.text() async for part in parts(request, most_parts=20)}
    content = bytearray()
    body = RequestBody(request.receive, request.headers)
    while (chunk := await body.read()) is not None:
        content += chunk
        if len(content) > MOST_FORM_BYTES:
            raise Problem("invalid_request", "The form is too long.")
    if kind != "application/x-www-form-urlencoded":
        return {}
    text = content.decode("utf-8", "replace")
    try:
        return {key: values[-1] for key, values in parse_qs(text, max_num_fields=50).items()}
    except ValueError:
        raise Problem("invalid_request", "The form is malformed.") from None
