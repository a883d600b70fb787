"""The console entry: what goes to the command line, what opens the window, and what is said where there can be none."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ui import screen

NO_SCREEN = {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}


def uphaul(*arguments: str, home: Path, prelude: str = "") -> subprocess.CompletedProcess[str]:
    """Run `uphaul` in its own process without any screen; *prelude* is Python that runs before it."""
    env = {key: value for key, value in os.environ.items() if key not in NO_SCREEN} | {
        "UPHAUL_HOME": str(home)
    }
    code = f"{prelude}\nimport sys; from ui.__main__ import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a screen")
def test_without_a_screen_it_says_what_works(tmp_path: Path) -> None:
    done = uphaul(home=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "uphaul: There is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set). "
        "Without a window, `uphaul upload PATH…` does the same work; see `uphaul --help`.\n",
    )


def test_a_first_word_that_is_nothing_is_named(tmp_path: Path) -> None:
    done = uphaul("uplaod", home=tmp_path)
    assert (done.returncode, done.stderr.startswith("uphaul: “uplaod” is neither a command nor a file")) == (
        2,
        True,
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a screen")
def test_a_link_asks_for_the_window_and_sends_nothing(tmp_path: Path) -> None:
    """Any web page can hold a link: what stands in it is no path."""
    done = uphaul("uphaul:/etc/passwd", home=tmp_path)
    assert (done.returncode, done.stderr) == (2, uphaul(home=tmp_path).stderr)


def test_a_subcommand_needs_no_qt(tmp_path: Path) -> None:
    """Neither does the entry itself: both run where PySide6 cannot be imported."""
    forbid = "import sys; sys.modules['PySide6'] = None; sys.modules['qasync'] = None"
    done = uphaul("--version", home=tmp_path, prelude=forbid)
    assert (done.returncode, done.stdout.split()[0]) == (0, "uphaul")


def test_where_pyside6_is_missing_it_says_so(tmp_path: Path) -> None:
    hide = (
        "import importlib.util as u; find = u.find_spec; "
        "u.find_spec = lambda name, *rest: None if name == 'PySide6' else find(name, *rest)"
    )
    done = uphaul(home=tmp_path, prelude=hide)
    assert (done.returncode, "needs PySide6, which is not installed" in done.stderr) == (2, True)


@contextmanager
def listening(path: str) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        yield


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, "no screen here"),
        ({"DISPLAY": ":4711"}, "The screen :4711 does not answer."),
        ({"DISPLAY": "127.0.0.1:4712.0"}, "does not answer"),
        ({"QT_QPA_PLATFORM": "xcb"}, "no screen here"),
        ({"QT_QPA_PLATFORM": "xcb", "WAYLAND_DISPLAY": "wayland-0"}, "no screen here"),
        ({"WAYLAND_DISPLAY": "/nobody/wayland-0"}, "The screen /nobody/wayland-0 does not answer."),
        (
            {"QT_QPA_PLATFORM": "wayland", "WAYLAND_DISPLAY": "/nobody/wayland-0", "DISPLAY": ":4711"},
            "The screen /nobody/wayland-0 does not answer.",
        ),
    ],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a screen")
def test_trouble(env: dict[str, str], words: str) -> None:
    assert words in (screen.trouble(env) or "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a screen")
def test_no_trouble_without_a_screen_of_ones_own() -> None:
    assert screen.trouble({"QT_QPA_PLATFORM": "offscreen"}) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Wayland")
@pytest.mark.parametrize("platform", ["", "wayland", "wayland;xcb"])
def test_no_trouble_where_a_compositor_answers(platform: str, tmp_path: Path) -> None:
    env = {"QT_QPA_PLATFORM": platform, "WAYLAND_DISPLAY": "wayland-7", "XDG_RUNTIME_DIR": str(tmp_path)}
    with listening(str(tmp_path / "wayland-7")):
        assert screen.trouble(env) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="abstract sockets")
def test_a_screen_that_answers() -> None:
    """X servers listen on an abstract socket, too."""
    number = 40_000 + os.getpid() % 20_000
    with listening(f"\0/tmp/.X11-unix/X{number}"):
        assert screen.answers(f":{number}.0")
