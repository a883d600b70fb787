"""A transfer, one file's journey, and the frozen view of it that crosses to the window and the command line."""

from dataclasses import dataclass

from app.domain.failure import Failure
from app.domain.state import CancelEnding, TransferState


@dataclass(slots=True)
class Transfer:
    """One file on its way; owned and changed by the engine alone (its state only through ``engine.book``).

    ``id`` is 32 hex digits; ``key``, made from it, is the idempotency key at the server. ``source`` is the absolute local path,
    undecodable bytes as surrogates (``os.fsdecode``). ``relative_path`` is the remote one: ``/`` between parts, NFC.
    ``offset_bytes`` is what the server has accepted, ``sent_bytes`` what the socket has taken; ``retry_at`` and the
    times are seconds since the epoch. ``position`` orders the transfers of a batch, from 0.

    ``begun_at`` is set while nobody knows whether a request that carried the file arrived. ``stage`` and
    ``stage_share`` (0 to 1) are how far the server says it is with a file that it works on; they are not stored.
    """

    id: str
    batch_id: str
    position: int
    source: str
    relative_path: str
    size_bytes: int
    mtime_ns: int
    state: TransferState = TransferState.QUEUED
    offset_bytes: int = 0
    sent_bytes: int = 0
    remote_id: str | None = None
    sha256: str | None = None
    failure: Failure | None = None
    ending: CancelEnding | None = None
    answer: str = ""
    attempts: int = 0
    retry_at: float | None = None
    speed_bps: float = 0.0
    generation: int = 0
    begun_at: float | None = None
    stage: str = ""
    stage_share: float | None = None

    @property
    def key(self) -> str:
        """The idempotency key of this attempt from zero: the id, and a number once the server lost or ended one."""
        return f"{self.id}-{self.generation}" if self.generation else self.id

    @property
    def done_bytes(self) -> int:
        """Bytes to show as done: what was sent, or accepted if that is more; never more than the size."""
        return min(self.size_bytes, max(self.sent_bytes, self.offset_bytes))

    def view(self) -> "TransferView":
        """Return what this transfer looks like now."""
        folder, _, name = self.relative_path.rpartition("/")
        return TransferView(
            self.id,
            self.batch_id,
            self.position,
            name,
            folder,
            self.size_bytes,
            self.done_bytes,
            self.state,
            self.speed_bps if self.state is TransferState.UPLOADING else 0.0,
            self.failure,
            self.ending,
            self.answer,
            self.sha256,
            self.retry_at,
            self.stage,
            self.stage_share,
        )


@dataclass(frozen=True, slots=True)
class TransferView:
    """A row of the Files table. Sizes in bytes, speed in bytes per second, times in seconds since the epoch.

    ``answer`` is a short code or sentence of the server ("" if none); ``app.words.what_happened`` makes it English.
    ``stage`` is the server's own word for what it does with a file in processing, ``stage_share`` (0 to 1) how far it is.
    """

    id: str
    batch_id: str
    position: int
    name: str
    folder: str
    size_bytes: int
    done_bytes: int
    state: TransferState
    speed_bps: float
    failure: Failure | None
    ending: CancelEnding | None
    answer: str
    sha256: str | None
    retry_at: float | None
    stage: str = ""
    stage_share: float | None = None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One step in the life of a transfer: when (seconds since the epoch), into which state, and why."""

    at: float
    state: TransferState
    note: str


@dataclass(frozen=True, slots=True)
class TransferDetails:
    """Everything known of one transfer, for the details panel and ``uphaul status``."""

    view: TransferView
    source: str
    relative_path: str
    remote_id: str | None
    attempts: int
    timeline: tuple[TimelineEntry, ...]
