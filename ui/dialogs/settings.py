"""The settings dialog: every setting with its widget and a sentence that says what it does."""

from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QPalette
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QFrame,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.settings import LONGEST_LINE, Settings
from app.settings import Theme as ThemeChoice
from ui.theme import Theme

_THEMES = {
    ThemeChoice.SYSTEM: "As the system",
    ThemeChoice.LIGHT: "Light",
    ThemeChoice.DARK: "Dark",
}
_KB = 1000
_FASTEST_KB = 10_000_000


class SettingsDialog(QDialog):
    """Open it with ``open()``; after ``accepted`` its ``settings`` and ``at_sign_in`` are what the person wants."""

    def __init__(
        self, settings: Settings, theme: Theme, at_sign_in: bool | None, parent: QWidget | None = None
    ) -> None:
        """Show *settings*; they are not changed. *theme* shows the chosen appearance at once, until Cancel.

        *at_sign_in*: whether the system opens Uphaul when the person signs in; None where nobody can change it.
        """
        super().__init__(parent)
        self._given = settings
        self._can_autostart = at_sign_in is not None
        self.setWindowTitle("Settings")
        self.setModal(True)
        self._make_fields()
        self._lay_out()
        self._show(settings)
        self._autostart.setChecked(bool(at_sign_in))
        self._look.currentIndexChanged.connect(lambda: theme.choose(self._look.currentData()))
        self.rejected.connect(lambda: theme.choose(settings.theme))

    @property
    def settings(self) -> Settings:
        """What the fields say, as a new value; fields without a widget keep what they had."""
        patterns = (line.strip() for line in self._exclude.toPlainText().splitlines())
        return replace(
            self._given,
            uploads_at_once=self._at_once.value(),
            speed_limit_bps=self._speed_limit_bps(),
            stall_s=self._stall.value(),
            resume_on_start=self._resume.isChecked(),
            undo_cancel_s=self._undo.value(),
            roll_back_cancelled=self._roll_back.isChecked(),
            include_hidden=self._hidden.isChecked(),
            exclude=tuple(dict.fromkeys(line for line in patterns if line)),
            notify=self._notify.isChecked(),
            close_to_tray=self._tray.isChecked(),
            theme=ThemeChoice(self._look.currentData()),
            check_for_updates=self._updates.isChecked(),
            update_url=_line(self._update_url),
            update_key=_line(self._update_key),
        )

    @property
    def at_sign_in(self) -> bool | None:
        """Whether Uphaul shall be opened at sign-in; None where nobody can change it."""
        return self._autostart.isChecked() if self._can_autostart else None

    def _speed_limit_bps(self) -> int:
        """The field counts in kB/s; a finer limit from the file stays as it was unless the field is changed."""
        if self._limit.value() == self._given.speed_limit_bps // _KB:
            return self._given.speed_limit_bps
        return self._limit.value() * _KB

    def _make_fields(self) -> None:
        self._look = QComboBox(self)
        for choice, word in _THEMES.items():
            self._look.addItem(word, choice.value)
        self._at_once = _number(self, 1, 32, "")
        self._limit = _number(self, 0, _FASTEST_KB, " kB/s", zero="No limit", step=500)
        self._stall = _number(self, 5, 3600, " s", step=5)
        self._undo = _number(self, 0, 60, " s", zero="Send at once")
        self._resume = QCheckBox("Go on with unfinished uploads when Uphaul starts", self)
        self._roll_back = QCheckBox("When a cancel comes too late, delete what was stored", self)
        self._hidden = QCheckBox("Take hidden files and folders too", self)
        self._notify = QCheckBox("Tell me when a batch has ended", self)
        self._tray = QCheckBox("Keep uploading in the tray when I close the window", self)
        self._autostart = QCheckBox("Open Uphaul when I sign in", self)
        self._autostart.setVisible(self._can_autostart)
        self._updates = QCheckBox("Ask once a day whether there is a newer version", self)
        self._update_url, self._update_key = QLineEdit(self), QLineEdit(self)
        self._update_url.setPlaceholderText("https://")
        self._exclude = QPlainTextEdit(self)
        self._exclude.setTabChangesFocus(True)
        self._exclude.setFixedHeight(self._exclude.fontMetrics().lineSpacing() * 4 + 22)

    def _lay_out(self) -> None:
        page = QWidget(self)
        form = QFormLayout(page)
        form.setContentsMargins(20, 12, 20, 12)
        form.setVerticalSpacing(6)
        form.setHorizontalSpacing(16)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self._fill(form)
        scroll = QScrollArea(self)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(page)
        scroll.setMinimumWidth(page.sizeHint().width() + scroll.verticalScrollBar().sizeHint().width())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scroll, 1)
        buttons = self._buttons()
        layout.addWidget(buttons)
        wanted = page.sizeHint().height() + buttons.sizeHint().height()
        self.resize(520, min(wanted, round(self.screen().availableGeometry().height() * 0.9)))

    def _fill(self, form: QFormLayout) -> None:
        self._section(form, "Uploading")
        self._field(
            form,
            "Files at a time",
            self._at_once,
            "More helps with many small files, fewer with a slow line.",
        )
        self._field(form, "Speed limit", self._limit, "For all uploads together.")
        self._field(
            form,
            "Try again after",
            self._stall,
            "A file that moved no byte for so long goes on from where it stopped.",
        )
        self._field(
            form,
            "Undo a cancel for",
            self._undo,
            "The server hears of a cancel only after this time.",
        )
        self._field(
            form,
            "",
            self._roll_back,
            "Where the server can. Otherwise it stays there, and you are asked.",
        )
        self._field(form, "", self._resume, "Otherwise they wait, paused, until you resume them.")
        self._section(form, "Folders")
        self._field(
            form, "", self._hidden, "Names that begin with a dot, or that the system marks as hidden."
        )
        self._field(form, "Leave out", self._exclude, "One name or pattern on a line, for example *.tmp")
        self._section(form, "Window")
        self._field(form, "Appearance", self._look, "")
        self._field(form, "", self._notify, "One notification for each batch.")
        self._field(form, "", self._tray, "Only where the desktop has a tray.")
        if self._can_autostart:
            self._field(form, "", self._autostart, "It waits in the tray, where the desktop has one.")
        self._section(form, "Updates")
        self._field(form, "", self._updates, "Nothing is ever downloaded or installed by itself.")
        self._field(form, "Address", self._update_url, "Where the publisher tells of new versions.")
        self._field(
            form,
            "Public key",
            self._update_key,
            "Empty: the key that came with Uphaul. It must have signed what is told.",
        )

    def _section(self, form: QFormLayout, title: str) -> None:
        label = QLabel(title, self)
        font = QFont(label.font())
        font.setWeight(QFont.Weight.DemiBold)
        label.setFont(font)
        label.setContentsMargins(0, 10, 0, 2)
        form.addRow(label)

    def _field(self, form: QFormLayout, name: str, widget: QWidget, hint: str) -> None:
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(
            widget,
            0,
            Qt.AlignmentFlag.AlignLeft if isinstance(widget, QSpinBox | QComboBox) else Qt.AlignmentFlag(0),
        )
        if hint:
            label = QLabel(hint, self)
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            label.setContentsMargins(24 if isinstance(widget, QCheckBox) else 0, 0, 0, 6)
            column.addWidget(label)
        caption = QLabel(name, self)
        caption.setBuddy(widget)
        caption.setFixedHeight(
            widget.sizeHint().height() if name != "Leave out" else caption.sizeHint().height()
        )
        widget.setAccessibleName(name or getattr(widget, "text", str)())
        widget.setAccessibleDescription(hint)
        widget.setToolTip(hint)
        form.addRow(caption, column)

    def _buttons(self) -> QDialogButtonBox:
        kinds = QDialogButtonBox.StandardButton
        box = QDialogButtonBox(kinds.Save | kinds.Cancel | kinds.RestoreDefaults, self)
        box.setContentsMargins(20, 12, 20, 12)
        box.accepted.connect(self.accept)
        box.rejected.connect(self.reject)
        box.button(kinds.RestoreDefaults).setText("Restore defaults")
        box.button(kinds.RestoreDefaults).clicked.connect(self._fill_in_defaults)
        box.button(kinds.RestoreDefaults).setToolTip("Fill in what Uphaul came with; nothing is saved yet")
        save = box.button(kinds.Save)
        save.setDefault(True)
        save.setProperty("primary", True)
        save.style().unpolish(save)  # the box has dressed it already
        save.style().polish(save)
        return box

    def _fill_in_defaults(self) -> None:
        self._show(Settings())
        self._autostart.setChecked(False)

    def _show(self, settings: Settings) -> None:
        self._at_once.setValue(settings.uploads_at_once)
        self._limit.setValue(settings.speed_limit_bps // _KB)
        self._stall.setValue(settings.stall_s)
        self._undo.setValue(settings.undo_cancel_s)
        self._resume.setChecked(settings.resume_on_start)
        self._roll_back.setChecked(settings.roll_back_cancelled)
        self._hidden.setChecked(settings.include_hidden)
        self._exclude.setPlainText("\n".join(settings.exclude))
        self._notify.setChecked(settings.notify)
        self._tray.setChecked(settings.close_to_tray)
        self._look.setCurrentIndex(self._look.findData(settings.theme.value))
        self._updates.setChecked(settings.check_for_updates)
        self._update_url.setText(settings.update_url)
        self._update_key.setText(settings.update_key)


def _line(field: QLineEdit) -> str:
    """What was typed or pasted, without what cannot be seen."""
    return "".join(each for each in field.text() if each.isprintable()).strip()[:LONGEST_LINE]


def _number(parent: QWidget, low: int, high: int, unit: str, *, zero: str = "", step: int = 1) -> QSpinBox:
    box = QSpinBox(parent)
    box.setRange(low, high)
    box.setSuffix(unit)
    box.setSingleStep(step)
    box.setGroupSeparatorShown(True)
    if zero:
        box.setSpecialValueText(zero)
    box.setMinimumWidth(140)
    return box
