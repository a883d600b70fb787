"""What is written down: the journal and the server's database, read without disturbing them, and the server's disk."""

import sqlite3
from pathlib import Path
from typing import Any


class Records:
    """The durable truth of one ``UPHAUL_HOME``."""

    def __init__(self, home: Path) -> None:
        self.journal_path = home / "journal.sqlite3"
        self.server_path = home / "server" / "server.sqlite3"
        self.files_folder = home / "server" / "files"
        self.partials_folder = home / "server" / "partials"

    def journal(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query to the journal; none while there is no journal."""
        return _rows(self.journal_path, query, values)

    def server(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query to the embedded server's database; none while there is none."""
        return _rows(self.server_path, query, values)

    def stored(self) -> dict[str, int]:
        """Return how many files the server has in each state."""
        return dict(self.server("SELECT status, count(*) FROM files GROUP BY status"))

    def states(self) -> dict[str, int]:
        """Return how many transfers the journal has in each state."""
        return dict(self.journal("SELECT state, count(*) FROM transfers GROUP BY state"))

    def partials(self) -> list[str]:
        """Return the names of the unfinished files on the server's disk."""
        return sorted(entry.name for entry in self.partials_folder.glob("*"))

    def partial_bytes(self) -> int:
        """Return how many bytes of unfinished files are on the server's disk."""
        return sum(entry.stat().st_size for entry in self.partials_folder.glob("*"))


def _rows(path: Path, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(query, values).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # it is being made at this moment
            return []
        raise
    finally:
        connection.close()
