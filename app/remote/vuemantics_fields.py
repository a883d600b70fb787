"""What vuemantics' fields mean: types it takes, names in one request, its counts, its limits as text. Pure.

Source of the contract: the backend of vuemantics at commit 4d33b24 (its documentation promises more than it does).
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.answer import Answer, failure_of
from app.remote.base import Outgoing, RemoteBatchRow, RemoteFile, RemoteState

MOST_FILE_BYTES = 104_857_600
MOST_FILES = 1000

_K, _S = FailureKind, RemoteState
_NAME_BYTES = 200
_TYPES: Mapping[str, str] = {
    suffix: media_type
    for media_type, suffixes in {
        "image/jpeg": "jpg jpeg jpe jfif",
        "image/png": "png",
        "image/webp": "webp",
        "image/heic": "heic",
        "image/heif": "heif hif",
        "video/mp4": "mp4 m4v",
        "video/quicktime": "mov qt",
        "video/x-msvideo": "avi",
        "video/webm": "webm",
        "video/mpeg": "mpeg mpg mpe",
        "video/x-flv": "flv",
    }.items()
    for suffix in suffixes.split()
}
_UNFIT = re.compile(r'[\x00-\x1f\x7f"\\]')
_LIMIT = re.compile(r"(\d+)\s+per\s+(\d+)\s+(second|minute|hour|day)s?", re.IGNORECASE)
_UNITS_S = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}


def media_type_of(relative_path: str) -> str | None:
    """Return the Content-Type that the server wants for a file, by its extension; None for what it does not take."""
    return _TYPES.get(PurePosixPath(relative_path).suffix[1:].lower())


def refusal_of(outgoing: Outgoing, limit_bytes: int) -> Failure | None:
    """Return why the server would refuse a file, or None."""
    suffix = PurePosixPath(outgoing.relative_path).suffix
    if media_type_of(outgoing.relative_path) is None:
        what = f"{suffix} is none of them" if suffix else "this name does not say what it is"
        return Failure(
            _K.REFUSED, f"it takes JPEG, PNG, WebP, HEIC, MP4, MOV, AVI, WebM, MPEG and FLV; {what}"
        )
    if outgoing.size_bytes == 0:
        return Failure(_K.REFUSED, "the file is empty, and this server takes no empty files")
    if outgoing.size_bytes > limit_bytes:
        return Failure(_K.TOO_LARGE, "larger than the server takes", limit_bytes=limit_bytes)
    return None


# Names


def names_of(outgoings: Sequence[Outgoing]) -> list[str]:
    """Return a name of its own for each file of one request: its own, or one with a mark where two are alike.

    The server keeps names without folders, and tells which files it refused by name alone.
    """
    plain = [_plain(each) for each in outgoings]
    count = Counter(name.casefold() for name in plain)
    return [
        name if count[name.casefold()] == 1 else _marked(name, each)
        for name, each in zip(plain, outgoings, strict=True)
    ]


def possible_names(outgoing: Outgoing) -> tuple[str, str]:
    """Return the names that a file may have got in a request whose answer was lost: the surest first."""
    return _marked(_plain(outgoing), outgoing), _plain(outgoing)


def _plain(outgoing: Outgoing) -> str:
    # Quotes and control characters would arrive as something else.
    name = _UNFIT.sub("_", outgoing.relative_path.rpartition("/")[2])
    stem, dot, suffix = name.rpartition(".")
    while stem and len(name.encode()) > _NAME_BYTES:
        stem = stem[:-1]
        name = f"{stem}{dot}{suffix}"
    return name


def _marked(name: str, outgoing: Outgoing) -> str:
    stem, dot, suffix = name.rpartition(".")
    mark = hashlib.sha256(outgoing.key.encode()).hexdigest()[:8]
    return f"{stem} ({mark}){dot}{suffix}"


def matched(
    names: Sequence[str], upload_ids: Sequence[str], refused: Sequence[tuple[str, str]]
) -> list[str | Failure]:
    """Return what became of each name: an upload's id, or a Failure. Both lists of the answer are in the order sent.

    *refused* has name and reason of each file that was not taken.
    """
    ids, left = list(upload_ids), list(refused)
    matches: list[str | Failure] = []
    for name in names:
        if left and left[0][0] == name:
            matches.append(Failure(_K.REFUSED, left.pop(0)[1]))
        elif ids:
            matches.append(ids.pop(0))
        else:
            matches.append(Failure(_K.REFUSED, "the server's answer does not say what became of it"))
    return matches


# Limits


def limit_in(text: str) -> tuple[int, float] | None:
    """Return (how many, in how many seconds) of a text such as ``5 per 1 hour``; None if there is none in it."""
    found = _LIMIT.search(text)
    if found is None:
        return None
    number, many, unit = found.groups()
    if len(number) > 9 or len(many) > 5 or not int(number) or not int(many):
        return None
    return int(number), int(many) * _UNITS_S[unit.lower()]


def refusal(answer: Answer, now: float) -> TransferError:
    """Return the error that an answer stands for. The server's limits come as 429 or 420, its own as text without
    Retry-After, nginx's as a page."""
    failure = failure_of(answer, now)
    if answer.status not in (420, 429):
        return TransferError(failure)
    limit = limit_in(answer.detail)
    wait_s = failure.retry_after_s
    if wait_s is None and limit is not None:
        wait_s = limit[1] / 4  # its window is fixed, and began we do not know when
    if limit is not None:
        return TransferError(busy(limit, "request", wait_s, answer.status))
    return TransferError(Failure(_K.BUSY, failure.detail, answer.status, wait_s))


def busy(limit: tuple[int, float], what: str, wait_s: float | None, status: int | None = None) -> Failure:
    """Return the failure that waits until the next one is taken: "the server takes 5 uploads an hour"."""
    most, window_s = limit
    per = {60.0: "a minute", 3600.0: "an hour", 86400.0: "a day"}.get(window_s, f"in {window_s:.0f} s")
    return Failure(_K.BUSY, f"the server takes {most} {what}{'' if most == 1 else 's'} {per}", status, wait_s)


# Batches and files


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch as the server tells it. Counts may exceed the total, times name no zone: they are shown, not reckoned with."""

    id: str
    status: str
    total: int
    processed: int
    successful: int
    failed: int
    percent: float
    created: str
    message: str

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be done. One of which no file was taken stays ``pending`` for ever."""
        return self.status not in ("pending", "processing") or self.total == 0

    @property
    def counted_twice(self) -> bool:
        """Whether the counts cannot be true: the server's worker died and began again."""
        return self.processed > self.total or self.successful + self.failed > self.total

    @property
    def all_stored(self) -> bool:
        """Whether the counts alone say that every file went well."""
        return self.status == "completed" and self.failed == 0 and self.successful >= self.total > 0


def batch_record(record: Mapping[str, Any]) -> BatchRecord:
    """Return a batch of its JSON; what is missing or nonsense is 0 or ""."""
    return BatchRecord(
        str(record.get("batch_id") or ""),
        str(record.get("status") or ""),
        _count(record.get("total_uploads")),
        _count(record.get("processed_uploads")),
        _count(record.get("successful_uploads")),
        _count(record.get("failed_uploads")),
        min(max(_number(record.get("progress_percentage")), 0.0), 100.0),
        _text(record.get("created_at")),
        _text(record.get("error_message")),
    )


def share_of(percent: object) -> float | None:
    """Return 0 to 1 for a percentage, None for what is no number."""
    if not isinstance(percent, int | float) or isinstance(percent, bool) or not math.isfinite(percent):
        return None
    return min(max(percent / 100, 0.0), 1.0)


def batch_row(batch: BatchRecord) -> RemoteBatchRow:
    """Return the line of the server's own list that a batch is."""
    return RemoteBatchRow(
        batch.id,
        f"Batch {batch.id[:8]}",
        _row_state(batch),
        total_files=batch.total,
        done_files=min(batch.successful, batch.total),
        failed_files=min(batch.failed, batch.total),
        share=1.0 if batch.status == "completed" else batch.percent / 100,
        created=batch.created,
        message=_row_message(batch),
    )


def _row_state(batch: BatchRecord) -> RemoteState:
    if batch.status == "cancelled":
        return _S.CANCELLED
    if batch.status == "failed" or batch.total == 0:
        return _S.FAILED
    if batch.status == "completed":
        return _S.STORED if batch.successful else _S.FAILED
    return _S.PROCESSING if batch.status in ("pending", "processing") else _S.UNKNOWN


def _row_message(batch: BatchRecord) -> str:
    if batch.message:
        return batch.message
    if batch.total == 0:
        return "no file was taken"
    if batch.counted_twice:
        return "the server has counted some files twice"
    if batch.status == "pending":
        return "waits for the server's worker"
    return f"{batch.failed} of {batch.total} failed" if batch.failed else ""


def file_of(remote_id: str, record: Mapping[str, Any], batch: BatchRecord) -> RemoteFile:
    """Return a file of its own JSON and its batch's: ``failed`` is final only once the batch is over."""
    size_bytes = _count(record.get("file_size"))
    status, why = _text(record.get("processing_status")), _text(record.get("error_message"))
    if status == "completed":
        state = _S.STORED
    elif batch.status == "cancelled":
        state = _S.CANCELLED
    elif batch.is_over:
        state = _S.FAILED
        why = why if status == "failed" else why or "the server ended the batch without it"
    else:
        state = _S.PROCESSING
    stage = "failed; it may be tried again" if state is _S.PROCESSING and status == "failed" else ""
    # Only a deletion takes bytes away there; a cancel ends the work on them.
    stays = state in (_S.CANCELLED, _S.FAILED)
    return RemoteFile(remote_id, state, size_bytes, size_bytes, why, stage, stays=stays)


def _count(value: object) -> int:
    return max(int(_number(value)), 0)


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 2**53:
        return 0.0
    return float(value)


def _text(value: object) -> str:
    return " ".join(value.split())[:300] if isinstance(value, str) else ""
