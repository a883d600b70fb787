"""What Fusion and the palette cannot say: corners, paddings and one-pixel lines, as a small style sheet."""

from string import Template

from ui.colours import Colours

# Buttons: property "primary" is the one thing to do; property "quiet" is text only; "pill" is a filter; "boxed" has a frame.
_SHEET = Template("""
QDialogButtonBox { dialogbuttonbox-buttons-have-icons: 0; }
QToolTip { background: $surface; color: $text; border: 1px solid $line; padding: 4px 6px; }
QToolBar { background: $window; border: none; border-bottom: 1px solid $line; padding: 0 8px; spacing: 2px; }
QToolBar::separator { background: $line; width: 1px; margin: 10px 4px; }
QToolButton { color: $text; background: transparent; border: 1px solid transparent; border-radius: 6px; padding: 4px 8px; }
QToolBar QToolButton { padding: 4px 5px; }
QToolButton:hover { background: $hover; }
QToolButton:pressed, QToolButton:checked { background: $selection; }
QToolButton:disabled { color: $faint; }
QToolButton:focus { border-color: $accent; }
QToolButton[boxed="true"] { background: $surface; border-color: $line; padding: 4px 10px; }
QToolButton[boxed="true"]:hover { background: $hover; }
QToolButton[small="true"] { padding: 2px; border-radius: 4px; }
QToolButton[pill="true"] { border-radius: 12px; padding: 3px 9px; color: $secondary; }
QToolButton[pill="true"]:checked { color: $text; background: $selection; }
QToolButton[alarm="true"] { color: $failed; }
QToolButton[fold="true"] { padding: 4px 8px 4px 4px; }
QToolButton[fold="true"]:checked { background: transparent; }
QToolButton[fold="true"]:hover { background: $hover; }
QToolButton::menu-indicator { image: none; }
QPushButton { color: $text; background: $surface; border: 1px solid $line; border-radius: 6px; padding: 6px 14px; min-height: 20px; }
QPushButton:hover { background: $hover; }
QPushButton:pressed { background: $selection; }
QPushButton:focus { border-color: $accent; }
QPushButton:disabled { color: $faint; background: $window; }
QPushButton[primary="true"] { background: $accent; color: $on_accent; border-color: $accent; }
QPushButton[primary="true"]:hover { background: $accent_hover; }
QPushButton[primary="true"]:focus { border-color: $text; }
QPushButton[quiet="true"] { background: transparent; border-color: transparent; padding: 4px 8px; color: $accent; }
QPushButton[quiet="true"]:hover { background: $hover; }
QPushButton[quiet="true"]:focus { border-color: $accent; }
QLineEdit { background: $surface; border: 1px solid $line; border-radius: 6px; padding: 3px 8px; min-height: 20px; }
QLineEdit:focus { border-color: $accent; }
QAbstractSpinBox QLineEdit, QComboBox QLineEdit { border: none; padding: 0; background: transparent; }
QPlainTextEdit, QTreeView, QListView { background: $surface; border: 1px solid $line; border-radius: 6px; padding: 3px; }
QPlainTextEdit:focus, QTreeView:focus, QListView:focus { border-color: $accent; }
QComboBox QListView { border: none; border-radius: 0; padding: 0; }
QTreeView, QListView { outline: none; }
QDialog QListWidget::item { padding: 5px 6px; border-radius: 4px; }
QDialog QListWidget::item:selected { background: $selection; color: $text; }
QTreeView::item { padding: 3px 6px; }
QTreeView QHeaderView::section { background: $surface; padding: 4px 9px; }
QDialog QHeaderView { background: $surface; }
QTableView { background: $surface; border: none; outline: none; selection-background-color: $selection; selection-color: $text; }
QHeaderView { background: $window; border: none; }
QHeaderView::section { background: $window; color: $secondary; border: none; border-bottom: 1px solid $line; padding: 0 12px; }
QHeaderView::section:hover { background: $hover; }
QSplitter::handle { background: $line; }
QMenu { background: $surface; border: 1px solid $line; padding: 4px; }
QMenu::item { padding: 5px 24px 5px 8px; border-radius: 4px; }
QMenu::item:selected { background: $selection; }
QMenu::item:disabled { color: $faint; }
QMenu::icon { padding-left: 8px; }
QMenu::separator { height: 1px; background: $line; margin: 4px 8px; }
QAbstractScrollArea::corner { background: transparent; border: none; }
QScrollBar { background: transparent; border: none; }
QScrollBar:vertical { width: 10px; }
QScrollBar:horizontal { height: 10px; }
QScrollBar::handle { background: $rest; border-radius: 3px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 28px; }
QScrollBar::handle:horizontal { min-width: 28px; }
QScrollBar::handle:hover { background: $secondary; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
""")


def stylesheet(colours: Colours) -> str:
    """Return the application's style sheet in *colours*."""
    names = (
        "window",
        "surface",
        "hover",
        "selection",
        "line",
        "text",
        "secondary",
        "accent",
        "on_accent",
        "failed",
        "rest",
    )
    values = {name: getattr(colours, name).name() for name in names}
    faint = colours.secondary
    values["faint"] = f"rgba({faint.red()}, {faint.green()}, {faint.blue()}, 60%)"
    values["accent_hover"] = colours.accent.darker(112).name()
    return _SHEET.substitute(values)
