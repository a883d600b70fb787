"""The program under test: the real window in its own process, with a home of its own, seen through the probe."""

import json
import os
import signal
import socket
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from tests.e2e.support import installed
from tests.e2e.support.child import Child
from tests.e2e.support.desktop import Desktop
from tests.e2e.support.hand import Hand, Rect
from tests.e2e.support.records import Records
from tests.e2e.support.wait import until

ROOT = Path(__file__).resolve().parents[3]
SLOW_BPS = 1_000_000
BATCHES, FILES = "batches", "files"
T = TypeVar("T")


def settle(home: Path, **settings: int | bool) -> None:
    """Write the settings that the window will find in *home*, as a person may with an editor."""
    (home / "settings.toml").write_text(tomli_w.dumps(settings))


@dataclass(frozen=True, slots=True)
class Look:
    """What is visible at one moment, as :func:`tests.e2e.support.probe.look` tells it."""

    facts: dict[str, Any]

    def rows(self, table: str) -> list[dict[str, str]]:
        """Return the rows of a table, each from heading to text."""
        found = self.facts.get("tables", {}).get(table)
        return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]] if found else []

    def row_place(self, table: str, name: str) -> Rect:
        """Return where the row that begins with *name* is."""
        found = self.facts["tables"][table]
        return Rect(*found["places"][[row[0] for row in found["rows"]].index(name)])

    def main_window(self) -> dict[str, Any] | None:
        """Return the main window's facts, None while it is hidden."""
        windows = self.facts.get("windows", [])
        return next((window for window in windows if window["kind"] == "MainWindow"), None)

    def words(self) -> str:
        """Return all visible labels, a line each."""
        return "\n".join(self.facts.get("words", []))


class Program:
    """One run of the window. It shows a moment later; whoever made it ends it."""

    def __init__(self, desktop: Desktop, home: Path, arguments: Sequence[str | Path] = ()) -> None:
        self.desktop, self.home, self.hand = desktop, home, Hand(desktop)
        self.records = Records(home)
        self._probe = f"uphaul-probe-{uuid.uuid4().hex}"
        env = {**desktop.env, "UPHAUL_HOME": str(home), "PYTHONPATH": str(ROOT)}
        if (program := installed.program()) is not None:
            command = [str(program), *map(str, arguments)]
            env |= installed.probing(self._probe, desktop.folder)
        else:
            command = [sys.executable, "-m", "tests.e2e.support.probe", self._probe, *map(str, arguments)]
        self.child = Child(command, env, home / "window.log")

    def __enter__(self) -> "Program":
        try:
            self.until_shown()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def until_shown(self) -> None:
        """Wait for the window."""
        until(self._window, "the window")

    def end(self) -> None:
        """End it, if it has not ended by itself."""
        self.child.end()

    def report(self) -> str:
        """Return what it said and what it shows, for a person who reads a failure."""
        return f"It said:\n{self.child.words()}\nIt shows:\n{self._last_look()}"

    def look(self) -> Look:
        """Return what is visible now."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(20)
            probe.connect(f"\0{self._probe}")
            with probe.makefile("rb") as answer:
                return Look(json.loads(answer.read()))

    def until(self, ask: Callable[[Look], T | None], what: str, within_s: float = 30.0) -> T:
        """Look until *ask* finds something; AssertionError naming *what* otherwise."""

        def once() -> T | None:
            assert self.child.running, f"the window has ended: {self.child.words()}"
            return ask(self.look())

        return until(once, what, within_s)

    def until_row(self, table: str, name: str, state: str, within_s: float = 60.0) -> dict[str, str]:
        """Return the row that begins with *name* as soon as its state begins with *state*."""

        def find(look: Look) -> dict[str, str] | None:
            rows = [row for row in look.rows(table) if next(iter(row.values())) == name]
            return next((row for row in rows if row["State"].startswith(state)), None)

        found = self.until(find, f"{name!r} in {table} to be {state!r}", within_s)
        assert found
        return found

    def until_said(self, words: str) -> str:
        """Return all visible words as soon as *words* is among them."""
        return self.until(lambda look: look.words() if words in look.words() else "", f"the words {words!r}")

    def until_asked(self, words: str) -> None:
        """Wait until a question with these words is there and hears the keyboard."""

        def asks(look: Look) -> bool:
            active = [window["kind"] for window in look.facts["windows"] if window["active"]]
            return words in look.words() and "MainWindow" not in active and bool(active)

        self.until(asks, f"the question {words!r}")

    def until_spoken(self, words: str) -> None:
        """Wait until what a screen reader would say contains *words*: of things that are painted, not written."""
        self.until(lambda look: words in "\n".join(look.facts["spoken"]), f"the spoken words {words!r}")

    @property
    def place(self) -> Rect:
        """Where the window is on the screen."""
        return Rect(*self.until(lambda look: look.main_window(), "the window to be on the screen")["place"])

    def use(self, action: str) -> None:
        """Click the toolbar's button of *action*, once it can be clicked."""

        def ready(look: Look) -> Rect | None:
            fact = look.facts["actions"][action]
            return Rect(*fact["place"]) if fact["enabled"] and fact["place"] else None

        place = self.until(ready, f"the button {action!r} to be enabled")
        assert place
        self.hand.click(place)

    def push(self, button: str) -> None:
        """Click the button with this text, in the window or in a question, once it is there."""
        self.hand.click(
            self._resting(lambda look: look.facts["buttons"].get(button), f"the button {button!r}")
        )

    def choose(self, entry: str) -> None:
        """Click an entry of the menu that is open."""
        self.hand.click(
            self._resting(lambda look: look.facts["entries"].get(entry), f"the menu's entry {entry!r}")
        )

    def _resting(self, find: Callable[[Look], Sequence[int] | None], what: str) -> Rect:
        """Return a place once two looks find it the same: the window manager may still be moving a window that is new."""
        before: Sequence[int] | None = None

        def at_rest(look: Look) -> Sequence[int] | None:
            nonlocal before
            before, last = find(look), before
            return before if before == last else None

        return Rect(*self.until(at_rest, what))

    def select(self, table: str, name: str, button: int = 1) -> None:
        """Click the row of *table* that begins with *name*; with *button* 3, its menu opens."""

        def visible(look: Look) -> bool:
            return any(next(iter(row.values())) == name for row in look.rows(table))

        self.until(visible, f"the row {name!r}")
        self.hand.click(self.look().row_place(table, name), button)

    def press(self, keys: str) -> None:
        """Press keys in the window."""
        window = self.until(lambda look: look.main_window(), "the window to be on the screen")["id"]
        self.desktop.run("xdotool", "windowactivate", "--sync", str(window))
        self.hand.press(keys)

    def close(self) -> None:
        """Close the window as its × does: the window manager asks it to."""
        self.press("alt+F4")

    def quit(self) -> int:
        """Quit by Ctrl+Q; return the exit code."""
        self.press("ctrl+q")
        return self.child.wait()

    def kill9(self) -> None:
        """Kill the window's process, and only it, with no chance to say a word."""
        os.kill(self.child.pid, signal.SIGKILL)
        self.child.process.wait()

    def server_pid(self) -> int:
        """Return the process id of the embedded server, once it runs."""
        return until(
            lambda: next(iter(_children(self.child.pid, "--parent-stdin")), 0), "the embedded server"
        )

    def _window(self) -> bool:
        assert self.child.running, f"the window did not start: {self.child.words()}"
        try:
            return self.look().main_window() is not None
        except (ConnectionError, json.JSONDecodeError):
            return False

    def _last_look(self) -> str:
        if not self.child.running:
            return "nothing: it has ended"
        try:
            look = self.look()
        except (OSError, ValueError) as error:
            return f"nothing: {error}"
        rows = [*look.rows(BATCHES), *look.rows(FILES)[:20]]
        return "\n".join([look.words(), *look.facts.get("spoken", []), *map(str, rows)])


class Programs:
    """Starts the window, always on the same *home*, and ends what it has started; silence is part of the bargain."""

    def __init__(self, desktop: Desktop, home: Path) -> None:
        self._desktop, self._home = desktop, home
        self._started: list[Program] = []
        self._again: list[Child] = []

    def __call__(self, *paths: Path) -> Program:
        """Start ``uphaul PATH…`` and return it once its window is there."""
        program = self.begin(*paths)
        program.until_shown()
        return program

    def begin(self, *paths: str | Path) -> Program:
        """Start ``uphaul PATH…`` and return it at once."""
        program = Program(self._desktop, self._home, paths)
        self._started.append(program)
        return program

    def again(self, *paths: str | Path) -> Child:
        """Start ``uphaul PATH…`` once more while a window is open, as a file manager does; return it at once."""
        installed_program = installed.program()
        command = [str(installed_program)] if installed_program else [sys.executable, "-m", "ui"]
        env = {**self._desktop.env, "UPHAUL_HOME": str(self._home), "PYTHONPATH": str(ROOT)}
        again = Child([*command, *map(str, paths)], env, self._home / f"again-{len(self._again)}.log")
        self._again.append(again)
        return again

    def report(self) -> str:
        """Return what each of them said and shows."""
        return "\n".join(program.report() for program in self._started)

    def end(self) -> None:
        """End them all; AssertionError if one wrote anything on standard output or error."""
        children = [program.child for program in self._started] + self._again
        for child in children:
            child.end()
        complaints = [words for child in children if (words := child.words())]
        assert not complaints, f"the window complained:\n{complaints[0]}"


def _children(parent: int, word: str) -> list[int]:
    """Return the children of *parent* that have *word* among their arguments."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ppid = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended while we looked
            continue
        if ppid == parent and word.encode() in arguments:
            found.append(int(folder.name))
    return found
