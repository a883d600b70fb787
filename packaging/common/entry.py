"""Where the frozen program begins: the same command as `uphaul` of a source installation, whatever its arguments are."""

import sys
from pathlib import Path


def command_beside(executable: str) -> str:
    """Return the program that has a standard output.

    Windows and macOS have a second one without a console, for the window; the server that it starts must be heard.
    """
    program = Path(executable)
    command = program.with_name(program.name.replace("uphaul-window", "uphaul"))
    return str(command) if command.is_file() else executable


if __name__ == "__main__":
    from ui.__main__ import main

    sys.executable = command_beside(sys.executable)
    sys.exit(main())
