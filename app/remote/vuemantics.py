"""The vuemantics dialect: many files in one POST, then followed through the server's processing, batch by batch.

vuemantics.py            the account: where its API begins, its sign-in, what its connections share
vuemantics_server.py     one connection: send a parcel, cancel, delete, list
vuemantics_finding.py    what arrived of a POST whose answer was lost
vuemantics_reading.py    how far the server is: batches and files over HTTP
push.py       what it says by its WebSocket
vuemantics_posts.py      its limit of 5 POSTs an hour
vuemantics_fields.py     what its fields mean

Source of the contract: the backend of vuemantics at commit 4d33b24, as it behaves. Where it differs from our server of
the same dialect: docs/server/vuemantics.md.
"""

import asyncio

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.account import Account
from app.remote.answer import Answer
from app.remote.auth import Auth, SignedIn, Tokens, jwt_expiry
from app.remote.base import ParcelLimits
from app.remote.http import Http, http_of
from app.remote.push import Push
from app.remote.vuemantics_fields import MOST_FILE_BYTES, MOST_FILES, refusal
from app.remote.vuemantics_posts import Posts
from app.remote.vuemantics_reading import Memory, Pace
from app.remote.vuemantics_server import Shared, VuemanticsServer

_K = FailureKind
_PROXY_BYTES = 105 * 2**20
_PART_HEAD_BYTES = 1024
PARCEL = ParcelLimits(MOST_FILES, _PROXY_BYTES - MOST_FILES * _PART_HEAD_BYTES)
"""What its nginx lets through in one request, less the heads of 1,000 parts."""


class VuemanticsLine:
    """All connections of one account (account.Line). Raises TransferError for a token that none can be."""

    def __init__(self, account: Account, pace: Pace | None = None) -> None:
        pace = pace or Pace()
        self._account = account
        self._auth: Auth = account.given_token() or SignedIn(self._sign_in, self._refresh, account.now)
        self._plain: Http | None = None
        self._root: str | None = None
        self._finding_root = asyncio.Lock()
        memory = Memory(pace)
        push = Push(
            account,
            self._auth,
            self._socket_path,
            memory.stale,
            silence_s=pace.silence_s,
            delays_s=pace.delays_s,
        )
        self._shared = Shared(
            account.now, self._auth, self.root, Posts(account.notes, account.now), memory, push
        )

    def connect(self) -> VuemanticsServer:
        """Return a connection (Line.connect)."""
        return VuemanticsServer(http_of(self._account, self._auth), self._shared)

    async def aclose(self) -> None:
        """Close the socket and the connection that signs in (Line.aclose)."""
        await self._shared.push.aclose()
        if self._plain is not None:
            await self._plain.aclose()

    async def root(self) -> str:
        """Return the path that the API begins at: below the address, or behind nginx below its ``/api``. Asked once."""
        async with self._finding_root:
            if self._root is None:
                self._root = await self._found_root()
            return self._root

    async def _found_root(self) -> str:
        http = self._http()
        answer: Answer | None = None
        for root in (http.base_path, f"{http.base_path}/api"):
            answer = await http.ask("GET", f"{root}/v1/client-config")
            if answer.status in (420, 429) or answer.status >= 500:
                raise refusal(answer, self._account.now())
            limit_mb = _limit_mb(answer)
            if limit_mb is not None:
                self._shared.max_file_bytes = limit_mb * 2**20
                return root
        assert answer is not None
        status = answer.status
        raise TransferError(Failure(_K.NOT_A_SERVER, "no vuemantics answers at this address", status))

    async def _socket_path(self) -> str:
        return f"{await self.root()}/ws/uploads"

    # Who we are

    async def _sign_in(self) -> Tokens:
        user, password = self._account.password()
        answer = await self._http().ask(
            "POST", f"{await self.root()}/v1/auth/token", form={"username": user, "password": password}
        )
        if answer.status == 422:  # its body repeats what was sent
            raise TransferError(Failure(_K.SIGN_IN, "the server did not take this name and password", 422))
        return self._tokens(answer)

    async def _refresh(self, old: Tokens) -> Tokens:
        answer = await self._http().ask(
            "POST", f"{await self.root()}/v1/auth/token/refresh", payload={"refresh_token": old.refresh}
        )
        return self._tokens(answer)

    def _tokens(self, answer: Answer) -> Tokens:
        if not answer.ok:
            raise refusal(answer, self._account.now())
        body = answer.json()
        access, refresh = str(body.get("access_token") or ""), str(body.get("refresh_token") or "")
        if not access:
            raise TransferError(Failure(_K.NOT_A_SERVER, "the sign-in gave no token", answer.status))
        return Tokens(access, refresh, jwt_expiry(access))

    def _http(self) -> Http:
        if self._plain is None:
            self._plain = http_of(self._account, None)
        return self._plain


def _limit_mb(answer: Answer) -> int | None:
    """Return what the server's settings for its clients say of sizes; None if these are not such settings."""
    if not answer.ok or answer.is_html:
        return None
    try:
        limit = answer.json().get("max_upload_size_mb")
    except TransferError:
        return None
    if not isinstance(limit, int | float) or isinstance(limit, bool):
        return None
    return int(limit) if 0 < limit < 2**30 else MOST_FILE_BYTES // 2**20
