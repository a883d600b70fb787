"""Who we are to a server: a token that was given, or a sign-in by name and password that renews itself.

signed out ──sign_in──► signed in ──60 s before its end, or after a 401──► refresh, else sign in again
                                                                            └─ refused: SIGN_IN, a person must act
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from app.domain.failure import WRONG_SIGN_IN, Failure, FailureKind, TransferError

SPARE_S = 60.0
"""Tokens are renewed when they have less than this left: a body must not meet its 401 after an hour of sending."""
_SAYS_WRONG = frozenset({400, 401, 422})
"""What servers answer to a wrong name or password; 403 is something else, an account that is not open yet."""

Headers = Mapping[str, str]


class Auth(Protocol):
    """What puts a name on requests. Shared by all connections of one account."""

    async def headers(self) -> Headers:
        """Return the headers that say who we are, valid for a while yet. Raises TransferError(SIGN_IN)."""

    async def renew(self, used: Headers) -> bool:
        """The server refused *used* (401): return whether there are others now. Raises TransferError(SIGN_IN)."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in gave; never in a repr. ``expires_at`` is epoch seconds, None where the server does not say.

    ``cookies`` are the server's, by name; ``access`` is "" where they carry everything.
    """

    access: str = field(default="", repr=False)
    refresh: str = field(default="", repr=False)
    expires_at: float | None = None
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)


SignIn = Callable[[], Awaitable[Tokens]]
"""Sign in by name and password. Raises TransferError, SIGN_IN if they are wrong."""
Refresh = Callable[[Tokens], Awaitable[Tokens]]
"""Turn tokens into fresh ones. Raises TransferError, SIGN_IN if the server does not want the old ones any more."""


class Bearer:
    """A token that a person gave. It cannot be renewed."""

    def __init__(self, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {checked_token(token)}"}

    async def headers(self) -> Headers:
        """Return the one header (Auth.headers)."""
        return self._headers

    async def renew(self, used: Headers) -> bool:
        """There is no other token (Auth.renew)."""
        return used != self._headers


class SignedIn:
    """Tokens from a sign-in, renewed by one request at a time however many connections ask (single flight)."""

    def __init__(self, sign_in: SignIn, refresh: Refresh | None, now: Callable[[], float]) -> None:
        self._sign_in = sign_in
        self._refresh = refresh
        self._now = now
        self._tokens: Tokens | None = None
        self._one_at_a_time = asyncio.Lock()
        self._refused: list[Failure] = []

    async def headers(self) -> Headers:
        """Return the headers, signing in or refreshing first if need be (Auth.headers)."""
        return _headers_of(await self.tokens())

    async def tokens(self) -> Tokens:
        """Return tokens that are good for a while yet. Raises TransferError."""
        refused_before = len(self._refused)
        async with self._one_at_a_time:
            if self._tokens is None or self._ends_soon(self._tokens):
                self._tokens = await self._fresh(self._tokens, refused_before)
            return self._tokens

    async def renew(self, used: Headers) -> bool:
        """Get other tokens than those *used*, unless somebody just did (Auth.renew)."""
        refused_before = len(self._refused)
        async with self._one_at_a_time:
            if self._tokens is None or _headers_of(self._tokens) == used:
                old, self._tokens = self._tokens, None
                self._tokens = await self._fresh(old, refused_before)
        return True

    def forget(self) -> None:
        """Sign in anew before the next request."""
        self._tokens = None

    def _ends_soon(self, tokens: Tokens) -> bool:
        return tokens.expires_at is not None and tokens.expires_at - self._now() < SPARE_S

    async def _fresh(self, old: Tokens | None, refused_before: int) -> Tokens:
        if len(self._refused) > refused_before:
            # Somebody was refused while we waited our turn; servers lock accounts after a few wrong passwords.
            raise TransferError(self._refused[-1])
        if old is not None and self._refresh is not None:
            try:
                return await self._refresh(old)
            except TransferError as error:
                if error.failure.kind is not FailureKind.SIGN_IN:
                    raise
        try:
            return await self._sign_in()
        except TransferError as error:
            if error.failure.kind is not FailureKind.SIGN_IN:
                raise
            self._refused.append(_told(error.failure))
            raise TransferError(self._refused[-1]) from error


def checked_token(token: str) -> str:
    """Return a token that can go into a header; raise TransferError(SIGN_IN) for what no token holds."""
    if token.isascii() and token.isprintable():
        return token
    raise TransferError(Failure(FailureKind.SIGN_IN, "the token holds characters that no token has"))


def jwt_expiry(token: str) -> float | None:
    """Return ``exp`` (epoch seconds) of a JWT, unverified; None for what is no JWT."""
    with suppress(ValueError, binascii.Error, IndexError, TypeError, RecursionError, OverflowError):
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) if isinstance(claims, dict) and "exp" in claims else None
    return None


def _told(refused: Failure) -> Failure:
    """Return why a sign-in was refused, in the one way that every server's refusal is told."""
    return replace(refused, detail=WRONG_SIGN_IN) if refused.http_status in _SAYS_WRONG else refused


def _headers_of(tokens: Tokens) -> Headers:
    headers = {"Authorization": f"Bearer {checked_token(tokens.access)}"} if tokens.access else {}
    if tokens.cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in tokens.cookies.items())
    return headers
