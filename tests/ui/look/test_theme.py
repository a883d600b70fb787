"""The theme dresses the whole application, follows a choice at once, and draws icons sharp for every screen."""

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPalette
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from app.domain.state import TransferState
from tests.ui.look.conftest import Count, near, pixels
from ui.colours import DARK, LIGHT
from ui.theme import Theme


def test_a_choice_changes_palette_colours_and_everybody_hears_it(
    qtbot: QtBot, qapp: QApplication, theme: Theme
) -> None:
    with qtbot.waitSignal(theme.changed):
        theme.choose("dark")
    assert (theme.dark, theme.colours, qapp.palette().color(QPalette.ColorRole.Window)) == (
        True,
        DARK,
        DARK.window,
    )


def test_choosing_the_same_again_disturbs_nobody(qtbot: QtBot, theme: Theme) -> None:
    with qtbot.assertNotEmitted(theme.changed):
        theme.choose("light")
    assert theme.colours is LIGHT


def test_it_follows_the_system_only_where_it_was_told_to(qapp: QApplication, theme: Theme) -> None:
    theme.choose("dark")
    qapp.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Light)
    forced = theme.colours
    theme.choose("system")
    dark_now = qapp.styleHints().colorScheme() is Qt.ColorScheme.Dark
    assert (forced, theme.colours) == (DARK, DARK if dark_now else LIGHT)


def test_secondary_text_follows_by_itself(qtbot: QtBot, theme: Theme, count_pixels: Count) -> None:
    label = QLabel("████")
    qtbot.addWidget(label)
    label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    label.ensurePolished()
    light = count_pixels(label, LIGHT.secondary)
    theme.choose("dark")
    assert light > 20
    assert count_pixels(label, DARK.secondary) > 20


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_a_pixmap_has_the_pixels_of_its_screen(theme: Theme, ratio: float) -> None:
    pixmap = theme.pixmap("ban", 16, ratio=ratio)
    assert (pixmap.width(), pixmap.devicePixelRatio()) == (16 * ratio, ratio)


def test_an_icon_is_tinted_and_drawn_once(theme: Theme) -> None:
    icon = theme.icon("check", theme.colours.done)
    image = icon.pixmap(QSize(20, 20), 1.0).toImage()
    strong = [colour for colour in pixels(image) if colour.alpha() > 250]
    assert strong
    assert all(near(colour, LIGHT.done) for colour in strong)
    assert theme.icon("check", QColor(theme.colours.done)).cacheKey() == icon.cacheKey()


def test_a_disabled_icon_is_dim(theme: Theme) -> None:
    icon = theme.icon("pause")
    modes = (QIcon.Mode.Normal, QIcon.Mode.Disabled)
    plain, dim = (
        max(c.alpha() for c in pixels(icon.pixmap(QSize(16, 16), 1.0, mode).toImage())) for mode in modes
    )
    assert (plain > 240, 60 < dim < 130) == (True, True)


def test_an_unknown_icon_is_a_mistake_that_shows(theme: Theme) -> None:
    with pytest.raises(FileNotFoundError):
        theme.icon("no-such-thing")


def test_states_wear_their_colours(theme: Theme) -> None:
    colours = theme.colours
    worn = [
        theme.state_colour(s) for s in (TransferState.UPLOADING, TransferState.FAILED, TransferState.PAUSED)
    ]
    words = [theme.state_text_colour(s) for s in (TransferState.UPLOADING, TransferState.FAILED)]
    assert (worn, words) == (
        [colours.accent, colours.failed, colours.secondary],
        [colours.text, colours.failed],
    )


def test_the_app_icon_is_readable_at_16_pixels(theme: Theme) -> None:
    image = theme.app_icon.pixmap(QSize(16, 16), 1.0).toImage()
    solid = [colour for colour in pixels(image) if colour.alpha() > 200]
    white = sum(colour.lightness() > 220 for colour in solid)
    blue = sum(colour.blue() > colour.red() + 60 for colour in solid)
    assert (len(solid) > 180, white > 30, blue > 90) == (True, True, True)
