"""The dialog that adds a server or changes one: an address is pasted, what answers there is told, and it is asked for the rest.

address ──Look──► kind, own address, abilities ──► only the fields that this kind wants ──► (Test) ──► Save
"""

import asyncio
from collections.abc import Collection, Coroutine
from dataclasses import replace
from typing import Any, Protocol

from PySide6.QtCore import QSettings, QSize
from PySide6.QtWidgets import QDialog, QWidget

from app.accounts.profiles import ProfileError, ServerProfile, checked_url
from app.accounts.secrets import Kept
from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.base import Abilities
from app.remote.detect import Detected
from app.server_words import powers_text
from app.words import failure_text
from ui.dialogs.parts import Mood, keep_size
from ui.dialogs.server_form import ServerForm, host_of
from ui.loop import Tasks
from ui.theme import Theme

FIRST_SIZE = QSize(680, 300)
_K = FailureKind
_AT_ADDRESS = frozenset(
    {_K.UNREACHABLE, _K.CONNECTION_LOST, _K.STALLED, _K.NOT_A_SERVER, _K.TLS, _K.SERVER_ERROR}
)
_AT_SECRET = frozenset({_K.SIGN_IN, _K.FORBIDDEN})
_BUSY_HINT = "Any address of the server, such as one from your browser. Uphaul finds out what answers there."


class Desk(Protocol):
    """What the dialog asks of the engine."""

    async def look(self, address: str, half: ServerProfile) -> Detected:
        """Find out what answers there. Raises TransferError."""

    async def test(self, profile: ServerProfile, secret: str | None) -> Abilities:
        """Reach it once, signed in. Raises TransferError, ProfileError."""

    async def save(self, profile: ServerProfile, secret: str | None, keep: bool) -> Kept:
        """Keep it. Raises ProfileError, TransferError."""

    async def keyring_trouble(self) -> str:
        """Why the system's keyring is of no use, "" if it works."""


class ServerDialog(QDialog):
    """Open it with ``open()``. Once accepted, ``saved_name`` is how the server is called, ``kept`` where its secret went.

    *profile* is the server to change, None to add one. *taken* are the names of the others.
    """

    def __init__(
        self,
        desk: Desk,
        tasks: Tasks,
        theme: Theme,
        store: QSettings,
        parent: QWidget,
        *,
        profile: ServerProfile | None = None,
        taken: Collection[str] = (),
        in_keyring: bool | None = None,
    ) -> None:
        super().__init__(parent)
        self._desk, self._tasks = desk, tasks
        self._given = profile
        self._taken = {name.casefold() for name in taken}
        self._work: asyncio.Task[Any] | None = None
        self._looked_at = ""
        self._suggested = ""
        self.kept = Kept(True)
        self.saved_name = ""
        self.setWindowTitle("Change a server" if profile else "Add a server")
        self.setModal(True)
        self.form = ServerForm(theme, self, is_new=profile is None)
        self.form.address_said.say(_BUSY_HINT)
        if profile is not None:
            self._looked_at = profile.url
            self.form.show_profile(profile)
            self.form.address_said.say("")
        if in_keyring is False:
            self.form.keep.setChecked(False)
        self._connect()
        keep_size(self, store, "server_dialog", FIRST_SIZE)
        self._next_step()
        self._ask_keyring()

    def _connect(self) -> None:
        form = self.form
        form.look.clicked.connect(lambda: self.stop() if self.working else self.look())
        form.address.textEdited.connect(lambda _text: self._next_step())
        form.kind.activated.connect(lambda _index: self._kind_chosen())
        form.test.clicked.connect(lambda: self.stop() if self.working else self.test())
        form.save.clicked.connect(self.save)
        form.cancel.clicked.connect(self.reject)
        form.advanced.way_changed.connect(self._next_step)
        self.finished.connect(lambda _result: self.stop())

    @property
    def working(self) -> bool:
        """Whether something is being asked of the server now."""
        return self._work is not None and not self._work.done()

    # What a person does

    def look(self) -> None:
        """Find out what answers at the address."""
        address = self.form.address.text().strip()
        if not address:
            self.form.address_said.say("Paste an address of the server first.", Mood.BAD)
            self.form.address.setFocus()
        elif self.form.advanced.check():
            self._begin(self._look(address), f"Looking at {address}…")

    def test(self) -> None:
        """Reach the server once with what is filled in."""
        if self._is_complete():
            self._begin(self._test(self._profile()), "Testing the connection…")

    def save(self) -> None:
        """Keep what is filled in, and close."""
        if self._is_complete() and not self.working:
            self._begin(self._save(self._profile()), "Saving…")

    def stop(self) -> None:
        """Give up what is being asked."""
        if self._work is not None:
            self._work.cancel()

    # What is awaited

    async def _look(self, address: str) -> None:
        try:
            found = await self._desk.look(address, self.form.advanced.filled(ServerProfile("", "", "", "")))
        except TransferError as error:
            self._not_found(error.failure)
            return
        self._looked_at = found.url
        self.form.address.setText(found.url)
        self.form.show_kind(found.dialect)
        self.form.show_powers(found.abilities)
        self.form.address_said.say(found.sentence, Mood.GOOD)
        self._suggest_name()
        self._next_step()
        self.form.focus_next()

    async def _test(self, profile: ServerProfile) -> None:
        try:
            abilities = await self._desk.test(profile, self.form.typed_secret)
        except ProfileError as error:
            self.form.end_said.say(str(error), Mood.BAD)
        except TransferError as error:
            self._failed(error.failure)
        else:
            self.form.show_powers(abilities)
            self.form.end_said.say("The connection works.", Mood.GOOD)
            self.form.powers.setAccessibleDescription(powers_text(abilities))

    async def _save(self, profile: ServerProfile) -> None:
        secret = self.form.typed_secret
        try:
            self.kept = await self._desk.save(profile, secret, self.form.keep.isChecked())
        except ProfileError as error:
            self.form.name_said.say(str(error), Mood.BAD)
            self.form.name.setFocus()
        except TransferError as error:
            self._failed(error.failure)
        else:
            self.saved_name = " ".join(profile.name.split())
            self._work = None  # nothing is left to stop
            self.accept()

    def _ask_keyring(self) -> None:
        self._tasks.spawn(self._tell_of_keyring())

    async def _tell_of_keyring(self) -> None:
        trouble = await self._desk.keyring_trouble()
        if trouble and self.isVisible():
            self.form.keep.setChecked(False)
            self.form.keep.setEnabled(False)
            self.form.keep_said.say(f"{trouble} The sign-in is kept until Uphaul is closed.")
            self.form.grow()

    # How it is done

    def _begin(self, work: Coroutine[Any, Any, None], words: str) -> None:
        """Run *work*, showing that one waits and may stop; there is one at a time."""
        self.stop()
        for said in self.form.all_said:
            said.say("")
        where = self.form.address_said if not self.form.kind_name else self.form.end_said
        where.say(words, Mood.BUSY)
        self.form.show_working(True, is_look=not self.form.kind_name or words.startswith("Looking"))
        self._work = self._tasks.begin(work)
        self._work.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        if task is not self._work:
            return
        self.form.show_working(False)
        for said in (self.form.address_said, self.form.end_said):
            if said.mood is Mood.BUSY:
                said.say("Stopped." if task.cancelled() else "")

    def _next_step(self) -> None:
        """Enter looks while it is not known what answers at the address, and saves afterwards."""
        known = bool(self.form.kind_name) and self.form.address.text().strip() == self._looked_at
        self.form.show_step(known=known or (bool(self.form.kind_name) and self.form.kind_is_own_choice))

    def _kind_chosen(self) -> None:
        self.form.kind_is_own_choice = True
        self.form.show_kind(self.form.kind_name)
        self.form.show_powers(None)
        self._suggest_name()
        self._next_step()

    def _not_found(self, failure: Failure) -> None:
        self.form.address_said.say(failure_text(failure), Mood.BAD)
        self.form.offer_kinds()
        if failure.kind is FailureKind.TLS:
            self.form.advanced.fold.setChecked(True)
        self.form.address.setFocus()
        self.form.address.selectAll()

    def _failed(self, failure: Failure) -> None:
        """Say what is wrong beside the field that it is about."""
        text = failure_text(failure)
        self.form.end_said.say("")
        if failure.kind in _AT_ADDRESS:
            self.form.address_said.say(text, Mood.BAD)
            self.form.address.setFocus()
        elif failure.kind in _AT_SECRET:
            self.form.secret_said.say(_about_secret(failure, text), Mood.BAD)
            self.form.secret.setFocus()
        else:
            self.form.end_said.say(text, Mood.BAD)
        if failure.kind is FailureKind.TLS:
            self.form.advanced.fold.setChecked(True)
        self.form.grow()

    def _is_complete(self) -> bool:
        """Say what is missing or wrong, beside its field."""
        form = self.form
        for said in form.all_said:
            said.say("")
        try:
            checked_url(form.address.text())
        except ProfileError as error:
            form.address_said.say(str(error), Mood.BAD)
            form.address.setFocus()
            return False
        if form.missing_secret(is_known=self._given is not None):
            return False
        return form.advanced.check()

    def _profile(self) -> ServerProfile:
        form = self.form
        given = self._given or ServerProfile("", "", "", "")
        name = form.name.text().strip() or self._suggested
        profile = replace(
            given, name=name, url=form.address.text().strip(), dialect=form.kind_name, user=form.user_name
        )
        if (profile.url, profile.user) != (given.url, given.user):
            profile = replace(profile, target="", target_name="")  # another account has other projects
        return form.advanced.filled(profile)

    def _suggest_name(self) -> None:
        """Fill in a name that nobody has yet, unless the person gave one."""
        if self._given is not None or self.form.name.text() != self._suggested:
            return
        base = host_of(self.form.address.text()) or self.form.kind.currentText()
        names = (base, *(f"{base} {number}" for number in range(2, 1000)))
        self._suggested = next(name for name in names if name.casefold() not in self._taken)
        self.form.name.setText(self._suggested)


def _about_secret(failure: Failure, text: str) -> str:
    if failure.kind is FailureKind.SIGN_IN and not failure.is_wrong_password:
        detail = f" It says: {failure.detail.rstrip('.')}." if failure.detail else ""
        return f"The server did not let you in.{detail}"
    return text
