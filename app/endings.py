"""How a cancel ended, in English: what the server did, what is still there, and what to do. Part of app.words."""

import re

from app.domain.events import CancelEnded
from app.domain.state import CancelEnding
from app.units import count_text, number_text

_E = CancelEnding
LONGEST_DETAIL = 200
"""As much of a server's own sentence is shown."""

_ENDINGS: dict[CancelEnding, str] = {
    _E.CANCELLED: "Cancelled. The server confirmed it and kept nothing.",
    _E.FINISHED_FIRST: "It had finished before the cancel took effect, and stays on the server.",
    _E.HERE_ONLY: "Cancelled here only: this server has no cancel, so what had arrived may stay there for a while.",
    _E.CLEANUP_PENDING: "Cancelled here. The server has not answered yet; it is asked again until it does.",
}
ANSWERS: dict[str, str] = {
    "nothing_sent": "Cancelled before anything was sent.",
    "cancelled_elsewhere": "Cancelled at the server, from another program.",
    "deleted": "Deleted from the server.",
    "nothing_stored": "Cancelled here only: this server has no cancel. Nothing had been stored.",
    "stored": "Cancelled here only: this server has no cancel and holds the whole file. Delete it there if it should go.",
    "stays": "The server has stopped working on it, and keeps the file. Delete it there if it should go.",
    "lingers": "Cancelled here only: this server has no cancel. What had arrived stays there until the server lets it expire.",
    "stored_for_a_day": "Arrived. This server deletes it after 24 hours.",
    "rolled_back": "Cancelled. It had been stored all the same, and was deleted again.",
}
_GOES_ON = re.compile(r"^goes_on (\d+)(?:: (.+))?$", re.DOTALL)


def ending_text(ending: CancelEnding, answer: str = "") -> str:
    """Return how a cancel ended; *answer* is the transfer's (a code of the engine, or the server's own words)."""
    goes_on = _GOES_ON.match(answer)
    if goes_on:
        status, message = goes_on.groups()
        said = f"{status} ({shortened(message)})" if message else status
        return f"The server answered {said} and goes on with it. Delete it there if it should go."
    return ANSWERS.get(answer) or _ENDINGS[ending]


def cancel_summary(ended: CancelEnded, *, failed: int = 0) -> str:
    """Return what a cancel did: "Cancelled. The server kept nothing of 12 files; 3 had finished and stay.".

    *failed* files had failed before the wish was read.
    """
    counts = dict(ended.counts)
    gone, stayed = counts.get(_E.CANCELLED, 0), counts.get(_E.FINISHED_FIRST, 0)
    here, pending = counts.get(_E.HERE_ONLY, 0), counts.get(_E.CLEANUP_PENDING, 0)
    if (stayed or failed) and not (gone or here or pending):
        late = (
            [f"{count_text(stayed, 'file')} had finished and {_verb(stayed, 'stays', 'stay')}"]
            if stayed
            else []
        )
        late += [f"{count_text(failed, 'file')} had failed"] if failed else []
        return f"Too late to cancel: {'; '.join(late)}."
    parts = []
    if gone:
        parts.append(f"The server kept nothing of {count_text(gone, 'file')}")
    if stayed:
        parts.append(f"{number_text(stayed)} had finished and {_verb(stayed, 'stays', 'stay')}")
    if failed:
        parts.append(f"{number_text(failed)} had failed before")
    parts += _here_only(here, ended.kept_there, ended.nothing_there)
    if pending:
        parts.append(f"for {number_text(pending)} the server has not answered yet and is asked again")
    sentence = "; ".join(parts)
    return f"Cancelled. {sentence[:1].upper()}{sentence[1:]}." if sentence else "Cancelled."


def _here_only(here: int, kept: int, nothing: int) -> list[str]:
    """Return what to say of files that were cancelled here only: *kept* are there whole, *nothing* is there of some."""
    parts, part = [], here - kept - nothing
    if nothing:
        parts.append(
            f"{number_text(nothing)} {_verb(nothing, 'was', 'were')} cancelled here only, and nothing was stored"
        )
    if kept:
        it = _verb(kept, "it", "them")
        parts.append(f"the server still holds {number_text(kept)}; delete {it} there if you like")
    if part:
        was = _verb(part, "was", "were")
        parts.append(f"{number_text(part)} {was} cancelled here only, because this server has no cancel")
    return parts


def shortened(text: str) -> str:
    """Return a server's own text in one line, not too long, without its full stop."""
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= LONGEST_DETAIL else f"{text[:LONGEST_DETAIL]}…"


def _verb(count: int, one: str, several: str) -> str:
    return one if count == 1 else several
