"""A batch, what one drop made: its counters, the state derived from them, and its frozen view."""

from dataclasses import dataclass, field

from app.domain.failure import Failure
from app.domain.state import RUNNING, SENDING, BatchState, CancelEnding, TransferState

_S = TransferState


@dataclass(slots=True)
class Counts:
    """How many transfers, and how many of their bytes, stand in each state. The engine keeps it in step."""

    files: dict[TransferState, int] = field(default_factory=lambda: dict.fromkeys(TransferState, 0))
    size_bytes: dict[TransferState, int] = field(default_factory=lambda: dict.fromkeys(TransferState, 0))

    def add(self, state: TransferState, size_bytes: int) -> None:
        """Count a new transfer."""
        self.files[state] += 1
        self.size_bytes[state] += size_bytes

    def move(self, old: TransferState, new: TransferState, size_bytes: int) -> None:
        """Move one transfer of *size_bytes* from state *old* to *new*."""
        self.files[old] -= 1
        self.size_bytes[old] -= size_bytes
        self.add(new, size_bytes)

    @property
    def total_files(self) -> int:
        """All transfers of the batch."""
        return sum(self.files.values())

    @property
    def total_bytes(self) -> int:
        """All bytes of the batch."""
        return sum(self.size_bytes.values())

    @property
    def running(self) -> int:
        """Transfers that a worker holds, or the server works on."""
        return sum(self.files[state] for state in RUNNING)

    @property
    def sending(self) -> int:
        """Transfers that a worker holds and that have bytes to send."""
        return sum(self.files[state] for state in SENDING)

    @property
    def unfinished(self) -> int:
        """Transfers that are not over."""
        over = (
            self.files[_S.COMPLETED]
            + self.files[_S.FAILED]
            + self.files[_S.CANCELLED]
            + self.files[_S.SKIPPED]
        )
        return self.total_files - over


def derive_state(counts: Counts, *, scanning: bool, blocked: bool = False) -> BatchState:
    """Return the batch's state from its counters alone.

    *scanning*: intake still adds to it. *blocked*: its server makes everything wait. What is moving wins over what
    rests; a batch that is over is ``completed`` only if nothing failed and nothing was cancelled.
    """
    files = counts.files
    if counts.unfinished:
        for state, shown in _UNFINISHED_ORDER:
            if files[state]:
                if shown in (BatchState.QUEUED, BatchState.WAITING) and blocked:
                    return BatchState.WAITING
                # Small files are at the server as soon as they have begun: between two of them nothing rests.
                between = shown is BatchState.QUEUED and files[_S.PROCESSING]
                return BatchState.UPLOADING if between else shown
    if scanning:
        return BatchState.SCANNING
    if files[_S.FAILED]:
        return BatchState.PARTIAL if files[_S.COMPLETED] else BatchState.FAILED
    return BatchState.CANCELLED if files[_S.CANCELLED] else BatchState.COMPLETED


_UNFINISHED_ORDER = (
    (_S.CANCELLING, BatchState.CANCELLING),
    (_S.UPLOADING, BatchState.UPLOADING),
    (_S.PREPARING, BatchState.UPLOADING),
    (_S.QUEUED, BatchState.QUEUED),
    (_S.PROCESSING, BatchState.PROCESSING),
    (_S.WAITING, BatchState.WAITING),
    (_S.PAUSED, BatchState.PAUSED),
)


@dataclass(frozen=True, slots=True)
class SkippedPath:
    """A dropped or found path that is not uploaded, and why (a :class:`SkipReason` value)."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class IntakeReport:
    """The pre-flight report of one drop. ``skipped`` holds the first 1,000; ``skipped_count`` counts all by reason."""

    files: int = 0
    size_bytes: int = 0
    folders: int = 0
    empty_folders: int = 0
    skipped_count: tuple[tuple[str, int], ...] = ()
    skipped: tuple[SkippedPath, ...] = ()


@dataclass(slots=True)
class Batch:
    """What one drop or one command made; owned by the engine. Times are seconds since the epoch.

    ``target`` is the id of the place at the server (a project) that the files go to, where it has such places.
    ``roots`` are the dropped paths: an intake that was cut short (``scanning`` in the journal) walks them again.
    ``done_bytes`` sums the transfers' done bytes; it is counted along, not stored.
    """

    id: str
    name: str
    profile_id: str
    created_at: float
    counts: Counts = field(default_factory=Counts)
    remote_id: str | None = None
    remote_folder: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    scanning: bool = False
    paused: bool = False
    roots: tuple[str, ...] = ()
    report: IntakeReport | None = None
    ending: CancelEnding | None = None
    answer: str = ""
    done_bytes: int = 0
    target: str | None = None


@dataclass(frozen=True, slots=True)
class BatchView:
    """A row of the Batches table. Bytes, bytes per second, seconds, seconds since the epoch.

    ``left_s`` is an honest range (soonest, latest), or None where nothing sensible can be said. ``files`` counts the
    transfers by state. ``progress`` (0 to 1) is what has arrived, also of files under way; ``done_share``,
    ``failed_share`` and ``cancelled_share`` are what is over, by bytes (by files if all are empty). ``trouble`` is what its
    server is in, while the batch waits for it.
    """

    id: str
    name: str
    server: str
    state: BatchState
    files: dict[TransferState, int]
    total_files: int
    done_files: int
    total_bytes: int
    done_bytes: int
    progress: float
    done_share: float
    failed_share: float
    cancelled_share: float
    speed_bps: float
    left_s: tuple[float, float] | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    retry_at: float | None
    report: IntakeReport | None
    ending: CancelEnding | None
    answer: str
    folder: str | None
    target: str | None = None
    trouble: Failure | None = None
