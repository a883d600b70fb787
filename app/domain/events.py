"""What the engine tells its listeners: the 10 Hz frame they pull, and the rare events it pushes."""

from dataclasses import dataclass
from enum import StrEnum

from app.domain.batch import BatchView
from app.domain.failure import Failure
from app.domain.transfer import TransferView


class Link(StrEnum):
    """How a server stands."""

    UNKNOWN = "unknown"
    READY = "ready"
    WAITING = "waiting"
    SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True)
class ServerView:
    """One server a person can send to. ``embedded`` is the one that comes with Uphaul; ``retry_at`` is epoch seconds.

    ``title`` says what kind of server it is, ``user`` as whom one signs in ("" where a token says it). ``needs_target``:
    a batch goes into a project there; ``target`` and ``target_name`` are the one chosen last. ``lists_batches``: it tells
    the account's batches. ``secret_in_keyring`` is False where the secret is known for this session alone, None where
    none is known yet.
    """

    profile_id: str
    name: str
    url: str
    embedded: bool
    link: Link
    retry_at: float | None = None
    failure: Failure | None = None
    dialect: str = ""
    title: str = ""
    user: str = ""
    needs_target: bool = False
    target: str = ""
    target_name: str = ""
    lists_batches: bool = False
    secret_in_keyring: bool | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """The status bar: transfers by what they do, bytes per second over all, and what is left of all batches."""

    running: int = 0
    waiting: int = 0
    failed: int = 0
    paused: int = 0
    speed_bps: float = 0.0
    done_bytes: int = 0
    total_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """What changed since the last frame. ``transfers`` are changed or new rows of the watched batch only."""

    batches: tuple[BatchView, ...]
    transfers: tuple[TransferView, ...]
    removed_batches: tuple[str, ...]
    servers: tuple[ServerView, ...]
    totals: Totals


@dataclass(frozen=True, slots=True)
class BatchEnded:
    """A batch has nothing left to do; told once for each time that it comes to its end."""

    batch: BatchView


@dataclass(frozen=True, slots=True)
class CancelEnded:
    """A cancel has its ending. ``counts`` maps an ending's value to how many files ended so.

    Of those that were cancelled here only, the server holds ``kept_there`` whole, and nothing of ``nothing_there``.
    """

    batch_id: str
    batch_name: str
    whole_batch: bool
    counts: tuple[tuple[str, int], ...]
    kept_there: int = 0
    nothing_there: int = 0


@dataclass(frozen=True, slots=True)
class IntakeEnded:
    """The scan of a drop is over; the report says what was taken and what was not."""

    batch: BatchView


@dataclass(frozen=True, slots=True)
class EngineNotice:
    """Something a person should read: the engine's own sentence, already in words (from app.words)."""

    text: str


EngineEvent = BatchEnded | CancelEnded | IntakeEnded | EngineNotice
