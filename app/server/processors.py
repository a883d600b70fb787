"""What happens to a stored file that asked for it: verify it, look what it truly is, and make a thumbnail of a picture."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.server.work import Work

BLOCK_BYTES = 1024 * 1024
HEAD_BYTES = 8192
MOST_PIXELS = 100_000_000
THUMBNAIL_PIXELS = 320
VERIFIED_PERCENT = 60


class ProcessingError(Exception):
    """The file cannot be processed; the text is a sentence for its owner."""


def inspect(work: Work) -> Mapping[str, Any]:
    """Verify the bytes, tell the true type, and for pictures dimensions and a thumbnail.

    Raises :class:`ProcessingError` for a file that is not what was stored, is empty, or is a picture that does not open.
    """
    _verify(work)
    work.progress(VERIFIED_PERCENT, "detecting")
    mime_type, extension = detect(work.path)
    result: dict[str, Any] = {"sha256_verified": True, "mime_type": mime_type, "extension": extension}
    result |= {"width": None, "height": None, "thumbnail": False}
    claimed = str(work.file.extra.get("content_type", "")) if work.file is not None else ""
    if claimed.startswith("image/") and not mime_type.startswith("image/"):
        raise ProcessingError(f"The file was sent as {claimed}, but it is no picture.")
    if mime_type.startswith("image/"):
        work.progress(80, "thumbnail")
        result |= _picture(work)
    work.progress(100, "done")
    return result


def _verify(work: Work) -> None:
    assert work.file is not None
    digest, done_bytes = hashlib.sha256(), 0
    work.progress(0, "verifying")
    try:
        with open(work.path, "rb", buffering=0) as stored:
            while block := stored.read(BLOCK_BYTES):
                digest.update(block)
                done_bytes += len(block)
                work.progress(
                    VERIFIED_PERCENT * done_bytes // max(done_bytes, work.file.size_bytes), "verifying"
                )
    except FileNotFoundError:
        raise ProcessingError("The stored file is gone from the disk.") from None
    if (done_bytes, digest.hexdigest()) != (work.file.size_bytes, work.file.sha256):
        raise ProcessingError("The stored file is not what was received.")


def detect(path: Path) -> tuple[str, str]:
    """Return the MIME type and the extension (with a dot) that the content of a file shows."""
    import puremagic  # reads its tables when it is imported

    with open(path, "rb") as stored:
        head = stored.read(HEAD_BYTES)
    if not head:
        return "application/x-empty", ""
    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        found = []
    named = [match for match in found if match.mime_type]
    if named:
        return named[0].mime_type, named[0].extension
    return _text_or_bytes(head)


def _text_or_bytes(head: bytes) -> tuple[str, str]:
    try:
        text = head.decode("utf-8") if len(head) < HEAD_BYTES else head[:-4].decode("utf-8", "strict")
    except UnicodeDecodeError:
        return "application/octet-stream", ""
    return ("application/octet-stream", "") if "\0" in text else ("text/plain", ".txt")


def _picture(work: Work) -> dict[str, Any]:
    from PIL import Image, ImageOps, UnidentifiedImageError

    assert work.file is not None
    small_bytes = io.BytesIO()
    try:
        Image.MAX_IMAGE_PIXELS = None  # it would warn, or refuse, at a limit of its own; ours is below
        with Image.open(work.path) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ProcessingError(
                    f"The picture has {width} × {height} pixels: more than this server opens."
                )
            image.draft("RGB", (THUMBNAIL_PIXELS * 2, THUMBNAIL_PIXELS * 2))
            work.progress(85, "thumbnail")
            small = ImageOps.exif_transpose(image) or image
            small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
            work.progress(95, "thumbnail")
            _flat(small).save(small_bytes, "JPEG", quality=82)
    except UnidentifiedImageError:
        return {}  # a kind of picture that Pillow does not know: stored, without a thumbnail
    except (OSError, SyntaxError, ValueError) as error:
        raise ProcessingError(f"The picture does not open: {error}.".replace("..", ".")) from error
    _keep(small_bytes.getbuffer(), work.storage.thumbnail_path(work.file.id))
    return {"width": width, "height": height, "thumbnail": True}


def _keep(content: memoryview, target: Path) -> None:
    """Write a small file in one go: this process may be ended at any moment, and no half thumbnail is to be seen."""
    unfinished = target.with_suffix(".new")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def _flat(image: Any) -> Any:
    """Return the picture without transparency, over white: JPEG knows none."""
    from PIL import Image

    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, mask=image.getchannel("A"))
        return ground
    return image.convert("RGB")
