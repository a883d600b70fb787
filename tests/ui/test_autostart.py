"""Settings, "Open Uphaul when I sign in": the system's own list is shown, and changed when a person saves."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QCheckBox

from tests.ui.conftest import Running
from tests.ui.waiting import eventually
from ui.actions import Do
from ui.dialogs.settings import SettingsDialog

Start = Callable[..., Coroutine[Any, Any, Running]]


async def toggled(running: Running) -> bool:
    """Open the settings, toggle the box, save; return what it was before."""
    running.window.actions_.chosen.emit(Do.SETTINGS)
    await eventually(lambda: bool(running.window.findChildren(SettingsDialog)))
    dialog = running.window.findChildren(SettingsDialog)[0]
    (box,) = (each for each in dialog.findChildren(QCheckBox) if "sign in" in each.text())
    before = box.isChecked()
    box.toggle()
    dialog.accept()
    await eventually(lambda: not running.window.findChildren(SettingsDialog))
    return before


async def test_it_is_turned_on_and_off_in_the_settings(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    entry = tmp_path / "config" / "autostart" / "uphaul.desktop"
    running = await start()
    first = await toggled(running)
    await eventually(entry.exists)
    command = entry.read_text().rpartition("Exec=")[2]
    second = await toggled(running)
    await eventually(lambda: not entry.exists())
    assert (first, second, command.endswith(" --hidden\n")) == (False, True, True)
