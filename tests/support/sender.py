"""Sends files to our server as the engine does: attempt by attempt, with one key, from where the last one came to."""

import asyncio
import hashlib
import random
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.domain.failure import FailureKind, TransferError
from app.domain.transfer import Transfer
from app.engine.reader import FileFeed
from app.remote import tusfields
from app.remote.auth import Bearer
from app.remote.base import Outgoing, RemoteFile, RemoteServer, Sent
from app.remote.http import Http
from app.remote.uphaul import UphaulServer
from tests.support.server import ServerProcess

MIB = 1024 * 1024
_SOON_OVER = frozenset({FailureKind.CONNECTION_LOST, FailureKind.CONFLICT, FailureKind.UNREACHABLE})


@dataclass
class Parcel:
    """One file, and what is known of it on the way."""

    path: Path
    transfer: Transfer
    batch_id: str | None
    remote_id: str | None = None
    attempts: int = 0
    told: list[tuple[int, int]] = field(default_factory=list)
    _act: tuple[int, Callable[[], object]] | None = None

    @property
    def sha256(self) -> str:
        """What the file on this side hashes to."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @property
    def outgoing(self) -> Outgoing:
        """What the adapter is told of it."""
        one = self.transfer
        return Outgoing(
            one.key, one.relative_path, one.size_bytes, one.mtime_ns, self.batch_id, self.remote_id
        )

    def act_once_sent(self, sent_bytes: int, act: Callable[[], object]) -> None:
        """Do something in the middle of the sending, once."""
        self._act = (sent_bytes, act)

    def progress(self, sent_bytes: int, accepted_bytes: int) -> None:
        """Remember what the adapter told."""
        self.told.append((sent_bytes, accepted_bytes))
        if self._act is not None and sent_bytes >= self._act[0]:
            act, self._act = self._act[1], None
            act()


def make_parcel(
    folder: Path, size_bytes: int, relative_path: str = "a.bin", batch_id: str | None = None
) -> Parcel:
    """Write a file of noise, always the same for one size."""
    path = folder / secrets.token_hex(8)
    path.write_bytes(random.Random(size_bytes).randbytes(size_bytes))
    status = path.stat()
    transfer = Transfer(
        secrets.token_hex(16), "batch", 0, str(path), relative_path, status.st_size, status.st_mtime_ns
    )
    return Parcel(path, transfer, batch_id)


class Sender:
    """One connection to our server, at an address that may be a proxy's, and the threads that read files."""

    def __init__(self, url: str, token: str, executor: ThreadPoolExecutor, chunk_bytes: int) -> None:
        self.server = UphaulServer(Http(url, Bearer(token), read_timeout_s=20), chunk_bytes=chunk_bytes)
        self.bytes_server: RemoteServer = self.server
        self._executor = executor

    async def send(self, parcel: Parcel) -> Sent:
        """Make one attempt."""

        async def created(remote_id: str) -> None:
            parcel.remote_id = remote_id

        parcel.attempts += 1
        async with FileFeed(
            parcel.transfer, self._executor, on_created=created, on_progress=parcel.progress
        ) as feed:
            return await self.bytes_server.send(parcel.outgoing, feed)

    async def persist(self, parcel: Parcel, attempts: int = 20) -> Sent:
        """Try again while the trouble is one that passes; a request that the server still holds is over in moments."""
        while True:
            try:
                return await self.send(parcel)
            except TransferError as error:
                if error.failure.kind not in _SOON_OVER or parcel.attempts >= attempts:
                    raise
                await asyncio.sleep(0.01 * parcel.attempts)

    async def look(self, parcel: Parcel) -> RemoteFile:
        """Read the file back."""
        assert parcel.remote_id is not None
        return await self.server.look(parcel.remote_id)

    async def files_of(self, batch_id: str) -> list[RemoteFile]:
        """Read all files of a batch back."""
        files: list[RemoteFile] = []
        await self.server.list_files(batch_id, files.append)
        return files


@asynccontextmanager
async def open_sender(
    server: ServerProcess, url: str | None = None, *, chunk_bytes: int = 4 * MIB
) -> AsyncIterator[Sender]:
    """Give a sender; everything it opened is closed afterwards."""
    with ThreadPoolExecutor(2, thread_name_prefix="files") as executor:
        sender = Sender(url or server.url, server.token, executor, chunk_bytes)
        try:
            yield sender
        finally:
            await sender.server.aclose()


def stored(server: ServerProcess, folder: str | None, relative_path: str = "a.bin") -> bytes:
    """Return the bytes of a finished file from the server's disk."""
    return (server.files_dir / (folder or "") / relative_path).read_bytes()


async def begin(server: ServerProcess, parcel: Parcel, offset: int, content: bytes | None = None) -> None:
    """Make the upload at the server with its first *offset* bytes, as an attempt that broke off would have."""
    data = parcel.path.read_bytes()[:offset] if content is None else content
    headers = {
        **tusfields.VERSION,
        **tusfields.BODY_TYPE,
        "Upload-Length": str(parcel.transfer.size_bytes),
        "Upload-Metadata": tusfields.metadata(parcel.outgoing, None),
        "Idempotency-Key": parcel.transfer.key,
    }

    async def blocks() -> AsyncIterator[bytes]:
        yield data

    http = Http(server.url, Bearer(server.token))
    answer = await http.stream_body("POST", "/files", headers=headers, size_bytes=len(data), blocks=blocks())
    parcel.remote_id = answer.headers["location"].rpartition("/")[2]
    await http.aclose()
