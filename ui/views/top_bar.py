"""The bar on top: the actions, the field that filters the files, and the server that drops go to."""

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QToolBar, QToolButton, QWidget

from app.domain.events import ServerView
from ui.actions import Actions, Do
from ui.theme import Theme
from ui.views.where import ProjectButton, ServerButton

HEIGHT = 48
FILTER_WIDTH = 170
_GROUPS = (
    (Do.ADD_FILES, Do.ADD_FOLDER),
    (Do.RESUME, Do.PAUSE),
    (Do.CANCEL_FILE, Do.CANCEL_BATCH),
    (Do.RETRY, Do.REMOVE_FINISHED),
)


class TopBar(QWidget):
    """Emits what is typed into the filter, and the profile id of a server that was chosen."""

    filtered = Signal(str)
    server_chosen = Signal(str)

    def __init__(self, actions: Actions, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self._servers: tuple[ServerView, ...] = ()
        self._preferred = ""
        self.server_id = ""
        self.setFixedHeight(HEIGHT)
        self.tools = self._make_tools(actions)
        self.filter = QLineEdit(self)
        self.server = ServerButton(theme, (actions[Do.SERVERS], actions[Do.ADD_SERVER]), self)
        self.project = ProjectButton(theme, self)
        self._make_fields()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 8, 0)
        layout.setSpacing(8)
        layout.addWidget(self.tools, 1)
        layout.addWidget(self.filter)
        layout.addWidget(self.server)
        layout.addWidget(self.project)
        theme.changed.connect(self._dress)
        self._dress()

    def minimumSizeHint(self) -> QSize:
        """The actions may shrink behind the arrow; the fields keep their place."""
        buttons = self.server.sizeHint().width() + (
            self.project.sizeHint().width() if self.project.isVisible() else 0
        )
        return QSize(FILTER_WIDTH + buttons + 200, HEIGHT)

    @property
    def server_shown(self) -> ServerView | None:
        """The server that drops go to, None before the engine has named any."""
        return next((server for server in self._servers if server.profile_id == self.server_id), None)

    @property
    def server_name(self) -> str:
        """Its name, "" before the engine has named any."""
        shown = self.server_shown
        return shown.name if shown else ""

    @property
    def place(self) -> str:
        """Where drops go, in words: the server, and the project there."""
        shown = self.server_shown
        return f"{shown.name}, {shown.target_name}" if shown and shown.target_name else self.server_name

    def show_servers(self, servers: Sequence[ServerView], wanted: str) -> None:
        """Offer *servers*; the chosen one stays chosen, else *wanted*, else the first."""
        ids = [server.profile_id for server in servers]
        if self._preferred in ids:
            self.server_id, self._preferred = self._preferred, ""
            self.server_chosen.emit(self.server_id)
        chosen = next((one for one in (self.server_id, wanted) if one in ids), ids[0] if ids else "")
        self._servers, self.server_id = tuple(servers), chosen
        self.project.show_server(self.server_shown)
        self.server.show_servers(servers, chosen)

    def choose(self, profile_id: str) -> None:
        """Let drops go to this server from now on."""
        self.server_id = profile_id
        self.show_servers(self._servers, profile_id)

    def prefer(self, profile_id: str) -> None:
        """Let drops go to this server as soon as it is there."""
        self._preferred = profile_id
        self.show_servers(self._servers, self.server_id)

    def _chosen(self, profile_id: str) -> None:
        self.choose(profile_id)
        self.server_chosen.emit(profile_id)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the ground, and the line that the tool bar draws below itself."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colours.window)
        painter.fillRect(0, self.height() - 1, self.width(), 1, self._theme.colours.line)
        painter.end()

    def _make_tools(self, actions: Actions) -> QToolBar:
        tools = QToolBar("Actions", self)
        tools.setIconSize(QSize(18, 18))
        tools.setFixedHeight(HEIGHT)
        tools.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        for number, group in enumerate(_GROUPS):
            if number:
                tools.addSeparator()
            for what in group:
                self._add_button(tools, actions[what])
        self._more = tools.findChild(QToolButton, "qt_toolbar_ext_button")
        return tools

    @staticmethod
    def _add_button(tools: QToolBar, action: QAction) -> None:
        tools.addAction(action)
        button = tools.widgetForAction(action)
        button.setObjectName(f"button_{action.objectName()}")
        button.setAccessibleName(action.text().replace("&", "").rstrip("…"))
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def _make_fields(self) -> None:
        self.filter.setObjectName("filter")
        self.filter.setPlaceholderText("Filter files")
        self.filter.setAccessibleName("Filter files by name or folder")
        self.filter.setClearButtonEnabled(True)
        self.filter.setFixedWidth(FILTER_WIDTH)
        self.filter.setAcceptDrops(False)  # a drop anywhere is an upload, here too
        self.filter.textChanged.connect(self.filtered)
        self._glass = self.filter.addAction(
            self._theme.icon("search"), QLineEdit.ActionPosition.LeadingPosition
        )
        self._glass.setText("Filter")
        self.server.chosen.connect(self._chosen)

    def _dress(self) -> None:
        self._glass.setIcon(self._theme.icon("search", self._theme.colours.secondary))
        if isinstance(self._more, QToolButton):  # appears where the window is too narrow for all of them
            self._more.setIcon(self._theme.icon("chevron-down"))
            self._more.setStyleSheet("QToolButton { padding: 0; border: none; }")  # it is only 12 pixels wide
            self._more.setAccessibleName("More actions")
            self._more.setToolTip("More actions")
        self.update()
