"""The palette can be read: enough contrast everywhere, and no state that is told by colour alone."""

import re
from itertools import product
from pathlib import Path

import pytest

import resources
from app.domain.state import BatchState, TransferState
from ui.colours import (
    DARK,
    LIGHT,
    Colours,
    contrast,
    state_colour_name,
    state_icon_name,
    state_text_colour_name,
)

ROOT = Path(__file__).parents[3]
SCHEMES = {"light": LIGHT, "dark": DARK}
TEXTS = ("text", "secondary", "accent", "done", "warning", "failed")
GROUNDS = ("window", "surface", "hover", "selection")


@pytest.mark.parametrize("scheme,text,ground", [*product(SCHEMES, TEXTS, GROUNDS)])
def test_text_can_be_read_on_every_ground(scheme: str, text: str, ground: str) -> None:
    colours = SCHEMES[scheme]
    assert contrast(getattr(colours, text), getattr(colours, ground)) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_the_word_on_the_main_button_can_be_read(colours: Colours) -> None:
    assert contrast(colours.on_accent, colours.accent) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("bar", ["accent", "done", "failed", "rest"])
def test_a_progress_bar_stands_out_from_its_track(colours: Colours, bar: str) -> None:
    assert contrast(getattr(colours, bar), colours.track) >= 1.9


def test_contrast_is_what_the_standard_says() -> None:
    assert round(contrast(LIGHT.surface, LIGHT.text.fromString("#000000")), 2) == 21.0


@pytest.mark.parametrize("state", [*TransferState, *BatchState])
def test_every_state_has_a_picture_and_colours(state: TransferState | BatchState) -> None:
    names = (state_colour_name(state), state_text_colour_name(state))
    assert state_icon_name(state) in resources.icon_names()
    assert set(names) <= set(Colours.__slots__)


def test_every_icon_is_used_and_keeps_its_licence() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "ui").rglob("*.py"))
    used = set(re.findall(r'"([a-z0-9-]+)"', sources))
    ours = {"uphaul", "uphaul-symbolic"}
    icons = set(resources.icon_names())
    assert icons - ours - used == set()
    assert all("@license lucide-static" in resources.icon_svg(name) for name in icons - ours)
    assert "ISC License" in resources.license_text("Lucide")


def test_the_licence_that_is_shown_is_the_licence() -> None:
    assert resources.license_text("Uphaul") == (ROOT / "LICENSE").read_text(encoding="utf-8")
