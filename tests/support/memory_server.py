"""A whole server in memory, behind the same protocols as the real ones: for stories about the engine itself."""

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
    RemoteBatch,
    RemoteFile,
    RemoteState,
    Sent,
)


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


class MemoryServer:
    """What the machine in the cellar holds. Faults are queued; ``hold`` stops every sender before its first byte."""

    def __init__(self) -> None:
        self.files: dict[str, StoredFile] = {}
        self.batches: dict[str, str] = {}
        self.cancelled_batches: set[str] = set()
        self.faults: list[Exception] = []
        self.away = False
        self.hold = asyncio.Event()
        self.hold.set()
        self.hold_at_bytes = 0
        self.after_bytes: Callable[[StoredFile], None] = lambda _: None
        self.requests: list[str] = []
        self.connections_open = 0

    async def connect(self, _profile_id: str) -> "MemoryConnection":
        self.connections_open += 1
        return MemoryConnection(self)

    def by_key(self, key: str) -> StoredFile | None:
        return next((file for file in self.files.values() if file.key == key), None)

    def stored(self) -> dict[str, str]:
        """Return the SHA-256 of every stored file by its path."""
        stored = (file for file in self.files.values() if file.state is RemoteState.STORED)
        return {file.path: hashlib.sha256(file.content).hexdigest() for file in stored}

    def ask(self, request: str) -> None:
        self.requests.append(request)
        if self.away:
            raise TransferError(Failure(FailureKind.UNREACHABLE, "refused"))


class MemoryConnection:
    """One connection to it: RemoteServer with all powers."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self.abilities = Abilities(
            resume=True, cancel_file=True, cancel_batch=True, delete_file=True, checksum=True
        )

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        server = self._server
        server.ask(f"send {outgoing.relative_path}")
        if server.faults:
            raise server.faults.pop(0)
        file = self._open(outgoing)
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
        file.state = RemoteState.STORED
        return Sent(file.id, "verified", feed.sha256())

    def _open(self, outgoing: Outgoing) -> StoredFile:
        server = self._server
        if outgoing.remote_batch_id in server.cancelled_batches:
            raise CancelledElsewhereError
        if outgoing.remote_id is not None and outgoing.remote_id not in server.files:
            raise RemoteGoneError
        file = server.files.get(outgoing.remote_id or "") or server.by_key(outgoing.key)
        if file is None:
            name = f"file-{len(server.files)}"
            file = StoredFile(
                name, outgoing.key, outgoing.relative_path, outgoing.remote_batch_id, outgoing.size_bytes
            )
            server.files[name] = file
        if file.state is RemoteState.CANCELLED:
            raise CancelledElsewhereError
        return file

    async def look(self, remote_id: str) -> RemoteFile:
        self._server.ask(f"look {remote_id}")
        file = self._server.files.get(remote_id)
        if file is None:
            return RemoteFile(remote_id, RemoteState.UNKNOWN)
        return RemoteFile(remote_id, file.state, len(file.content), file.size_bytes)

    async def greet(self) -> Abilities:
        self._server.ask("greet")
        return self.abilities

    async def find(self, outgoings: Sequence[Outgoing]) -> Mapping[str, RemoteFile]:
        found = {each.key: self._server.by_key(each.key) for each in outgoings}
        return {key: await self.look(file.id) for key, file in found.items() if file}

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

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        self._server.ask(f"cancel {remote_id}")
        file = self._server.files.get(remote_id)
        if file is None or file.state is not RemoteState.UNFINISHED:
            return CancelAnswer(400 if file else 404, "nothing to cancel")
        self._cancel(file)
        return CancelAnswer(200, "Upload cancelled successfully")

    async def cancel_batch(self, remote_batch_id: str) -> CancelAnswer:
        self._server.ask(f"cancel batch {remote_batch_id}")
        self._server.cancelled_batches.add(remote_batch_id)
        for file in self._server.files.values():
            if file.batch_id == remote_batch_id and file.state is RemoteState.UNFINISHED:
                self._cancel(file)
        return CancelAnswer(200, "Batch upload cancelled successfully")

    async def delete_files(self, remote_ids: Sequence[str]) -> None:
        for remote_id in remote_ids:
            self._server.ask(f"delete {remote_id}")
            self._server.files.pop(remote_id, None)

    async def aclose(self) -> None:
        self._server.connections_open -= 1

    @staticmethod
    def _cancel(file: StoredFile) -> None:
        file.state = RemoteState.CANCELLED
        file.content.clear()
