"""What the Cell Segmentation Hub takes, and what its answers mean. Pure.

Source of the contract: the Hub's code at bf99ac26 (docs/SERVERS.md); the sections named here are those of its wire contract.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.answer import Answer, failure_of
from app.remote.base import Outgoing, RemoteState

_K = FailureKind
MIB = 2**20
LARGEST_IMAGE_BYTES = 20 * MIB
LARGEST_VIDEO_BYTES = 100 * 2**30
IMAGE_TYPES: Mapping[str, str] = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "tif": "image/tiff",
    "webp": "image/webp",
    "gif": "image/gif",
}
VIDEO_TYPES: Mapping[str, str] = {
    "mp4": "video/mp4",
    "avi": "video/x-msvideo",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "nd2": "application/octet-stream",
}
UPLOAD_STATES: Mapping[str, RemoteState] = {
    "uploading": RemoteState.UNFINISHED,
    "cancelling": RemoteState.UNFINISHED,
    "completed": RemoteState.STORED,
    "failed": RemoteState.FAILED,
    "cancelled": RemoteState.CANCELLED,
}


class Kind(StrEnum):
    """What a remote id names: a request under way (at servers that track them), an image, or a video's container."""

    UPLOAD = "upload"
    IMAGE = "image"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class RemoteId:
    """``<project>/<kind>/<id>``: everything that is needed to find it again."""

    project: str
    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.project}/{self.kind}/{self.id}"


def remote_id_of(text: str) -> RemoteId | None:
    """Read what :class:`RemoteId` wrote; None for anything else."""
    project, _, rest = text.partition("/")
    kind, _, name = rest.partition("/")
    return RemoteId(project, Kind(kind), name) if project and name and kind in list(Kind) else None


def name_of(outgoing: Outgoing) -> str:
    """Return the name it has there: the last part of the path, NFC. A project has no folders."""
    return unicodedata.normalize("NFC", outgoing.relative_path.rpartition("/")[2])


def suffix_of(outgoing: Outgoing) -> str:
    """Return the extension in small letters, without its dot; "" if there is none."""
    return name_of(outgoing).rpartition(".")[2].lower() if "." in name_of(outgoing) else ""


def is_video(outgoing: Outgoing) -> bool:
    """Whether it goes to the route for videos, alone in its request."""
    return suffix_of(outgoing) in VIDEO_TYPES


def type_of(outgoing: Outgoing) -> str:
    """Return the part's content type, which the server compares with its list: made from the extension (§4)."""
    suffix = suffix_of(outgoing)
    return IMAGE_TYPES.get(suffix) or VIDEO_TYPES.get(suffix) or "application/octet-stream"


def refusal(outgoing: Outgoing) -> Failure | None:
    """Return why the server would refuse this file, and with it its whole request (§4)."""
    suffix = suffix_of(outgoing)
    if suffix not in IMAGE_TYPES and suffix not in VIDEO_TYPES:
        return Failure(
            _K.REFUSED, f"this server takes pictures and videos, no “.{suffix}”" if suffix else "no type"
        )
    if not outgoing.size_bytes:
        return Failure(_K.REFUSED, "the file is empty")
    limit = LARGEST_VIDEO_BYTES if suffix in VIDEO_TYPES else LARGEST_IMAGE_BYTES
    if outgoing.size_bytes > limit:
        return Failure(_K.TOO_LARGE, "larger than the server takes", limit_bytes=limit)
    return None


def failure(answer: Answer, now: float) -> Failure:
    """Return what an answer stands for. Its sentences are half Czech, half English: its code is told instead (§1)."""
    found = failure_of(answer, now)
    return replace(found, detail=answer.code) if answer.code else found


def no_such_route(answer: Answer) -> bool:
    """Whether a 404 says that the server has no such endpoint at all (§1), rather than no such thing."""
    return answer.status == 404 and (answer.is_html or answer.detail.startswith("Endpoint "))


def data_of(answer: Answer) -> Any:
    """Return ``data`` of the envelope. Raises TransferError(NOT_A_SERVER) if there is none."""
    told = answer.json()
    if told.get("success") is not True:
        raise TransferError(Failure(_K.NOT_A_SERVER, "the answer is not the Hub's", answer.status))
    return told.get("data")


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of a project as the server lists it; ``created_at`` is epoch seconds by the server's clock."""

    id: str
    name: str
    size_bytes: int
    created_at: float


def picture_of(record: Mapping[str, Any]) -> Picture:
    """Read one image record (§4)."""
    return Picture(
        str(record.get("id") or ""),
        unicodedata.normalize("NFC", str(record.get("name") or "")),
        int(record.get("fileSize") or 0),
        _epoch(str(record.get("createdAt") or "")),
    )


def walk(sent: Sequence[Outgoing], stored: Sequence[Picture]) -> list[Picture | None]:
    """Match the images of an answer with the files of its request: both are in order, failed ones are left out (§4)."""
    rest = iter(stored)
    at = next(rest, None)
    found: list[Picture | None] = []
    for outgoing in sent:
        if at is not None and at.name == name_of(outgoing):
            found.append(at)
            at = next(rest, None)
        else:
            found.append(None)
    return found


def match(outgoings: Sequence[Outgoing], pictures: Iterable[Picture]) -> dict[str, Picture]:
    """Match files with listed images by name and size, each image once, oldest first; by the files' keys."""
    there: defaultdict[tuple[str, int], list[Picture]] = defaultdict(list)
    for picture in sorted(pictures, key=lambda each: -each.created_at):
        there[picture.name, picture.size_bytes].append(picture)
    return {
        outgoing.key: there[name_of(outgoing), outgoing.size_bytes].pop()
        for outgoing in outgoings
        if there[name_of(outgoing), outgoing.size_bytes]
    }


def _epoch(text: str) -> float:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
