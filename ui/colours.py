"""The palette: what each colour is for, in light and in dark, and which colour and picture a state wears."""

from dataclasses import dataclass, fields

from PySide6.QtGui import QColor

from app.domain.state import BatchState, TransferState
from app.remote.base import RemoteState

State = TransferState | BatchState | RemoteState


@dataclass(frozen=True, slots=True)
class Colours:
    """One scheme. The text colours reach 4.5:1 on window, surface, hover and selection; shared: never change one."""

    window: QColor
    surface: QColor
    hover: QColor
    selection: QColor
    line: QColor
    track: QColor
    text: QColor
    secondary: QColor
    accent: QColor
    on_accent: QColor
    done: QColor
    warning: QColor
    failed: QColor
    rest: QColor
    dim: QColor


def _colours(**values: str) -> Colours:
    return Colours(**{field.name: QColor(values[field.name]) for field in fields(Colours)})


LIGHT = _colours(
    window="#FAFAF8",
    surface="#FFFFFF",
    hover="#F2F2EF",
    selection="#EAF0FE",
    line="#E4E4E0",
    track="#E8E8E5",
    text="#1F2328",
    secondary="#626870",
    accent="#2463EB",
    on_accent="#FFFFFF",
    done="#1A7A43",
    warning="#8F5C0E",
    failed="#C53030",
    rest="#A0A4AA",
    dim="#F5FAFAF8",
)
DARK = _colours(
    window="#1E1F22",
    surface="#26282C",
    hover="#2E3136",
    selection="#283347",
    line="#383B40",
    track="#3A3D42",
    text="#E6E7E9",
    secondary="#A4AAB1",
    accent="#6C9BFF",
    on_accent="#14171C",
    done="#4CC38A",
    warning="#E5B454",
    failed="#FF7B72",
    rest="#70757C",
    dim="#F51E1F22",
)

_T, _B, _R = TransferState, BatchState, RemoteState

# state -> (colour of its icon and bar, colour of its word, picture): colour is never the only sign
_WEAR: dict[str, tuple[str, str, str]] = {
    _T.QUEUED: ("secondary", "secondary", "clock"),
    _T.PREPARING: ("accent", "text", "loader"),
    _T.UPLOADING: ("accent", "text", "arrow-up"),
    _T.PROCESSING: ("accent", "text", "settings"),
    _T.WAITING: ("warning", "warning", "hourglass"),
    _T.PAUSED: ("secondary", "secondary", "pause"),
    _T.CANCELLING: ("secondary", "secondary", "ban"),
    _T.COMPLETED: ("done", "text", "check"),
    _T.FAILED: ("failed", "failed", "triangle-alert"),
    _T.CANCELLED: ("secondary", "secondary", "ban"),
    _T.SKIPPED: ("secondary", "secondary", "skip-forward"),
    _R.UNFINISHED: ("accent", "text", "arrow-up"),
    _R.STORED: ("done", "text", "check"),
    _R.UNKNOWN: ("secondary", "secondary", "info"),
    _B.SCANNING: ("accent", "text", "search"),
    _B.PARTIAL: ("failed", "failed", "triangle-alert"),
}


def state_colour_name(state: State) -> str:
    """Return which colour of :class:`Colours` the icon and the bar of *state* have."""
    return _WEAR[state][0]


def state_text_colour_name(state: State) -> str:
    """Return which colour of :class:`Colours` the word for *state* has."""
    return _WEAR[state][1]


def state_icon_name(state: State) -> str:
    """Return the name of the picture of *state*."""
    return _WEAR[state][2]


def contrast(one: QColor, other: QColor) -> float:
    """Return the contrast ratio of two opaque colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: QColor) -> float:
    parts = (colour.redF(), colour.greenF(), colour.blueF())
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
