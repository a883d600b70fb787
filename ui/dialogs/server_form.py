"""The fields of a server's dialog: which of them there are depends on the kind of server."""

from urllib.parse import urlsplit

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.accounts.profiles import ServerProfile
from app.remote.base import Abilities
from app.remote.registry import DIALECTS, SignsIn
from app.server_words import powers, powers_text, secret_word, sign_in_hint, wants_user
from ui.dialogs.advanced import Advanced
from ui.dialogs.parts import ICON, Mood, SecretField, Sentence, Working, caption, make_primary
from ui.theme import Theme

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_CHOOSE = "Choose…"
PAGE_WIDTH = 640


def host_of(address: str) -> str:
    """Return the host of an address for a name, "" if it is this computer or none."""
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
    except ValueError:
        return ""
    return "" if host in _LOOPBACK else host


class Powers(QWidget):
    """What the server can do: a picture and words each, in two columns."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self._abilities: Abilities | None = None
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 2, 0, 8)
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(1, 1)
        self._grid.setColumnStretch(3, 1)
        self.setAccessibleName("What it can do")
        theme.changed.connect(self._fill)

    def show_abilities(self, abilities: Abilities | None) -> None:
        """Show them; None: not known yet."""
        self._abilities = abilities
        self.setAccessibleDescription(powers_text(abilities))
        self._fill()

    def _fill(self) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        if self._abilities is None:
            label = QLabel(powers_text(None), self)
            label.setForegroundRole(label.palette().ColorRole.PlaceholderText)
            self._grid.addWidget(label, 0, 0, 1, 4)
            return
        colours = self._theme.colours
        for number, (can, words) in enumerate(powers(self._abilities)):
            picture, label = QLabel(self), QLabel(words, self)
            shown = ("check", colours.done) if can else ("x", colours.secondary)
            picture.setPixmap(self._theme.pixmap(shown[0], ICON, shown[1]))
            if not can:
                label.setForegroundRole(label.palette().ColorRole.PlaceholderText)
            row, column = divmod(number, 2)
            self._grid.addWidget(picture, row, 2 * column)
            self._grid.addWidget(label, row, 2 * column + 1)


class ServerForm:
    """Builds the widgets into *dialog* and shows those that are wanted; what they do is the dialog's."""

    def __init__(self, theme: Theme, dialog: QDialog, *, is_new: bool) -> None:
        self._dialog = dialog
        self.kind_is_own_choice = False
        self.address, self.look = QLineEdit(dialog), QPushButton("Look", dialog)
        self.working = Working(theme, dialog)
        self.address_said, self.secret_said = Sentence(theme, dialog), Sentence(theme, dialog)
        self.keep_said, self.name_said = Sentence(theme, dialog), Sentence(theme, dialog)
        self.end_said = Sentence(theme, dialog)
        self.kind = QComboBox(dialog)
        self.powers = Powers(theme, dialog)
        self.user, self.secret = QLineEdit(dialog), SecretField(theme, dialog)
        self._secret_caption = caption("Password", dialog)
        self.keep = QCheckBox("Keep it in the system's keyring", dialog)
        self.name = QLineEdit(dialog)
        self.advanced = Advanced(theme, dialog)
        self.test = QPushButton("Test the connection", dialog)
        self.cancel = QPushButton("Cancel", dialog)
        self.save = QPushButton("Add" if is_new else "Save", dialog)
        self._secret_row = _column(self.secret, self.secret_said, dialog)
        self._keep_row = _column(self.keep, self.keep_said, dialog)
        self._name_row = _column(self.name, self.name_said, dialog)
        self._name_all()
        self._form = QFormLayout()
        self._lay_out()
        self.show_kind("")

    # What is filled in

    @property
    def kind_name(self) -> str:
        """The chosen dialect, "" as long as none is."""
        return str(self.kind.currentData() or "")

    @property
    def user_name(self) -> str:
        """Who signs in, "" where that is not asked."""
        return self.user.text().strip() if wants_user(self.kind_name) else ""

    @property
    def typed_secret(self) -> str | None:
        """The password or token, None if nothing was typed: then what is kept stays."""
        return self.secret.text() or None

    @property
    def all_said(self) -> tuple[Sentence, ...]:
        """Every sentence that tells of a trouble."""
        return (self.address_said, self.secret_said, self.name_said, self.end_said)

    def missing_secret(self, *, is_known: bool) -> bool:
        """Say what is missing to sign in, and put the keyboard there; return whether anything is."""
        kind = DIALECTS.get(self.kind_name)
        if kind is None or kind.may_be_anonymous:
            return False
        if kind.signs_in is SignsIn.PASSWORD and not self.user_name:
            self.secret_said.say("Who signs in? Give the user name.", Mood.BAD)
            self.user.setFocus()
            return True
        if not self.secret.text() and not is_known:
            word = secret_word(self.kind_name, self.user_name).lower()
            self.secret_said.say(f"The {word} is missing.", Mood.BAD)
            self.secret.setFocus()
            return True
        return False

    # What is shown

    def show_profile(self, profile: ServerProfile) -> None:
        """Fill in what is known of a server."""
        self.address.setText(profile.url)
        self.user.setText(profile.user)
        self.name.setText(profile.name)
        self.secret.setPlaceholderText("Unchanged")
        self.show_kind(profile.dialect)
        self._form.setRowVisible(self.powers, False)
        self.advanced.show_profile(profile)

    def show_kind(self, kind: str) -> None:
        """Show the fields that a server of this *kind* needs; none before it is known."""
        known = kind in DIALECTS
        self.kind.setCurrentIndex(max(0, self.kind.findData(kind)))
        for widget in (self.kind, self.powers, self._secret_row, self._keep_row, self._name_row):
            self._form.setRowVisible(widget, known)
        self._form.setRowVisible(self.user, wants_user(kind))
        self.name_said.say("")
        self._name_secret(kind)
        self.advanced.show_kind(kind)
        self.test.setVisible(known)
        self.save.setEnabled(known)
        self.grow()

    def show_powers(self, abilities: Abilities | None) -> None:
        """Show what it can do."""
        self._form.setRowVisible(self.powers, True)
        self.powers.show_abilities(abilities)
        self.grow()

    def offer_kinds(self) -> None:
        """Nothing was found: the person may know what kind of server it is."""
        self._form.setRowVisible(self.kind, True)
        self.grow()

    def show_step(self, *, known: bool) -> None:
        """Let Enter look, or save once it is *known* what answers."""
        if known:
            make_primary(self.save, self.look)
        else:
            make_primary(self.look, self.save)

    def show_working(self, is_on: bool, *, is_look: bool = False) -> None:
        """Show that something is being asked; its button stops it."""
        self.working.setVisible(is_on)
        self.look.setText("Stop" if is_on and is_look else "Look")
        self.test.setText("Stop" if is_on and not is_look else "Test the connection")
        self.look.setEnabled(not is_on or is_look)
        self.test.setEnabled(not is_on or not is_look)
        self.save.setEnabled(not is_on and bool(self.kind_name))
        self.address.setEnabled(not is_on)
        self.grow()

    def focus_next(self) -> None:
        """Put the keyboard on the first thing that is still to be said."""
        for field in (self.user, self.secret, self.name):
            if field.isVisible() and not field.text():
                field.setFocus()
                return
        self.save.setFocus()

    # How it is done

    def _name_secret(self, kind: str) -> None:
        word = secret_word(kind, self.user.text().strip())
        self._secret_caption.setText(word)
        self.secret.setAccessibleName(word)
        hint = sign_in_hint(kind)
        if self.secret_said.mood is Mood.HINT:
            self.secret_said.say(hint)

    def _name_all(self) -> None:
        self.address.setPlaceholderText("https://…")
        self.look.setToolTip("Find out what kind of server answers there")
        self.kind.addItem(_CHOOSE, "")
        for each in DIALECTS.values():
            self.kind.addItem(each.title, each.name)
        self.kind.setMinimumHeight(28)
        self.keep.setChecked(True)
        self.test.setToolTip("Reach the server once; nothing stays there")
        for widget, name in (
            (self.address, "Address of the server"),
            (self.kind, "Kind of server"),
            (self.user, "User name"),
            (self.name, "Name in Uphaul"),
        ):
            widget.setAccessibleName(name)
        for one in (self.look, self.test, self.cancel, self.save):
            one.setAutoDefault(False)
        self.user.textChanged.connect(lambda _text: self._name_secret(self.kind_name))

    def _lay_out(self) -> None:
        form = self._form
        form.setContentsMargins(20, 16, 20, 8)
        form.setVerticalSpacing(6)
        form.setHorizontalSpacing(12)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        first = QHBoxLayout()
        first.setSpacing(8)
        first.addWidget(self.address, 1)
        first.addWidget(self.look)
        address = QVBoxLayout()
        address.setSpacing(4)
        for each in (first, self.working, self.address_said):
            address.addLayout(each) if isinstance(each, QHBoxLayout) else address.addWidget(each)
        form.addRow(caption("Address", self._dialog), address)
        form.addRow(caption("Kind", self._dialog), self.kind)
        form.addRow("", self.powers)
        form.addRow(caption("User name", self._dialog), self.user)
        form.addRow(self._secret_caption, self._secret_row)
        form.addRow("", self._keep_row)
        form.addRow(caption("Name", self._dialog), self._name_row)
        page = QWidget(self._dialog)
        inside = self._inside = QVBoxLayout(page)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(0)
        inside.addLayout(form)
        folded = QVBoxLayout()
        folded.setContentsMargins(12, 0, 20, 8)
        folded.addWidget(self.advanced)
        inside.addLayout(folded)
        inside.addStretch(1)
        self._scroll = QScrollArea(self._dialog)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(page)
        page.setMinimumWidth(PAGE_WIDTH)
        self._scroll.setMinimumWidth(PAGE_WIDTH + self._scroll.verticalScrollBar().sizeHint().width())
        layout = self._outside = QVBoxLayout(self._dialog)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._scroll, 1)
        layout.addLayout(self._end())

    def _end(self) -> QVBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.test)
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.save)
        end = QVBoxLayout()
        end.setContentsMargins(20, 8, 20, 16)
        end.setSpacing(8)
        end.addWidget(self.end_said)
        end.addLayout(row)
        return end

    def grow(self) -> None:
        """Make room for what has appeared, once the layouts know of it; never shrink what a person has drawn larger."""
        QTimer.singleShot(0, self._dialog, self._make_room)

    def _make_room(self) -> None:
        self._inside.activate()
        rest = self._outside.sizeHint().height() - self._scroll.sizeHint().height()
        wanted = self._inside.sizeHint().height() + rest
        most = round(self._dialog.screen().availableGeometry().height() * 0.9)
        if self._dialog.height() < min(wanted, most):
            self._dialog.resize(self._dialog.width(), min(wanted, most))


def _column(widget: QWidget, said: Sentence, parent: QWidget) -> QWidget:
    """Return a field with its sentence below it, as one row that can be hidden whole."""
    row = QWidget(parent)
    row.setFocusProxy(widget)
    column = QVBoxLayout(row)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(2)
    column.addWidget(widget)
    column.addWidget(said)
    return row
