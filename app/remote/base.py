"""What the engine asks of a server, whatever its dialect: protocols of at most five methods, and frozen answers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from app.domain.failure import Failure


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a server can do. The limits are None where it names none; ``max_files`` is of one request.

    ``processing``: it works on files after their arrival, and says how far it is. ``lists_batches``: it tells the
    account's batches, those begun elsewhere too.
    """

    resume: bool = False
    cancel_file: bool = False
    cancel_batch: bool = False
    delete_file: bool = False
    checksum: bool = False
    processing: bool = False
    lists_batches: bool = False
    max_size_bytes: int | None = None
    max_files: int | None = None


@dataclass(frozen=True, slots=True)
class ParcelLimits:
    """How much goes in one request of a server that takes many files a request; always at least one file."""

    max_files: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What an adapter must know of a transfer to send it.

    ``key`` is the idempotency key (stored in the journal before it is used). ``remote_id`` is set if an earlier
    attempt began; the adapter then resumes, or finds the file stored. ``relative_path`` has ``/`` between parts and is
    NFC. ``target`` is the id of the place at the server (a project) that the person chose for the batch.

    ``begun_at`` (epoch seconds) is set if an earlier attempt was cut off and nobody knows whether it arrived: where a
    repeated request would make a second file, the adapter looks before it sends again.
    ``neighbours`` gives the queued files of the same batch that come next, for servers that announce many at once.
    ``batch_key`` is our own id of the batch, "" if unknown: files of different batches are never announced together.
    """

    key: str
    relative_path: str
    size_bytes: int
    mtime_ns: int
    remote_batch_id: str | None
    remote_id: str | None
    target: str | None = None
    begun_at: float | None = None
    batch_key: str = ""
    neighbours: Callable[[], "Sequence[Outgoing]"] = field(default=tuple, repr=False, compare=False)


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
    """How a send ended well: the server holds all bytes. ``answer`` is its own short word.

    ``processing``: it still works on the file; StageServer tells the rest.
    """

    remote_id: str
    answer: str = ""
    sha256: str | None = None
    processing: bool = False


class RemoteState(StrEnum):
    """What the server says of a file or batch when it is read back."""

    UNFINISHED = "unfinished"
    PROCESSING = "processing"
    """All bytes are there, and the server still works on them."""
    STORED = "stored"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the server describes it. ``stage`` and ``stage_share`` (0 to 1) are of its processing, if it tells.

    ``stays``: it is cancelled or has failed, and the server keeps its bytes all the same.
    """

    remote_id: str
    state: RemoteState
    offset_bytes: int = 0
    size_bytes: int = 0
    message: str = ""
    stage: str = ""
    stage_share: float | None = None
    stays: bool = False


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """A batch as the server describes it. ``folder`` is where it keeps the files, if it says so."""

    remote_id: str
    state: RemoteState
    folder: str | None = None
    stored_files: int = 0
    cancelled_files: int = 0


@dataclass(frozen=True, slots=True)
class RemoteBatchRow:
    """A line of the server's own list of batches. ``share`` is 0 to 1; ``message`` is the server's own short sentence.

    ``created`` is what the server wrote; many name no time zone.
    """

    remote_id: str
    name: str
    state: RemoteState
    total_files: int
    done_files: int
    failed_files: int
    share: float
    created: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A place at the server that batches go to: a project."""

    id: str
    name: str


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

    async def greet(self) -> Abilities:
        """Reach the server, signed in; raise TransferError with what is wrong. Sends nothing that stays there."""

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
class ManyBatchServer(Protocol):
    """A server at which one batch of a person becomes several: each parcel has its own."""

    def batches_of(self, remote_ids: Sequence[str]) -> Sequence[str]:
        """Return the ids of the server's batches that these files belong to; no I/O."""


@runtime_checkable
class FindServer(Protocol):
    """The power to find files whose ids were lost with an answer: by idempotency key, or by name and time."""

    async def find(self, outgoings: Sequence[Outgoing]) -> Mapping[str, RemoteFile]:
        """Return what the server has of these files, by their keys; a file that it does not have is left out."""


@runtime_checkable
class DeleteServer(Protocol):
    """The power to delete stored files."""

    async def delete_files(self, remote_ids: Sequence[str]) -> None:
        """Delete files that were stored; deleting what is gone is no error."""


@dataclass(frozen=True, slots=True)
class ParcelItem:
    """One file of a parcel. The feed is read by the adapter alone, once, in the order of the request."""

    outgoing: Outgoing
    feed: Feed


@runtime_checkable
class ParcelServer(Protocol):
    """The power to take many files in one request. The engine builds the parcels, within ParcelLimits."""

    async def send_parcel(self, items: Sequence[ParcelItem]) -> Sequence[Sent | Failure]:
        """Send these files in one request; return what became of each, in order.

        Raises TransferError if the request as a whole failed. Cancelled before its last byte it leaves nothing behind.
        """


@runtime_checkable
class PreflightServer(Protocol):
    """A server whose refusals are known before a byte is sent."""

    def refusal(self, outgoing: Outgoing) -> Failure | None:
        """Return why the server would refuse this file (its type, its size), or None; no I/O."""


@runtime_checkable
class StageServer(Protocol):
    """The power to tell how far the server is with files that have arrived."""

    async def look_many(self, remote_ids: Sequence[str]) -> Sequence[RemoteFile]:
        """Read these files back, in order; unknown ones are RemoteState.UNKNOWN."""

    async def news(self, timeout_s: float) -> None:
        """Return when the server has said (by its push channel) that something changed, or after *timeout_s* seconds."""


@runtime_checkable
class ListServer(Protocol):
    """The power to list the account's batches, those begun elsewhere too."""

    async def list_batches(self) -> Sequence[RemoteBatchRow]:
        """Return the account's batches, newest first."""


@runtime_checkable
class TargetServer(Protocol):
    """A server that wants to know where a batch goes: into which project."""

    async def targets(self) -> Sequence[Target]:
        """Return the places this account may send to."""

    async def create_target(self, name: str) -> Target:
        """Make a new place."""


Connect = Callable[[str], Awaitable[RemoteServer]]
"""Given a profile id, open a connection. Raises TransferError. Wired by app.manager, implemented by remote.registry."""
