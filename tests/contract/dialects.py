"""Every dialect at every server that speaks it: how to start one, who one is there, and by which requests files go.

``ours`` is the embedded server's API of that dialect; ``fake`` the pretended original of tests/support.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain.state import TransferState
from app.remote.account import Account, Line
from app.remote.cell_segmentation_hub import open_hub
from app.remote.directdrive import directdrive_line
from app.remote.registry import (
    CELL_SEGMENTATION_HUB,
    DIRECTDRIVE,
    DOORITO,
    DOORITO_FORM,
    TUS,
    UPHAUL,
    VUEMANTICS,
    dialect,
)
from app.remote.vuemantics import VuemanticsLine
from tests.contract.sites import (
    Start,
    draft,
    fake_directdrive,
    fake_doorito,
    fake_form,
    fake_hub,
    fake_vuemantics,
    npm_tus,
    ours_at,
    python_tus,
)
from tests.support import cell_segmentation_hub_sender, directdrive_sender, vuemantics_sender
from tests.support.directdrive_server import Generation
from tests.support.doorito_form_server import name_at_django
from tests.support.front import Door, LoseAnswer, Say, reply


@dataclass(frozen=True, slots=True)
class Case:
    """A dialect at one of its servers.

    ``announces`` is the first request of a file's sending, ``brings`` the one with its bytes, ``ends`` the one whose
    answer says that it is stored; ``loses`` takes that answer away. ``arrived`` is what a person reads of a stored
    file, with "stored as" where the server ``renames`` it; ``own_words`` are the sentences, by their stories, that
    differ from what everybody says.
    ``signed_out`` is what it answers to somebody whose sign-in has run out; ``held`` starts a server that works on what
    has arrived, and stands still with that.
    """

    dialect: str
    where: str
    start: Start
    announces: Door
    brings: Door
    ends: Door
    loses: LoseAnswer = field(default_factory=LoseAnswer)
    many_files: int = 300
    signed_out: Say = field(default_factory=lambda: reply(401, '{"detail": "Not any more."}'))
    arrived: str = "Arrived."
    renames: Callable[[str], str] = str
    own_words: Mapping[str, Any] = field(default_factory=dict)
    held: Start | None = None

    def names(self, names: Sequence[str]) -> list[str]:
        """Return what these names are at the server, sorted."""
        return sorted(map(self.renames, names))

    def arrives_as(self, name: str) -> str:
        """Return what a person reads of a stored file of that name."""
        stored = self.renames(name)
        return self.arrived if stored == name else self.arrived.replace(".", f", stored as {stored}.", 1)

    def __str__(self) -> str:
        return f"{self.dialect}-{self.where}"

    def line(self, account: Account) -> Line:
        """Return the account's line, with the waits of a server that is near."""
        if self.dialect == VUEMANTICS:
            return VuemanticsLine(account, vuemantics_sender.QUICK)
        if self.dialect == DIRECTDRIVE:
            return directdrive_line(account, directdrive_sender.QUICK)
        if self.dialect == CELL_SEGMENTATION_HUB:
            return open_hub(account, cell_segmentation_hub_sender.QUICK)
        return dialect(self.dialect).open(account)


_VERIFIED = "Arrived; the server has checked its SHA-256."
_RENEWED = (
    TransferState.WAITING,
    "The server and Uphaul did not agree on how the file stands (401): the sign-in had run out; there is a new one. "
    "Trying again in 1 s.",
)
_UNNOTICED = (TransferState.COMPLETED, "Arrived.")
_A_MINUTE = (TransferState.WAITING, "The server is busy (503): Later. Trying again in 1 min.")
_STOPPED = (TransferState.CANCELLED, "Cancelled at the server, from another program.")
_NOTHING_STORED = "Cancelled here only: this server has no cancel. Nothing had been stored."
_PERHAPS_A_PART = (
    "Cancelled here only: this server has no cancel, so what had arrived may stay there for a while."
)
_LINGERS = "Cancelled here only: this server has no cancel. What had arrived stays there until the server lets it expire."
_NO_EMPTY = (
    TransferState.FAILED,
    "The server did not accept the file: this server takes no empty files. Change what it names, then retry.",
)
_EMPTY = (
    TransferState.FAILED,
    "The server did not accept the file: the file is empty, and this server takes no empty files. "
    "Change what it names, then retry.",
)
_NOT_YOURS = (
    TransferState.FAILED,
    "The server did not accept the file (403): the project is gone, or it is not yours. "
    "Change what it names, then retry.",
)
_IS_EMPTY = (
    TransferState.FAILED,
    "The server did not accept the file: the file is empty. Change what it names, then retry.",
)
_BULK = Door("POST", "/uploads/bulk")
_IMAGES = Door("POST", "/projects/[^/]+/images")
_SOCKET = Door("GET", "/ws_api/upload(_parallel)?/[^/]+")
_INITIATE = Door("POST", "/(batch|upload)/initiate")
_CREATE, _PATCH = Door("POST", "/files"), Door("PATCH", "/files/[^/]+")
_SAYS_SUCCESS = LoseAnswer(b'"success"')
_VUEMANTICS: Mapping[str, Any] = {
    "cancelled": _NOTHING_STORED,
    "empty": _EMPTY,
    "expired": _RENEWED,
}
_HUB: dict[str, Any] = {
    **{
        status: (TransferState.WAITING, f"The server is busy ({status}). Trying again in {after}.")
        for status, after in (("420", "1 s"), ("429", "7 s"), ("503", "1 s"))
    },
    "403": _NOT_YOURS,
    "empty": _IS_EMPTY,
    "expired": _RENEWED,
}
_DIRECTDRIVE: Mapping[str, Any] = {"empty": _NO_EMPTY, "expired": _UNNOTICED, "503": _A_MINUTE}

_FORM = Door("POST", "/app/upload/")
_FOR_A_DAY = "Arrived. This server deletes it after 24 hours."
_NOBODY_KNOWS = (
    TransferState.FAILED,
    "Nobody can know whether it arrived: the answer was lost, and this server cannot be asked. "
    "Look on the server, then retry to send it again.",
)

_IN_WORK = "cancelled_in_work"
_STAYS = (
    (TransferState.COMPLETED, "It had finished before the cancel took effect, and stays on the server."),
    [1],
)
_STOPS = (
    TransferState.CANCELLED,
    "The server has stopped working on it, and keeps the file. Delete it there if it should go.",
), [1]  # fmt: skip
_GOES_ON = (
    TransferState.CANCELLED,
    "The server answered 500 (its cancel is broken) and goes on with it. Delete it there if it should go.",
), [1]  # fmt: skip
_GOES_ON_WITH_PARTS = (
    TransferState.CANCELLED,
    "The server answered 404 and goes on with it. Delete it there if it should go.",
), [0]  # fmt: skip
_GONE = (TransferState.CANCELLED, "Cancelled. The server confirmed it and kept nothing."), [0]

CASES = (
    Case(
        UPHAUL,
        "ours",
        ours_at("", signs_in=False),
        _CREATE,
        _PATCH,
        Door("POST|PATCH", "/files(/[^/]+)?"),
        arrived=_VERIFIED,
        own_words={_IN_WORK: _STAYS},
        held=ours_at("", signs_in=False, held=True),
    ),
    Case(
        TUS,
        "ours",
        ours_at("/files", signs_in=False),
        _CREATE,
        _PATCH,
        _PATCH,
        arrived=_VERIFIED,
        own_words={"lost": _UNNOTICED},  # tus tells how many bytes there are, not what they are
    ),
    *(
        Case(TUS, where, start, create, patch, patch, many_files=many)
        for where, start, create, patch, many in (
            ("of_npm", npm_tus, _CREATE, _PATCH, 300),
            # It copies its settings and writes its sidecar three times a request: 300 files take it ten seconds.
            ("of_python", python_tus, Door("POST", "/files/"), _PATCH, 60),
            ("of_the_draft", draft, Door("POST", "/uploads"), Door("PATCH", "/uploads/[^/]+"), 300),
        )
    ),
    Case(
        VUEMANTICS,
        "ours",
        ours_at("/vuemantics", signs_in=True),
        _BULK,
        _BULK,
        _BULK,
        own_words={**_VUEMANTICS, _IN_WORK: _STOPS},
        held=ours_at("/vuemantics", signs_in=True, held=True),
    ),
    Case(
        VUEMANTICS,
        "fake",
        fake_vuemantics(),
        _BULK,
        _BULK,
        _BULK,
        own_words={**_VUEMANTICS, _IN_WORK: _GOES_ON},
        held=fake_vuemantics(held=True),
    ),
    Case(
        DIRECTDRIVE,
        "ours",
        ours_at("/directdrive", signs_in=True),
        _INITIATE,
        _SOCKET,
        _SOCKET,
        _SAYS_SUCCESS,
        own_words=_DIRECTDRIVE,
    ),
    Case(
        DIRECTDRIVE,
        "fake",
        fake_directdrive(Generation.X),
        _INITIATE,
        _SOCKET,
        _SOCKET,
        _SAYS_SUCCESS,
        own_words={**_DIRECTDRIVE, _IN_WORK: _GONE},
        held=fake_directdrive(Generation.X, held=True),
    ),
    Case(
        DIRECTDRIVE,
        "fake_of_the_older_one",
        fake_directdrive(Generation.OLD),
        _INITIATE,
        _SOCKET,
        _SOCKET,
        _SAYS_SUCCESS,
        own_words={**_DIRECTDRIVE, "cancelled": _PERHAPS_A_PART, _IN_WORK: _GONE},
        held=fake_directdrive(Generation.OLD, held=True),
    ),
    Case(
        CELL_SEGMENTATION_HUB,
        "ours",
        ours_at("/cell-segmentation-hub", signs_in=True),
        _IMAGES,
        _IMAGES,
        _IMAGES,
        own_words=_HUB | {"409": _STOPPED},
    ),
    Case(
        CELL_SEGMENTATION_HUB,
        "fake",
        fake_hub,
        _IMAGES,
        _IMAGES,
        _IMAGES,
        own_words=_HUB | {"cancelled": _NOTHING_STORED},
        # A picture that it stores after its sender has left: a matter of seconds, told in cell_segmentation_hub/.
    ),
    *(
        Case(
            DOORITO,
            where,
            start,
            Door("POST", "/uploads/sessions"),
            Door("PUT", "/parts/[^/]+"),
            Door("POST", "/finalize"),
            arrived=arrived,
            own_words=own_words,
            held=held,
        )
        for where, start, arrived, own_words, held in (
            ("ours", ours_at("/doorito", signs_in=False), _VERIFIED, {}, None),
            (
                "fake",
                fake_doorito(),
                "Arrived.",
                {"cancelled": _LINGERS, _IN_WORK: _GOES_ON_WITH_PARTS},
                fake_doorito(held=True),
            ),
        )
    ),
    Case(
        DOORITO_FORM,
        "fake",
        fake_form,
        _FORM,
        _FORM,
        _FORM,
        signed_out=reply(302, "", "Location: /app/login/?next=/app/upload/"),
        arrived=_FOR_A_DAY,
        renames=name_at_django,
        own_words={
            "cancelled": _NOTHING_STORED,
            "cut": _NOBODY_KNOWS,
            "expired": (TransferState.COMPLETED, _FOR_A_DAY),
            "lost": _NOBODY_KNOWS,
            "refused": (
                TransferState.WAITING,
                "Your account may not upload to this server (403): it does not take the form right after a login "
                "(CSRF). Ask who runs the server for access, then resume.",
            ),
        },
    ),
)
