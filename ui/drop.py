"""What is dropped or pasted, as local paths; and a polite sentence for what cannot be taken."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from PySide6.QtCore import QMimeData, QUrl

NOTHING_CAME = "Nothing came with that drop: the program it came from has ended. Drag it once more, or use Files or Folder."


@dataclass(frozen=True, slots=True)
class Taken:
    """``paths`` are absolute local ones, as the file system spells them; ``refused`` are the addresses of the rest."""

    paths: tuple[str, ...]
    refused: tuple[str, ...]


def from_urls(urls: Sequence[QUrl]) -> Taken:
    """Sort dropped addresses into local paths and the rest, in order, each once."""
    paths = dict.fromkeys(_local_path(url) for url in urls if _is_here(url))
    refused = dict.fromkeys(url.toDisplayString() for url in urls if not _is_here(url))
    return Taken(tuple(paths), tuple(refused))


def from_text(text: str) -> Taken:
    """Read paths or file addresses, one a line, with or without quotes; lines that are neither are not paths."""
    urls: list[QUrl] = []
    paths: list[str] = []
    for raw in text.splitlines():
        line = raw.strip().strip("\"'")
        if "://" in line:
            urls.append(QUrl(line))
        elif line and os.path.isabs(expanded := os.path.expanduser(line)):
            paths.append(os.path.normpath(expanded))
    from_links = from_urls(urls)
    return Taken(tuple(dict.fromkeys((*from_links.paths, *paths))), from_links.refused)


def from_clipboard(mime: QMimeData) -> Taken:
    """Take files that were copied in a file manager, or else paths that were copied as text."""
    if mime.hasUrls():
        taken = from_urls(mime.urls())
        if taken.paths:
            return taken
    return from_text(mime.text()) if mime.hasText() else Taken((), ())


def refusal_text(taken: Taken) -> str:
    """Return a sentence that names what was not taken, "" if all was.

    A program that ends right after a drop takes its addresses along: then there is nothing.
    """
    if not taken.refused:
        return "" if taken.paths else NOTHING_CAME
    schemes = {address.split(":", 1)[0] for address in taken.refused}
    first = f"“{taken.refused[0]}”" if len(taken.refused) == 1 else f"{len(taken.refused)} items"
    verb = "was" if len(taken.refused) == 1 else "were"
    if schemes & {"http", "https"}:
        why = "web addresses cannot be uploaded; download them first."
    elif schemes & {"mtp", "gphoto2", "afc"}:
        why = "files on a phone or camera have to be copied to this computer first."
    else:
        why = "only files and folders of this computer can be uploaded. Copy them here, or mount the place they are in."
    return f"{first} {verb} not taken: {why}"


def _is_here(url: QUrl) -> bool:
    """Whether *url* names something of this computer; on Windows, a network share counts."""
    return url.isLocalFile() and bool(url.path()) and (os.name == "nt" or url.host() in {"", "localhost"})


def _local_path(url: QUrl) -> str:
    """Return the path, byte for byte: QUrl's own answer loses bytes that are no UTF-8."""
    if os.name == "nt":
        return url.toLocalFile()
    return os.path.normpath(
        os.fsdecode(unquote_to_bytes(url.path(QUrl.ComponentFormattingOption.FullyEncoded)))
    )
