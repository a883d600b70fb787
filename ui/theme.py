"""The theme: one palette, style and icon set for the whole window, light or dark as the system or the person says."""

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPalette, QPixmap
from PySide6.QtWidgets import QApplication, QStyle

from ui.colours import DARK, LIGHT, Colours, State, state_colour_name, state_icon_name, state_text_colour_name
from ui.icons import IconSet
from ui.stylesheet import stylesheet

_FORCED = {"light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}


class Theme(QObject):
    """Dresses the application, and hands out colours and icons; ``changed`` tells who painted with the old ones."""

    changed = Signal()

    def __init__(self, app: QApplication, choice: str) -> None:
        """Dress *app* at once. *choice* is a value of ``app.settings.Theme``: ``system``, ``light`` or ``dark``."""
        super().__init__(app)
        self._app = app
        self._choice = choice
        self._colours: Colours | None = None
        self._icons = IconSet(app.devicePixelRatio())
        app.setStyle("Fusion")
        self.app_icon = app_icon(self._icons)
        app.setWindowIcon(self.app_icon)
        app.styleHints().colorSchemeChanged.connect(self._dress)
        self._force()
        self._dress()

    @property
    def colours(self) -> Colours:
        """The colours of now."""
        assert self._colours is not None
        return self._colours

    @property
    def dark(self) -> bool:
        """Whether light text stands on a dark ground now."""
        return self._colours is DARK

    def choose(self, choice: str) -> None:
        """Follow the system, or be light or dark from now on."""
        self._choice = choice
        self._force()
        self._dress()

    def icon(self, name: str, colour: QColor | None = None) -> QIcon:
        """Return the icon *name* in *colour* (default: text). Icons of old colours stay valid after ``changed``."""
        return self._icons.icon(name, colour or self.colours.text)

    def pixmap(
        self, name: str, size: int, colour: QColor | None = None, ratio: float | None = None
    ) -> QPixmap:
        """Return the icon as a pixmap of *size* pixels, sharp at *ratio* device pixels each (default: the sharpest screen's)."""
        return self._icons.pixmap(
            name, size, colour or self.colours.text, ratio or self._app.devicePixelRatio()
        )

    def state_colour(self, state: State) -> QColor:
        """Return the colour of the icon and the bar of *state*."""
        colour: QColor = getattr(self.colours, state_colour_name(state))
        return colour

    def state_text_colour(self, state: State) -> QColor:
        """Return the colour of the word for *state*: quiet where nothing is wrong."""
        colour: QColor = getattr(self.colours, state_text_colour_name(state))
        return colour

    def state_icon(self, state: State) -> QIcon:
        """Return the picture of *state* in its colour."""
        return self.icon(state_icon_name(state), self.state_colour(state))

    def _force(self) -> None:
        """Tell Qt, so that title bars and the system's dialogs agree with us."""
        hints = self._app.styleHints()
        if self._choice in _FORCED:
            hints.setColorScheme(_FORCED[self._choice])
        else:
            hints.unsetColorScheme()

    def _dress(self) -> None:
        scheme = _FORCED.get(self._choice, self._app.styleHints().colorScheme())
        colours = DARK if scheme is Qt.ColorScheme.Dark else LIGHT
        if colours is self._colours:
            return
        self._colours = colours
        self._app.setPalette(palette(colours))
        self._app.setStyleSheet(stylesheet(colours))
        self.changed.emit()


def app_icon(icons: IconSet) -> QIcon:
    """Return the program's own icon, sharp from 16 to 256 pixels."""
    icon = QIcon()
    for size in (16, 24, 32, 48, 64, 128, 256):
        icon.addPixmap(icons.pixmap("uphaul", size, QColor(), 1.0))
    return icon


def palette(colours: Colours) -> QPalette:
    """Return Qt's palette with every role taken from ours, so that nothing of the system's shines through."""
    role = QPalette.ColorRole
    pairs = {
        role.Window: colours.window,
        role.WindowText: colours.text,
        role.Base: colours.surface,
        role.AlternateBase: colours.surface,
        role.Text: colours.text,
        role.PlaceholderText: colours.secondary,
        role.Button: colours.window,
        role.ButtonText: colours.text,
        role.BrightText: colours.failed,
        role.ToolTipBase: colours.surface,
        role.ToolTipText: colours.text,
        role.Highlight: colours.selection,
        role.HighlightedText: colours.text,
        role.Accent: colours.accent,
        role.Link: colours.accent,
        role.LinkVisited: colours.accent,
        role.Light: colours.surface,
        role.Midlight: colours.hover,
        role.Mid: colours.line,
        role.Dark: colours.rest,
        role.Shadow: colours.line,
    }
    result = QPalette()
    for each, colour in pairs.items():
        result.setColor(each, colour)
    faint = QColor(colours.secondary)
    faint.setAlphaF(0.6)
    for each in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        result.setColor(QPalette.ColorGroup.Disabled, each, faint)
    return result


def motion_reduced() -> bool:
    """Whether the system asks for less motion (Qt tells it as an animation duration of zero)."""
    return QApplication.style().styleHint(QStyle.StyleHint.SH_Widget_Animation_Duration) == 0
