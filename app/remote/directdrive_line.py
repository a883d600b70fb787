"""What all connections of one DirectDrive account share: who we are, its kind, what is announced, and its sockets."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.account import Account
from app.remote.auth import Auth, Bearer, Headers, SignedIn, Tokens, jwt_expiry
from app.remote.base import RemoteServer
from app.remote.directdrive_api import Api
from app.remote.directdrive_desk import Desk
from app.remote.directdrive_rules import ANONYMOUS_MAX_BYTES, FRAMES_BYTES, MAX_SIZE_BYTES, Kind
from app.remote.directdrive_socket import Sockets
from app.remote.http import http_of

MOST_SOCKETS = 5
"""What one user may have open there; all who are anonymous share as many, so some of them may be others'."""

_REFUSED_S = 2.0
"""So long a refused password is not shown again."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The waits, in seconds.

    ``gather_s``: for files that start in the same moment. ``linger_s``: a stopped file's socket stays open for its HTTP
    cancel. ``look_s``: between looks at a file whose ending is not there yet. ``settle_s``: at most so long a cancelled
    file is watched that the server goes on with. ``idle_s``: without a word until the file is asked for; ``patience_s``:
    until the server is given up. ``goodbye_s``: for cancelling what was never sent.
    """

    gather_s: float = 0.02
    linger_s: float = 2.0
    look_s: tuple[float, ...] = (0.5, 1.0, 2.0)
    settle_s: float = 60.0
    idle_s: float = 15.0
    patience_s: float = 600.0
    goodbye_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A cancel that we asked for, until it is read back. ``is_whole``: all bytes had gone out before."""

    is_whole: bool
    http_status: int


class DirectDriveLine:
    """All connections of one account (Line). *connect* makes one of them.

    ``sinks`` are the sockets to try, ``frame_bytes`` the size of frames that the server takes as far as is known, ``cancelled`` the files whose cancel is to be read back, ``dropped`` those that we
    cancelled to send them anew.
    """

    def __init__(
        self, account: Account, connect: "Callable[[DirectDriveLine], RemoteServer]", pace: Pace | None = None
    ) -> None:
        self.account = account
        self.pace = pace or Pace()
        self.auth = self._auth()
        self.desk = Desk(account, self.auth, self.pace.gather_s)
        self.sockets = Sockets(MOST_SOCKETS, self.pace.linger_s)
        self.kind: Kind | None = None
        self.sinks = ["upload_parallel", "upload"]
        self.frame_bytes = FRAMES_BYTES[0]
        self.cancelled: dict[str, Cancelled] = {}
        self.dropped: set[str] = set()
        self._connect = connect
        self._asking = asyncio.Lock()
        self._refused: tuple[float, Failure] | None = None

    def connect(self) -> RemoteServer:
        """Return a connection for one worker (Line.connect). Raises TransferError."""
        return self._connect(self)

    async def aclose(self) -> None:
        """Close the sockets that linger, and cancel what was announced and will not be sent (Line.aclose)."""
        await self.sockets.aclose()
        await self.desk.aclose(self.pace.goodbye_s)

    async def meet(self, api: Api) -> Kind:
        """Find out, once, what kind of server this is. Raises TransferError, NOT_A_SERVER if it is another one."""
        async with self._asking:
            if self.kind is None:
                self.kind = await self._asked(api)
                if not self.kind.together:
                    self.sinks = ["upload"]
            return self.kind

    async def _asked(self, api: Api) -> Kind:
        paths = await api.paths()
        tells = any(path.endswith("/upload/initiate") for path in paths)
        if not tells and not await api.takes_announcements():
            raise TransferError(Failure(FailureKind.NOT_A_SERVER, "this is not a DirectDrive server"))
        await self.desk.introduce()
        told, limit_bytes = await api.daily_limit_bytes()
        if not told and self.auth is None:
            limit_bytes = ANONYMOUS_MAX_BYTES
        return Kind(
            together=any("/batch/cancel/" in path for path in paths),
            cancels=not tells or any("/upload/cancel/" in path for path in paths),
            max_size_bytes=min(limit_bytes or MAX_SIZE_BYTES, MAX_SIZE_BYTES),
        )

    def _auth(self) -> Auth | None:
        endpoint = self.account.endpoint
        if endpoint.token:
            return _GivenToken(endpoint.token, self.account.now)
        if endpoint.user or endpoint.password:
            return SignedIn(self._sign_in, None, self.account.now)
        return None

    async def _sign_in(self) -> Tokens:
        """Ask once for all files that start in this moment: many wrong passwords in a row close an account."""
        user, password = self.account.password()
        if self._refused is not None and 0 <= self.account.now() - self._refused[0] < _REFUSED_S:
            raise TransferError(self._refused[1])
        http = http_of(self.account, None)
        try:
            return await Api(http).sign_in(user, password)
        except TransferError as error:
            if error.failure.kind is FailureKind.SIGN_IN:
                self._refused = self.account.now(), error.failure
            raise
        finally:
            await http.aclose()


class _GivenToken(Bearer):
    """A person's token, not used any more once it is over: the server would take the file as nobody's."""

    def __init__(self, token: str, now: Callable[[], float]) -> None:
        super().__init__(token)
        self._now = now
        self._expires_at = jwt_expiry(token)

    async def headers(self) -> Headers:
        """Return the one header (Auth.headers)."""
        if self._expires_at is not None and self._expires_at <= self._now():
            raise TransferError(Failure(FailureKind.SIGN_IN, "the token has expired"))
        return await super().headers()
