"""What vuemantics and our own server tell by their WebSocket: one socket an account, kept while somebody follows files, and what it said.

news asked ──► connect ──► auth ──► auth_success ──► messages…
                  ▲                                     │ closed (4001-4004, 1012, cut), or silent for 75 s: deaf
                  └────────── back-off 1 to 60 s ◄──────┘ 4003: with a new token
Messages are not stored by the server: after every (re)connection the batches are read over HTTP.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from app.domain.failure import FailureKind, TransferError
from app.remote.account import Account
from app.remote.answer import object_in
from app.remote.auth import Auth
from app.remote.vuemantics_fields import share_of
from app.remote.websocket import SocketClosedError, WebSocket, open_socket

logger = logging.getLogger(__name__)

SILENCE_S = 75.0
"""The server pings every 30 s: a socket that says nothing for so long is deaf, and will stay so."""
DELAYS_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_ANSWER_S = 10.0
_UNASKED_S = 90.0
_TOGETHER_S = 0.1
_MOST_KEPT = 20_000
_MOST_WATCHED = 10_000
_INVALID_TOKEN = 4003


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said last of one file. ``is_over`` is the socket's word; HTTP has the last one. ``why`` is the reason of an
    attempt that failed, which is told nowhere else."""

    stage: str = ""
    share: float | None = None
    is_over: bool = False
    tries: int = 1
    why: str = ""


NOTHING = Heard()


class Told:
    """What the socket has said of files, of unknown ones too: the first words on a batch come before the answer that names it.

    The oldest are forgotten beyond 20,000.
    """

    def __init__(self) -> None:
        self._files: dict[str, Heard] = {}

    def of(self, upload_id: str) -> Heard:
        """Return what was said of a file."""
        return self._files.get(upload_id, NOTHING)

    def forget(self, upload_id: str) -> None:
        """It is over, and nobody asks again."""
        self._files.pop(upload_id, None)

    def take(self, message: Mapping[str, Any]) -> str | None:
        """Take a message in; return the id of the batch that it concerns, "" for news of a file alone, None for no news."""
        action, payload = message.get("action"), message.get("payload")
        if action == "upload_failed":
            return self._why(str(message.get("upload_id")), message.get("error_message"))
        if not isinstance(payload, dict):
            return None
        if action == "batch_progress":
            return str(payload.get("batch_id"))
        if action == "file_progress":
            self._progress(str(payload.get("upload_id")), payload)
            return str(payload.get("batch_id"))
        if action == "upload_progress":
            return self._stage(str(payload.get("upload_id")), payload)
        return None

    def _progress(self, upload_id: str, payload: Mapping[str, Any]) -> None:
        old, share = self.of(upload_id), share_of(payload.get("progress_percentage"))
        is_over = payload.get("status") in ("completed", "failed", "cancelled")
        # On its second try a file goes back, to 12 %.
        again = not is_over and share is not None and old.share is not None and share < old.share
        self._put(upload_id, replace(old, share=share, is_over=is_over, tries=old.tries + again))

    def _stage(self, upload_id: str, payload: Mapping[str, Any]) -> str:
        stage = payload.get("stage")
        if isinstance(stage, str):
            self._put(upload_id, replace(self.of(upload_id), stage=stage.replace("_", " ")[:40]))
        return ""

    def _why(self, upload_id: str, why: object) -> str:
        if isinstance(why, str):
            self._put(upload_id, replace(self.of(upload_id), why=" ".join(why.split())[:300]))
        return ""

    def _put(self, upload_id: str, heard: Heard) -> None:
        self._files.pop(upload_id, None)
        self._files[upload_id] = heard
        if len(self._files) > _MOST_KEPT:
            del self._files[next(iter(self._files))]


class Push:
    """The socket of one account. *path* returns the WebSocket's path; *stale* is called, with a batch id, when the server has
    news of a batch, and with None when messages may have been lost. *delays_s* lie between connections."""

    def __init__(
        self,
        account: Account,
        auth: Auth,
        path: Callable[[], Awaitable[str]],
        stale: Callable[[str | None], None],
        *,
        silence_s: float = SILENCE_S,
        delays_s: Sequence[float] = DELAYS_S,
    ) -> None:
        self.told = Told()
        self.is_open = False
        self._account = account
        self._auth = auth
        self._path = path
        self._stale = stale
        self._silence_s = silence_s
        self._delays_s = delays_s
        self._task: asyncio.Task[None] | None = None
        self._asked_at = 0.0
        self._said_count = 0
        self._listeners: set[asyncio.Event] = set()
        self._watched: dict[str, None] = {}
        self._to_watch = asyncio.Event()

    def watch(self, upload_ids: Iterable[str]) -> None:
        """Ask for the stages of these files and the reasons of their failures, too."""
        new = [each for each in upload_ids if each not in self._watched]
        if new and len(self._watched) < _MOST_WATCHED:
            self._watched.update(dict.fromkeys(new))
            self._to_watch.set()

    def unwatch(self, upload_id: str) -> None:
        """A file is over."""
        self._watched.pop(upload_id, None)
        self.told.forget(upload_id)

    def open(self) -> None:
        """Open the socket, if it is not, in the background: what is said while there is none is lost."""
        self._asked_at = asyncio.get_running_loop().time()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="push")

    async def news(self, heard: int, timeout_s: float) -> int:
        """Return when more was said than the first *heard* words, or after *timeout_s*; return how many were said by now.

        The socket is kept open for as long as this is asked.
        """
        self.open()
        if self._said_count == heard:
            await self._next_word(timeout_s)
        return self._said_count

    async def _next_word(self, timeout_s: float) -> None:
        event = asyncio.Event()
        self._listeners.add(event)
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
                await asyncio.sleep(_TOGETHER_S)  # words come in bursts
        except TimeoutError:
            return
        finally:
            self._listeners.discard(event)

    async def aclose(self) -> None:
        """Close the socket."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        tries = 0
        while self._is_wanted():
            try:
                tries = 0 if await self._listen() else tries + 1
            except TransferError as error:
                # Without a sign-in a person must act first, and the polling says so.
                tries = len(self._delays_s) if error.failure.kind is FailureKind.SIGN_IN else tries + 1
            except Exception:
                logger.exception("progress is polled alone")
                return
            await asyncio.sleep(self._delays_s[min(tries, len(self._delays_s) - 1)])

    def _is_wanted(self) -> bool:
        return asyncio.get_running_loop().time() - self._asked_at < _UNASKED_S

    async def _listen(self) -> bool:
        """Hear one socket to its end; return whether it let us in. Raises TransferError."""
        headers = await self._auth.headers()
        socket = await open_socket(self._account, await self._path())
        try:
            await socket.send(json.dumps({"type": "auth", "token": _token(headers)}))
            try:
                async with asyncio.timeout(_ANSWER_S):
                    let_in = object_in(await socket.receive()).get("action") == "auth_success"
                    if not let_in:  # an auth_error; the closing code follows
                        await socket.receive()
            except SocketClosedError as closed:
                if closed.code == _INVALID_TOKEN:
                    await self._auth.renew(headers)
                return False
            except TimeoutError:
                return False
            if let_in:
                await self._hear(socket)
            return let_in
        except SocketClosedError:
            return False
        finally:
            self.is_open = False
            await socket.aclose()

    async def _hear(self, socket: WebSocket) -> None:
        self.is_open = True
        self._said(None)
        writer = asyncio.create_task(self._write(socket))
        try:
            while self._is_wanted():
                async with asyncio.timeout(self._silence_s):
                    message = object_in(await socket.receive())
                batch_id = self.told.take(message)
                if batch_id is not None:
                    self._said(batch_id)
        except (TimeoutError, SocketClosedError):
            return
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _write(self, socket: WebSocket) -> None:
        """Subscribe to what is watched. Nothing else is ever sent: a frame that is no JSON would make the socket deaf."""
        subscribed: set[str] = set()
        with suppress(SocketClosedError):
            while True:
                self._to_watch.clear()
                for upload_id in [each for each in self._watched if each not in subscribed]:
                    await socket.send(json.dumps({"action": "subscribe_upload", "upload_id": upload_id}))
                    subscribed.add(upload_id)
                await self._to_watch.wait()

    def _said(self, batch_id: str | None) -> None:
        self._said_count += 1
        self._stale(batch_id)
        for event in self._listeners:
            event.set()


def _token(headers: Mapping[str, str]) -> str:
    return headers.get("Authorization", "").removeprefix("Bearer ")
