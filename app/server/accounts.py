"""Users and their tokens: who may come in, and as whom.

A token is valid only through its row, which has the SHA-256 of its text; the text is nowhere. An access token is written as a
JWT, because clients of the APIs we speak read `exp` in it; the server trusts the row, never what the JWT says. A refresh
token is used once: using it again means that somebody has copied it, and ends all that came from that login.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.exc import IntegrityError

from app.server.auth import LOCAL_OWNER
from app.server.clock import Clock, iso
from app.server.database import Database, Transaction
from app.server.problems import Problem
from app.server.schema import tokens, users

MOST_NAME_CHARACTERS = 254
"""As many as an e-mail address may have."""
MOST_HASHINGS = 2
"""Argon2 wants 64 MiB and a core each time: so many at once."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who has files; the id is what `owner` means everywhere."""

    id: str
    name: str
    created_at: str


LOCAL_USER = User(LOCAL_OWNER, LOCAL_OWNER, "1970-01-01T00:00:00.000Z")
"""Who comes with the one token of the server."""
ANONYMOUS = User("anonymous", "anonymous", "1970-01-01T00:00:00.000Z")
"""Who comes without any, where an API takes that."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login gives."""

    access: str = field(repr=False)
    access_expires_at: datetime
    refresh: str | None = field(repr=False)
    refresh_expires_at: datetime | None


class TokenKind(StrEnum):
    """What a token is for."""

    ACCESS = "access"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class _Row:
    hash: str
    user_id: str
    kind: str
    family: str
    expires_at: str
    used_at: str | None


class Accounts:
    """Users, passwords and tokens over one database."""

    def __init__(self, database: Database, serve_token: str, clock: Clock) -> None:
        self._database, self._serve_token, self._clock = database, serve_token.encode(), clock
        self._hashing = asyncio.Semaphore(MOST_HASHINGS)

    async def register(self, name: str, password: str) -> User:
        """Make a user; raises `Problem` name_taken, or validation_failed for a text that cannot be kept.

        What a good name or password is, is the caller's business.
        """
        hashed = await self._hash(password)
        return await self._database.write(add_user, name, hashed, iso(self._clock()))

    async def check(self, name: str, password: str) -> User | None:
        """Return the user of that name and password, or None; both take the same time."""
        found = await self._database.read(_find, name)
        user, hashed = found if found is not None else (None, _decoy())
        async with self._hashing:
            fits = await asyncio.to_thread(_verify, hashed, password)
        if name == LOCAL_OWNER:
            return LOCAL_USER if self._is_serve_token(password) else None
        return user if fits else None

    async def _hash(self, password: str) -> str:
        async with self._hashing:
            try:
                return await asyncio.to_thread(hash_password, password)
            except UnicodeEncodeError:
                raise Problem("validation_failed", "The password is not valid Unicode text.") from None

    async def get(self, user_id: str) -> User | None:
        """Return the user of an id."""
        if user_id == LOCAL_OWNER:
            return LOCAL_USER
        return await self._database.read(_get, user_id)

    async def find(self, name: str) -> User | None:
        """Return the user of a name, in any letter case."""
        found = await self._database.read(_find, name)
        return None if found is None else found[0]

    async def issue(
        self,
        user: User,
        *,
        access_seconds: int,
        refresh_seconds: int | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> Tokens:
        """Log a user in; *claims* go into the access token, for its client to read."""
        made = self._make(user, access_seconds, refresh_seconds, claims)
        await self._database.write(_insert, user.id, uuid4().hex, made, iso(self._clock()))
        return made

    def _make(
        self, user: User, access_seconds: int, refresh_seconds: int | None, claims: Mapping[str, Any] | None
    ) -> Tokens:
        now = self._clock()
        ends = now + timedelta(seconds=access_seconds)
        refresh_ends = None if refresh_seconds is None else now + timedelta(seconds=refresh_seconds)
        refresh = None if refresh_seconds is None else secrets.token_hex(32)
        return Tokens(_jwt(user, now, ends, claims or {}), ends, refresh, refresh_ends)

    async def refresh(
        self,
        refresh_token: str,
        *,
        access_seconds: int,
        refresh_seconds: int,
        rotate: bool = True,
        claims: Mapping[str, Any] | None = None,
    ) -> tuple[User, Tokens]:
        """Exchange a refresh token; raises `Problem("token_invalid")`.

        With *rotate* it is used up, and its second use ends its whole family; without, the same one is given back.
        """
        row = await self._database.read(_row, refresh_token)
        user = None if row is None else await self.get(row.user_id)
        if row is None or user is None:
            raise Problem("token_invalid")
        made = self._make(user, access_seconds, refresh_seconds if rotate else None, claims)
        if not await self._database.write(_exchange, refresh_token, made, iso(self._clock()), rotate=rotate):
            raise Problem("token_invalid")
        if rotate:
            return user, made
        ends = datetime.fromisoformat(row.expires_at)
        return user, Tokens(made.access, made.access_expires_at, refresh_token, ends)

    async def who(self, access_token: str) -> User | None:
        """Return whose access token this is, or None if it is not valid."""
        if self._is_serve_token(access_token):
            return LOCAL_USER
        return await self._database.read(_bearer, access_token, iso(self._clock()))

    async def why(self, token: str, kind: TokenKind | str = TokenKind.ACCESS) -> str | None:
        """Say what is wrong with a token: "expired", "invalid", or None."""
        if kind == TokenKind.ACCESS and self._is_serve_token(token):
            return None
        row = await self._database.read(_row, token)
        if row is None or row.kind != kind or row.used_at is not None:
            return "invalid"
        return "expired" if row.expires_at <= iso(self._clock()) else None

    async def revoke(self, token: str) -> None:
        """Log out: end everything that came from the login of this token."""
        await self._database.write(_revoke, token)

    def _is_serve_token(self, text: str) -> bool:
        return hmac.compare_digest(text.strip().encode("utf-8", "surrogatepass"), self._serve_token)


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password. Takes a while: in a thread."""
    from argon2 import PasswordHasher

    return PasswordHasher().hash(password)


def _verify(hashed: str, password: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(hashed, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):  # half a character is nobody's password
        return False


def _decoy() -> str:
    """A well-formed hash that no password has: an unknown name costs the same time as a known one."""
    return "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$" + "A" * 42 + "A"


def _jwt(user: User, now: datetime, ends: datetime, claims: Mapping[str, Any]) -> str:
    import jwt

    told = {"sub": user.id, "iat": now, "exp": ends, "jti": uuid4().hex, "type": "access", **claims}
    return jwt.encode(told, secrets.token_bytes(32), "HS256")  # nobody keeps this key: the row is what counts


def _sha256(token: str) -> str:
    return hashlib.sha256(token.strip().encode("utf-8", "surrogatepass")).hexdigest()


def _user(row: Any) -> User:
    return User(row.id, row.name, row.created_at)


def add_user(tx: Transaction, name: str, hashed: str, now: str) -> User:
    """Insert a user; raises `Problem` name_taken, or validation_failed for a name that no line can show."""
    if not 1 <= len(name) <= MOST_NAME_CHARACTERS or not name.isprintable():
        words = f"A name has 1 to {MOST_NAME_CHARACTERS} characters, all of them printable."
        raise Problem("validation_failed", words)
    user = User(str(uuid4()), name, now)
    if name.casefold() in {LOCAL_OWNER, ANONYMOUS.name}:
        raise Problem("name_taken")
    values = {"id": user.id, "name": name, "name_key": name.casefold(), "password_hash": hashed}
    try:
        tx.execute(users.insert(), values | {"created_at": now})
    except IntegrityError:
        raise Problem("name_taken") from None
    return user


def list_users(connection: Connection) -> list[User]:
    """Return all users by name."""
    return [_user(row) for row in connection.execute(select(users).order_by(users.c.name_key))]


def remove_user(tx: Transaction, name: str) -> bool:
    """Remove a user and end their logins; what they stored stays on the disk, and nobody can ask for it."""
    row = tx.execute(select(users.c.id).where(users.c.name_key == name.casefold())).first()
    if row is None:
        return False
    tx.execute(delete(tokens).where(tokens.c.user_id == row.id))
    tx.execute(delete(users).where(users.c.id == row.id))
    return True


def _get(connection: Connection, user_id: str) -> User | None:
    row = connection.execute(select(users).where(users.c.id == user_id)).first()
    return None if row is None else _user(row)


def _find(connection: Connection, name: str) -> tuple[User, str] | None:
    row = connection.execute(select(users).where(users.c.name_key == name.casefold())).first()
    return None if row is None else (_user(row), row.password_hash)


def _row(connection: Connection, token: str) -> _Row | None:
    row = connection.execute(select(tokens).where(tokens.c.hash == _sha256(token))).first()
    return None if row is None else _Row(**row._mapping)


def _bearer(connection: Connection, token: str, now: str) -> User | None:
    row = _row(connection, token)
    if row is None or row.kind != TokenKind.ACCESS or row.expires_at <= now:
        return None
    return LOCAL_USER if row.user_id == LOCAL_OWNER else _get(connection, row.user_id)


def _insert(tx: Transaction, user_id: str, family: str, made: Tokens, now: str) -> None:
    tx.execute(delete(tokens).where(tokens.c.expires_at < now))
    rows = [(made.access, TokenKind.ACCESS, made.access_expires_at)]
    if made.refresh is not None and made.refresh_expires_at is not None:
        rows.append((made.refresh, TokenKind.REFRESH, made.refresh_expires_at))
    common = {"user_id": user_id, "family": family}
    tx.execute(
        tokens.insert(),
        [
            common | {"hash": _sha256(text), "kind": kind, "expires_at": iso(ends)}
            for text, kind, ends in rows
        ],
    )


def _exchange(tx: Transaction, token: str, made: Tokens, now: str, *, rotate: bool) -> bool:
    row = _row(tx.connection, token)
    if row is None or row.kind != TokenKind.REFRESH or row.expires_at <= now:
        return False
    if row.used_at is not None:
        tx.execute(delete(tokens).where(tokens.c.family == row.family))
        return False
    if rotate:
        tx.execute(update(tokens).where(tokens.c.hash == row.hash).values(used_at=now))
    _insert(tx, row.user_id, row.family, made, now)
    return True


def _revoke(tx: Transaction, token: str) -> None:
    row = _row(tx.connection, token)
    if row is not None:
        tx.execute(delete(tokens).where(tokens.c.family == row.family))
