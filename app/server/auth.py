"""Who is asking: a bearer token makes a request one of an owner's."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers

LOCAL_OWNER = "local"
"""The one user of a server that has one token."""


class TokenAuth:
    """One token, one owner."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def owner(self, headers: Headers) -> str | None:
        """Return whose request this is, or None for a missing or wrong token."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.casefold() != "bearer":
            return None
        return LOCAL_OWNER if hmac.compare_digest(token.strip().encode(), self._token) else None
