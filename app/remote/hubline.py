"""What all connections of one Hub account share: the sign-in by cookies, the socket.io ear, and requests cut off lately.

Source of the contract: the Hub's code at bf99ac26, §2 (cookies), §5 (socket.io), §7.1 (what a cut request leaves).
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote import hubfields, socketio
from app.remote.account import Account
from app.remote.answer import Answer
from app.remote.auth import SignedIn, Tokens, jwt_expiry
from app.remote.http import Http, http_of
from app.remote.hubfields import RemoteId
from app.remote.websocket import WebSocket, open_socket

SETTLES_S = 6.0
"""How long the server may go on storing a request whose sender has gone away after the last byte."""


class HubLine:
    """Shared by the connections of one account. *account* keeps the address as the person gave it."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.auth = SignedIn(self._sign_in, self._refresh, account.now)
        self.has_cancel: bool | None = None
        self._heard = asyncio.Event()
        self._ear: asyncio.Task[None] | None = None
        self._cut_at: dict[str, float] = {}
        self._cancels: set[asyncio.Task[None]] = set()
        parts = urlsplit(account.endpoint.url)
        base = parts.path.rstrip("/").removesuffix("/api")
        self.base = base
        self.api = f"{base}/api"

    def http(self) -> Http:
        """Return a client for one connection, signed in by this line."""
        return http_of(self.account, self.auth)

    async def aclose(self) -> None:
        """Stop listening, and let cancels that are under way go out."""
        if self._ear is not None:
            self._ear.cancel()
            await asyncio.gather(self._ear, return_exceptions=True)
        await asyncio.gather(*self._cancels, return_exceptions=True)

    # Requests that were cut off

    def listen(self) -> None:
        """Hear the server's events from now on, if it lets us: they only make us look sooner."""
        if self._ear is None or self._ear.done():
            self._ear = asyncio.create_task(socketio.listen(self._open_ear, self._on_event))

    async def news(self, timeout_s: float) -> None:
        """Return when something happened to an upload of this account, or after *timeout_s*."""
        self._heard.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), timeout_s)

    def was_cut(self, keys: Iterable[str], *, upload: RemoteId, after_the_end: bool) -> None:
        """A request was given up. *after_the_end*: all its bytes had gone out, so the server may store it all the same."""
        if after_the_end:
            self._cut_at |= dict.fromkeys(keys, self.account.now())
        if self.has_cancel:
            task = asyncio.create_task(self._cancel_quietly(upload))
            self._cancels.add(task)
            task.add_done_callback(self._cancels.discard)

    async def settled(self) -> None:
        """Return when the cancels that we sent ourselves are answered."""
        if self._cancels:
            await asyncio.wait(list(self._cancels))

    def still_storing(self, keys: Iterable[str]) -> bool:
        """Whether one of these files may yet appear at the server."""
        now = self.account.now()
        self._cut_at = {key: at for key, at in self._cut_at.items() if now - at < SETTLES_S}
        return any(key in self._cut_at for key in keys)

    async def _cancel_quietly(self, upload: RemoteId) -> None:
        http = self.http()
        with suppress(TransferError):
            await http.ask("POST", self.cancel_path(upload))
        await http.aclose()

    def cancel_path(self, upload: RemoteId) -> str:
        """Return the path of the cancel endpoint that the original recommends and never had."""
        return f"{self.api}/projects/{upload.project}/uploads/{upload.id}/cancel"

    async def _open_ear(self) -> WebSocket:
        path = f"{self.base}{socketio.PATH}"
        return await open_socket(self.account, path, headers=await self.auth.headers())

    def _on_event(self, name: str, _payload: object) -> None:
        if name.lower().startswith("upload"):
            self._heard.set()

    # Who we are

    async def _sign_in(self) -> Tokens:
        user, password = self.account.password()
        payload = {"email": user, "password": password, "rememberMe": True}
        answer = await self._ask_unsigned("auth/login", payload, {})
        if answer.status in (400, 401, 403):  # 403: the e-mail address was never verified
            raise TransferError(Failure(FailureKind.SIGN_IN, answer.code, answer.status))
        if not answer.ok:
            raise TransferError(hubfields.failure(answer, self.account.now()))
        data = hubfields.data_of(answer)
        # Servers before May 2026 give the tokens in the body and read them from the header.
        old = data if isinstance(data, dict) and "accessToken" in data else {}
        return _tokens(answer, str(old.get("accessToken") or ""), str(old.get("refreshToken") or ""))

    async def _refresh(self, tokens: Tokens) -> Tokens:
        """Single-use: SignedIn lets one request at a time do this."""
        if not tokens.refresh:
            raise TransferError(Failure(FailureKind.SIGN_IN))
        old_way = bool(tokens.access)
        payload = {"refreshToken": tokens.refresh} if old_way else None
        cookie = {} if old_way else {"Cookie": f"refresh_token={tokens.refresh}"}
        answer = await self._ask_unsigned("auth/refresh-token", payload, cookie)
        if not answer.ok:
            raise TransferError(hubfields.failure(answer, self.account.now()))
        data = hubfields.data_of(answer)
        old = data if isinstance(data, dict) else {}
        return _tokens(
            answer, str(old.get("accessToken") or ""), str(old.get("refreshToken") or tokens.refresh)
        )

    async def _ask_unsigned(self, path: str, payload: object, headers: dict[str, str]) -> Answer:
        http = http_of(self.account, None)
        try:
            return await http.ask("POST", f"{self.api}/{path}", payload=payload, headers=headers)
        finally:
            await http.aclose()


def _tokens(answer: Answer, old_access: str, old_refresh: str) -> Tokens:
    access = answer.cookies.get("access_token", "")
    if not access and not old_access:
        raise TransferError(Failure(FailureKind.NOT_A_SERVER, "the sign-in gave no token", answer.status))
    return Tokens(
        access=old_access,
        refresh=answer.cookies.get("refresh_token") or old_refresh,
        expires_at=jwt_expiry(access or old_access),
        cookies={"access_token": access} if access else {},
    )
