"""What Doorito's answers mean: the states of a session, and the parts that it has, in every way these were ever written.

Source of the contract: Doorito's PEPs 0011 to 0015 (docs/SERVERS.md). Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.base import RemoteBatch, RemoteBatchRow, RemoteFile, RemoteState

_S = RemoteState
LINGERS = "lingers"
"""The word for a session that stays at its server until it expires; app.words has its sentence."""
_EXPIRED = "the upload has expired there"
_MOST_PARTS = 2**20
"""A number is kept of each that has arrived: a server that claims more would fill the memory."""
_SESSION_STATES: Mapping[str, RemoteState] = {
    "complete": _S.STORED,
    "failed": _S.FAILED,
    "aborted": _S.FAILED,
    "cancelled": _S.CANCELLED,
}
"""Other words are of a session that is not over. ``aborted`` is its expiry, unless ``cancelled_at`` is set."""
_FILE_STATES: Mapping[str, RemoteState] = {
    "uploading": _S.UNFINISHED,
    "stored": _S.STORED,
    "failed": _S.FAILED,
    "cancelled": _S.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Session:
    """An upload session as the server describes it. Parts count from 1; ``received`` are the numbers it has.

    ``chunk_bytes`` is 0 where the answer does not tell it: that of the creation does.
    """

    id: str
    state: RemoteState
    chunk_bytes: int
    total_parts: int
    received: frozenset[int]
    message: str = ""

    @property
    def has_all(self) -> bool:
        """Whether all parts are there (of an empty file there are none): it may be being put together."""
        return 0 < self.total_parts == len(self.received)

    def missing(self) -> Iterator[int]:
        """Yield the numbers of the parts that it lacks, in order."""
        return (number for number in range(1, self.total_parts + 1) if number not in self.received)

    def received_bytes(self, size_bytes: int) -> int:
        """Return how many of the file's bytes are in those parts."""
        return sum(self.part_bytes(number, size_bytes) for number in self.received)

    def part_bytes(self, number: int, size_bytes: int) -> int:
        """Return the length of a part: the chunk, less for the last one."""
        return max(0, min(self.chunk_bytes, size_bytes - (number - 1) * self.chunk_bytes))


def session_of(record: Mapping[str, Any], size_bytes: int = 0) -> Session:
    """Return the session in an answer; *size_bytes* is the file's, as far as it is known.

    Raises TransferError(NOT_A_SERVER) if the record is of something else.
    """
    try:
        chunk_bytes, total = int(record.get("chunk_size_bytes") or 0), int(record["total_parts"])
        name = str(record["session_id"])
        if total > _MOST_PARTS:
            raise ValueError("too many parts")
    except (KeyError, TypeError, ValueError, OverflowError):
        raise TransferError(Failure(FailureKind.NOT_A_SERVER, "the answer is no upload session")) from None
    word = str(record.get("status") or "init").lower()
    state = _SESSION_STATES.get(word, _S.UNFINISHED)
    if word == "aborted" and record.get("cancelled_at"):
        state = _S.CANCELLED
    return Session(
        name,
        state,
        chunk_bytes or (size_bytes if total == 1 else 0),
        total,
        frozenset(_received(record.get("received_parts"), total)),
        str(record.get("error_message") or "") or (_EXPIRED if state is _S.FAILED else ""),
    )


def _received(told: object, total_parts: int) -> Iterator[int]:
    """Yield the part numbers in ``received_parts``: ``[1, 2]``, ``[1, "3-5"]``, ``[[1, 3]]`` or ``"[1-3, 5]"``.

    What is none of these is left out: a part that is sent twice does no harm, one that is never sent does.
    """
    if isinstance(told, str):
        told = told.strip("[] ").split(",")
    if not isinstance(told, Sequence):
        return
    for each in told:
        first, last = each if isinstance(each, list) and len(each) == 2 else _span(str(each))
        if isinstance(first, int) and isinstance(last, int):
            yield from range(max(1, first), min(last, total_parts) + 1)


def _span(text: str) -> tuple[int, int]:
    first, dash, last = (piece.strip() for piece in text.partition("-"))
    if _is_number(first) and (_is_number(last) if dash else not last):
        return int(first), int(last or first)
    return 1, 0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 12


def file_of(session: Session) -> RemoteFile:
    """Return the file of a session that was read back."""
    state = _S.PROCESSING if session.state is _S.UNFINISHED and session.has_all else session.state
    return RemoteFile(session.id, state, message=LINGERS if state is _S.UNFINISHED else session.message)


def listed_file(record: Mapping[str, Any]) -> RemoteFile:
    """Return a file of a batch's list."""
    return RemoteFile(
        str(record.get("session_id") or record.get("file_id") or record.get("id") or ""),
        _FILE_STATES.get(str(record.get("status") or "").lower(), _S.UNKNOWN),
        size_bytes=int(record.get("size_bytes") or 0),
        message=str(record.get("error_message") or ""),
    )


def batch_of(record: Mapping[str, Any]) -> RemoteBatch:
    """Return the batch in an answer. Raises TransferError(NOT_A_SERVER) if there is no id."""
    row = row_of(record, "")
    return RemoteBatch(
        row.remote_id,
        row.state,
        stored_files=row.done_files,
        cancelled_files=_count(record, "cancelled_count"),
    )


def row_of(record: Mapping[str, Any], name: str) -> RemoteBatchRow:
    """Return a batch as a line of a list; *name* is ours, if the server knows none. Raises as :func:`batch_of`."""
    remote_id = record.get("batch_id") or record.get("id")
    if not remote_id:
        raise TransferError(Failure(FailureKind.NOT_A_SERVER, "the answer is no batch"))
    total, stored = _count(record, "total_files"), _count(record, "stored_count")
    failed, cancelled = _count(record, "failed_count"), _count(record, "cancelled_count")
    over = stored + failed + cancelled
    return RemoteBatchRow(
        str(remote_id),
        str(record.get("name") or name),
        _batch_state(str(record.get("status") or "init").lower(), is_whole=0 < total <= over),
        total,
        stored,
        failed,
        min(1.0, over / total) if total else 0.0,
        str(record.get("created_at") or ""),
    )


def _batch_state(word: str, *, is_whole: bool) -> RemoteState:
    """A batch calls itself complete while files of it still arrive: its counts are believed, not its word alone."""
    if word == "cancelled":
        return _S.CANCELLED
    if not is_whole:
        return _S.UNFINISHED
    return _S.FAILED if word == "failed" else _S.STORED  # partial: it is over and holds files


def _count(record: Mapping[str, Any], name: str) -> int:
    value = record.get(name)
    return value if isinstance(value, int) else 0
