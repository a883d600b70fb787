"""The headers of tus 1.0.0 and of our additions to it: text in, values out, a `Problem` for what is malformed."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote

from app.server.appending import Checksum
from app.server.names import UnsafePathError, split_path
from app.server.problems import Problem

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,checksum,expiration"
ALGORITHMS = ("sha256", "sha1")
CONTENT_TYPE = "application/offset+octet-stream"
MAX_LENGTH_BYTES = 2**62
MAX_KEY_CHARACTERS = 255

_HEX_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_SECONDS = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class UploadMetadata:
    """The keys of Upload-Metadata this server knows; others are ignored."""

    filename: str
    relative_path: str
    batch_id: str | None
    sha256: str | None
    mtime_ns: int | None
    process: bool


def number(headers: Mapping[str, str], name: str) -> int:
    """Return a whole number that must be there."""
    text = headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= MAX_LENGTH_BYTES):
        raise Problem("invalid_request", f"{name} must be a whole number of bytes.")
    return int(text)


def metadata(text: str, *, windows: bool) -> UploadMetadata:
    """Read Upload-Metadata: pairs of key and base64 text, with commas between them."""
    values = _pairs(text)
    filename = values.get("filename", "")
    if not filename:
        raise Problem("invalid_metadata", "Upload-Metadata needs a filename.")
    relative_path = values.get("relative_path") or filename
    try:
        if len(split_path(filename, windows=windows)) > 1:
            raise Problem("unsafe_path", "The filename contains a “/”; use relative_path for a path.")
        split_path(relative_path, windows=windows)
    except UnsafePathError as error:
        raise Problem("unsafe_path", str(error)) from None
    return UploadMetadata(
        filename=filename,
        relative_path=relative_path,
        batch_id=values.get("batch_id") or None,
        sha256=sha256(values.get("sha256")),
        mtime_ns=_nanoseconds(values.get("mtime")),
        process=values.get("process") == "1",
    )


def _pairs(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, _, encoded = pair.partition(" ")
        if key in values:
            raise Problem("invalid_metadata", f"Upload-Metadata names {key} twice.")
        try:
            values[key] = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            raise Problem(
                "invalid_metadata", "A value in Upload-Metadata is not base64 of UTF-8 text."
            ) from None
    return values


def _nanoseconds(text: str | None) -> int | None:
    if not text:
        return None
    if not _SECONDS.fullmatch(text):
        raise Problem("invalid_metadata", "mtime must be seconds since 1970 as decimal text.")
    whole, _, fraction = text.lstrip("-").partition(".")
    nanoseconds = int(whole) * 10**9 + int(fraction.ljust(9, "0"))
    if nanoseconds >= 2**63:
        raise Problem("invalid_metadata", "mtime is too far away.")
    return -nanoseconds if text.startswith("-") else nanoseconds


def sha256(text: str | None) -> str | None:
    """Read the hash of a whole file, 64 hexadecimal digits; nothing stays nothing."""
    if not text:
        return None
    if not _HEX_SHA256.fullmatch(text):
        raise Problem("invalid_request", "A SHA-256 must be 64 hexadecimal digits.")
    return text.lower()


def checksum(text: str | None) -> Checksum | None:
    """Read Upload-Checksum: an algorithm and the base64 digest of this request's body."""
    if text is None:
        return None
    algorithm, _, encoded = text.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise Problem("checksum_algorithm_unsupported")
    try:
        return Checksum(algorithm, base64.b64decode(encoded.strip(), validate=True))
    except (binascii.Error, ValueError):
        raise Problem("invalid_request", "Upload-Checksum is not base64.") from None


def idempotency_key(text: str | None) -> str | None:
    """Read Idempotency-Key: up to 255 visible ASCII characters."""
    if text is None:
        return None
    if not _KEY.fullmatch(text):
        raise Problem("invalid_request", "Idempotency-Key must be 1 to 255 visible ASCII characters.")
    return text


def stored_path(path: str) -> str:
    """Write a path as a header can carry it: percent-encoded UTF-8."""
    return quote(path, safe="/")


def expires(iso_text: str) -> str:
    """Write Upload-Expires."""
    return format_datetime(datetime.fromisoformat(iso_text), usegmt=True)
