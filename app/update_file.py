"""What the signed file says about the newest Uphaul, and whether it is believed. Pure: no I/O, no clock.

The file (docs/RELEASING.md) is JSON; beside it lies a detached minisign signature of it, whose trusted comment names the
file, so that the signature of anything else that the same key has signed is of no use here.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from app.domain.failure import Failure

FILE_NAME = "uphaul-update.json"
"""The name that a trusted comment must give, as `minisign -S` writes it; at the address it may be called otherwise."""
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_DOWNLOADS = 50
_LONGEST_TEXT = 2_000


class Why(StrEnum):
    """Why nobody knows whether there is a newer version, or why the answer is not believed."""

    NO_ADDRESS = "no_address"
    BAD_ADDRESS = "bad_update_address"
    NO_KEY = "no_key"
    BAD_KEY = "bad_key"
    NOT_REACHED = "not_reached"
    NOT_THERE = "not_there"
    MOVED = "moved"
    TOO_LARGE = "update_too_large"
    NOT_SIGNED = "not_signed"
    OTHER_KEY = "other_key"
    TAMPERED = "tampered"
    OTHER_FILE = "other_file"
    UNREADABLE = "update_unreadable"
    REPLAYED = "replayed"
    DOWNGRADE = "downgrade"
    NOT_KEPT = "not_kept"


@dataclass(frozen=True, slots=True)
class Download:
    """One file of a release. ``system`` is what it is for ("linux-deb"), ``url`` begins with https."""

    system: str
    url: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Release:
    """One published version. ``date`` is aware and in UTC; ``notes`` are a few lines for a person."""

    version: str
    date: datetime
    notes: str
    downloads: tuple[Download, ...] = ()


@dataclass(frozen=True, slots=True)
class Newest:
    """This Uphaul is the newest."""

    release: Release


@dataclass(frozen=True, slots=True)
class Newer:
    """There is a newer one."""

    release: Release


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing is known, or nothing is believed. ``failure`` says more of NOT_REACHED, ``detail`` of others."""

    why: Why
    detail: str = ""
    failure: Failure | None = None


Outcome = Newest | Newer | Unknown


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest that this computer was ever told by one key: nothing older is believed from then on."""

    version: str
    date: datetime


class Refused(Exception):
    """The file is not believed."""

    def __init__(self, why: Why, detail: str = "", failure: Failure | None = None) -> None:
        super().__init__(why.value)
        self.outcome = Unknown(why, detail, failure)


def verified(content: bytes, signature: bytes, keys: Sequence[str]) -> str:
    """Return the id of the key that has signed *content* (16 hex digits). Raises Refused.

    *keys* are public keys as minisign prints them (base64). Both kinds of minisign's signatures are taken: the newer
    one of the BLAKE2b hash, and the older one of the content itself.
    """
    # Imported late: nothing but this question needs the cryptography behind it.
    import minisign

    try:
        signed = minisign.Signature.from_bytes(signature)
    except minisign.Error:
        raise Refused(Why.NOT_SIGNED) from None
    for text, key in [(text, _key(text)) for text in keys]:
        if _key_id(text) != _key_id(bytes(signed).splitlines()[1]):
            continue
        try:
            key.verify(content, signed)
        except (minisign.Error, ValueError):
            raise Refused(Why.TAMPERED) from None
        if FILE_NAME not in _comment(signed.trusted_comment, "file"):
            raise Refused(Why.OTHER_FILE, signed.trusted_comment)
        return _key_id(text)
    raise Refused(Why.OTHER_KEY)


def release_from(content: bytes) -> Release:
    """Read the file. Raises Refused(UNREADABLE) with what is wrong; fields of later versions are passed over."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused(Why.UNREADABLE, "it is no JSON") from None
    if not isinstance(value, dict):
        raise Refused(Why.UNREADABLE, "it is no JSON object")
    downloads = value.get("downloads")
    if not isinstance(downloads, list) or len(downloads) > _MOST_DOWNLOADS:
        raise Refused(Why.UNREADABLE, "downloads must be a list")
    version = _text(value, "version")
    if not _VERSION.fullmatch(version):
        raise Refused(Why.UNREADABLE, "version must be like 1.2.3")
    return Release(
        version, _date(value), _text(value, "notes", 20_000), tuple(_download(each) for each in downloads)
    )


def believed(release: Release, running: str, seen: Seen | None) -> Newest | Newer:
    """Compare with the *running* version and with what was *seen* before. Raises Refused(REPLAYED or DOWNGRADE)."""
    if seen and release.date < seen.date:
        raise Refused(Why.REPLAYED, f"{release.date:%Y-%m-%d}, {seen.date:%Y-%m-%d}")
    if seen and order(release.version) < order(seen.version):
        raise Refused(Why.DOWNGRADE, f"{release.version}, {seen.version}")
    if order(release.version) < order(running):
        raise Refused(Why.DOWNGRADE, f"{release.version}, {running}")
    return Newer(release) if order(release.version) > order(running) else Newest(release)


def order(version: str) -> tuple[int, int, int, bool]:
    """Return what versions are compared by; what has anything after 1.2.3 (a, rc, dev) comes before 1.2.3."""
    found = _VERSION.match(version)
    if found is None:
        return (0, 0, 0, False)
    major, minor, patch = (int(each) for each in found.groups())
    return major, minor, patch, found.end() == len(version)


def moment(text: str) -> datetime:
    """Return an ISO 8601 moment with its zone as UTC. Raises ValueError."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a moment without a zone")
    return found.astimezone(UTC)


def _key(text: str) -> Any:
    import minisign

    try:
        return minisign.PublicKey.from_base64(text)
    except minisign.Error:
        raise Refused(Why.BAD_KEY) from None


def _key_id(line: str | bytes) -> str:
    """Two bytes of algorithm, then eight of the key's id: so begin both a public key and a signature."""
    return base64.b64decode(line)[2:10].hex()


def _comment(comment: str, name: str) -> list[str]:
    """Values of *name* in a trusted comment, whose fields are divided by tabs: ``timestamp:…<TAB>file:…``."""
    return [each.partition(":")[2] for each in comment.split("\t") if each.startswith(f"{name}:")]


def _text(value: Mapping[str, Any], name: str, most: int = _LONGEST_TEXT) -> str:
    text = value.get(name)
    if not isinstance(text, str) or len(text) > most:
        raise Refused(Why.UNREADABLE, f"{name} must be a text of at most {most} letters")
    return text


def _date(value: Mapping[str, Any]) -> datetime:
    try:
        return moment(_text(value, "date"))
    except (ValueError, OverflowError):
        raise Refused(Why.UNREADABLE, "date must be a moment like 2026-12-01T10:00:00Z") from None


def _download(value: object) -> Download:
    if not isinstance(value, dict):
        raise Refused(Why.UNREADABLE, "a download must be an object")
    url, sha256, size = _text(value, "url"), _text(value, "sha256"), value.get("size_bytes")
    if not url.startswith("https://") or not url.isprintable() or " " in url:
        raise Refused(Why.UNREADABLE, "a download's url must begin with https://")
    if not _SHA256.fullmatch(sha256):
        raise Refused(Why.UNREADABLE, "a download's sha256 must be 64 hexadecimal digits")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Refused(Why.UNREADABLE, "a download's size_bytes must be a whole number")
    return Download(_text(value, "system"), url, sha256, size)
