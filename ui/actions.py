"""All actions in one table: what they are called, their picture and keys, and whether they may be used now."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

from ui import selection as rules
from ui.selection import Answer, Selection, Table
from ui.theme import Theme


class Do(StrEnum):
    """What a person can ask for. The value is the object name, by which tests and screen readers' scripts find it."""

    ADD_FILES = "add_files"
    ADD_FOLDER = "add_folder"
    PASTE = "paste"
    RESUME = "resume"
    PAUSE = "pause"
    RESUME_ALL = "resume_all"
    PAUSE_ALL = "pause_all"
    CANCEL_FILE = "cancel_file"
    CANCEL_BATCH = "cancel_batch"
    RETRY = "retry"
    DELETE_THERE = "delete_there"
    REMOVE_FINISHED = "remove_finished"
    REMOVE_BATCH = "remove_batch"
    OPEN_FOLDER = "open_folder"
    REPORT = "report"
    COPY = "copy"
    SELECT_ALL = "select_all"
    FILTER = "filter"
    DETAILS = "details"
    ON_SERVER = "on_server"
    SERVERS = "servers"
    ADD_SERVER = "add_server"
    SETTINGS = "settings"
    ABOUT = "about"
    QUIT = "quit"


Rule = Callable[[Selection], Answer]
Key = str | QKeySequence.StandardKey
_Std = QKeySequence.StandardKey


@dataclass(frozen=True, slots=True)
class Spec:
    """One action. ``text`` is for menus, ``short`` for the toolbar; ``tip`` says what it does where the rule does not."""

    id: Do
    text: str
    icon: str
    keys: tuple[Key, ...]
    rule: Rule
    tip: str = ""
    short: str = ""
    checkable: bool = False


SPECS: tuple[Spec, ...] = (
    Spec(
        Do.ADD_FILES,
        "Add &files…",
        "file-plus",
        (_Std.Open,),
        rules.can_add,
        "Upload files as a new batch.",
        "Files",
    ),
    Spec(
        Do.ADD_FOLDER,
        "Add f&older…",
        "folder-plus",
        ("Ctrl+Shift+O",),
        rules.can_add,
        "Upload folders with everything in them as a new batch.",
        "Folder",
    ),
    Spec(
        Do.PASTE,
        "&Paste",
        "clipboard-paste",
        (_Std.Paste,),
        rules.can_add,
        "Upload the files that were copied elsewhere, or whose paths were.",
    ),
    Spec(Do.RESUME, "&Resume", "play", ("Ctrl+R",), rules.can_resume),
    Spec(Do.PAUSE, "Pa&use", "pause", ("Ctrl+P",), rules.can_pause),
    Spec(Do.RESUME_ALL, "Resu&me all", "play", ("Ctrl+Shift+R",), rules.can_resume_all),
    Spec(Do.PAUSE_ALL, "Pause &all", "pause", ("Ctrl+Shift+P",), rules.can_pause_all),
    Spec(Do.CANCEL_FILE, "Cancel &file", "x", ("Del",), rules.can_cancel_file),
    Spec(Do.CANCEL_BATCH, "Cancel &batch", "ban", ("Shift+Del",), rules.can_cancel_batch),
    Spec(Do.RETRY, "Retry fai&led", "refresh-cw", ("F5",), rules.can_retry),
    Spec(Do.DELETE_THERE, "&Delete from the server…", "trash-2", (), rules.can_delete_there),
    Spec(Do.REMOVE_FINISHED, "Remove fi&nished", "eraser", ("Ctrl+Shift+Del",), rules.can_remove),
    Spec(Do.REMOVE_BATCH, "Remo&ve from list", "eraser", (), rules.can_remove_batch),
    Spec(Do.OPEN_FOLDER, "Ope&n folder on server", "folder-open", ("Ctrl+Return",), rules.can_open_folder),
    Spec(Do.REPORT, "What was &taken…", "info", ("Ctrl+T",), rules.can_show_report),
    Spec(Do.COPY, "&Copy rows", "copy", (_Std.Copy,), rules.can_copy),
    Spec(
        Do.SELECT_ALL,
        "Select &all",
        "check",
        (_Std.SelectAll,),
        rules.can_always,
        "Select every row of this table.",
    ),
    Spec(
        Do.FILTER,
        "&Find files",
        "search",
        (_Std.Find,),
        rules.can_always,
        "Type words of a file's name or folder.",
    ),
    Spec(
        Do.DETAILS,
        "Deta&ils",
        "panel-right",
        ("Ctrl+I",),
        rules.can_always,
        "Everything known of the selected file.",
        checkable=True,
    ),
    Spec(
        Do.ON_SERVER,
        "&On the server",
        "server",
        ("Ctrl+L",),
        rules.can_look_at_server,
        checkable=True,
    ),
    Spec(
        Do.SERVERS,
        "Ser&vers…",
        "server",
        ("Ctrl+Shift+S",),
        rules.can_add,
        "Add, change, test and remove servers.",
    ),
    Spec(
        Do.ADD_SERVER,
        "Add a s&erver…",
        "plus",
        (),
        rules.can_add,
        "Paste an address; Uphaul finds out what kind of server it is.",
    ),
    Spec(Do.SETTINGS, "&Settings…", "settings", ("Ctrl+,",), rules.can_always, "Change how Uphaul works."),
    Spec(Do.ABOUT, "&About Uphaul", "info", (), rules.can_always, "Version and licences."),
    Spec(
        Do.QUIT,
        "&Quit",
        "power",
        (_Std.Quit, "Ctrl+Q"),
        rules.can_always,
        "Stop, and keep the queue for next time.",
    ),
)


class Actions(QObject):
    """The QActions of the window. ``chosen`` carries the :class:`Do` that a person asked for, by whatever way."""

    chosen = Signal(object)

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self._actions = {spec.id: self._make(spec, parent) for spec in SPECS}
        theme.changed.connect(self._dress)
        self._dress()
        self.update(Selection(ready=False))

    def __getitem__(self, what: Do) -> QAction:
        return self._actions[what]

    def update(self, selection: Selection) -> None:
        """Enable what makes sense for *selection*; each tooltip says what would happen, or why nothing can."""
        for spec in SPECS:
            answer = spec.rule(selection)
            if selection.table is Table.SERVER and spec.id in _MY_BATCHES:
                answer = Answer(False, rules.MY_BATCHES_ONLY)
            action = self._actions[spec.id]
            action.setEnabled(answer.enabled)
            action.setToolTip(self._tip(spec, action, answer))

    def _make(self, spec: Spec, parent: QWidget) -> QAction:
        action = QAction(spec.text, parent)
        action.setObjectName(spec.id)
        action.setIconText(
            f" {spec.short or spec.text.replace('&', '')}"
        )  # the blank keeps icon and word apart
        # Where the desktop's own key is the one we name, Qt would call the pair ambiguous and obey neither.
        keys = {QKeySequence(key).toString(): QKeySequence(key) for key in spec.keys}
        action.setShortcuts(list(keys.values()))
        action.setCheckable(spec.checkable)
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.setMenuRole(_MENU_ROLES.get(spec.id, QAction.MenuRole.NoRole))
        action.triggered.connect(lambda _checked=False, what=spec.id: self.chosen.emit(what))
        parent.addAction(action)
        return action

    def _dress(self) -> None:
        for spec in SPECS:
            self._actions[spec.id].setIcon(self._theme.icon(spec.icon))

    @staticmethod
    def _tip(spec: Spec, action: QAction, answer: Answer) -> str:
        keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        title = spec.text.replace("&", "") + (f" ({keys})" if keys else "")
        words = answer.words or spec.tip
        return f"{title}\n{words}" if words else title


_MY_BATCHES = frozenset(
    {
        Do.RESUME,
        Do.PAUSE,
        Do.CANCEL_FILE,
        Do.RETRY,
        Do.DELETE_THERE,
        Do.REMOVE_FINISHED,
        Do.REMOVE_BATCH,
        Do.OPEN_FOLDER,
        Do.REPORT,
        Do.DETAILS,
    }
)
"""What makes no sense for batches of the server's own list."""
_MENU_ROLES = {  # where macOS wants them; elsewhere they stay where they are put
    Do.SETTINGS: QAction.MenuRole.PreferencesRole,
    Do.ABOUT: QAction.MenuRole.AboutRole,
    Do.QUIT: QAction.MenuRole.QuitRole,
}
