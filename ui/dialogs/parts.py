"""Parts that dialogs share: a sentence with its picture, a secret one may look at, a chosen file, a size that is kept."""

from collections.abc import Callable
from enum import Enum

from PySide6.QtCore import QByteArray, QSettings, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QFont,
    QHideEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from ui.theme import Theme, motion_reduced

ICON = 16
_GAP = 6


class Mood(Enum):
    """What kind of sentence it is; the value is its picture, "" for none."""

    HINT = ""
    BUSY = "loader"
    GOOD = "check"
    BAD = "triangle-alert"


class Sentence(QWidget):
    """A sentence beside a field: a hint, what is going on, or what is wrong. Without words it takes no room."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self.mood = Mood.HINT
        self._picture, self._label = QLabel(self), QLabel(self)
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setWordWrap(True)
        self._label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        theme.changed.connect(self._dress)
        self.say("")

    @property
    def text(self) -> str:
        """What it says."""
        return self._label.text()

    def say(self, text: str, mood: Mood = Mood.HINT) -> None:
        """Say *text*; a screen reader hears it unless it is a hint."""
        self.mood = mood
        self._label.setText(text)
        self.setVisible(bool(text))
        self.setAccessibleName(text)
        self._dress()
        self._fit()
        if text and mood is not Mood.HINT:
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, text))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width needs another number of lines."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Be as high as the words need; layouts in layouts reckon too much for words that wrap."""
        room = self.width() - (ICON + _GAP if self.mood.value else 0)
        words = max(self._label.heightForWidth(max(room, 80)), ICON)
        self._picture.setGeometry(0, 0, ICON, ICON)
        self._label.setGeometry(self.width() - room, 0, room, words)
        height = words + _GAP
        if height != self.height() or height != self.maximumHeight():
            self.setFixedHeight(height)

    def _dress(self) -> None:
        colours = self._theme.colours
        worn = {Mood.GOOD: colours.done, Mood.BAD: colours.failed, Mood.BUSY: colours.accent}
        colour = worn.get(self.mood, colours.secondary)
        self._picture.setVisible(bool(self.mood.value))
        if self.mood.value:
            self._picture.setPixmap(self._theme.pixmap(self.mood.value, ICON, colour))
        palette = self._label.palette()
        text = colour if self.mood is Mood.BAD else colours.text if self.mood.value else colours.secondary
        palette.setColor(QPalette.ColorRole.WindowText, text)
        self._label.setPalette(palette)


class Working(QWidget):
    """A thin line on which something moves while one waits; still where motion is reduced."""

    _STEP_MS, _PERIOD = 40, 40

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme, self._at = theme, 0
        self.setFixedHeight(3)
        self.setAccessibleName("Working")
        self._timer = QTimer(self, interval=self._STEP_MS)
        self._timer.timeout.connect(self._move)
        policy = self.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.setSizePolicy(policy)
        self.hide()

    def showEvent(self, event: QShowEvent) -> None:
        """Move while it can be seen."""
        super().showEvent(event)
        if not motion_reduced():
            self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        """Rest."""
        self._timer.stop()
        super().hideEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the track, and a quarter of it in the accent colour."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colours.track)
        width = self.width() // 4
        left = round((self.width() + width) * self._at / self._PERIOD) - width
        painter.fillRect(left if self._timer.isActive() else 0, 0, width, 3, self._theme.colours.accent)
        painter.end()

    def _move(self) -> None:
        self._at = (self._at + 1) % self._PERIOD
        self.update()


class SecretField(QLineEdit):
    """A password or token: dots, until the person wants to look."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setEchoMode(QLineEdit.EchoMode.Password)
        self._eye = self.addAction(theme.icon("eye"), QLineEdit.ActionPosition.TrailingPosition)
        self._eye.setToolTip("Show or hide it")
        self._eye.setText("Show or hide it")
        self._eye.triggered.connect(self._toggle)
        theme.changed.connect(self._dress)
        self._dress()

    def _toggle(self) -> None:
        hidden = self.echoMode() is QLineEdit.EchoMode.Password
        self.setEchoMode(QLineEdit.EchoMode.Normal if hidden else QLineEdit.EchoMode.Password)
        self._dress()

    def _dress(self) -> None:
        colours = self._theme.colours
        hidden = self.echoMode() is QLineEdit.EchoMode.Password
        self._eye.setIcon(self._theme.icon("eye", colours.secondary if hidden else colours.accent))


class FileField(QWidget):
    """A path that is typed or chosen. ``changed`` when it is another one."""

    changed = Signal()

    def __init__(self, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._name = name
        self.line = QLineEdit(self)
        self.line.setAccessibleName(name)
        self.line.textChanged.connect(self.changed)
        choose = QPushButton("Choose…", self)
        choose.setAutoDefault(False)
        choose.setAccessibleName(f"Choose the {name}")
        choose.clicked.connect(self._choose)
        self.setFocusProxy(self.line)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.line, 1)
        layout.addWidget(choose)

    def _choose(self) -> None:
        dialog = QFileDialog(self, f"Choose the {self._name}")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters(["Certificates and keys (*.pem *.crt *.cer *.key)", "All files (*)"])
        dialog.fileSelected.connect(self.line.setText)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()


def heading(text: str, parent: QWidget, *, scale: float = 1.0) -> QLabel:
    """Return a label in bold, *scale* times as large as the rest."""
    label = QLabel(text, parent)
    font = QFont(label.font())
    font.setPointSizeF(font.pointSizeF() * scale)
    font.setWeight(QFont.Weight.DemiBold)
    label.setFont(font)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def caption(text: str, parent: QWidget) -> QLabel:
    """Return the word before a field, on its middle however much stands below the field."""
    label = QLabel(text, parent)
    label.setFixedHeight(QLineEdit(text).sizeHint().height() + 4)
    return label


def button(text: str, parent: QWidget, on_click: Callable[[], object], tip: str = "") -> QPushButton:
    """Return a button that is not pressed by Enter elsewhere."""
    made = QPushButton(text, parent)
    made.setAutoDefault(False)
    made.setToolTip(tip)
    made.setAccessibleDescription(tip)
    made.clicked.connect(lambda _checked=False: on_click())
    return made


def make_primary(chosen: QPushButton, *others: QPushButton) -> None:
    """Let *chosen* be what Enter does, and look like it; *others* not any more."""
    for one in (*others, chosen):
        one.setProperty("primary", one is chosen)
        one.setDefault(one is chosen)
        one.style().unpolish(one)
        one.style().polish(one)


def keep_size(dialog: QDialog, store: QSettings, key: str, first: QSize) -> None:
    """Give *dialog* the size it had the last time, else *first*; and keep it when it closes."""
    dialog.resize(first)
    geometry = store.value(key)
    if isinstance(geometry, QByteArray):
        dialog.restoreGeometry(geometry)
    dialog.finished.connect(lambda _result: store.setValue(key, dialog.saveGeometry()))
