"""Which file is which: the images of an answer against its request, and listed images against lost files. Pure.

Source of the contract: the Hub's code at bf99ac26, §4 (order, partial success, names), §6 (lists).
"""

from collections.abc import Iterable, Sequence

from app.remote.base import Outgoing
from app.remote.hubfields import Picture, name_of

CLOCKS_DIFFER_S = 5.0
"""A Date is of whole seconds, and the database may be another machine than the web server."""
_NAME, _SIZE, _ANY = 4, 2, 1


def walk(sent: Sequence[Outgoing], stored: Sequence[Picture]) -> list[Picture | None]:
    """Match the images of an answer with the files of its request: both are in order, failed ones are left out.

    The order is the truth. Names may have been changed by the server; where some files are missing, names and then
    sizes say which (the alignment with the most in common).
    """
    if len(stored) == len(sent):
        return list(stored)
    best = _table(sent, stored)
    found: list[Picture | None] = [None] * len(sent)
    i = j = 0
    while i < len(sent) and j < len(stored):
        if best[i][j] == _likeness(sent[i], stored[j]) + best[i + 1][j + 1]:
            found[i] = stored[j]
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return found


def _table(sent: Sequence[Outgoing], stored: Sequence[Picture]) -> list[list[int]]:
    """best[i][j]: how much sent[i:] and stored[j:] have in common when they are aligned in order."""
    best = [[0] * (len(stored) + 1) for _ in range(len(sent) + 1)]
    for i in range(len(sent) - 1, -1, -1):
        for j in range(len(stored) - 1, -1, -1):
            both = _likeness(sent[i], stored[j]) + best[i + 1][j + 1]
            best[i][j] = max(both, best[i + 1][j], best[i][j + 1])
    return best


def _likeness(outgoing: Outgoing, picture: Picture) -> int:
    same_name = _NAME if picture.name == name_of(outgoing) else 0
    return _ANY + same_name + (_SIZE if picture.size_bytes == outgoing.size_bytes else 0)


def match(outgoings: Sequence[Outgoing], pictures: Iterable[Picture]) -> dict[str, Picture]:
    """Match lost files with listed images, by the files' keys: name, size, and made since the request began.

    Each image once, the oldest first. Times are epoch seconds of one clock. A file that never began is nowhere.
    """
    left = sorted(pictures, key=lambda each: each.created_at)
    found: dict[str, Picture] = {}
    for outgoing in outgoings:
        if outgoing.begun_at is None:
            continue
        since = outgoing.begun_at - CLOCKS_DIFFER_S
        for picture in left:
            if picture.created_at >= since and picture.may_be(name_of(outgoing), outgoing.size_bytes):
                found[outgoing.key] = picture
                left.remove(picture)
                break
    return found
