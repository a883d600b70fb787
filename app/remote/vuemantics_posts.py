"""The bulk POSTs of an account in the last hour, kept across restarts: a refusal would come after 105 MB were sent.

The server counts when a request is whole, in a window that begins with the first one, and forgets it when it restarts.
Ours is a rolling window over the times of the answers, which is never shorter.
"""

from collections.abc import Callable
from typing import Any

from app.domain.failure import TransferError
from app.remote.account import Notes
from app.remote.vuemantics_fields import busy

MOST_POSTS = 5
WINDOW_S = 3600.0

_MARGIN_S = 1.0
_POSTS, _LIMIT, _CLOSED, _MARKS, _ANSWERED = "posts", "limit", "closed_until", "marks", "answered"
_MOST_MARKS, _MOST_ANSWERED = 50, 100


class Posts:
    """What is remembered of the requests that this account has made. Every change is written down at once."""

    def __init__(self, notes: Notes, now: Callable[[], float]) -> None:
        self._notes = notes
        self._now = now

    def take(self) -> float:
        """Count a POST that begins now; return its mark for the other methods. Raises TransferError(BUSY), with the time
        to wait, if the server would refuse it."""
        wait_s = self.wait_s()
        if wait_s > 0:
            raise TransferError(busy(self._limit(), "upload", wait_s))
        mark = self._now()
        self._change(**{_POSTS: [*self._posts(), mark]})
        return mark

    def wait_s(self) -> float:
        """Return in how many seconds a POST may begin; 0: now."""
        most, window_s = self._limit()
        now = self._now()
        until = min(_number(self._notes.read().get(_CLOSED)), now + 24 * 3600)
        recent = self._posts()
        if len(recent) >= most:
            until = max(until, recent[-most] + window_s + _MARGIN_S)
        return max(until - now, 0.0)

    def give_back(self, mark: float) -> None:
        """It was broken off before its end: the server has not counted it."""
        self._change(**{_POSTS: _without(self._posts(), mark)})

    def answered(self, mark: float) -> None:
        """Its answer is here: the server counted it a moment ago."""
        self._change(**{_POSTS: [*_without(self._posts(), mark), self._now()]})

    def refused(self, mark: float, limit: tuple[int, float] | None, retry_after_s: float | None) -> float:
        """The server says that it is one too many, though we did not know; return the seconds to wait."""
        most, window_s = limit or self._limit()
        self._change(**{_POSTS: _without(self._posts(), mark), _LIMIT: [most, window_s]})
        wait_s = self._guess_s(window_s) if retry_after_s is None else retry_after_s
        self._change(**{_CLOSED: self._now() + wait_s})
        return wait_s

    def _guess_s(self, window_s: float) -> float:
        """Return when the server's window ends: it began with our first POST in it, at the latest; of other clients' POSTs
        we know nothing, so that without one of ours we come again six times in a window."""
        own = self._posts()
        wait_s = own[0] + window_s - self._now() if own else window_s / 6
        return max(wait_s, 60.0) + _MARGIN_S

    # Where to look if an answer is lost

    def begin(self, newest_batch_id: str) -> None:
        """A POST begins: *newest_batch_id* was the account's newest batch before it ("" if it had none)."""
        marks = [list(mark) for mark in self._marks()[-_MOST_MARKS + 1 :]]
        self._change(**{_MARKS: [*marks, [self._now(), newest_batch_id]]})

    def newest_before(self, begun_at: float | None) -> str | None:
        """Return the account's newest batch before the first POST since *begun_at* ("" if it had none), None if unknown."""
        marks = self._marks()
        since = [mark for mark in marks if begun_at is None or mark[0] >= begun_at - _MARGIN_S]
        is_cut = len(since) == len(marks) == _MOST_MARKS  # older ones were forgotten
        return since[0][1] if since and not is_cut else None

    def known(self, batch_id: str) -> None:
        """The answer of a POST named this batch."""
        answered = self._list(_ANSWERED)[-_MOST_ANSWERED + 1 :]
        self._change(**{_ANSWERED: [*answered, batch_id]})

    def known_batches(self) -> set[str]:
        """Return the batches whose answers were heard: what is in them is not lost."""
        return {str(each) for each in self._list(_ANSWERED)}

    def _posts(self) -> list[float]:
        """Return the times of the window, oldest first; a clock that was set back makes none lie in the future."""
        now, (_, window_s) = self._now(), self._limit()
        times = (min(_number(each), now) for each in self._list(_POSTS))
        return sorted(time for time in times if time + window_s + _MARGIN_S > now)

    def _limit(self) -> tuple[int, float]:
        limit = self._list(_LIMIT)
        if len(limit) == 2 and _number(limit[0]) >= 1 and _number(limit[1]) > 0:
            return int(_number(limit[0])), _number(limit[1])
        return MOST_POSTS, WINDOW_S

    def _marks(self) -> list[tuple[float, str]]:
        """Return when POSTs began, and what was the newest batch then, oldest first."""
        marks = (mark for mark in self._list(_MARKS) if isinstance(mark, list) and len(mark) == 2)
        return [(_number(at), str(batch_id)) for at, batch_id in marks]

    def _list(self, name: str) -> list[Any]:
        value = self._notes.read().get(name)
        return value if isinstance(value, list) else []

    def _change(self, **values: object) -> None:
        self._notes.write({**self._notes.read(), **values})


def _without(times: list[float], mark: float) -> list[float]:
    if mark in times:
        times.remove(mark)
    return times


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
