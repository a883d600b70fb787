"""A question with two answers, one of which cannot be taken back."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from ui.loop import ask


async def confirmed(parent: QWidget, question: str, more: str, yes: str) -> bool:
    """Ask; return whether the person pressed *yes*. Enter and Escape are a no."""
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("Uphaul")
    box.setTextFormat(Qt.TextFormat.PlainText)  # names are in it
    box.setText(question)
    box.setInformativeText(more)
    wanted = box.addButton(yes, QMessageBox.ButtonRole.DestructiveRole)
    stay = box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(stay)
    box.setEscapeButton(stay)
    await ask(box)
    return box.clickedButton() is wanted
