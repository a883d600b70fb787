"""A whole server in memory, behind the same protocols as the real ones: for stories about the engine itself.

What it can do is the class of its connections: MemoryConnection has batches, cancel, find and delete;
``ParcelConnection`` takes many files a request and works on them; others are put together from the same parts.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.domain.failure import CancelledElsewhereError, Failure, FailureKind, RemoteGoneError, TransferError
from app.remote.base import (
    Abilities,
    CancelAnswer,
    Feed,
    Outgoing,
    ParcelItem,
    RemoteBatch,
    RemoteFile,
    RemoteState,
    Sent,
)
from tests.support.clock import until


@dataclass
class StoredFile:
    """One file as the server holds it."""

    id: str
    key: str
    path: str
    batch_id: str | None
    size_bytes: int
    state: RemoteState = RemoteState.UNFINISHED
    content: bytearray = field(default_factory=bytearray)
    message: str = ""
    stage: str = ""
    stage_share: float | None = None


class MemoryServer:
    """What the machine in the cellar holds. Faults are queued; ``hold`` stops every sender before its first byte."""

    def __init__(self, connections: "type[Connection] | None" = None) -> None:
        self.connections = connections or MemoryConnection
        self.files: dict[str, StoredFile] = {}
        self.batches: dict[str, str] = {}
        self.cancelled_batches: set[str] = set()
        self.faults: list[Exception] = []
        self.away = False
        self.hold = asyncio.Event()
        self.hold.set()
        self.hold_at_bytes = 0
        self.hold_answer = asyncio.Event()
        """Once cleared, requests with many files arrive whole and get no answer."""
        self.hold_answer.set()
        self.after_bytes: Callable[[StoredFile], None] = lambda _: None
        self.requests: list[str] = []
        self.sent: list[Outgoing] = []
        self.connections_open = 0
        self.processes = False
        """Files that have arrived are worked on, until :meth:`end_processing`."""
        self.changed = asyncio.Event()
        """What ``news`` waits for."""
        self.parcels = 0
        self.refuses: dict[str, Failure] = {}
        """Paths it does not take from a request, and why."""
        self.refuses_before: dict[str, Failure] = {}
        """Paths of which it says so before a byte is sent."""
        self.loses_answers = 0
        """How many requests it takes and stores without that an answer arrives."""
        self.stores_after_abort = False
        """A request that was cut after its last byte is stored all the same."""
        self.cancel_answers: list[CancelAnswer] = []
        """What the next cancels answer, without that anything is cancelled."""
        self.keeps_cancelled = False
        """What is cancelled while it is worked on stays there."""
        self.deletes = True
        """A request to delete is carried out; else it is merely answered."""

    async def connect(self, _profile_id: str) -> "Connection":
        self.connections_open += 1
        return self.connections(self)

    def by_key(self, key: str) -> StoredFile | None:
        return next((file for file in self.files.values() if file.key == key), None)

    def by_path(self, path: str) -> StoredFile:
        return next(file for file in self.files.values() if file.path == path)

    def stored(self) -> dict[str, str]:
        """Return the SHA-256 of every stored file by its path."""
        stored = (file for file in self.files.values() if file.state is RemoteState.STORED)
        return {file.path: hashlib.sha256(file.content).hexdigest() for file in stored}

    def ask(self, request: str) -> None:
        self.requests.append(request)
        if self.away:
            raise TransferError(Failure(FailureKind.UNREACHABLE, "refused"))

    async def first_request(self) -> None:
        """Wait for it: a file is told as uploading a moment before its request goes."""
        await until(lambda: bool(self.requests))

    def asked(self, word: str) -> list[str]:
        """Return the requests that begin with *word*."""
        return [request for request in self.requests if request.startswith(word)]

    def add(self, outgoing: Outgoing) -> StoredFile:
        name = f"file-{len(self.files)}"
        file = StoredFile(
            name, outgoing.key, outgoing.relative_path, outgoing.remote_batch_id, outgoing.size_bytes
        )
        self.files[name] = file
        return file

    def arrive(self, file: StoredFile) -> None:
        file.state = RemoteState.PROCESSING if self.processes else RemoteState.STORED

    def end_processing(self, state: RemoteState = RemoteState.STORED, message: str = "") -> None:
        """Let everything that is worked on end so, and tell."""
        for file in self.files.values():
            if file.state is RemoteState.PROCESSING:
                file.state, file.message = state, message
        self.changed.set()


class Connection:
    """One connection to it: RemoteServer and nothing more."""

    abilities = Abilities(resume=True, checksum=True)

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        server = self._server
        server.ask(f"send {outgoing.relative_path}")
        server.sent.append(outgoing)
        if server.faults:
            raise server.faults.pop(0)
        file = self._open(outgoing)
        if file.state in (RemoteState.PROCESSING, RemoteState.STORED):
            return self._sent(file)
        await feed.created(file.id)
        await feed.seek(len(file.content))
        while block := await feed.block():
            if len(file.content) >= server.hold_at_bytes:
                await server.hold.wait()
            if file.state is RemoteState.CANCELLED:
                raise CancelledElsewhereError
            server.ask("block")
            file.content += block
            feed.progress(len(file.content), len(file.content))
            server.after_bytes(file)
        await server.hold.wait()
        server.arrive(file)
        return self._sent(file)

    async def look(self, remote_id: str) -> RemoteFile:
        self._server.ask(f"look {remote_id}")
        return self._seen(remote_id)

    async def greet(self) -> Abilities:
        self._server.ask("greet")
        return self.abilities

    async def aclose(self) -> None:
        self._server.connections_open -= 1

    def _open(self, outgoing: Outgoing) -> StoredFile:
        server = self._server
        if outgoing.remote_batch_id in server.cancelled_batches:
            raise CancelledElsewhereError
        if outgoing.remote_id is not None and outgoing.remote_id not in server.files:
            raise RemoteGoneError
        file = server.files.get(outgoing.remote_id or "") or server.by_key(outgoing.key)
        if file is None:
            file = server.add(outgoing)
        if file.state is RemoteState.CANCELLED:
            raise CancelledElsewhereError
        return file

    @staticmethod
    def _sent(file: StoredFile) -> Sent:
        digest = hashlib.sha256(file.content).hexdigest()
        return Sent(file.id, "verified", digest, processing=file.state is RemoteState.PROCESSING)

    def _seen(self, remote_id: str) -> RemoteFile:
        file = self._server.files.get(remote_id)
        if file is None:
            return RemoteFile(remote_id, RemoteState.UNKNOWN)
        return RemoteFile(
            remote_id,
            file.state,
            len(file.content),
            file.size_bytes,
            file.message,
            file.stage,
            file.stage_share,
            stays=file.state is RemoteState.CANCELLED and self._server.keeps_cancelled,
        )


class Finds(Connection):
    """FindServer."""

    async def find(self, outgoings: Sequence[Outgoing]) -> Mapping[str, RemoteFile]:
        self._server.ask(f"find {len(outgoings)}")
        found = {each.key: self._server.by_key(each.key) for each in outgoings}
        return {key: self._seen(file.id) for key, file in found.items() if file}


class Deletes(Connection):
    """DeleteServer."""

    async def delete_files(self, remote_ids: Sequence[str]) -> None:
        self._server.ask(f"delete {' '.join(remote_ids)}")
        for remote_id in remote_ids if self._server.deletes else ():
            self._server.files.pop(remote_id, None)


class Batches(Connection):
    """BatchServer."""

    async def open_batch(self, name: str, key: str) -> RemoteBatch:
        self._server.ask(f"open {name}")
        return await self.look_batch(
            self._server.batches.setdefault(key, f"batch-{len(self._server.batches)}")
        )

    async def look_batch(self, remote_batch_id: str) -> RemoteBatch:
        gone = remote_batch_id in self._server.cancelled_batches
        state = RemoteState.CANCELLED if gone else RemoteState.UNFINISHED
        own = [file for file in self._server.files.values() if file.batch_id == remote_batch_id]
        stored = sum(file.state is RemoteState.STORED for file in own)
        return RemoteBatch(remote_batch_id, state, "Folder", stored)

    async def list_files(self, remote_batch_id: str, each: Callable[[RemoteFile], None]) -> None:
        for file in self._server.files.values():
            if file.batch_id == remote_batch_id:
                each(await self.look(file.id))


class Cancels(Connection):
    """CancelServer."""

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        self._server.ask(f"cancel {remote_id}")
        file = self._server.files.get(remote_id)
        if self._server.cancel_answers:
            return self._server.cancel_answers.pop(0)
        if file is None or file.state not in (RemoteState.UNFINISHED, RemoteState.PROCESSING):
            return CancelAnswer(400 if file else 404, "nothing to cancel")
        self._cancel(file)
        return CancelAnswer(200, "Upload cancelled successfully")

    async def cancel_batch(self, remote_batch_id: str) -> CancelAnswer:
        self._server.ask(f"cancel batch {remote_batch_id}")
        if self._server.cancel_answers:
            return self._server.cancel_answers.pop(0)
        self._server.cancelled_batches.add(remote_batch_id)
        for file in self._server.files.values():
            if file.batch_id == remote_batch_id and file.state in (
                RemoteState.UNFINISHED,
                RemoteState.PROCESSING,
            ):
                self._cancel(file)
        return CancelAnswer(200, "Batch upload cancelled successfully")

    @staticmethod
    def _cancel(file: StoredFile) -> None:
        file.state = RemoteState.CANCELLED
        file.content.clear()


class Stages(Connection):
    """StageServer: ``news`` comes when the test says so."""

    abilities = Abilities(resume=True, checksum=True, processing=True)

    async def look_many(self, remote_ids: Sequence[str]) -> Sequence[RemoteFile]:
        self._server.ask(f"look at {len(remote_ids)}")
        return [self._seen(remote_id) for remote_id in remote_ids]

    async def news(self, timeout_s: float) -> None:
        self._server.requests.append(f"news {timeout_s:g}")
        await self._server.changed.wait()
        self._server.changed.clear()


class Parcels(Connection):
    """ParcelServer and PreflightServer: it knows no keys, and finds what it has by path if it is told to look."""

    _batch_id = ""

    async def send_parcel(self, items: Sequence[ParcelItem]) -> Sequence[Sent | Failure]:
        server = self._server
        server.ask(f"parcel {len(items)}")
        server.sent += [item.outgoing for item in items]
        if server.faults:
            raise server.faults.pop(0)
        server.parcels += 1
        self._batch_id = f"parcel-{server.parcels}"
        begun = [item for item in items if item.outgoing.begun_at or item.outgoing.remote_id]
        there = {item.outgoing.key: self._there(item.outgoing) for item in begun}
        bodies = await self._receive([item for item in items if not there.get(item.outgoing.key)])
        if server.loses_answers:
            server.loses_answers -= 1
            self._store(bodies)
            raise TransferError(Failure(FailureKind.CONNECTION_LOST))
        stored = self._store(bodies)
        return [
            self._sent(there.get(item.outgoing.key) or stored[item.outgoing.key])
            if item.outgoing.relative_path not in server.refuses
            else server.refuses[item.outgoing.relative_path]
            for item in items
        ]

    def refusal(self, outgoing: Outgoing) -> Failure | None:
        return self._server.refuses_before.get(outgoing.relative_path)

    async def _receive(self, items: Sequence[ParcelItem]) -> list[tuple[Outgoing, bytes]]:
        """Read the whole request; cut before its last byte it leaves nothing, after it what the server likes."""
        server, bodies = self._server, []
        for item in items:
            content = bytearray()
            while block := await item.feed.block():
                if len(content) >= server.hold_at_bytes:
                    await server.hold.wait()
                content += block
                item.feed.progress(len(content), 0)
            bodies.append((item.outgoing, bytes(content)))
        for outgoing, feed in ((item.outgoing, item.feed) for item in items):
            feed.progress(outgoing.size_bytes, outgoing.size_bytes)  # as adapters do that wait for an answer
        try:
            await server.hold_answer.wait()
        except asyncio.CancelledError:
            if server.stores_after_abort:
                self._store(bodies)
            raise
        return bodies

    def _store(self, bodies: Sequence[tuple[Outgoing, bytes]]) -> dict[str, StoredFile]:
        stored = {}
        for outgoing, content in bodies:
            if outgoing.relative_path not in self._server.refuses:
                file = stored[outgoing.key] = self._server.add(outgoing)
                file.batch_id = self._batch_id
                file.content += content
                self._server.arrive(file)
        return stored

    def _there(self, outgoing: Outgoing) -> StoredFile | None:
        same = (file for file in self._server.files.values() if file.path == outgoing.relative_path)
        return next(same, None)


class MemoryConnection(Batches, Cancels, Finds, Deletes):
    """RemoteServer with batches, cancel, find and delete."""

    abilities = Abilities(resume=True, cancel_file=True, cancel_batch=True, delete_file=True, checksum=True)


class WorkingConnection(MemoryConnection, Stages):
    """All that, and it works on what has arrived."""


class ParcelConnection(Parcels, Stages, Finds, Deletes):
    """Many files a request, and no cancel."""

    abilities = Abilities(delete_file=True, processing=True)


class ParcelBatchConnection(ParcelConnection, Cancels):
    """Each parcel is a batch of its own there, and is cancelled as a whole or not at all (ManyBatchServer)."""

    abilities = Abilities(cancel_batch=True, delete_file=True, processing=True)

    def batches_of(self, remote_ids: Sequence[str]) -> Sequence[str]:
        files = (self._server.files.get(remote_id) for remote_id in remote_ids)
        return list(dict.fromkeys(file.batch_id for file in files if file and file.batch_id))

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        self._server.ask(f"cancel {remote_id}")
        return CancelAnswer(405, "whole batches alone")
