"""An HTTP answer as a frozen value, and the table that turns its status into a Failure. Pure; knows no HTTP library."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from app.domain.failure import Failure, FailureKind, TransferError

_K = FailureKind

STATUS_KINDS: Mapping[int, FailureKind] = {
    401: _K.SIGN_IN,
    403: _K.FORBIDDEN,
    404: _K.NOT_A_SERVER,
    405: _K.NOT_A_SERVER,
    407: _K.UNREACHABLE,  # the proxy wants a password: the server was not reached
    408: _K.BUSY,
    409: _K.CONFLICT,
    410: _K.REMOTE_GONE,
    412: _K.NOT_A_SERVER,  # tus: another version of the protocol
    413: _K.TOO_LARGE,
    414: _K.NAME_REFUSED,
    420: _K.BUSY,  # what some send for 429
    423: _K.CONFLICT,
    425: _K.BUSY,
    429: _K.BUSY,
    431: _K.NAME_REFUSED,  # the name travels in a header
    460: _K.CHECKSUM_MISMATCH,
    501: _K.NOT_A_SERVER,
    502: _K.BUSY,
    503: _K.BUSY,
    504: _K.BUSY,
    507: _K.DISK_FULL,
    511: _K.UNREACHABLE,  # a captive portal stands between
}
"""What a status means where nothing more is known; other 4xx are REFUSED, other 5xx SERVER_ERROR."""

CODE_KINDS: Mapping[str, FailureKind] = {
    "unsafe_path": _K.NAME_REFUSED,
    "batch_full": _K.TOO_MANY_FILES,
    "too_large": _K.TOO_LARGE,
    "body_too_long": _K.CONFLICT,
    "idempotency_mismatch": _K.REFUSED,
    "upload_stalled": _K.STALLED,
    "disk_full": _K.DISK_FULL,
    "checksum_mismatch": _K.CHECKSUM_MISMATCH,
}
"""What the ``code`` of our own server's errors means; it wins over the status."""

_DETAIL_CHARS = 300
_MOST_DIGITS = 18
"""What has more is no size of anything, and more than the journal can hold."""
_LONGEST_WAIT_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. ``headers`` has lower-case names; ``body`` is text, cut at the reader's cap.

    ``cookies`` are those it set, by name.
    """

    status: int
    headers: Mapping[str, str]
    body: str = ""
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def is_html(self) -> bool:
        """Whether this is a page for people: a proxy, a portal or a wrong address, not an upload server."""
        return self.headers.get("content-type", "").lower().startswith(("text/html", "application/xhtml"))

    def json(self) -> dict[str, Any]:
        """Return the JSON object of the body; raise TransferError(NOT_A_SERVER) if it is something else."""
        value = _parsed(self.body)
        if isinstance(value, dict):
            return value
        raise TransferError(
            Failure(_K.NOT_A_SERVER, "the answer is not what an upload server sends", self.status)
        )

    def array(self) -> list[Any]:
        """Return the JSON array of the body; raise TransferError(NOT_A_SERVER) if it is something else."""
        value = _parsed(self.body)
        if isinstance(value, list):
            return value
        raise TransferError(
            Failure(_K.NOT_A_SERVER, "the answer is not what an upload server sends", self.status)
        )

    def number(self, header: str) -> int | None:
        """Return a header that holds a whole number of at least 0, or None if it is missing or nonsense."""
        text = self.headers.get(header, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None

    @property
    def code(self) -> str:
        """The machine-readable ``code`` of our server's error body, "" if there is none."""
        return self._field("code")

    @property
    def detail(self) -> str:
        """The server's own short sentence, or the status in words."""
        text = self._field("detail") or self._field("message") or self._field("error")
        if not text and self.headers.get("content-type", "").startswith("text/plain"):
            text = self.body
        return " ".join(text.split())[:_DETAIL_CHARS] or _phrase(self.status)

    def _field(self, name: str) -> str:
        found = object_in(self.body).get(name)
        return found if isinstance(found, str) else ""


def object_in(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object that *text* is; {} if it is something else."""
    value = _parsed(text)
    return value if isinstance(value, dict) else {}


def _parsed(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def failure_of(answer: Answer, now: float) -> Failure:
    """Return the Failure that an answer other than 2xx stands for. *now* is epoch seconds, for Retry-After dates."""
    return Failure(
        _kind_of(answer),
        answer.detail,
        http_status=answer.status,
        retry_after_s=retry_after_s(answer.headers.get("retry-after", ""), now),
        limit_bytes=answer.number("tus-max-size") if answer.status == 413 else None,
    )


def retry_after_s(text: str, now: float) -> float | None:
    """Return the seconds to wait that a Retry-After header asks for (RFC 9110: seconds or a date), at most a day."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_WAIT_S)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:  # "-0000": UTC of a server that does not know its zone
        when = when.replace(tzinfo=UTC)
    return min(max(when.timestamp() - now, 0.0), _LONGEST_WAIT_S)


def _kind_of(answer: Answer) -> FailureKind:
    if kind := CODE_KINDS.get(answer.code):
        return kind
    if kind := STATUS_KINDS.get(answer.status):
        return kind
    if answer.status >= 500:
        return _K.SERVER_ERROR
    return _K.REFUSED if answer.status >= 400 else _K.NOT_A_SERVER


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
