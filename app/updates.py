"""Whether there is a newer Uphaul: asked at the address a person has set, only when asked. Nothing is ever installed.

settings.update_url ─► the signed file and its .minisig ─► update_file: signature, date, version ─► an Outcome
                                                                     ▲ updates.json: what was seen before
"""

import asyncio
import ipaddress
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import resources
from app import __version__
from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.http import Http
from app.settings import Settings, write_atomically
from app.update_file import (
    Outcome,
    Refused,
    Release,
    Seen,
    Why,
    believed,
    moment,
    release_from,
    verified,
)

LARGEST_BYTES = 128 * 1024
"""The file with all its notes; what is longer is not read to its end."""
PATIENCE_S = 30.0
EVERY_S = 24 * 3600.0
_LARGEST_SIGNATURE_BYTES = 16 * 1024


async def check(
    settings: Settings,
    memory: Path,
    now: datetime,
    *,
    keys: Sequence[str] | None = None,
    running: str = __version__,
    patience_s: float = PATIENCE_S,
) -> Outcome:
    """Ask once, and remember in *memory* what was believed. Raises nothing but CancelledError.

    *keys* are those that came with the program, unless the settings name one. *now* is aware.
    """
    try:
        trusted = [settings.update_key] if settings.update_key else list(keys or resources.update_keys())
        if not settings.update_url:
            raise Refused(Why.NO_ADDRESS)
        if not trusted:
            raise Refused(Why.NO_KEY)
        content, signature = await _fetched(settings.update_url, patience_s)
        key_id = verified(content, signature, trusted)
        release = release_from(content)
        outcome = believed(release, running, seen(memory, key_id))
        await asyncio.to_thread(_remember, memory, key_id, release, now)
        return outcome
    except Refused as refused:
        return refused.outcome


def is_due(settings: Settings, memory: Path, now: datetime) -> bool:
    """Whether to ask without being told to: only if that was set, and a day after the last answer."""
    if not (settings.check_for_updates and settings.update_url):
        return False
    try:
        return abs((now - moment(_read(memory)["answered_at"])).total_seconds()) >= EVERY_S
    except (KeyError, ValueError, TypeError, OverflowError):
        return True


def seen(memory: Path, key_id: str) -> Seen | None:
    """What this computer was last told by the key; None if nothing, or if nobody can read it any more."""
    try:
        kept = _read(memory)["keys"][key_id]
        return Seen(str(kept["version"]), moment(kept["date"]))
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _remember(memory: Path, key_id: str, release: Release, now: datetime) -> None:
    before = _read(memory)
    known = before.get("keys")
    told = {"version": release.version, "date": release.date.isoformat()}
    keys = {**(known if isinstance(known, dict) else {}), key_id: told}
    value = {**before, "answered_at": now.astimezone(UTC).isoformat(), "keys": keys}
    try:
        write_atomically(memory, json.dumps(value, indent=1).encode())
    except OSError as error:
        raise Refused(Why.NOT_KEPT, f"{memory}: {error.strerror or error}") from None


def _read(memory: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(memory.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


async def _fetched(url: str, patience_s: float) -> tuple[bytes, bytes]:
    """Return the file and its signature. Raises Refused."""
    _check_address(url)
    try:
        async with asyncio.timeout(patience_s):
            content = await _get(url, "", LARGEST_BYTES, Why.NOT_THERE)
            return content, await _get(url, ".minisig", _LARGEST_SIGNATURE_BYTES, Why.NOT_SIGNED)
    except TimeoutError:
        failure = Failure(FailureKind.STALLED, f"no whole answer within {patience_s:g} seconds")
    except TransferError as error:
        failure = error.failure
    raise Refused(Why.NOT_REACHED, failure=failure)


def _check_address(url: str) -> None:
    """Only https, but for a server on this very computer: else anybody on the way would learn who runs what."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise Refused(Why.BAD_ADDRESS) from None
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))
    if not (is_safe and host) or parts.query or parts.fragment or parts.username or parts.password:
        raise Refused(Why.BAD_ADDRESS)


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _get(url: str, suffix: str, most_bytes: int, missing: Why) -> bytes:
    """Return the body of a 200 answer. Raises Refused, TransferError."""
    # A byte more than is allowed shows that there is more.
    http = Http(url, None, read_timeout_s=PATIENCE_S, longest_answer_bytes=most_bytes + 1)
    try:
        answer = await http.ask("GET", http.whole_path + suffix)
        if 300 <= answer.status < 400:
            raise Refused(Why.MOVED, answer.headers.get("location", ""))
        if answer.status in (404, 410) or (answer.status == 200 and answer.is_html):
            raise Refused(missing)
        if answer.status != 200:
            raise http.failure(answer)
    finally:
        await http.aclose()
    content = answer.body.encode()  # what was no UTF-8 is changed by now, and its signature will not fit
    if len(content) > most_bytes:
        raise Refused(Why.TOO_LARGE)
    return content
