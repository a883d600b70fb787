"""What the engine asks of a server, whatever its dialect: protocols of at most five methods, and frozen answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a server can do. ``max_size_bytes`` is None where it names no limit."""

    resume: bool = False
    cancel_file: bool = False
    cancel_batch: bool = False
    delete_file: bool = False
    checksum: bool = False
    max_size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What an adapter must know of a transfer to send it.

    ``key`` is the idempotency key (stored in the journal before it is used). ``remote_id`` is set if an earlier
    attempt began; the adapter then resumes. ``relative_path`` has ``/`` between parts and is NFC.
    """

    key: str
    relative_path: str
    size_bytes: int
    mtime_ns: int
    remote_batch_id: str | None
    remote_id: str | None


class Feed(Protocol):
    """The file as the adapter sees it while it sends; implemented by ``engine.reader.FileFeed``.

    The adapter pulls blocks and reports what became of them. All errors of the file are TransferError.
    """

    async def seek(self, offset_bytes: int) -> None:
        """Continue at *offset_bytes* (0 to size). What lies before it is read once, so that the hash stays whole."""

    async def block(self) -> bytes:
        """Return the next block (at most 1 MiB); ``b""`` once the file is at its end and proved unchanged."""

    def sha256(self) -> str:
        """Return the file's SHA-256 as 64 hex digits; only after :meth:`block` has returned the last block.

        The last non-empty block counts: right after it the digest is whole, before its bytes are sent.
        """

    async def created(self, remote_id: str) -> None:
        """Tell the server's id of this upload; returns when the journal has it on disk."""

    def progress(self, sent_bytes: int, accepted_bytes: int) -> None:
        """Tell how far it is, both counted from the file's start. Cheap; call it for each block."""


@dataclass(frozen=True, slots=True)
class Sent:
    """How a send ended well: the server holds and has verified all bytes. ``answer`` is its own short word."""

    remote_id: str
    answer: str = ""
    sha256: str | None = None


class RemoteState(StrEnum):
    """What the server says of a file or batch when it is read back."""

    UNFINISHED = "unfinished"
    STORED = "stored"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the server describes it."""

    remote_id: str
    state: RemoteState
    offset_bytes: int = 0
    size_bytes: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """A batch as the server describes it. ``folder`` is where it keeps the files, if it says so."""

    remote_id: str
    state: RemoteState
    folder: str | None = None
    stored_files: int = 0
    cancelled_files: int = 0


@dataclass(frozen=True, slots=True)
class CancelAnswer:
    """What the server's cancel endpoint answered: the HTTP status and its own sentence."""

    http_status: int
    message: str


@runtime_checkable
class RemoteServer(Protocol):
    """One connection to one server. Not shared between workers. Every method may raise TransferError."""

    @property
    def abilities(self) -> Abilities:
        """What this server can do; complete after the first call that reached it."""

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        """Send the whole file, or what is missing of it; return once the server holds all bytes.

        Raises TransferError, RemoteGoneError (start again from zero with a new key) or CancelledElsewhereError.
        """

    async def look(self, remote_id: str) -> RemoteFile:
        """Read one file back. An id that the server does not know is RemoteState.UNKNOWN, not an error."""

    async def aclose(self) -> None:
        """Close the connections."""


@runtime_checkable
class BatchServer(Protocol):
    """The power to group files."""

    async def open_batch(self, name: str, key: str) -> RemoteBatch:
        """Create the batch, or return the one made with the same idempotency *key*."""

    async def look_batch(self, remote_batch_id: str) -> RemoteBatch:
        """Read a batch back."""

    def list_files(self, remote_batch_id: str, each: Callable[[RemoteFile], None]) -> Awaitable[None]:
        """Call *each* for every file of the batch as the server lists it."""


@runtime_checkable
class CancelServer(Protocol):
    """The power to cancel by HTTP. An answer of 404 or 400 is an answer, not an error."""

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        """Ask the server to cancel one file."""

    async def cancel_batch(self, remote_batch_id: str) -> CancelAnswer:
        """Ask the server to cancel a whole batch, however many files it has."""


@runtime_checkable
class FindServer(Protocol):
    """The power to find a file by its idempotency key, when the answer that carried its id was lost."""

    async def find(self, key: str) -> RemoteFile | None:
        """Return the file made with *key*, or None if the server has none."""


@runtime_checkable
class DeleteServer(Protocol):
    """The power to delete a stored file."""

    async def delete_file(self, remote_id: str) -> None:
        """Delete a file that was stored; deleting what is gone is no error."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is now and how to sign in. The token never shows in a repr."""

    url: str
    token: str | None

    def __repr__(self) -> str:
        return f"Endpoint(url={self.url!r}, token={'***' if self.token else None})"


Connect = Callable[[str], Awaitable[RemoteServer]]
"""Given a profile id, open a connection. Raises TransferError. Wired by app.manager, implemented by remote.registry."""
