"""The table of all routes in docs/SERVER.md says what is mounted, and nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.support.routes import Mounted, mounted_routes

PAGE = Path(__file__).parents[2] / "docs" / "SERVER.md"
HEAD = "| API | Method | Path or event | What it does | Sign-in | Answers |"
OPEN = "no"
"""What the column "Sign-in" says where the gate asks nobody; everywhere else it says who is asked, and how."""

Row = tuple[str, str, str, bool]


def table() -> dict[Row, str]:
    """Return the lines of the table by what they are about."""
    _, _, after = PAGE.read_text(encoding="utf-8").partition(HEAD + "\n|---|---|---|---|---|---|\n")
    lines = after.partition("\n\n")[0].splitlines()
    return {_row(line): line for line in lines}


def _row(line: str) -> Row:
    api, method, path, _, sign_in, _ = (cell.strip() for cell in line.strip("|").split(" | "))
    return api, method, path.strip("`"), sign_in == OPEN


def _line(route: Mounted) -> str:
    what = route.purpose.rstrip(".") or "WHAT IT DOES"
    sign_in = OPEN if route.is_open else "WHO IS ASKED"
    return f"| {route.api} | {route.method} | `{route.path}` | {what} | {sign_in} | ITS ANSWERS |"


def test_the_table_has_a_line_for_each_route_and_no_other(tmp_path: Path) -> None:
    routes = {(one.api, one.method, one.path, one.is_open): one for one in mounted_routes(tmp_path)}
    lines = table()
    complaints = [f"remove: {lines[row]}" for row in lines if row not in routes]
    complaints += [f"add:    {_line(routes[row])}" for row in routes if row not in lines]
    assert complaints == [], "The table of routes in docs/SERVER.md:\n" + "\n".join(complaints)
