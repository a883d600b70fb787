"""The states of a transfer and of a batch, and the only function that moves a transfer from one to the next.

queued ──start──► preparing ──send──► uploading ──accept──► processing ──complete──► completed
                                          └───hand_over─────►  (the server works on it, and is followed)
  ▲                   │                   │                     │
  │                   └───────┬───────────┴─────────┬───────────┘
  │                        back_off               fail ──► failed ──retry──► queued
  └──requeue── waiting ◄──────┘
  └──resume─── paused  ◄──pause── queued, preparing, uploading, waiting

cancel:  every state that is not over ──► cancelling ──► cancelled        (the server confirmed, or nothing was there)
                                               ├───────► completed        (finished first)
                                               └─undo──► queued | paused | processing  (before the server heard of it)
skipped: made by intake, never left. A cancelled transfer may be retried, too.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class TransferState(StrEnum):
    """Where one file's journey stands. The value is what the journal, the tables' filters and JSON use."""

    QUEUED = "queued"
    PREPARING = "preparing"
    UPLOADING = "uploading"
    PROCESSING = "processing"
    WAITING = "waiting"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class Step(StrEnum):
    """What can happen to a transfer."""

    START = "start"
    SEND = "send"
    ACCEPT = "accept"
    HAND_OVER = "hand_over"
    COMPLETE = "complete"
    FAIL = "fail"
    BACK_OFF = "back_off"
    REQUEUE = "requeue"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    CONFIRM = "confirm"
    FINISHED_FIRST = "finished_first"
    UNDO = "undo"
    RETRY = "retry"


class BatchState(StrEnum):
    """What a batch shows. Derived from its counters by :func:`app.domain.batch.derive_state`, never stored."""

    SCANNING = "scanning"
    QUEUED = "queued"
    UPLOADING = "uploading"
    PROCESSING = "processing"
    WAITING = "waiting"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CancelEnding(StrEnum):
    """How a cancel ended, as far as the server could be made to say."""

    CANCELLED = "cancelled"
    FINISHED_FIRST = "finished_first"
    HERE_ONLY = "here_only"
    CLEANUP_PENDING = "cleanup_pending"


class IllegalTransitionError(Exception):
    """A step was asked of a transfer in a state that does not allow it: a defect of the caller."""


_S, _E = TransferState, Step

SENDING = frozenset({_S.PREPARING, _S.UPLOADING})
"""A worker holds the transfer, and has bytes to send."""
RUNNING = SENDING | {_S.PROCESSING}
"""Something goes on: a worker holds the transfer, or the server works on it."""
OVER = frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELLED, _S.SKIPPED})
"""Nothing more happens unless a person asks."""
CANCELLABLE = frozenset(TransferState) - OVER - {_S.CANCELLING}
PAUSABLE = frozenset({_S.QUEUED, _S.PREPARING, _S.UPLOADING, _S.WAITING})
RETRYABLE = frozenset({_S.FAILED, _S.CANCELLED})

TRANSITIONS: Mapping[tuple[TransferState, Step], TransferState] = MappingProxyType(
    {
        (_S.QUEUED, _E.START): _S.PREPARING,
        (_S.PREPARING, _E.SEND): _S.UPLOADING,
        (_S.UPLOADING, _E.ACCEPT): _S.PROCESSING,
        (_S.UPLOADING, _E.HAND_OVER): _S.PROCESSING,
        (_S.PROCESSING, _E.HAND_OVER): _S.PROCESSING,
        (_S.CANCELLING, _E.HAND_OVER): _S.PROCESSING,
        (_S.UPLOADING, _E.COMPLETE): _S.COMPLETED,
        (_S.PROCESSING, _E.COMPLETE): _S.COMPLETED,
        (_S.WAITING, _E.REQUEUE): _S.QUEUED,
        (_S.PAUSED, _E.RESUME): _S.QUEUED,
        (_S.CANCELLING, _E.CONFIRM): _S.CANCELLED,
        (_S.CANCELLING, _E.FINISHED_FIRST): _S.COMPLETED,
        (_S.CANCELLED, _E.FINISHED_FIRST): _S.COMPLETED,
        (_S.CANCELLING, _E.UNDO): _S.QUEUED,
    }
    | {(state, _E.FAIL): _S.FAILED for state in RUNNING | {_S.QUEUED}}
    | {(state, _E.BACK_OFF): _S.WAITING for state in RUNNING}
    | {(state, _E.REQUEUE): _S.QUEUED for state in RUNNING}
    | {(state, _E.PAUSE): _S.PAUSED for state in PAUSABLE}
    | {(state, _E.CANCEL): _S.CANCELLING for state in CANCELLABLE}
    | {(state, _E.RETRY): _S.QUEUED for state in RETRYABLE}
)


def transition(state: TransferState, step: Step) -> TransferState:
    """Return the state after *step*; raise :class:`IllegalTransitionError` if the table has no such row."""
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        raise IllegalTransitionError(f"a transfer that is {state} cannot {step}") from None
