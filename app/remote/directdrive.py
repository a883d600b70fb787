"""The DirectDrive dialect: a file is announced, its bytes go over a WebSocket, and a cancel is an HTTP request.

announce ── created(id) ──► socket ── frames ──► 100 %: finalising ──► success ──► stored
   ▲                          │
   │                          ├─ no place is free: the file stays pending, BUSY, the same id again later
   │                          └─ closed without a word ── GET decides
begun earlier ── GET ── stored? cancelled? else it is dropped there, and announced anew: nothing is resumed

cancelled while it sends: stop ── POST cancel ── close the socket ── GET until it has an ending
Source of the contract: docs/server/directdrive.md, and what docs/SERVERS.md tells of the real servers.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import quote

from app.domain.failure import CancelledElsewhereError, Failure, FailureKind, RemoteGoneError, TransferError
from app.remote.account import Account
from app.remote.base import Abilities, CancelAnswer, Feed, Outgoing, RemoteFile, Sent
from app.remote.directdrive_api import Api, Record, Reservation
from app.remote.directdrive_desk import refusal_by
from app.remote.directdrive_line import Cancelled, DirectDriveLine, Pace
from app.remote.directdrive_rules import (
    Error,
    Kind,
    Status,
    Success,
    file_of,
    ids_in,
    next_frame_bytes,
    no_slot,
    remote_id_of,
    status_in,
    status_of,
)
from app.remote.directdrive_socket import Closed, Delivery, Ending
from app.remote.http import http_of
from app.remote.websocket import WebSocket, open_socket

_K = FailureKind
_ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.GONE})
_ABRUPT_CODES = frozenset({1001, 1005, 1006, 1012})
_BY_SOCKET = "socket_closed"
"""Our own server's word for a file whose socket was cut: nobody has cancelled it."""


def directdrive_line(account: Account, pace: Pace | None = None) -> DirectDriveLine:
    """Return the line of an account. Raises TransferError."""
    return DirectDriveLine(account, DirectDriveServer, pace)


class DirectDriveServer:
    """One connection for one worker. A remote id is ``batch/file``, or ``/file`` for one that was announced alone."""

    def __init__(self, line: DirectDriveLine) -> None:
        self._line = line
        self._http = http_of(line.account, line.auth)
        self._api = Api(self._http)

    @property
    def abilities(self) -> Abilities:
        """What this generation of the server can do; the newest one's before it was asked (RemoteServer.abilities)."""
        kind = self._line.kind or Kind()
        return Abilities(
            cancel_file=kind.cancels, cancel_batch=kind.together, max_size_bytes=kind.max_size_bytes
        )

    async def greet(self) -> Abilities:
        """Reach the server, be known there, and learn its kind (RemoteServer.greet)."""
        await self._line.meet(self._api)
        await self._line.desk.introduce()
        return self.abilities

    async def aclose(self) -> None:
        """Close the connections (RemoteServer.aclose). Sockets that linger are the line's."""
        await self._http.aclose()

    def refusal(self, outgoing: Outgoing) -> Failure | None:
        """Return why the server would refuse this file (PreflightServer.refusal)."""
        return refusal_by(self._line.kind, outgoing)

    def batches_of(self, remote_ids: Sequence[str]) -> Sequence[str]:
        """Return the server's batches of these files, without those of files that were announced alone."""
        return list(dict.fromkeys(batch for each in remote_ids if (batch := ids_in(each)[0])))

    # Sending

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        """Send the whole file (RemoteServer.send); of an earlier attempt only its ending counts."""
        kind = await self._line.meet(self._api)
        if (refused := self.refusal(outgoing)) is not None:
            raise TransferError(refused)
        earlier = await self._earlier(outgoing)
        if earlier is Status.COMPLETED:
            return Sent(outgoing.remote_id or "")
        left_over = ids_in(outgoing.remote_id or "")[1] if earlier not in _ENDED else ""
        if left_over and not kind.together:
            await self._drop(left_over)  # else it takes one of three places there, for a day
        reservation = await self._line.desk.reserve(kind, outgoing)
        remote_id = remote_id_of(reservation.remote_batch_id, reservation.file_id)
        try:
            if remote_id != outgoing.remote_id:
                await feed.created(remote_id)
                if left_over:
                    await self._drop(left_over)
            socket = await self._open_in_place(kind, reservation, feed)
        except (asyncio.CancelledError, TransferError):
            # Not a byte has gone: the server still waits for it.
            self._line.desk.give_back(outgoing, reservation)
            raise
        await self._deliver(socket, reservation, outgoing, feed)
        feed.progress(outgoing.size_bytes, outgoing.size_bytes)
        return Sent(remote_id, await self._name_told(reservation, outgoing), feed.sha256())

    async def _earlier(self, outgoing: Outgoing) -> Status | None:
        """Return how an earlier attempt ended: GONE if there was none; PENDING, UPLOADING or None: it has not."""
        if outgoing.remote_id is None:
            return Status.GONE
        file_id = ids_in(outgoing.remote_id)[1]
        await self._line.sockets.hang_up(file_id)
        status, record = await self._read_its_end(file_id)
        if status is Status.PENDING and self._line.desk.has(outgoing, file_id):
            return Status.GONE  # nothing has been sent yet
        if status is Status.CANCELLED and not self._is_ours(file_id, record):
            raise CancelledElsewhereError("cancelled at the server")
        if status is Status.COMPLETED and (record or {}).get("size_bytes") != outgoing.size_bytes:
            return Status.FAILED  # it was another file then
        return status

    def _is_ours(self, file_id: str, record: Record | None) -> bool:
        """Whether a cancelled file is so because its connection was cut, or to be sent anew."""
        return (record or {}).get("cancelled_by") == _BY_SOCKET or file_id in self._line.dropped

    async def _drop(self, file_id: str) -> None:
        """Cancel what an earlier attempt left, or what cannot be sent. A courtesy: it may fail."""
        self._line.dropped.add(file_id)
        with suppress(TransferError):
            await self._api.cancel_file(file_id)

    async def _open_in_place(self, kind: Kind, reservation: Reservation, feed: Feed) -> WebSocket:
        """Wait until one more socket may be open, and open it. Raises TransferError."""
        sockets = self._line.sockets
        await sockets.place(lambda: feed.progress(0, 0), self._line.pace.idle_s)
        try:
            return await self._open(reservation)
        except TransferError as error:
            sockets.leave()
            waited = error.failure.kind is _K.UNREACHABLE and error.failure.detail == "no answer"
            # The older servers let the handshake wait until there is a place.
            if waited and not kind.together:
                raise TransferError(Failure(_K.BUSY, "all places for uploads are taken")) from None
            raise
        except BaseException:
            sockets.leave()
            raise

    async def _open(self, reservation: Reservation) -> WebSocket:
        """Open the socket at the best sink that is there. Raises TransferError."""
        auth = self._line.auth
        headers = await auth.headers() if auth is not None else {}
        query = f"gdrive_url={quote(reservation.upload_url, safe='')}"
        for sink in tuple(self._line.sinks):
            path = f"{self._api.base}/ws_api/{sink}/{quote(reservation.file_id, safe='')}?{query}"
            try:
                socket = await open_socket(self._line.account, path, headers=headers, patient=True)
            except TransferError as error:
                if error.failure.http_status not in (403, 404):
                    raise
                continue
            self._line.sinks = [sink]
            return socket
        raise await self._why_no_socket(reservation)

    async def _why_no_socket(self, reservation: Reservation) -> Exception:
        """The older servers refuse at the handshake, whatever the reason is."""
        status, _ = await self._read(reservation.file_id)
        if status is Status.GONE:
            return RemoteGoneError("the server does not know the file that it announced")
        if status is Status.CANCELLED:
            return CancelledElsewhereError("cancelled at the server")
        return TransferError(Failure(_K.BUSY, "the server takes no upload at this moment", 403))

    async def _deliver(
        self, socket: WebSocket, reservation: Reservation, outgoing: Outgoing, feed: Feed
    ) -> None:
        """Bring the bytes; return once the server holds them all."""
        sockets, file_id = self._line.sockets, reservation.file_id
        delivery = Delivery(socket, feed, outgoing.size_bytes, self._line.frame_bytes)

        async def idle(still_s: float) -> Ending | None:
            return await self._alive(file_id, delivery, still_s)

        try:
            ending = await delivery.bring(idle, self._line.pace.idle_s)
        except asyncio.CancelledError:
            sockets.linger(reservation.remote_batch_id, file_id, delivery)
            raise
        except TransferError as error:
            if not error.failure.retryable:  # it is the file itself
                await self._drop(file_id)
            await sockets.close(delivery)
            raise
        except BaseException:
            await sockets.close(delivery)
            raise
        await sockets.close(delivery)
        if isinstance(ending, Error) and self._line.frame_bytes == delivery.frame_bytes:
            self._line.frame_bytes = next_frame_bytes(delivery.frame_bytes, outgoing.size_bytes, ending.text)
        if not isinstance(ending, Success):
            await self._unless_stored(ending, reservation, outgoing)
        if not delivery.is_whole:
            raise TransferError(Failure(_K.SERVER_ERROR, "the server took a part of the file for all of it"))

    async def _alive(self, file_id: str, delivery: Delivery, still_s: float) -> Ending | None:
        """Nothing has moved for a while: ask how the file is. The server may be slow, or have lost its last word."""
        if still_s > self._line.pace.patience_s:
            raise TransferError(Failure(_K.STALLED, "the server does not go on with the file"))
        with suppress(TransferError):
            status, _ = await self._read(file_id)
            if status in _ENDED:
                return Closed(1000, "")
            delivery.beat()
        return None

    async def _unless_stored(
        self, ending: Error | Closed, reservation: Reservation, outgoing: Outgoing
    ) -> None:
        """The socket ended without a success: only the file itself says what that means. Raises what it does."""
        try:
            status, record = await self._read_its_end(reservation.file_id)
        except TransferError:  # the server itself is away; the next attempt looks first
            raise TransferError(_failure_of(ending)) from None
        if status is Status.COMPLETED:
            return
        if status is Status.GONE:
            raise RemoteGoneError("the server does not know the file that it announced")
        if status is Status.CANCELLED and not self._is_ours(reservation.file_id, record):
            raise CancelledElsewhereError("cancelled at the server")
        if status is Status.PENDING and isinstance(ending, Closed):
            self._line.desk.give_back(outgoing, reservation)
            if (busy := no_slot(ending.code, ending.reason)) is not None:
                raise TransferError(busy)
        raise TransferError(_failure_of(ending))

    async def _name_told(self, reservation: Reservation, outgoing: Outgoing) -> str:
        """Return what to tell a person of the name that the server made of theirs, "" if it is the same."""
        name = reservation.stored_name
        if name is None:
            with suppress(TransferError):
                name = str((await self._api.file(reservation.file_id) or {}).get("filename") or "") or None
        return "" if name in (None, outgoing.relative_path) else f"stored as {name}"

    # Reading back

    async def look(self, remote_id: str) -> RemoteFile:
        """Read a file back (RemoteServer.look); one whose cancel was just asked for, until it has its ending."""
        file_id = ids_in(remote_id)[1]
        asked = self._line.cancelled.pop(file_id, None)
        if asked is None:
            status, record = await self._read(file_id)
        else:
            status, record = await self._read_cancelled(file_id, asked)
        return file_of(remote_id, status, record)

    async def _read_cancelled(self, file_id: str, asked: Cancelled) -> tuple[Status | None, Record | None]:
        """Whole files are watched for longer: the server's default socket finishes them, whatever it has answered."""
        found = await self._read_asked(file_id, asked)
        for wait_s in self._line.pace.look_s:
            if found[0] in _ENDED and not (asked.is_whole and found[0] is Status.CANCELLED):
                break
            await asyncio.sleep(wait_s)
            found = await self._read_asked(file_id, asked)
        if asked.is_whole and found[0] is Status.CANCELLED and await self._has_let_go(file_id):
            found = await self._read_asked(file_id, asked)
        return found

    async def _has_let_go(self, file_id: str) -> bool:
        """Wait until the server does not work on a file any more; False if it did not, as far as it tells."""
        pace, loop = self._line.pace, asyncio.get_running_loop()
        began_at, worked = loop.time(), False
        with suppress(TransferError):
            while await self._api.is_working_on(file_id) and loop.time() - began_at < pace.settle_s:
                worked = True
                await asyncio.sleep(pace.look_s[0])
        if worked:
            await asyncio.sleep(pace.look_s[0])  # it lets go before it writes down how it ended
        return worked

    async def _read_asked(self, file_id: str, asked: Cancelled) -> tuple[Status | None, Record | None]:
        try:
            return await self._read(file_id)
        except TransferError as error:
            if error.failure.http_status == 500 and self._hides_cancelled and asked.http_status in (200, 400):
                return Status.CANCELLED, None
            raise

    @property
    def _hides_cancelled(self) -> bool:
        """Whether this may be the older server, which answers 500 when it should show a file that is cancelled."""
        return self._line.kind is None or not self._line.kind.together

    async def _read(self, file_id: str) -> tuple[Status | None, Record | None]:
        record = await self._api.file(file_id)
        return status_of(record), record

    async def _read_its_end(self, file_id: str) -> tuple[Status | None, Record | None]:
        """Read a file whose socket is closed: it has ended, or is about to."""
        try:
            found = await self._read(file_id)
            for wait_s in self._line.pace.look_s:
                if found[0] is not Status.UPLOADING:
                    break
                await asyncio.sleep(wait_s)
                found = await self._read(file_id)
        except TransferError as error:
            if error.failure.http_status != 500 or not self._hides_cancelled:
                raise
            found = await self._told_by_cancel(file_id), None
        return found

    async def _told_by_cancel(self, file_id: str) -> Status | None:
        """Learn the status of a file that cannot be shown: what is cancelled cannot be cancelled again."""
        answer = await self._api.cancel_file(file_id)
        if answer.http_status == 200:
            self._line.dropped.add(file_id)
            return Status.FAILED
        return status_in(answer.message)

    # Cancelling

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        """Cancel one file: first the HTTP request, then its socket is closed (CancelServer.cancel_file).

        Should the request fail, closing the socket is the cancel.
        """
        file_id = ids_in(remote_id)[1]
        sockets = self._line.sockets
        is_open, is_whole = sockets.lingers(file_id), sockets.is_whole(file_id)
        try:
            answer = await self._api.cancel_file(file_id)
        except TransferError as error:
            status = error.failure.http_status
            if not is_open or status is None:
                raise
            words = f"{error.failure.detail} ({status}); its connection was closed instead"
            answer = CancelAnswer(status, words)
        finally:
            await sockets.hang_up(file_id)
        self._line.desk.forget(file_id=file_id)
        self._note_cancel(file_id, answer, is_open=is_open, is_whole=is_whole)
        return answer

    def _note_cancel(self, file_id: str, answer: CancelAnswer, *, is_open: bool, is_whole: bool) -> None:
        """Remember what must be watched when the file is read back."""
        was = status_in(answer.message) if answer.http_status == 400 else None
        if is_open or answer.http_status == 200 or was in (Status.UPLOADING, Status.CANCELLED):
            self._line.cancelled[file_id] = Cancelled(is_whole, answer.http_status)

    async def cancel_batch(self, remote_batch_id: str) -> CancelAnswer:
        """Cancel one of the server's batches, also what was announced and never sent (CancelServer.cancel_batch).

        The server goes through it file by file and may leave some: those are cancelled one by one.
        """
        sockets = self._line.sockets
        stopped = {file_id: sockets.is_whole(file_id) for file_id in sockets.of_batch(remote_batch_id)}
        try:
            answer = await self._api.cancel_batch(remote_batch_id)
        finally:
            await sockets.hang_up(*stopped)
        for file_id, is_whole in stopped.items():
            self._line.cancelled[file_id] = Cancelled(is_whole, answer.http_status)
        self._line.desk.forget(remote_batch_id=remote_batch_id)
        await self._cancel_the_rest(remote_batch_id)
        return answer

    async def _cancel_the_rest(self, remote_batch_id: str) -> None:
        for record in await self._api.files_of(remote_batch_id):
            if status_of(record) in (Status.PENDING, Status.UPLOADING):
                file_id = str(record.get("_id"))
                answer = await self._api.cancel_file(file_id)
                self._note_cancel(file_id, answer, is_open=False, is_whole=False)


def _failure_of(ending: Error | Closed) -> Failure:
    if isinstance(ending, Error):
        return Failure(_K.SERVER_ERROR, ending.text)
    if ending.code == 1009:
        return Failure(_K.REFUSED, "the server, or a proxy before it, takes no frames of 4 MiB (1009)")
    if ending.code in _ABRUPT_CODES:
        return Failure(_K.CONNECTION_LOST, "the server closed the connection")
    said = f"the server ended the upload ({ending.code}) {ending.reason}".strip()
    return Failure(_K.SERVER_ERROR if ending.code != 1000 else _K.CONNECTION_LOST, said)
