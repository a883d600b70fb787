"""Takes the pictures in docs/images: the real program, a real server, real files on their way. ``python -m tests.e2e.screenshots``.

Nothing is staged inside the program: files vanish before their turn, buttons are clicked, folders are dragged. The
desktop's font is Inter at 13 pixels where it is installed, so that the pictures look alike on every machine.
"""

import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import tomli_w

from tests.e2e.support import services
from tests.e2e.support.desktop import Desktop, desktop
from tests.e2e.support.hand import Rect
from tests.e2e.support.program import BATCHES, FILES, ROOT, Program
from tests.e2e.support.stranger import drag_source
from tests.support.server import ServerProcess
from tests.support.vuemantics_client import PASSWORD as VUEMANTICS_PASSWORD
from tests.support.vuemantics_client import VuemanticsClient, picture

IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT = 1280, 800
MB = 1_000_000
SPEED_BPS = 30 * MB
_FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <match target="pattern">
    <test name="family"><string>sans-serif</string></test>
    <edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit>
  </match>
</fontconfig>
"""


def main() -> int:
    """Take all pictures, and say where they are."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="uphaul-pictures-") as name, desktop(Path(name)) as plain:
        here = with_fonts(plain)
        take_empty(here)
        home, folders = here.folder / "home-main", here.folder / "folders"
        home.mkdir()
        take_light(here, home, folders)
        take_dark(here, home, folders)
        take_servers(here, folders)
    return 0


def take_empty(here: Desktop) -> None:
    """The first start: nothing but the invitation."""
    home = here.folder / "home-empty"
    home.mkdir()
    with window(here, home, "light") as program:
        program.until_said("is ready")
        shoot(program, "empty-light")


def take_light(here: Desktop, home: Path, folders: Path) -> None:
    """A busy day: one batch has arrived, one lost files, one was cancelled, one is paused, one is on its way."""
    with window(here, home, "light", photos(folders / "Scans March", 98, 0.1)) as program:
        program.until_row(BATCHES, "Scans March", "Done")
        lose_files(program, photos(folders / "Invoices", 120, 1.2))
        stop_midway(program, photos(folders / "Old laptop", 73, 2), "cancel_batch", "Cancelled")
        stop_midway(program, photos(folders / "Microscope run 14", 88, 2), "pause", "Paused")
        send_holiday(program, folders / "Holiday 2026")
        shoot(program, "main-light")


def take_dark(here: Desktop, home: Path, folders: Path) -> None:
    """The next start, in dark: what was on its way goes on; then three folders hang on the pointer."""
    new = [photos(folders / "new" / name, 5, 0.1) for name in ("June", "July", "August")]
    with window(here, home, "dark") as program:
        program.select(BATCHES, "Holiday 2026")
        program.until_row(FILES, "clip 0003.mov", "Uploading")
        until_fast(program)
        shoot(program, "main-dark")
        goal = Rect(WIDTH - 12, HEIGHT - 12, 2, 2)
        with drag_source(here, new) as stranger, program.hand.dragging(stranger.place, goal):
            program.until_spoken("Drop to upload 3 folders")
            shoot(program, "drop-dark", hide_pointer=False)


def take_servers(here: Desktop, folders: Path) -> None:
    """A server of somebody's own: it is being added, then in the list, then with the batches that it has."""
    home, data = here.folder / "home-servers", here.folder / "data"
    home.mkdir()
    data.mkdir()
    with (
        services.keyring(here),
        ServerProcess(data, "--process", module="tests.support.held_server") as server,
        VuemanticsClient(server) as account,
        window(here, home, "light") as program,
    ):
        program.until_said("is ready")
        open_add(program, f"{server.url}/vuemantics/docs", "vuemantics answers there")
        program.hand.type("anna@lab.example\t" + "x" * 14)
        shoot_screen(program, "add-server-light")
        program.hand.press("Escape")
        open_add(program, server.url, "Uphaul answers there")
        program.hand.type(server.token)
        program.hand.press("Tab")
        program.hand.press("Tab")
        rename(program, "lab")
        for name, count in (("Scans March", 98), ("Holiday 2026", 240)):
            send_pictures(program, folders / "lab" / name, count, "Done")
        stop_midway(program, photos(folders / "lab" / "Old laptop", 73, 2), "cancel_batch", "Cancelled")
        (data / "hold").touch()
        send_pictures(program, folders / "lab" / "Microscope run 15", 88, "Processing")
        open_add(program, f"{server.url}/vuemantics", "vuemantics answers there")
        program.hand.type(f"{account.email}\t{VUEMANTICS_PASSWORD}")
        program.hand.press("Return")
        program.until_said("“vuemantics” is added")
        program.until(lambda look: len(look.rows("servers")) == 3, "the list of servers")
        shoot_screen(program, "servers-light")
        program.hand.press("Escape")
        program.push(" vuemantics ▾")
        program.choose("lab")
        program.press("ctrl+l")
        program.until(lambda look: len(look.rows("server_batches")) == 4, "the server's own batches")
        shoot(program, "on-server-light")


def open_add(program: Program, address: str, answer: str) -> None:
    """Open the dialog that adds a server, and let it look at *address*."""
    program.press("ctrl+shift+s")
    program.until(lambda look: look.rows("servers"), "the list of servers")
    program.push("Add…")
    program.until_said("Uphaul finds out what answers there")
    program.hand.type(address)
    program.hand.press("Return")
    program.until_said(answer)


def rename(program: Program, name: str) -> None:
    """Give the server another name than the suggested one, and add it."""
    program.hand.press("ctrl+a")
    program.hand.type(name)
    program.hand.press("Return")
    program.until_said(f"“{name}” is added")
    program.hand.press("Escape")


def send_pictures(program: Program, folder: Path, count: int, state: str) -> None:
    """Drag a folder of real pictures onto the window, and wait until its batch is in *state*."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"DSC_{number:04}.png").write_bytes(picture(number % 256, (400, 300)))
    with drag_source(program.desktop, [folder]) as stranger:
        program.hand.drag(stranger.place, program.place)
        program.until_row(BATCHES, folder.name, state)


def lose_files(program: Program, folder: Path) -> None:
    """Send *folder*, and take three files away before their turn comes."""
    drop(program, folder)
    for path in sorted(folder.rglob("*.NEF"))[-3:]:
        path.unlink()
    program.until_row(BATCHES, folder.name, "3 failed")


def stop_midway(program: Program, folder: Path, action: str, state: str) -> None:
    """Send a good part of *folder*, then click the button of *action*."""
    drop(program, folder)
    until_done(program, folder.name, 20)
    program.select(BATCHES, folder.name)
    program.use(action)
    program.until_row(BATCHES, folder.name, state)


def send_holiday(program: Program, folder: Path) -> None:
    """Send the batch that the picture is about: long films, many photos, one file gone and one cancelled."""
    chance = random.Random(1)
    photos(folder / "day 3" / "raw", 412, 0.9)
    for number in range(1, 6):
        sparse(folder / f"clip {number:04}.mov", round(chance.uniform(90, 220) * MB))
    drop(program, folder)
    program.until_row(FILES, "clip 0004.mov", "Uploading")
    (folder / "day 3" / "raw" / "DSC_0411.NEF").unlink()
    program.select(FILES, "clip 0002.mov")
    program.use("cancel_file")
    program.until_row(FILES, "clip 0002.mov", "Cancelled")
    until_done(program, folder.name, 150)


def drop(program: Program, folder: Path) -> None:
    """Drag *folder* onto the window and let it go; wait until it is on its way."""
    with drag_source(program.desktop, [folder]) as stranger:
        program.hand.drag(stranger.place, program.place)
        # inside: the window reads from the stranger what was dropped, which it could not if that had ended
        program.until_row(BATCHES, folder.name, "Uploading")


def until_done(program: Program, name: str, files: int) -> None:
    """Wait until so many files of the batch *name* have arrived."""

    def enough(row: dict[str, str]) -> bool:
        return int(row["Files"].partition("/")[0].replace(",", "")) >= files

    program.until(
        lambda look: [row for row in look.rows(BATCHES) if row["Batch"] == name and enough(row)],
        f"{files} files of {name}",
        within_s=90,
    )


def until_fast(program: Program) -> None:
    """Wait until the window knows a speed and how long it will take."""
    program.until(lambda look: [row for row in look.rows(BATCHES) if row["Left"]], "an estimate", within_s=60)


@contextmanager
def window(here: Desktop, home: Path, theme: str, *paths: Path) -> Iterator[Program]:
    """Run the program on *home* in a window of the pictures' size at the corner of the screen."""
    settings = {"theme": theme, "speed_limit_bps": SPEED_BPS, "uploads_at_once": 6, "notify": False}
    (home / "settings.toml").write_text(tomli_w.dumps(settings))
    with Program(here, home, paths) as program:
        number = window_id(program)
        here.run("xdotool", "windowsize", "--sync", number, str(WIDTH), str(HEIGHT))
        here.run("xdotool", "windowmove", number, "0", "0")
        yield program


def shoot(program: Program, name: str, *, hide_pointer: bool = True) -> None:
    """Save the window's content as docs/images/*name*.png."""
    if hide_pointer:
        program.hand.move(1599, 999)
    file = IMAGES / f"{name}.png"
    options = ("-strip", "-define", "png:compression-level=9")
    program.desktop.run("import", "-window", window_id(program), *options, str(file))
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1000} kB")


def shoot_screen(program: Program, name: str) -> None:
    """Save the window with the dialog in front of it."""
    program.hand.move(1599, 999)
    file = IMAGES / f"{name}.png"
    options = ("-crop", f"{WIDTH}x{HEIGHT}+0+0", "+repage", "-strip", "-define", "png:compression-level=9")
    program.desktop.run("import", "-window", "root", *options, str(file))
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1000} kB")


def window_id(program: Program) -> str:
    """Return the main window's number on the screen."""
    fact = program.until(lambda look: look.main_window(), "the window to be on the screen")
    assert fact
    return str(fact["id"])


def with_fonts(plain: Desktop) -> Desktop:
    """Return the desktop with its standard font set, as a person may set it."""
    config = plain.folder / "fonts.conf"
    config.write_text(_FONTS)
    fonts = {"FONTCONFIG_FILE": str(config), "QT_FONT_DPI": "104", "QT_ENABLE_HIGHDPI_SCALING": "0"}
    return replace(plain, env={**plain.env, **fonts})


def photos(folder: Path, count: int, megabytes: float) -> Path:
    """Fill *folder* with *count* files ``DSC_0000.NEF``… of about *megabytes*; return it."""
    chance = random.Random(count)
    for number in range(count):
        sparse(folder / f"DSC_{number:04}.NEF", round(chance.uniform(0.7, 1.3) * megabytes * MB))
    return folder


def sparse(path: Path, size_bytes: int) -> None:
    """Make a file of zeros that takes no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size_bytes)


if __name__ == "__main__":
    if shutil.which("import") is None:
        sys.exit("`import` of ImageMagick is missing. `python3 dev.py screenshots` installs it.")
    sys.exit(main())
