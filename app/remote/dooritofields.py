"""What Doorito's answers mean: the states of a session, and the parts that it has, in every way these were ever written.

Source of the contract: Doorito's PEPs 0011 to 0015 (docs/SERVERS.md). Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.base import RemoteBatch, RemoteFile, RemoteState

_S = RemoteState
SESSION_STATES: Mapping[str, RemoteState] = {
    "init": _S.UNFINISHED,
    "in_progress": _S.UNFINISHED,
    "complete": _S.STORED,
    "failed": _S.FAILED,
    "aborted": _S.CANCELLED,
}
BATCH_STATES: Mapping[str, RemoteState] = {
    "init": _S.UNFINISHED,
    "in_progress": _S.UNFINISHED,
    "complete": _S.STORED,
    "partial": _S.STORED,  # it is over and holds files; the files say which
    "failed": _S.FAILED,
    "cancelled": _S.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Session:
    """An upload session as the server describes it. Parts count from 1; ``received`` are the numbers it has."""

    id: str
    state: RemoteState
    chunk_bytes: int
    total_parts: int
    received: frozenset[int]
    message: str = ""

    def missing(self) -> Iterator[int]:
        """Yield the numbers of the parts that it lacks, in order."""
        return (number for number in range(1, self.total_parts + 1) if number not in self.received)

    def received_bytes(self, size_bytes: int) -> int:
        """Return how many of the file's bytes are in those parts."""
        return sum(self.part_bytes(number, size_bytes) for number in self.received)

    def part_bytes(self, number: int, size_bytes: int) -> int:
        """Return the length of a part: the chunk, less for the last one."""
        return max(0, min(self.chunk_bytes, size_bytes - (number - 1) * self.chunk_bytes))


def session_of(record: Mapping[str, Any], size_bytes: int) -> Session:
    """Return the session in an answer. Raises TransferError(NOT_A_SERVER) if the record is of something else."""
    try:
        chunk_bytes, total = int(record.get("chunk_size_bytes") or 0), int(record["total_parts"])
        name = str(record["session_id"])
    except (KeyError, TypeError, ValueError):
        raise TransferError(Failure(FailureKind.NOT_A_SERVER, "the answer is no upload session")) from None
    return Session(
        name,
        SESSION_STATES.get(str(record.get("status") or "init").lower(), _S.UNKNOWN),
        chunk_bytes or -(-size_bytes // max(total, 1)),
        total,
        frozenset(n for n in received_numbers(record.get("received_parts")) if 1 <= n <= total),
        str(record.get("error_message") or ""),
    )


def received_numbers(told: object) -> Iterator[int]:
    """Yield the part numbers in ``received_parts``: ``[1, 2]``, ``[1, "3-5"]``, ``[[1, 3]]`` or ``"[1-3, 5]"``.

    What is none of these is left out: a part that is sent twice does no harm, one that is never sent does.
    """
    if isinstance(told, str):
        for piece in told.strip("[] ").split(","):
            yield from _span(piece)
    elif isinstance(told, Sequence):
        for each in told:
            if isinstance(each, list | tuple) and len(each) == 2 and all(isinstance(n, int) for n in each):
                yield from range(each[0], each[1] + 1)
            else:
                yield from _span(str(each))


def _span(text: str) -> range:
    first, dash, last = (piece.strip() for piece in text.partition("-"))
    if first.isdecimal() and (last.isdecimal() if dash else not last):
        return range(int(first), int(last or first) + 1)
    return range(0)


def file_of(session: Session, size_bytes: int = 0) -> RemoteFile:
    """Return the file of a session."""
    return RemoteFile(
        session.id, session.state, session.received_bytes(size_bytes), size_bytes, session.message
    )


def batch_of(record: Mapping[str, Any]) -> RemoteBatch:
    """Return the batch in an answer. Raises TransferError(NOT_A_SERVER) if there is no id."""
    name = record.get("batch_id") or record.get("id")
    if not name:
        raise TransferError(Failure(FailureKind.NOT_A_SERVER, "the answer is no batch"))
    return RemoteBatch(
        str(name),
        BATCH_STATES.get(str(record.get("status") or "init").lower(), _S.UNKNOWN),
        stored_files=int(record.get("stored_count") or 0),
        cancelled_files=int(record.get("cancelled_count") or 0),
    )
