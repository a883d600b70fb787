"""The dialogs that choose files and folders, awaited without a nested loop."""

from PySide6.QtWidgets import QAbstractItemView, QDialog, QFileDialog, QListView, QTreeView, QWidget

from ui.loop import ask


async def choose_files(parent: QWidget) -> list[str]:
    """Return the files that a person chose, [] if none."""
    dialog = QFileDialog(parent, "Add files")
    dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
    return await _chosen(dialog)


async def choose_folders(parent: QWidget) -> list[str]:
    """Return the folders that a person chose, [] if none."""
    return await _chosen(folder_dialog(parent))


def folder_dialog(parent: QWidget) -> QFileDialog:
    """Return a dialog in which several folders can be chosen at once: Qt's own, for no system's dialog can do that."""
    dialog = QFileDialog(parent, "Add folders")
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    dialog.setLabelText(QFileDialog.DialogLabel.Accept, "Add")
    views: list[QAbstractItemView] = [
        *dialog.findChildren(QListView, "listView"),
        *dialog.findChildren(QTreeView),
    ]
    for view in views:
        view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    return dialog


async def _chosen(dialog: QFileDialog) -> list[str]:
    accepted = await ask(dialog) == QDialog.DialogCode.Accepted
    return dialog.selectedFiles() if accepted else []
