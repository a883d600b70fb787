"""The menu bar and the context menus: every action is here, so that nothing needs a mouse, a tray or a wide window."""

from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from ui.actions import Actions, Do
from ui.views.header import ColumnHeader

_BAR: tuple[tuple[str, tuple[Do | None, ...]], ...] = (
    (
        "&File",
        (
            Do.ADD_FILES,
            Do.ADD_FOLDER,
            None,
            Do.OPEN_FOLDER,
            Do.REPORT,
            None,
            Do.SERVERS,
            Do.ADD_SERVER,
            None,
            Do.SETTINGS,
            None,
            Do.QUIT,
        ),
    ),
    ("&Edit", (Do.COPY, Do.PASTE, None, Do.SELECT_ALL, Do.FILTER)),
    (
        "&Upload",
        (
            Do.RESUME,
            Do.PAUSE,
            None,
            Do.CANCEL_FILE,
            Do.CANCEL_BATCH,
            None,
            Do.RETRY,
            Do.DELETE_THERE,
            None,
            Do.REMOVE_FINISHED,
            Do.REMOVE_BATCH,
            None,
            Do.RESUME_ALL,
            Do.PAUSE_ALL,
        ),
    ),
    ("&View", (Do.DETAILS, Do.ON_SERVER, None)),
    ("&Help", (Do.ABOUT,)),
)
_BATCHES = (
    Do.RESUME,
    Do.PAUSE,
    None,
    Do.CANCEL_BATCH,
    Do.RETRY,
    Do.REMOVE_BATCH,
    None,
    Do.OPEN_FOLDER,
    Do.REPORT,
    None,
    Do.COPY,
    Do.PASTE,
)
_SERVER = (Do.CANCEL_BATCH, None, Do.COPY, Do.SELECT_ALL)
_FILES = (
    Do.RESUME,
    Do.PAUSE,
    None,
    Do.CANCEL_FILE,
    Do.RETRY,
    Do.DELETE_THERE,
    None,
    Do.DETAILS,
    Do.COPY,
    Do.SELECT_ALL,
)


def fill(menu: QMenu, actions: Actions, entries: tuple[Do | None, ...]) -> QMenu:
    """Put *entries* into *menu*; None is a separator."""
    menu.setToolTipsVisible(True)
    for what in entries:
        if what is None:
            menu.addSeparator()
        else:
            menu.addAction(actions[what])
    return menu


def fill_bar(
    bar: QMenuBar, actions: Actions, batches: ColumnHeader, files: ColumnHeader, server: ColumnHeader
) -> None:
    """Build the menu bar; View offers the columns of all tables, too."""
    for title, entries in _BAR:
        menu = fill(bar.addMenu(title), actions, entries)
        if title == "&View":
            _add_columns(menu, "Columns of &batches", batches)
            _add_columns(menu, "Columns of &files", files)
            _add_columns(menu, "Columns of batches on the &server", server)


def _add_columns(menu: QMenu, title: str, header: ColumnHeader) -> None:
    columns = menu.addMenu(title)
    columns.aboutToShow.connect(lambda: header.fill_menu(columns))


def batches_menu(actions: Actions, parent: QWidget) -> QMenu:
    """Return the context menu of the Batches table."""
    return fill(QMenu(parent), actions, _BATCHES)


def files_menu(actions: Actions, parent: QWidget) -> QMenu:
    """Return the context menu of the Files table."""
    return fill(QMenu(parent), actions, _FILES)


def server_menu(actions: Actions, parent: QWidget) -> QMenu:
    """Return the context menu of the batches on the server."""
    return fill(QMenu(parent), actions, _SERVER)
