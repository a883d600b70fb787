"""The console entry `uphaul`: a subcommand goes to the command line, everything else opens the window. No Qt up here."""

import os
import sys
from collections.abc import Sequence

COMMANDS = frozenset(
    {
        "upload",
        "resume",
        "status",
        "cancel",
        "server",
        "check-update",
        "licences",
        "mcp",
        "serve",
        "--version",
        "--help",
        "-h",
    }
)
LINK = "uphaul:"
HIDDEN = "--hidden"
NOT_TAKEN, USAGE, INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run `uphaul` with *argv* (default: the process's own arguments) and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in COMMANDS:
        from app.cli import main as command_line

        return command_line(arguments)
    if arguments and arguments[0].lower().startswith(LINK):
        arguments = []  # any web page can hold such a link: it opens the window, and sends nothing
    hidden = arguments[:1] == [HIDDEN]
    arguments = arguments[hidden:]
    if arguments and not os.path.lexists(arguments[0]):
        return _refuse(
            f"“{printable(arguments[0])}” is neither a command nor a file or folder here. "
            "`uphaul --help` lists the commands; `uphaul PATH…` opens the window and uploads these paths."
        )
    from app.places import Places
    from ui.one_window import Letter, NotTakenError, OneWindow, Role

    paths = tuple(os.path.abspath(path) for path in arguments)
    places = Places.from_environment(os.environ)
    one_window = OneWindow(places.window_dir)
    try:
        role = one_window.enter(Letter(paths, os.environ.get("XDG_ACTIVATION_TOKEN", ""), hidden))
    except NotTakenError as error:
        return _refuse(str(error), NOT_TAKEN)
    except KeyboardInterrupt:
        return INTERRUPTED
    if role is Role.SENDER:
        return 0
    from ui.screen import trouble

    if (reason := trouble(os.environ)) is not None:
        return _refuse(
            f"{reason} Without a window, `uphaul upload PATH…` does the same work; see `uphaul --help`."
        )
    from ui.main import run

    return run(paths, places, one_window, hidden)


def printable(text: str) -> str:
    """Return *text* as any terminal can take it."""
    return text.encode("utf-8", "replace").decode()


def _refuse(sentence: str, code: int = USAGE) -> int:
    print(f"uphaul: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
