"""One file on its way over one WebSocket: frames of one size within a window, and what comes back meanwhile.

_read ── blocks ──► queue ──► _send_frames ──► socket ──► server
                                  ▲ window                  │
                                  └────── percent ◄─ _hear ◄┘ ──► Success | Error | Closed

A file that is stopped keeps its socket, halfway through a frame, until somebody hangs up: the server hears the cancel first.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from app.remote.base import Feed
from app.remote.blocks import next_piece_bytes
from app.remote.directdrive_rules import Error, Progress, Success, frame_of
from app.remote.websocket import SocketClosedError, WebSocket

WINDOW_BYTES = 32 * 2**20
"""So much may be on its way unheard of."""
_FIRST_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Closed:
    """The socket is closed, without a word on the file."""

    code: int
    reason: str


Ending = Success | Error | Closed
Idle = Callable[[float], Awaitable[Ending | None]]
"""Called when nothing has moved for a while, with the seconds since it did: ask the server, and return what it says."""


class Delivery:
    """One file and its socket, which it owns; the last frame is shorter than the others. *feed* is used until :meth:`bring` returns or raises, and not after."""

    def __init__(self, socket: WebSocket, feed: Feed, size_bytes: int, frame_bytes: int) -> None:
        self.frame_bytes = frame_bytes
        self._socket = socket
        self._feed = feed
        self._size_bytes = size_bytes
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(2)
        self._rest = memoryview(b"")
        self._piece_bytes = _FIRST_PIECE_BYTES
        self._sent_bytes = 0
        self._percent: int | None = None
        self._heard = asyncio.Event()
        self._window_is_known = True
        self._stopped = False
        self._moved_at = 0.0
        self._sending: asyncio.Task[None] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all bytes have gone out: then only the server can say how it ends."""
        return self._sent_bytes >= self._size_bytes

    async def bring(self, idle: Idle, idle_s: float) -> Ending:
        """Send the file and return how that ended; *idle* is asked each *idle_s* in which nothing moves.

        Raises TransferError for what is wrong with the file, or what *idle* raises. Cancelled or failed, it sends nothing
        more, and the socket stays open.
        """
        self._moved_at = asyncio.get_running_loop().time()
        self._sending = asyncio.create_task(self._send_frames())
        hearing = asyncio.create_task(self._hear())
        reading = asyncio.create_task(self._read())
        try:
            return await self._ended(hearing, {reading, self._sending}, idle, idle_s)
        finally:
            self._stopped = True
            for task in (reading, hearing):
                task.cancel()
            await asyncio.gather(reading, hearing, return_exceptions=True)

    async def aclose(self) -> None:
        """Hang up. The server takes a file that is not whole for failed."""
        self._stopped = True
        await self._socket.aclose()
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)

    def beat(self) -> None:
        """Tell how far it is, perhaps again: nothing moves, and yet nothing stalls.

        Nothing counts as accepted before the end: what the server has received is worth nothing to another attempt.
        """
        if not self._stopped:
            self._feed.progress(self._sent_bytes, 0)

    async def _ended(
        self, hearing: asyncio.Task[Ending], working: set[asyncio.Task[None]], idle: Idle, idle_s: float
    ) -> Ending:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.wait({hearing, *working}, timeout=idle_s, return_when=asyncio.FIRST_COMPLETED)
            if hearing.done():
                return hearing.result()
            for task in [task for task in working if task.done()]:
                working.remove(task)
                task.result()  # what is wrong with the file
            still_s = loop.time() - self._moved_at
            if still_s >= idle_s:
                if (ending := await idle(still_s)) is not None:
                    return ending
                self._window_is_known = False  # it may tell no progress: only its own pace holds us back
                self._heard.set()

    async def _read(self) -> None:
        await self._feed.seek(0)
        while block := await self._feed.block():
            await self._pieces.put(block)

    async def _send_frames(self) -> None:
        try:
            while not self.is_whole:
                await self._room()
                await self._socket.send(
                    self._frame(min(self.frame_bytes, self._size_bytes - self._sent_bytes))
                )
        except SocketClosedError:
            return  # whoever hears will say so

    async def _frame(self, size_bytes: int) -> AsyncIterator[bytes]:
        """Give one frame in pieces, small ones on a slow line: progress is told, and a stop takes effect, after each."""
        loop = asyncio.get_running_loop()
        while size_bytes:
            if not self._rest:
                self._rest = memoryview(await self._pieces.get())
            if self._stopped:
                await asyncio.Event().wait()  # until the socket is closed
            length = min(self._piece_bytes, size_bytes)
            piece, self._rest = self._rest[:length], self._rest[length:]
            began = loop.time()
            yield bytes(piece)
            self._piece_bytes = next_piece_bytes(self._piece_bytes, loop.time() - began)
            self._sent_bytes += len(piece)
            size_bytes -= len(piece)
            self._moved()

    async def _room(self) -> None:
        """Wait while too much is on its way. A percent of a large file is many frames: the next one may be nearly full."""
        while self._window_is_known:
            heard_bytes = ((self._percent or 0) + 1) * self._size_bytes // 100
            if self._sent_bytes - heard_bytes < WINDOW_BYTES:
                return
            self._heard.clear()
            await self._heard.wait()

    async def _hear(self) -> Ending:
        while True:
            try:
                frame = frame_of(await self._socket.receive())
            except SocketClosedError as closed:
                return Closed(closed.code, closed.reason)
            if isinstance(frame, Progress):
                self._percent = max(self._percent or 0, frame.percent)
                self._heard.set()
                self._moved()
            elif frame is not None:
                return frame

    def _moved(self) -> None:
        self._moved_at = asyncio.get_running_loop().time()
        self.beat()


@dataclass(frozen=True, slots=True)
class _Lingering:
    """A socket that is closed when *now* is set, or a moment later by itself."""

    remote_batch_id: str
    delivery: Delivery
    now: asyncio.Event
    closing: asyncio.Task[None]


class Sockets:
    """The open sockets of one account: few at a time. One that was stopped waits here for its cancel, for a moment."""

    def __init__(self, most: int, linger_s: float) -> None:
        self._places = asyncio.Semaphore(most)
        self._linger_s = linger_s
        self._lingering: dict[str, _Lingering] = {}

    async def place(self, beat: Callable[[], None], beat_s: float) -> None:
        """Wait until one more may be open; *beat* is called meanwhile. Ends with :meth:`close` or :meth:`leave`."""
        while True:
            try:
                async with asyncio.timeout(beat_s):
                    await self._places.acquire()
                return
            except TimeoutError:
                beat()

    def leave(self) -> None:
        """Give a place back whose socket never opened."""
        self._places.release()

    async def close(self, delivery: Delivery) -> None:
        """Hang up, and give the place back."""
        try:
            await delivery.aclose()
        finally:
            self._places.release()

    def linger(self, remote_batch_id: str, file_id: str, delivery: Delivery) -> None:
        """Keep the socket of a file that was stopped: until :meth:`hang_up`, or for a moment."""
        now = asyncio.Event()
        closing = asyncio.create_task(self._close_when(now, file_id, delivery))
        self._lingering[file_id] = _Lingering(remote_batch_id, delivery, now, closing)

    def of_batch(self, remote_batch_id: str) -> list[str]:
        """Return the ids of the files of a batch whose sockets linger."""
        return [file_id for file_id, one in self._lingering.items() if one.remote_batch_id == remote_batch_id]

    def lingers(self, file_id: str) -> bool:
        """Whether the socket of a file waits to be closed."""
        return file_id in self._lingering

    def is_whole(self, file_id: str) -> bool:
        """Whether all bytes of a file whose socket lingers have gone out."""
        return file_id in self._lingering and self._lingering[file_id].delivery.is_whole

    async def hang_up(self, *file_ids: str) -> None:
        """Close the sockets of these files that linger."""
        found = [self._lingering[file_id] for file_id in file_ids if file_id in self._lingering]
        for one in found:
            one.now.set()
        if found:
            await asyncio.wait([one.closing for one in found])

    async def aclose(self) -> None:
        """Hang up everywhere."""
        await self.hang_up(*list(self._lingering))

    async def _close_when(self, now: asyncio.Event, file_id: str, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(self._linger_s):
                await now.wait()
        except TimeoutError:
            pass  # nobody cancels it: it was paused, or the program ends
        try:
            await self.close(delivery)
        finally:
            self._lingering.pop(file_id, None)
