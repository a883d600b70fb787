"""What all connections of one Hub account share: the sign-in by cookies, the socket.io ear, and what nobody knows yet.

request ──► answer: each image is claimed by its file           cut or answer lost after the last byte: in doubt for a while

Source of the contract: the Hub's code at bf99ac26, §2 (cookies), §5 (socket.io), §7.1 (what a cut request leaves).
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote import hubfields, socketio
from app.remote.account import Account
from app.remote.answer import Answer
from app.remote.auth import SignedIn, Tokens, jwt_expiry
from app.remote.http import Http, http_of
from app.remote.hubfields import RemoteId
from app.remote.hubmemory import Claims, Doubts
from app.remote.websocket import WebSocket, open_socket

_GOODBYE_S = 3.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait, in seconds.

    ``settle_s``: the server may go on storing a request so long whose sender has left after the last byte.
    ``gave_up_s``: the same for a request that somebody in between gave up (504, no answer), ``video_gave_up_s`` for a
    video, whose frames are taken out in the request. ``look_again_s``: between two looks meanwhile. ``answer_s``: the
    answer to images may take so long, that to a video ``video_answer_s`` (their own client waits 5 minutes and 4 hours).
    ``refused_for_s``: a sign-in that was refused is not tried again for so long.
    """

    settle_s: float = 6.0
    gave_up_s: float = 30.0
    video_gave_up_s: float = 600.0
    look_again_s: float = 0.7
    answer_s: float = 300.0
    video_answer_s: float = 4 * 3600.0
    refused_for_s: float = 3.0
    ear_delays_s: Sequence[float] = socketio.DELAYS_S


REAL = Pace()


class HubLine:
    """Shared by the connections of one account. *account* keeps the address as the person gave it."""

    def __init__(self, account: Account, pace: Pace = REAL) -> None:
        self.account = account
        self.pace = pace
        self.auth = SignedIn(self._sign_in, self._refresh, account.now)
        self.has_cancel: bool | None = None
        self.doubts = Doubts(account.now, pace.settle_s, pace.video_gave_up_s)
        self.claims = Claims(account.notes)
        self.most_files: int | None = None
        """A request with more images was refused, and half of them was not."""
        parts = urlsplit(account.endpoint.url)
        self.base = parts.path.rstrip("/").removesuffix("/api")
        self.api = f"{self.base}/api"
        self._heard = asyncio.Event()
        self._ear: asyncio.Task[None] | None = None
        self._cancels: set[asyncio.Task[None]] = set()
        self._refused: Failure | None = None
        self._refused_at = 0.0

    def http(self, read_timeout_s: float | None = None) -> Http:
        """Return a client for one connection, signed in by this line."""
        account = self.account
        patient = account if read_timeout_s is None else replace(account, read_timeout_s=read_timeout_s)
        return http_of(patient, self.auth)

    async def aclose(self) -> None:
        """Stop listening, and let cancels that are under way go out, if that is quick."""
        if self._ear is not None:
            self._ear.cancel()
            await asyncio.gather(self._ear, return_exceptions=True)
        if self._cancels:
            _, late = await asyncio.wait(list(self._cancels), timeout=_GOODBYE_S)
            for cancel in late:
                cancel.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # The ear

    def listen(self) -> None:
        """Hear the server's events from now on, if it lets us: they only make us look sooner."""
        if self._ear is None or self._ear.done():
            ear = socketio.listen(self._open_ear, self._on_event, self.pace.ear_delays_s)
            self._ear = asyncio.create_task(ear)

    async def news(self, timeout_s: float) -> None:
        """Return when something happened to an upload of this account, or after *timeout_s*."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), timeout_s)

    async def _open_ear(self) -> WebSocket:
        if self._refused is not None:  # a person must act first, and each refused sign-in counts there
            raise TransferError(self._refused)
        path = f"{self.base}{socketio.PATH}"
        return await open_socket(self.account, path, headers=await self.auth.headers())

    def _on_event(self, name: str, _payload: object) -> None:
        if name.lower().startswith("upload"):
            heard, self._heard = self._heard, asyncio.Event()
            heard.set()

    # Cancels of requests that were cut off

    def cancel_soon(self, upload: RemoteId) -> None:
        """Tell the server that nobody wants this request any more, where it listens to that."""
        if self.has_cancel:
            task = asyncio.create_task(self._cancel_quietly(upload))
            self._cancels.add(task)
            task.add_done_callback(self._cancels.discard)

    async def settled(self) -> None:
        """Return when the cancels that we sent ourselves are answered."""
        if self._cancels:
            await asyncio.wait(list(self._cancels))

    async def _cancel_quietly(self, upload: RemoteId) -> None:
        http = self.http()
        with suppress(TransferError):
            await http.ask("POST", self.cancel_path(upload))
        await http.aclose()

    def cancel_path(self, upload: RemoteId) -> str:
        """Return the path of the cancel endpoint that the original recommends and never had."""
        return f"{self.api}/projects/{upload.project}/uploads/{upload.id}/cancel"

    # Who we are

    async def _sign_in(self) -> Tokens:
        if self._refused is not None and time.monotonic() - self._refused_at < self.pace.refused_for_s:
            raise TransferError(
                self._refused
            )  # who comes a moment later: 20 refusals shut the door for 15 minutes
        user, password = self.account.password()
        payload = {"email": user, "password": password, "rememberMe": True}
        answer = await self._ask_unsigned("auth/login", payload, {})
        if answer.status in (400, 401, 403):  # 403: the e-mail address was never verified
            self._refused_at = time.monotonic()
            self._refused = Failure(FailureKind.SIGN_IN, http_status=answer.status)
            raise TransferError(self._refused)
        tokens = self._tokens(answer)
        self._refused = None
        return tokens

    async def _refresh(self, tokens: Tokens) -> Tokens:
        """Single-use: SignedIn lets one request at a time do this."""
        if not tokens.refresh:
            raise TransferError(Failure(FailureKind.SIGN_IN))
        if tokens.access:
            return self._tokens(
                await self._ask_unsigned("auth/refresh-token", {"refreshToken": tokens.refresh}, {}),
                tokens.refresh,
            )
        cookie = {"Cookie": f"refresh_token={tokens.refresh}"}
        return self._tokens(await self._ask_unsigned("auth/refresh-token", None, cookie), tokens.refresh)

    async def _ask_unsigned(self, path: str, payload: object, headers: dict[str, str]) -> Answer:
        http = http_of(self.account, None)
        try:
            return await http.ask("POST", f"{self.api}/{path}", payload=payload, headers=headers)
        finally:
            await http.aclose()

    def _tokens(self, answer: Answer, old_refresh: str = "") -> Tokens:
        """Servers before May 2026 give the tokens in the body and read them from the header."""
        if not answer.ok:
            raise TransferError(hubfields.failure(answer, self.account.now()))
        data = hubfields.data_of(answer)
        told = data if isinstance(data, dict) else {}
        cookie, access = answer.cookies.get("access_token", ""), str(told.get("accessToken") or "")
        if not cookie and not access:
            failure = Failure(FailureKind.NOT_A_SERVER, "the sign-in gave no token", answer.status)
            raise TransferError(failure)
        return Tokens(
            access=access,
            refresh=answer.cookies.get("refresh_token") or str(told.get("refreshToken") or old_refresh),
            expires_at=jwt_expiry(cookie or access),
            cookies={"access_token": cookie} if cookie else {},
        )
