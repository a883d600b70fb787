"""What a Hub account remembers of its requests: files nobody knows the fate of, and which image is whose.

request ──► answer: each image is claimed by its file           cut or answer lost after the last byte: in doubt for a while
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.remote.account import Notes
from app.remote.base import Outgoing
from app.remote.hubfields import Picture, RemoteId, is_video, name_of, remote_id_of

_MOST_CLAIMS = 20_000
_MOST_NOTED = 2_000
_NOTED = "claimed_images"


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Begun at two times: our own clock may be set, and the other one stands still while the computer sleeps."""

    at: float
    at_ticks: float
    quiet_s: float


class Doubts:
    """Files of which nobody knows yet whether the server will store them: their bytes went out, no answer came."""

    def __init__(self, now: Callable[[], float], settle_s: float, video_settles_s: float) -> None:
        self._now = now
        self._doubts: dict[str, _Doubt] = {}
        self._image_of_before, self._video_of_before = map(self._from_now, (settle_s, video_settles_s))

    def add(self, keys: Iterable[str], quiet_s: float) -> None:
        """From now on these are in doubt, until nothing new of them has been seen for so long."""
        self._doubts = {key: doubt for key, doubt in self._doubts.items() if self._left_s(doubt) > 0}
        self._doubts |= dict.fromkeys(keys, self._from_now(quiet_s))

    def again(self, keys: Iterable[str]) -> None:
        """Another file of their request has appeared: the server is at it."""
        for key in keys:
            if key in self._doubts:
                self._doubts[key] = self._from_now(self._doubts[key].quiet_s)

    def left_s(self, outgoings: Iterable[Outgoing]) -> float:
        """Return how long the last of these files stays in doubt, at most 0 if none is."""
        doubts = [self._doubts.get(each.key) or self._doubt_of_before(each) for each in outgoings]
        return max((self._left_s(doubt) for doubt in doubts if doubt is not None), default=0.0)

    def _doubt_of_before(self, outgoing: Outgoing) -> _Doubt | None:
        """An earlier run of the program may have been killed a moment ago, with the request under way."""
        doubt = self._video_of_before if is_video(outgoing) else self._image_of_before
        return doubt if outgoing.begun_at is not None and outgoing.begun_at < doubt.at else None

    def _from_now(self, quiet_s: float) -> _Doubt:
        return _Doubt(self._now(), time.monotonic(), quiet_s)

    def _left_s(self, doubt: _Doubt) -> float:
        return doubt.quiet_s - max(self._now() - doubt.at, time.monotonic() - doubt.at_ticks)


class Claims:
    """Which image is which file's, as far as it is known: an image that has its file is not taken for another's.

    Across restarts only those are kept that matter: found ones, and ones that have a twin (same name and size) under way.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._of_files: dict[str, RemoteId] = {}
        self._files_of: dict[str, str] = {}
        self._begun: dict[str, tuple[str | None, str, int]] = {}
        noted = notes.read().get(_NOTED)
        self._noted = dict(noted) if isinstance(noted, dict) else {}
        for key, text in self._noted.items():
            remote_id = remote_id_of(str(text))
            if remote_id is not None:
                self._put(key, remote_id)

    def begin(self, outgoings: Iterable[Outgoing]) -> None:
        """Requests with these files go out."""
        self._begun |= {each.key: (each.target, name_of(each), each.size_bytes) for each in outgoings}

    def end(self, keys: Iterable[str]) -> None:
        """It is known what became of these."""
        for key in keys:
            self._begun.pop(key, None)

    def of(self, key: str) -> RemoteId | None:
        """Return the image of a file."""
        return self._of_files.get(key)

    def is_free(self, picture: Picture) -> bool:
        """Whether no file is known to be this image."""
        return picture.id not in self._files_of

    def claim(self, key: str, remote_id: RemoteId, *, was_found: bool = False) -> None:
        """This image is that file's."""
        self._put(key, remote_id)
        mine = self._begun.get(key)
        if was_found or (mine is not None and sum(each == mine for each in self._begun.values()) > 1):
            self._noted = {**self._noted, key: str(remote_id)}
            self._noted = dict(list(self._noted.items())[-_MOST_NOTED:])
            self._notes.write({**self._notes.read(), _NOTED: self._noted})

    def _put(self, key: str, remote_id: RemoteId) -> None:
        if len(self._of_files) >= _MOST_CLAIMS:
            oldest = next(iter(self._of_files))
            self._files_of.pop(self._of_files.pop(oldest).id, None)
        self._of_files[key] = remote_id
        self._files_of[remote_id.id] = key

    def drop(self, remote_id: RemoteId) -> None:
        """The image was deleted."""
        key = self._files_of.pop(remote_id.id, None)
        if key is not None:
            self._of_files.pop(key, None)
