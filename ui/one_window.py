"""One window for one person and one home: a second start hands its paths to the window that is open, and ends.

    the lock is free   ─►  this start is the window; it holds the lock until its process ends, in order or not
    the lock is held   ─►  it puts a letter into the box; the window, which looks ten times a second, takes it by
                           removing it
    nobody takes it    ─►  the sender removes it: exactly one of the two can, so nothing is lost, and nothing comes twice

Files and a lock need no port, no secret and no short path, are alike on Linux, macOS and Windows, and nothing of a killed
window is in the way of the next. No Qt here: a second start is over before Qt would be loaded.
"""

import base64
import contextlib
import json
import logging
import os
import stat
import sys
import time
import uuid
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

PATIENCE_S = 20.0
"""A window may be just opening, on a cold disk, or just closing, which takes some seconds; after this it hangs."""
LOOK_S = 0.02
STALE_S = 2 * PATIENCE_S
"""Nobody waits any more for what is older: it was left by a start that was killed."""
MOST_BYTES = 64 * 1024 * 1024
LETTER, REFUSED = ".letter", ".refused"

_HANGS = (
    "The Uphaul window that is open has not answered for {seconds:.0f} seconds, so {undone}. "
    "If it hangs, end that program and start Uphaul again: what it was uploading goes on."
)
_UNDONE_PATHS = "nothing was added"
_UNDONE_SHOW = "it could not be brought to the front"
_NOT_UNDERSTOOD = (
    "The Uphaul window that is open did not understand this start, so nothing was added. "
    "If Uphaul has just been updated, quit that window and try again."
)
_TOO_MANY = "These are too many paths for one start. Name the folder that they are in."


class Role(Enum):
    """What a start turns out to be."""

    WINDOW = "window"
    SENDER = "sender"


class NotTakenError(Exception):
    """The open window took nothing; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What a start wants: *paths*, absolute, to be uploaded as one batch, or none; the window comes to the front.

    *activation_token* is what the desktop gave to the start, so that the open window may take the keyboard (Wayland).
    *hidden*: the window stays where it is; so starts what is opened at sign-in.
    """

    paths: tuple[str, ...] = ()
    activation_token: str = ""
    hidden: bool = False

    def encode(self) -> bytes:
        """Return it as JSON. Names may be any bytes, and another start may have another locale: bytes are sent."""
        paths = [base64.b64encode(os.fsencode(path)).decode() for path in self.paths]
        said = {"paths": paths, "activation_token": self.activation_token, "hidden": self.hidden}
        return json.dumps(said).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return what :meth:`encode` was given. Raises ValueError for anything else."""
        try:
            said = json.loads(data)
            encoded, token, hidden = said["paths"], said["activation_token"], said["hidden"]
            if not (isinstance(encoded, list) and isinstance(token, str) and isinstance(hidden, bool)):
                raise ValueError("its parts are of other types")
            paths = tuple(os.fsdecode(base64.b64decode(path, validate=True)) for path in encoded)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"it is not as Uphaul writes it ({type(error).__name__})") from None
        if not all(os.path.isabs(path) and "\0" not in path for path in paths):
            raise ValueError("a path in it is not absolute")
        return cls(paths, token if token.isascii() and token.isprintable() else "", hidden)


class OneWindow:
    """The lock and the box, both in *folder*, which is made, for its owner alone, at the first need."""

    def __init__(self, folder: Path, patience_s: float = PATIENCE_S) -> None:
        self._folder, self._patience_s = folder, patience_s
        self._lock = FileLock(folder / "lock", thread_local=False)

    def enter(self, letter: Letter) -> Role:
        """Become the window, or hand *letter* to the one that is open and wait until it is taken.

        Raises NotTakenError. Where the folder cannot be used, this start is a window of its own, as good as it can be.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _see_that_it_is_private(self._folder)
            return Role.WINDOW if self._hold() else self._hand_over(letter)
        except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
            log.warning("another start of Uphaul will not find this window: %s", error)
            return Role.WINDOW

    def letters(self) -> list[Letter]:
        """Take what other starts have sent, in their order; only the window may."""
        if not self._lock.is_locked:
            return []
        taken = [self._take(path) for path in sorted(self._there(LETTER))]
        return [letter for letter in taken if letter is not None]

    def leave(self) -> None:
        """Be the window no more: a start that waits opens its own."""
        self._lock.release()

    def _hold(self) -> bool:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        for path in self._there(""):
            with contextlib.suppress(OSError):
                if path.name != "lock" and _is_stale(path.stat()):
                    path.unlink()
        return True

    def _hand_over(self, letter: Letter) -> Role:
        path = self._post(letter)
        try:
            return self._wait(path, letter)
        except BaseException:  # also Ctrl+C: nobody waits for it any more
            _remove(path)
            raise

    def _post(self, letter: Letter) -> Path:
        content = letter.encode()
        if len(content) > MOST_BYTES:
            raise NotTakenError(_TOO_MANY)
        if sys.platform == "win32":
            import ctypes

            # Only the program that the person has just started may give the front away.
            ctypes.windll.user32.AllowSetForegroundWindow(-1)
        path = self._folder / f"{time.time_ns():020}-{uuid.uuid4().hex}{LETTER}"
        half = path.with_suffix(".half")
        try:
            half.write_bytes(content)
            half.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                half.unlink()
            raise NotTakenError(
                f"Nothing could be handed to the Uphaul window that is open: {error.strerror or error}."
            ) from None
        return path

    def _wait(self, path: Path, letter: Letter) -> Role:
        deadline = time.monotonic() + self._patience_s
        while path.exists():
            if self._hold():  # the window has closed meanwhile
                if _remove(path):
                    return Role.WINDOW
                self._lock.release()
            elif time.monotonic() > deadline and _remove(path):
                undone = _UNDONE_PATHS if letter.paths else _UNDONE_SHOW
                raise NotTakenError(_HANGS.format(seconds=self._patience_s, undone=undone))
            time.sleep(LOOK_S)
        if _remove(path.with_suffix(REFUSED)):
            raise NotTakenError(_NOT_UNDERSTOOD)
        return Role.SENDER

    def _take(self, path: Path) -> Letter | None:
        """Return the letter if it is good and still there; a bad one is refused, and its sender says so."""
        try:
            letter = _read(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            with contextlib.suppress(OSError):
                path.replace(path.with_suffix(REFUSED))
                log.warning("what another start of Uphaul sent was refused: %s", error)
            return None
        return letter if _remove(path) else None  # else its sender has just given up, and has said so

    def _there(self, ending: str) -> list[Path]:
        try:
            with os.scandir(self._folder) as entries:
                return [self._folder / entry.name for entry in entries if entry.name.endswith(ending)]
        except OSError:
            return []


def _see_that_it_is_private(folder: Path) -> None:
    """Raise PermissionError if another user may write there, as in a home that several share."""
    if sys.platform != "win32":
        facts = folder.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o022:
            raise PermissionError(f"{folder} is not this user's alone")


def _read(path: Path) -> Letter:
    with path.open("rb") as file:
        if _is_stale(os.fstat(file.fileno())):
            raise ValueError("it is old, and nobody waits for it")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError("it is too large")
    return Letter.decode(content)


def _is_stale(facts: os.stat_result) -> bool:
    return time.time() - facts.st_mtime > STALE_S


def _remove(path: Path) -> bool:
    """Remove a file; False if it is not there, or if this system does not let us just now."""
    try:
        path.unlink()
    except OSError:
        return False
    return True
