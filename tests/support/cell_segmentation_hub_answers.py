"""The shapes of a pretended Cell Segmentation Hub's answers, and how its parser (busboy) understands a form."""

import base64
import json
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from starlette.responses import JSONResponse, Response

PAGE = "<html><head><title>504</title></head><body><center><h1>nginx</h1></center></body></html>"
_REPAIRED = re.compile("[À-Å][\x80-\xbf]")


class Refusal(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, code: str, error: str, **more: object) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"success": False, "error": error, "code": code, **more}


@dataclass(slots=True)
class Part:
    """A file of a form as multer has it. ``raw_name`` is busboy's, ``name`` what the controller makes of it."""

    field: str
    raw_name: str
    media_type: str
    content: bytes
    has_star: bool = False

    @property
    def name(self) -> str:
        """Repaired if it looks like UTF-8 that was taken for Latin-1, by its first letters alone; NFC."""
        name = self.raw_name
        if _REPAIRED.search(name):
            try:
                name = name.encode("latin-1").decode()
            except (UnicodeEncodeError, UnicodeDecodeError):
                name = self.raw_name
        return unicodedata.normalize("NFC", name)


@dataclass(slots=True)
class Image:
    """A row of its table. A video is a container, which no list shows, and a frame, which lists show."""

    project: str
    name: str
    content: bytes
    media_type: str
    created_at: float
    is_container: bool = False
    parent: str | None = None
    id: str = field(default_factory=lambda: str(uuid4()))

    def shown(self) -> dict[str, Any]:
        """Return it as JSON."""
        at = datetime.fromtimestamp(self.created_at, UTC).isoformat(timespec="milliseconds")
        return {
            "id": self.id,
            "name": self.name,
            "projectId": self.project,
            "segmentationStatus": "no_segmentation",
            "fileSize": 0 if self.parent else len(self.content),
            "mimeType": self.media_type,
            "createdAt": at.replace("+00:00", "Z"),
            "isVideoContainer": self.is_container,
            "parentVideoId": self.parent,
        }


def parts_of(body: bytes, content_type: str, *, knows_star: bool = True) -> list[Part]:
    """Take a form apart as busboy does: ``filename`` is Latin-1, ``filename*`` what it says."""
    boundary = b"--" + content_type.partition("boundary=")[2].encode()
    found = []
    for piece in body.split(boundary)[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = head.decode("latin-1")
        plain = re.search(r'[; ]filename="([^"]*)"', lines)
        star = re.search(r"filename\*=UTF-8''(\S+)", lines) if knows_star else None
        name = unquote(star[1]) if star else (plain[1] if plain else "")
        field_name = re.search(r'[; ]name="([^"]*)"', lines)
        media_type = re.search(r"(?i)content-type: *(\S+)", lines)
        found.append(
            Part(
                field_name[1] if field_name else "",
                name.replace("\\", "/").rpartition("/")[2],
                media_type[1] if media_type else "",
                content.removesuffix(b"\r\n"),
                bool(star),
            )
        )
    return found


def failed_files(sent: Iterable[Part], stored: Iterable[Image]) -> list[dict[str, str]]:
    """As the original computes it: raw names against stored ones, each name once."""
    names = {image.name for image in stored}
    return [
        {"filename": part.raw_name, "reason": "Upload failed"} for part in sent if part.raw_name not in names
    ]


class Answers:
    """Makes answers with a Date of the server's own clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now

    def success(self, data: object, message: str = "Success", status: int = 200) -> JSONResponse:
        """Answer with data."""
        return self._json({"success": True, "data": data, "message": message}, status)

    def refusal(self, refusal: Refusal) -> JSONResponse:
        """Answer with an error, whose sentence is Czech or English."""
        return self._json(refusal.body, refusal.status)

    def page(self, status: int) -> Response:
        """Answer as nginx does."""
        return Response(PAGE, status, media_type="text/html")

    def _json(self, body: object, status: int) -> JSONResponse:
        return JSONResponse(body, status, {"Date": formatdate(self._now(), usegmt=True)})


def jwt(claims: dict[str, Any]) -> str:
    """A token whose signature nobody looks at."""
    pieces = ({"alg": "HS256"}, claims, {"s": secrets.token_hex(4)})
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in pieces
    )


def claims_of(token: str) -> dict[str, Any]:
    """Read a token."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
