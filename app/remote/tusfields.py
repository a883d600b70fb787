"""The header fields of tus 1.0.0, written and read. Pure. Source: https://tus.io/protocols/resumable-upload"""

import hashlib
import mimetypes
from base64 import b64encode
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import quote, urljoin, urlsplit

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.answer import Answer
from app.remote.base import Abilities, Outgoing

VERSION: Mapping[str, str] = {"Tus-Resumable": "1.0.0"}
BODY_TYPE: Mapping[str, str] = {"Content-Type": "application/offset+octet-stream"}
_PATH = "/%:@!$&'()*+,;=~"
_QUERY = _PATH + "?"


def metadata(outgoing: Outgoing, sha256: str | None, *, with_type: bool = False) -> str:
    """Return Upload-Metadata: ``filename, relative_path, mtime`` and, where they are known, ``batch_id, sha256``.

    ``filetype`` (*with_type*) is no part of tus, but what most clients send beside the name, and some servers want.
    """
    name = outgoing.relative_path.rpartition("/")[2]
    pairs = {
        "filename": name,
        "relative_path": outgoing.relative_path,
        "mtime": seconds_text(outgoing.mtime_ns),
    }
    if outgoing.remote_batch_id is not None:
        pairs["batch_id"] = outgoing.remote_batch_id
    if sha256 is not None:
        pairs["sha256"] = sha256
    if with_type:
        pairs["filetype"] = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in pairs.items())


def seconds_text(time_ns: int) -> str:
    """Return nanoseconds as decimal seconds, exactly: 1500000000 is ``1.500000000``."""
    return f"{Decimal(time_ns).scaleb(-9):f}"


def abilities(answer: Answer) -> Abilities:
    """Return what the answer to OPTIONS promises; raise TransferError(NOT_A_SERVER) if it is not of a tus server."""
    versions = (
        answer.headers.get("tus-version", answer.headers.get("tus-resumable", "")).replace(" ", "").split(",")
    )
    if "1.0.0" not in versions:
        raise TransferError(
            Failure(
                FailureKind.NOT_A_SERVER,
                "no upload server (tus 1.0.0) answers at this address",
                answer.status,
            )
        )
    extensions = extensions_of(answer)
    return Abilities(
        resume=True,
        cancel_file="termination" in extensions,
        checksum="checksum" in extensions,
        max_size_bytes=answer.number("tus-max-size") or None,
    )


def extensions_of(answer: Answer) -> frozenset[str]:
    """Return the names in Tus-Extension."""
    return frozenset(answer.headers.get("tus-extension", "").replace(" ", "").split(","))


def checksum_of(answer: Answer) -> str | None:
    """Return the algorithm for Upload-Checksum that the answer to OPTIONS offers: sha256, else sha1; None for neither."""
    if "checksum" not in extensions_of(answer):
        return None
    offered = answer.headers.get("tus-checksum-algorithm", "").replace(" ", "").lower().split(",")
    return next((name for name in ("sha256", "sha1") if name in offered), None)


def checksum(algorithm: str, block: bytes) -> str:
    """Return Upload-Checksum for the body of one request."""
    return f"{algorithm} {b64encode(hashlib.new(algorithm, block, usedforsecurity=False).digest()).decode()}"


def remote_id_of(location: str, files_url: str) -> str:
    """Return the id in a Location: what follows ``files_url/``, or the whole path (it then begins with ``/``).

    A bare name is below *files_url*, whether that ends with a slash or not; other relative ones are RFC 3986's. Only
    host and path count. A server behind a proxy may name the wrong scheme or port; another host would be given our
    token and is refused with NOT_A_SERVER.
    """
    files = urlsplit(files_url)
    is_bare = "/" not in location.partition("?")[0]
    try:
        place = urlsplit(urljoin(files_url.rstrip("/") + "/" if is_bare else files_url, location))
    except ValueError:
        place = urlsplit("")
    if not location or place.hostname != files.hostname:
        raise TransferError(Failure(FailureKind.NOT_A_SERVER, "the server sends uploads to another host"))
    path = quote(place.path, safe=_PATH) + (f"?{quote(place.query, safe=_QUERY)}" if place.query else "")
    return path.removeprefix(files.path.rstrip("/") + "/")


def path_of(remote_id: str, files_path: str) -> str:
    """Return the path of an upload, absolute on its host; the inverse of :func:`remote_id_of`."""
    return remote_id if remote_id.startswith("/") else f"{files_path.rstrip('/')}/{remote_id}"


def patch_bytes(left_bytes: int, chunk_bytes: int, block_bytes: int) -> int:
    """Return the length of the next PATCH: whole blocks up to *chunk_bytes*, the file's last block in one of its own.

    The last one carries the SHA-256 of the whole file, so everything before it must have been read, and sent.
    """
    last_bytes = (left_bytes - 1) % block_bytes + 1
    return min(chunk_bytes, max(left_bytes - last_bytes, 0)) or left_bytes
