"""One server as one user: its address, who we are there, the way to it, and what its connections share."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.auth import Auth, Bearer
from app.remote.base import ParcelLimits, RemoteServer

SYSTEM_PROXY, NO_PROXY = "system", "none"


@dataclass(frozen=True, slots=True)
class Way:
    """How a server is reached: a CA file and a client certificate of the person's own (paths), and the proxy.

    ``proxy`` is ``system``, ``none`` or an address (http://host:port, or http://user@host:port with ``proxy_password``).
    """

    ca_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    proxy: str = SYSTEM_PROXY
    proxy_password: str = field(default="", repr=False)


DIRECT_WAY = Way()
"""The system's certificates, the system's proxy."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is now, and how to sign in. Token and password never show in a repr.

    ``parcel`` are the person's own limits of one request, None for the dialect's.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    user: str = ""
    password: str | None = field(default=None, repr=False)
    way: Way = DIRECT_WAY
    parcel: ParcelLimits | None = None


class Notes(Protocol):
    """A little that an account remembers across restarts (never a secret); implemented by ``accounts.notes``."""

    def read(self) -> Mapping[str, Any]:
        """Return what was written last, {} if nothing was."""

    def write(self, values: Mapping[str, Any]) -> None:
        """Replace it; values are JSON."""


class ForgetfulNotes:
    """Notes for one life of the program."""

    def __init__(self) -> None:
        self._values: Mapping[str, Any] = {}

    def read(self) -> Mapping[str, Any]:
        """Return what was written last (Notes.read)."""
        return self._values

    def write(self, values: Mapping[str, Any]) -> None:
        """Keep it in memory (Notes.write)."""
        self._values = values


@dataclass(frozen=True, slots=True)
class Account:
    """What a dialect needs to open connections. *now* gives epoch seconds."""

    endpoint: Endpoint
    notes: Notes = field(default_factory=ForgetfulNotes)
    now: Callable[[], float] = time.time
    read_timeout_s: float = 60.0

    def given_token(self) -> Auth | None:
        """Return the token that a person gave as an Auth; None if there is none. Raises TransferError."""
        return Bearer(self.endpoint.token) if self.endpoint.token else None

    def password(self) -> tuple[str, str]:
        """Return name and password. Raises TransferError(SIGN_IN) if one is missing."""
        if not self.endpoint.user or not self.endpoint.password:
            raise TransferError(Failure(FailureKind.SIGN_IN, "this server wants a name and a password"))
        return self.endpoint.user, self.endpoint.password


class Line(Protocol):
    """All connections of one account; what they share (tokens, a push channel, clocks) lives here."""

    def connect(self) -> RemoteServer:
        """Return a connection for one worker, which closes it. Nothing is sent yet."""

    async def aclose(self) -> None:
        """Close what the connections share."""


class PlainLine:
    """The line of a dialect whose connections share nothing."""

    def __init__(self, make: Callable[[], RemoteServer]) -> None:
        self._make = make

    def connect(self) -> RemoteServer:
        """Make a connection (Line.connect)."""
        return self._make()

    async def aclose(self) -> None:
        """There is nothing to close (Line.aclose)."""
