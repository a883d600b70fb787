"""The window: two tables in a splitter, bars above and below, and drops anywhere. It shows frames and tells wishes."""

from collections import Counter
from collections.abc import Callable

from PySide6.QtCore import QByteArray, QPoint, QSettings, Qt, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QKeySequence,
    QShortcut,
)
from PySide6.QtWidgets import (
    QApplication,
    QMainWindow,
    QMenu,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.domain.batch import BatchView
from app.domain.events import Frame, Link, ServerView
from app.domain.transfer import TransferView
from ui.actions import Actions, Do
from ui.drop import from_urls
from ui.models.batch_table import BatchTable
from ui.models.server_batches import ServerRow
from ui.selection import Selection, Table, is_left_there, waiting_files
from ui.theme import Theme
from ui.views import menus
from ui.views.empty import EmptyState
from ui.views.files_pane import FilesPane
from ui.views.notice import NoticeBar
from ui.views.overlay import DropOverlay
from ui.views.server_pane import ServerPane, SwitchBar
from ui.views.sign_in_bar import SignInBar
from ui.views.status import StatusBar, link_of
from ui.views.table import TableView
from ui.views.top_bar import TopBar

FIRST_SIZE = (1280, 800)
FIRST_SPLIT = (230, 520)
MANY_SELECTED = 5_000
RECOUNT_FRAMES = 10
"""With so many files selected, the actions look at them again only at each tenth frame."""


class MainWindow(QMainWindow):
    """Knows how things look and what is selected; what a person wants done leaves as signals.

    ``store`` is its memory, ``servers`` are those of the last frame. ``dropped`` carries a ``Taken``; ``batch_shown`` the id of the batch whose rows are wanted (or None);
    ``details_wanted`` a transfer's id (or None); ``server_wanted`` the profile id of the server whose own batches are
    looked at ("": of none); ``close_wanted`` says that a person closed the window, which stays.
    """

    dropped = Signal(object)
    batch_shown = Signal(object)
    details_wanted = Signal(object)
    server_wanted = Signal(str)
    close_wanted = Signal()

    def __init__(self, theme: Theme, store: QSettings, clock: Callable[[], float]) -> None:
        super().__init__()
        self.store = store
        self.servers: tuple[ServerView, ...] = ()
        self._table = Table.BATCHES
        self._awaited: str | None = None
        self._ready = False
        self._frames = 0
        self._file_counts: Counter[object] = Counter()
        self._left_there = 0
        self.setWindowTitle("Uphaul")
        self.setObjectName("main")
        self.setAcceptDrops(True)
        self.actions_ = Actions(theme, self)
        self.top = TopBar(self.actions_, theme, self)
        self.sign_in = SignInBar(theme, self)
        self.empty = EmptyState(theme, self)
        self.batches = BatchTable(clock, self)
        self.batch_view: TableView[BatchView] = TableView(self.batches, theme, "Batches", self)
        self.files = FilesPane(theme, clock, self)
        self.switch = SwitchBar(theme, self)
        self.on_server = ServerPane(theme, clock, self)
        self.notices = NoticeBar(theme, self)
        self.status = StatusBar(theme, self, clock=clock)
        self._lay_out()
        self.overlay = DropOverlay(theme, self)
        self._connect()
        self._recall()

    # What the engine says

    def apply(self, frame: Frame) -> None:
        """Show what changed."""
        self._ready = True
        self._frames += 1
        self.servers = frame.servers or self.servers
        self._show_servers()
        self.batches.take(frame)
        self.files.model.take(frame)
        self.status.apply(frame)
        for table in (self.batch_view, self.files.table, self.on_server.table):
            table.animate()
        self._follow(frame)

    def _show_servers(self) -> None:
        self.top.show_servers(self.servers, str(self.store.value("server", "")))
        chosen = self.top.server_shown
        self.empty.show_server(chosen.name if chosen else "", embedded=chosen is None or chosen.embedded)
        asks = any(link_of(server) is Link.SIGN_IN for server in self.servers)
        self.sign_in.show_servers(self.servers, waiting_files(self.batches.rows()) if asks else {})
        lists = chosen is not None and chosen.lists_batches
        self.switch.name_server(self.top.server_name, lists=lists)
        self.switch.setVisible(self.looks_at_server or any(not each.embedded for each in self.servers))
        if self.looks_at_server:
            self.server_wanted.emit(self.top.server_id if lists else "")
            if not lists:
                self.on_server.show_problem(f"“{self.top.server_name}” does not list batches.")

    def show_transfers(self, batch_id: str, rows: list[TransferView]) -> None:
        """Show the rows that ``batch_shown`` asked for."""
        self.files.show_rows(batch_id, rows)
        self._files_selected()

    def select_batch(self, batch_id: str) -> None:
        """Select this batch, now or as soon as a frame brings it."""
        self._awaited = batch_id
        self.actions_[Do.ON_SERVER].setChecked(False)
        self._select_awaited()

    # What is selected

    @property
    def looks_at_server(self) -> bool:
        """Whether the server's own batches are shown, and not those that were begun here."""
        return self.actions_[Do.ON_SERVER].isChecked()

    @property
    def shown_batch(self) -> BatchView | None:
        """The batch whose files are shown."""
        batch_id = self.files.model.batch_id
        return self.batches.row(batch_id) if batch_id is not None else None

    def selection(self) -> Selection:
        """Return what the actions look at."""
        there = self.looks_at_server
        chosen = self.top.server_shown
        return Selection(
            table=Table.SERVER if there else self._table,
            server=self.top.server_name if chosen is not None and chosen.lists_batches else "",
            remote=tuple(row.batch for row in self.on_server.table.selected_rows()) if there else (),
            batches=() if there else tuple(self.batch_view.selected_rows()),
            every=tuple(self.batches.rows()),
            shown=self.shown_batch,
            files={} if there else dict(self._file_counts),  # type: ignore[arg-type]  # counted by state
            left_there=0 if there else self._left_there,
            embedded=frozenset(server.name for server in self.servers if server.embedded),
            ready=self._ready,
        )

    @property
    def active_view(self) -> TableView[BatchView] | TableView[TransferView] | TableView[ServerRow]:
        """The table that was used last."""
        if self.looks_at_server:
            return self.on_server.table
        return self.files.table if self._table is Table.FILES else self.batch_view

    # Closing

    def closeEvent(self, event: QCloseEvent) -> None:
        """Qt's call: leaving is decided elsewhere, except when the session ends and nobody may be asked."""
        self.remember()
        app = QApplication.instance()
        if isinstance(app, QApplication) and app.isSavingSession():
            event.accept()
            return
        event.ignore()
        self.close_wanted.emit()

    def show_finishing(self) -> None:
        """Say that the program is ending, and take no more wishes."""
        self.setWindowTitle("Uphaul – finishing…")
        self._centre.setEnabled(False)
        self.menuBar().setEnabled(False)
        self.setAcceptDrops(False)

    def remember(self) -> None:
        """Write geometry and columns."""
        self.store.setValue("geometry", self.saveGeometry())
        self.store.setValue("splitter", self.splitter.saveState())
        self.batch_view.remember(self.store, "batches")
        self.on_server.table.remember(self.store, "server_batches")
        self.files.table.remember(self.store, "files")

    # Drag and drop

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Welcome anything with addresses; what they are is looked at once, for the overlay."""
        if self._welcome(event):
            self.overlay.show_for(event.mimeData().urls(), self.top.place or "This computer")

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """Stay welcoming, cheaply: this comes with every movement of the mouse."""
        self._welcome(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """It went away."""
        self.overlay.hide_softly()
        event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        """Copy the addresses and return: the program that it was dragged from stands still meanwhile."""
        self.overlay.hide_softly()
        if self._welcome(event):
            self.dropped.emit(from_urls(event.mimeData().urls()))

    @staticmethod
    def _welcome(event: QDropEvent) -> bool:
        if not event.mimeData().hasUrls():
            event.ignore()
            return False
        event.setDropAction(
            Qt.DropAction.CopyAction
        )  # a move would let the file manager delete the originals
        event.accept()
        return True

    # Wiring

    def _lay_out(self) -> None:
        self.batch_view.setObjectName("batches")
        self.splitter = QSplitter(Qt.Orientation.Vertical, self)
        self.splitter.setHandleWidth(1)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.addWidget(self.batch_view)
        self.splitter.addWidget(self.files)
        self.splitter.setStretchFactor(0, 2)
        self.splitter.setStretchFactor(1, 5)
        self.stack = QStackedWidget(self)
        self.stack.addWidget(self.empty)
        self.stack.addWidget(self.splitter)
        self.stack.addWidget(self.on_server)
        self._centre = QWidget(self)
        layout = QVBoxLayout(self._centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget in (self.top, self.sign_in, self.switch, self.stack, self.notices, self.status):
            layout.addWidget(widget, 1 if widget is self.stack else 0)
        self.setCentralWidget(self._centre)
        columns = (self.batch_view.columns, self.files.table.columns, self.on_server.table.columns)
        menus.fill_bar(self.menuBar(), self.actions_, *columns)

    def _connect(self) -> None:
        self.batch_view.selection_changed.connect(self._batches_selected)
        self.files.table.selection_changed.connect(self._files_selected)
        self.on_server.table.selection_changed.connect(self._refresh_actions)
        self.switch.switched.connect(self.actions_[Do.ON_SERVER].setChecked)
        self.actions_[Do.ON_SERVER].toggled.connect(self._switched)
        self.top.filtered.connect(self.files.filter_text)
        self.top.filtered.connect(self.on_server.filter_text)
        self.top.server_chosen.connect(lambda profile_id: self.store.setValue("server", profile_id))
        self.files.details.closed.connect(lambda: self.actions_[Do.DETAILS].setChecked(False))
        self.actions_[Do.DETAILS].toggled.connect(lambda _on: self._want_details())
        self.files.table.doubleClicked.connect(lambda _index: self.actions_[Do.DETAILS].setChecked(True))
        self.files.table.addAction(self.actions_[Do.CANCEL_FILE])
        QApplication.instance().focusChanged.connect(self._focus_moved)  # type: ignore[union-attr]
        for view, menu in (
            (self.batch_view, menus.batches_menu(self.actions_, self)),
            (self.files.table, menus.files_menu(self.actions_, self)),
            (self.on_server.table, menus.server_menu(self.actions_, self)),
        ):
            view.customContextMenuRequested.connect(lambda at, view=view, menu=menu: _pop_up(view, menu, at))
        leave = QShortcut(QKeySequence(Qt.Key.Key_Escape), self.top.filter)
        leave.setContext(Qt.ShortcutContext.WidgetShortcut)
        leave.activated.connect(self._leave_filter)

    def _recall(self) -> None:
        self.resize(*FIRST_SIZE)
        geometry, splitter = self.store.value("geometry"), self.store.value("splitter")
        self.splitter.setSizes(FIRST_SPLIT)
        if isinstance(geometry, QByteArray):
            self.restoreGeometry(geometry)
        if isinstance(splitter, QByteArray):
            self.splitter.restoreState(splitter)
        self.batch_view.recall(self.store, "batches")
        self.on_server.table.recall(self.store, "server_batches")
        self.files.table.recall(self.store, "files")

    def _follow(self, frame: Frame) -> None:
        """After a frame: the right page, the awaited selection, counts and actions."""
        has_batches = self.batches.rowCount() > 0
        self._turn_page()
        if self._awaited is not None:
            self._select_awaited()
        elif has_batches and not self.batch_view.selected_ids() and self.shown_batch is None:
            self.batch_view.select_ids([self.batches.row_at(0).id], self.batches.row_at(0).id)
        if frame.batches or frame.removed_batches:
            self.files.count(self.shown_batch)
        if frame.transfers:
            self._recount(patient=True)
        self._refresh_actions()

    def _turn_page(self) -> None:
        has_batches = self.batches.rowCount() > 0
        page = self.splitter if has_batches else self.empty
        self.stack.setCurrentWidget(self.on_server if self.looks_at_server else page)
        self.top.filter.setEnabled(has_batches or self.looks_at_server)

    def _switched(self, on_server: bool) -> None:
        self.switch.choose(on_server)
        self._turn_page()
        if not on_server:
            self.server_wanted.emit("")
        self._show_servers()
        self._refresh_actions()

    def _select_awaited(self) -> None:
        if self._awaited is not None and self.batches.place(self._awaited) is not None:
            batch_id, self._awaited = self._awaited, None
            self.batch_view.select_ids([batch_id], batch_id)
            self.batch_view.scrollTo(self.batch_view.currentIndex())

    def _batches_selected(self) -> None:
        ids = self.batch_view.selected_ids()
        current = self.batch_view.current_id()
        chosen = current if current in ids else ids[0] if ids else None
        if chosen != self.files.model.batch_id:
            self.files.expect(self.batches.row(chosen) if chosen is not None else None)
            self.batch_shown.emit(chosen)
        self._files_selected()

    def _files_selected(self) -> None:
        self._recount(patient=False)
        self._want_details()
        self._refresh_actions()

    def _want_details(self) -> None:
        ids = self.files.table.selected_ids() if self.actions_[Do.DETAILS].isChecked() else []
        current = self.files.table.current_id()
        self.details_wanted.emit(current if current in ids else ids[0] if ids else None)

    def _recount(self, *, patient: bool) -> None:
        """Count the selected files by state; with very many of them, not at every frame."""
        if patient and sum(self._file_counts.values()) > MANY_SELECTED and self._frames % RECOUNT_FRAMES:
            return
        rows = self.files.table.selected_rows()
        self._file_counts = Counter(row.state for row in rows)
        self._left_there = sum(map(is_left_there, rows))

    def _refresh_actions(self) -> None:
        self.actions_.update(self.selection())

    def _focus_moved(self, _old: QWidget | None, new: QWidget | None) -> None:
        if new is self.batch_view:
            self._table = Table.BATCHES
        elif new is self.files.table:
            self._table = Table.FILES
        else:
            return
        self._refresh_actions()

    def _leave_filter(self) -> None:
        self.top.filter.clear()
        self.files.table.setFocus()


def _pop_up(view: QWidget, menu: QMenu, at: QPoint) -> None:
    menu.popup(view.viewport().mapToGlobal(at))  # type: ignore[attr-defined]  # both are tables
