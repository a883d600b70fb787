"""Tooltips that are words: Qt takes what looks like HTML for HTML, and fetches its pictures from any file or computer."""

import html

from PySide6.QtGui import Qt


def plain_tip(text: str) -> str:
    """Return *text* as a tooltip that shows it letter by letter, whatever a file's name or a server put into it."""
    if not Qt.mightBeRichText(text):
        return text
    return f'<p style="white-space: pre-wrap">{html.escape(text)}</p>'
