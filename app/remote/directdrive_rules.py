"""DirectDrive's rules as values: what it refuses, what it makes of a name, what its answers and frames mean. Pure.

Source of the contract: backend/app/api/v1/routes_upload.py of DirectDriveX, and docs/server/directdrive.md.
"""

import json
import mimetypes
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from app.domain.failure import Failure, FailureKind
from app.remote.answer import Answer, failure_of, object_in
from app.remote.base import RemoteFile, RemoteState

_K = FailureKind

MAX_SIZE_BYTES = 10 * 2**30
ANONYMOUS_MAX_BYTES = 2 * 2**30
BUSY_S = 60.0
"""How long its storage accounts stay busy: it names no time."""

_BLOCKED_SUFFIXES = frozenset(
    ".exe .bat .scr .com .cmd .ps1 .vbs .jar .msi .deb .rpm .dmg .pkg .app .pif .scf .lnk .inf .reg".split()
)
_BLOCKED_TYPES = frozenset(
    f"application/{name}"
    for name in (
        "x-msdownload x-executable executable x-winexe x-msdos-program x-dosexec x-ms-dos-executable x-bat x-sh"
    ).split()
)
_RESERVED = frozenset(
    ["CON", "PRN", "AUX", "NUL"] + [f"{device}{digit}" for device in ("COM", "LPT") for digit in range(1, 10)]
)
_MAX_NAME_CHARACTERS = 255
FRAMES_BYTES = (4 * 2**20, 2 * 2**20, 2**20, 8 * 2**20)
"""The sizes of frames that are tried. Servers that stream take one size only, 4 MiB unless it is set otherwise."""
_OTHER_FRAMES = re.compile(r"process chunk [1-9]|finalize upload: 308", re.IGNORECASE)
_SLOTS_S = 10.0
_SLOT_CODES = frozenset({1008, 1011, 1013})
_OLD_STATUS = re.compile(r"status:? '?(?:UploadStatus\.)?(\w+)'?", re.IGNORECASE)


class Status(StrEnum):
    """The server's UploadStatus."""

    PENDING = "pending"
    UPLOADING = "uploading"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    GONE = "gone"
    """It knows no such file; our own word."""


_STATES: Mapping[Status, RemoteState] = {
    Status.PENDING: RemoteState.UNFINISHED,
    Status.UPLOADING: RemoteState.UNFINISHED,
    Status.COMPLETED: RemoteState.STORED,
    Status.FAILED: RemoteState.FAILED,
    Status.CANCELLED: RemoteState.CANCELLED,
    Status.GONE: RemoteState.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """Which of its generations a server is, and the largest file it takes from us.

    ``together``: files can be announced, and cancelled, as a batch. The older one counts an announced file as an upload
    for a day, so there each is announced when its turn has come. ``cancels``: it has an HTTP cancel at all.
    """

    together: bool = True
    cancels: bool = True
    max_size_bytes: int = MAX_SIZE_BYTES


# Before a byte is sent


def content_type_of(relative_path: str) -> str:
    """Return the content type that a file's name stands for."""
    return mimetypes.guess_type(posixpath.basename(relative_path))[0] or "application/octet-stream"


def refusal(relative_path: str, size_bytes: int, max_size_bytes: int) -> Failure | None:
    """Return why the server would refuse a file, or None."""
    suffix = posixpath.splitext(relative_path.lower())[1]
    kind = content_type_of(relative_path)
    if suffix in _BLOCKED_SUFFIXES or kind in _BLOCKED_TYPES:
        return Failure(_K.REFUSED, f"File type '{suffix or kind}' is not allowed for security reasons")
    if size_bytes == 0:
        return Failure(_K.REFUSED, "this server takes no empty files")
    if size_bytes > max_size_bytes:
        return Failure(_K.TOO_LARGE, "larger than the server takes", limit_bytes=max_size_bytes)
    return None


def stored_name(relative_path: str) -> str | None:
    """Return the name that the server will keep a file under; None for one that only the server can tell."""
    name = re.sub(r"[/\\]", "_", relative_path).replace("..", "_")
    name = re.sub(r"[\x00-\x1f\x7f]", "", name)
    name = re.sub(r'[<>:"|?*]', "_", name)
    if name != name.strip(". ") or name in {"", "_", "__", "___"}:
        return (
            None  # its versions differ in what they do about dots at the ends; an empty name becomes random
        )
    if posixpath.splitext(name)[0].upper() in _RESERVED:
        name = f"file_{name}"
    if len(name) > _MAX_NAME_CHARACTERS:
        stem, suffix = posixpath.splitext(name)
        name = (stem[: max(0, _MAX_NAME_CHARACTERS - len(suffix))] + suffix)[:_MAX_NAME_CHARACTERS]
    return name


# Ids: a batch of a person becomes several at the server, so the id of a file says which


def remote_id_of(remote_batch_id: str, file_id: str) -> str:
    """Return our remote id of a file; *remote_batch_id* is "" for one that was announced alone."""
    return f"{remote_batch_id}/{file_id}"


def ids_in(remote_id: str) -> tuple[str, str]:
    """Return the server's ids of the batch ("" for none) and of the file."""
    remote_batch_id, _, file_id = remote_id.rpartition("/")
    return remote_batch_id, file_id


# Answers


def status_of(record: Mapping[str, Any] | None) -> Status | None:
    """Return the status in a file's record; GONE for no record, None for a word that we do not know.

    What has its id at the storage is there whole, and anybody with its link gets it: the server calls it failed only
    because nobody was left to be told of the success.
    """
    if record is None:
        return Status.GONE
    status = _status(str(record.get("status") or ""))
    return Status.COMPLETED if status is Status.FAILED and record.get("gdrive_id") else status


def status_in(detail: str) -> Status | None:
    """Return the status that a refused cancel names ("… with status 'failed'", "… File status: pending")."""
    found = _OLD_STATUS.search(detail)
    return _status(found[1]) if found else None


def _status(word: str) -> Status | None:
    try:
        return Status(word.lower().rpartition(".")[2].replace("initiated", "pending"))
    except ValueError:
        return None


def file_of(remote_id: str, status: Status | None, record: Mapping[str, Any] | None) -> RemoteFile:
    """Return what a record says of a file. The server tells no offset: only whole files count."""
    size_bytes = (record or {}).get("size_bytes")
    size_bytes = size_bytes if isinstance(size_bytes, int) else 0
    state = _STATES[status] if status else RemoteState.UNFINISHED
    message = str((record or {}).get("error_message") or "")
    return RemoteFile(remote_id, state, size_bytes if status is Status.COMPLETED else 0, size_bytes, message)


def is_nobodys(record: Mapping[str, Any]) -> bool:
    """Whether the server took the sender of this file for anonymous."""
    return bool(record.get("is_anonymous")) or ("owner_id" in record and record["owner_id"] is None)


def detail_of(answer: Answer) -> str:
    """Return the server's sentence, also out of FastAPI's list of what does not fit (422)."""
    parts = object_in(answer.body).get("detail")
    if isinstance(parts, list):
        texts = [str(part.get("msg")) for part in parts if isinstance(part, dict) and part.get("msg")]
        return "; ".join(texts)[:300] or answer.detail
    return answer.detail


def failure_of_initiate(answer: Answer, now: float) -> Failure:
    """Return what an announcement that was not taken means. *now* is epoch seconds."""
    failure = replace(failure_of(answer, now), detail=detail_of(answer))
    text = failure.detail.lower()
    match answer.status:
        case _ if answer.is_html:
            return failure
        case 503:
            return replace(failure, retry_after_s=failure.retry_after_s or BUSY_S)
        case 429 if "concurrent" in text:
            return replace(failure, retry_after_s=failure.retry_after_s or _SLOTS_S)
        case 400 | 413 | 429 if "daily" in text or "quota" in text:
            return replace(
                failure, kind=_K.REFUSED
            )  # its day, or a smaller file: trying again at once is no use
        case 400 if "exceeds 2gb" in text:
            return replace(failure, kind=_K.TOO_LARGE, limit_bytes=ANONYMOUS_MAX_BYTES)
        case 400 if "system error" in text:
            return replace(failure, kind=_K.SERVER_ERROR)
    return failure


def failure_in_success(body: Mapping[str, Any]) -> Failure:
    """Return what a 200 without what was asked for means: some of its answers carry an error at 200."""
    error = body.get("error")
    if isinstance(error, str) and error:
        return Failure(_K.SERVER_ERROR, error[:300], 200)
    return Failure(_K.NOT_A_SERVER, "the answer is not what DirectDrive sends", 200)


def no_slot(code: int, reason: str) -> Failure | None:
    """Return BUSY for a socket that was closed because no place (or memory) is free, None for other endings."""
    if code not in _SLOT_CODES or "not found" in reason.lower() or "missing" in reason.lower():
        return None
    return Failure(_K.BUSY, reason or "no place for an upload is free", retry_after_s=_SLOTS_S)


def next_frame_bytes(frame_bytes: int, size_bytes: int, words: str) -> int:
    """Return how large frames should be after an upload with *frame_bytes* ended with these *words* of the server.

    One that streams takes the number of a frame for its place in the file: the second does not fit where it is put.
    """
    if size_bytes <= frame_bytes or not _OTHER_FRAMES.search(words):
        return frame_bytes
    return FRAMES_BYTES[(FRAMES_BYTES.index(frame_bytes) + 1) % len(FRAMES_BYTES)]


# What comes back over the socket


@dataclass(frozen=True, slots=True)
class Progress:
    """Whole percent that the server has received; not stored."""

    percent: int


@dataclass(frozen=True, slots=True)
class Success:
    """The server holds the whole file."""


@dataclass(frozen=True, slots=True)
class Error:
    """The server gave up, in its own words."""

    text: str


def frame_of(message: str | bytes) -> Progress | Success | Error | None:
    """Return what a frame says: JSON, or the older ``PROGRESS:n``; None for what means nothing to us."""
    if isinstance(message, bytes):
        return None
    try:
        parsed = json.loads(message)
        word, value = str(parsed.get("type")), parsed.get("value")
    except (ValueError, AttributeError, RecursionError):
        word, _, value = message.partition(":")
    match word.lower():
        case "progress":
            return _progress(value)
        case "success":
            return Success()
        case "error":
            return Error(" ".join(str(value or "").split())[:300] or "the upload failed")
    return None


def _progress(value: object) -> Progress | None:
    try:
        return Progress(min(100, max(0, int(float(str(value))))))
    except (ValueError, OverflowError):
        return None
