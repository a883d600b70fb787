"""What the Cell Segmentation Hub takes, and what its answers mean. Pure.

Source of the contract: the Hub's code at bf99ac26 (docs/SERVERS.md); the sections named here are those of its wire contract.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
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
_STACK_TYPES = frozenset({"tif", "tiff"})
UPLOAD_STATES: Mapping[str, RemoteState] = {
    "uploading": RemoteState.UNFINISHED,
    "cancelling": RemoteState.UNFINISHED,
    "completed": RemoteState.STORED,
    "failed": RemoteState.FAILED,
    "cancelled": RemoteState.CANCELLED,
}
NO_PROJECT = "the project is gone, or it is not yours"
NOT_STORED = "the server could not store it"
_SAYS: Mapping[str, str] = {
    "VALIDATION_ERROR": "it breaks one of the server's rules",
    "BAD_REQUEST": NOT_STORED,
    "GENERIC_ERROR": "the server could not read it",
}
"""What a code means to a person; of the others the kind of the failure says enough."""
_FRAME = re.compile(r" \(frame \d+\)$")


class Kind(StrEnum):
    """What a remote id names: a request under way (at servers that track them), an image, or a video's container.

    ``cut``: a video whose sender has left, and that the server may be taking apart for minutes; its id is when it began,
    in seconds of our clock.
    """

    UPLOAD = "upload"
    CUT = "cut"
    IMAGE = "image"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class RemoteId:
    """``<project>/<kind>/<id>``: everything that is needed to find it again.

    Those of an upload and a cut have ``/<size>/<name>`` behind them: the image's own id is not known.
    """

    project: str
    kind: Kind
    id: str
    size_bytes: int = 0
    name: str = ""

    def __str__(self) -> str:
        if not self.name:
            return f"{self.project}/{self.kind}/{self.id}"
        return f"{self.project}/{self.kind}/{self.id}/{self.size_bytes}/{self.name}"

    @property
    def request(self) -> "RemoteId":
        """The whole request that brings this file."""
        return RemoteId(self.project, self.kind, self.id)

    def of(self, outgoing: Outgoing) -> "RemoteId":
        """Return the id of one file of this request."""
        return replace(self, size_bytes=outgoing.size_bytes, name=name_of(outgoing))


def remote_id_of(text: str) -> RemoteId | None:
    """Read what :class:`RemoteId` wrote; None for anything else."""
    project, kind, name, size, about = (*text.split("/", 4), "", "", "", "")[:5]
    if not (project and name and kind in list(Kind)):
        return None
    return RemoteId(project, Kind(kind), name, int(size) if size.isdecimal() else 0, about)


def own_name_of(outgoing: Outgoing) -> str:
    """Return the name that a person knows: the last part of the path, NFC. A project has no folders."""
    return unicodedata.normalize("NFC", outgoing.relative_path.rpartition("/")[2])


def name_of(outgoing: Outgoing) -> str:
    """Return the name it has there: its own; the server would keep of a name only what is behind its last backslash."""
    return own_name_of(outgoing).replace("\\", "_")


def suffix_of(outgoing: Outgoing) -> str:
    """Return the extension in small letters, without its dot; "" if there is none."""
    name = name_of(outgoing)
    return name.rpartition(".")[2].lower() if "." in name else ""


def is_video(outgoing: Outgoing) -> bool:
    """Whether it goes to the route for videos, alone in its request: a large TIFF can only be a stack (§4b)."""
    suffix = suffix_of(outgoing)
    return suffix in VIDEO_TYPES or (suffix in _STACK_TYPES and outgoing.size_bytes > LARGEST_IMAGE_BYTES)


def type_of(outgoing: Outgoing) -> str:
    """Return the part's content type, which the server compares with its list: made from the extension (§4)."""
    suffix = suffix_of(outgoing)
    return IMAGE_TYPES.get(suffix) or VIDEO_TYPES.get(suffix) or "application/octet-stream"


def refusal(outgoing: Outgoing) -> Failure | None:
    """Return why the server would refuse this file, and with it its whole request (§4)."""
    suffix = suffix_of(outgoing)
    if suffix not in IMAGE_TYPES and suffix not in VIDEO_TYPES:
        ending = f"no “.{suffix}”" if suffix else "and knows them by the ending of their names"
        return Failure(_K.REFUSED, f"this server takes pictures and videos, {ending}")
    if not outgoing.size_bytes:
        return Failure(_K.REFUSED, "the file is empty")
    limit = LARGEST_VIDEO_BYTES if is_video(outgoing) else LARGEST_IMAGE_BYTES
    if outgoing.size_bytes > limit:
        return Failure(_K.TOO_LARGE, "larger than the server takes", limit_bytes=limit)
    return None


def failure(answer: Answer, now: float) -> Failure:
    """Return what an answer stands for. Its sentences are half Czech, half English: its code is told instead (§1), and of a limit,
    which has none, the status."""
    found = failure_of(answer, now)
    if not answer.code and found.kind is not _K.BUSY:
        return found
    # Without words of ours the status alone is told: str(status) is what app.words leaves out.
    return replace(found, detail=_SAYS.get(answer.code, str(answer.status)))


def may_have_stored(answer: Answer) -> bool:
    """Whether a refusal may be of files that are there: a row is made before the last steps of its file, and "failed to
    upload any" (BAD_REQUEST) comes when each of them has failed. Limits and types are looked at before (VALIDATION_ERROR)."""
    return answer.status == 400 and answer.code == "BAD_REQUEST"


def is_no_project(answer: Answer) -> bool:
    """Whether an answer about a project says that it is gone, not ours, or no project's id (§4: one cannot tell)."""
    if answer.is_html or no_such_route(answer):
        return False
    return answer.status == 403 or (answer.status == 404 and answer.code in ("NOT_FOUND", "GENERIC_ERROR"))


def no_such_route(answer: Answer) -> bool:
    """Whether a 404 says that the server has no such endpoint at all (§1), rather than no such thing."""
    return answer.status == 404 and (answer.is_html or answer.detail.startswith("Endpoint "))


def data_of(answer: Answer) -> Any:
    """Return ``data`` of the envelope. Raises TransferError(NOT_A_SERVER) if there is none."""
    told = answer.json()
    if told.get("success") is not True:
        raise TransferError(Failure(_K.NOT_A_SERVER, "the answer is not the Hub's", answer.status))
    return told.get("data")


def record_of(data: Any, *names: str) -> Mapping[str, Any]:
    """Return the object that *data* is, or that it holds under one of *names*. Raises TransferError(NOT_A_SERVER)."""
    if isinstance(data, dict):
        held = next((data[name] for name in names if isinstance(data.get(name), dict)), data)
        return held if isinstance(held, dict) else data
    raise TransferError(Failure(_K.NOT_A_SERVER, "the answer is not the Hub's"))


def records_of(data: Any, name: str) -> list[Mapping[str, Any]]:
    """Return the objects that *data* lists, itself or under *name*."""
    held = data.get(name) if isinstance(data, dict) else data
    return [each for each in held if isinstance(each, dict)] if isinstance(held, list) else []


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of a project, or a video's container, as the server lists it. ``created_at`` is epoch seconds.

    ``size_bytes`` is None where the list does not tell it: containers are known by their frames.
    """

    id: str
    name: str
    size_bytes: int | None
    created_at: float
    kind: Kind = Kind.IMAGE

    def may_be(self, name: str, size_bytes: int) -> bool:
        """Whether a file of that name and size is this one; a video of several positions has them in its name (§4b)."""
        if self.size_bytes is not None:
            return self.name == name and self.size_bytes == size_bytes
        return self.name == name or self.name.startswith(f"{name} — ")


def picture_of(record: Mapping[str, Any]) -> Picture:
    """Read one image record (§4). A frame stands for its video's container, which no list shows: whichever frame, for all
    are of one moment, and the server lists them in no certain order."""
    name = unicodedata.normalize("NFC", str(record.get("name") or ""))
    size, created_at = record.get("fileSize"), epoch_of(record.get("createdAt"))
    parent = record.get("parentVideoId")
    if isinstance(parent, str) and parent:
        return Picture(parent, _FRAME.sub("", name), None, created_at, Kind.VIDEO)
    kind = Kind.VIDEO if record.get("isVideoContainer") is True else Kind.IMAGE
    size_bytes = size if isinstance(size, int) else 0
    return Picture(str(record.get("id") or ""), name, size_bytes, created_at, kind)


def epoch_of(text: object) -> float:
    """Return epoch seconds of an ISO time, 0.0 for what is none."""
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return 0.0
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def server_time(answer: Answer, else_: float) -> float:
    """Return the Date of an answer as epoch seconds."""
    try:
        return parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        return else_
