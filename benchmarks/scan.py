"""200,000 files: how long their scan takes, and how soon after the drop the first byte is on its way.

walk:       app.intake alone, beside others that look at each file's size: os.walk with stat, find, rclone
first byte: from UploadManager.add (what a drop calls) to the first byte handed to the socket, while the scan goes on
"""

import asyncio
import json
import os
import shutil
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from app.intake.rules import Rules
from app.intake.walker import Found, walk
from benchmarks.support import finish, median, parser, python, report, run_child, workplace
from tests.support.server import ServerProcess

PER_FOLDER = 500
FILE_BYTES = 16


def grow(folder: Path, files: int) -> None:
    """Make a tree of small files."""
    content = os.urandom(FILE_BYTES)
    for number in range(files):
        place = folder / f"{number // PER_FOLDER // 20:03d}" / f"{number // PER_FOLDER % 20:02d}"
        if number % PER_FOLDER == 0:
            place.mkdir(parents=True)
        (place / f"file {number:06d}.dat").write_bytes(content)


def by_intake(tree: Path) -> int:
    """Scan as a drop does: rules, links, sizes, times, in batches to an event loop."""
    count = 0

    def found(files: Sequence[Found]) -> None:
        nonlocal count
        count += len(files)

    asyncio.run(walk([str(tree)], Rules(), found))
    return count


def by_os_walk(tree: Path) -> int:
    """The plain way of the standard library."""
    count = 0
    for folder, _, names in os.walk(tree):
        for name in names:
            os.stat(os.path.join(folder, name), follow_symlinks=False)
            count += 1
    return count


def by_find(tree: Path) -> int:
    """A whole process written in C."""
    return run_child(["find", str(tree), "-type", "f", "-printf", "%s\n"]).output.count("\n")


def by_rclone(tree: Path) -> int:
    """A whole process written in Go, with several threads."""
    said = run_child(["rclone", "size", "--json", "--config", "", str(tree)]).output
    return int(json.loads(said)["count"])


def peers() -> dict[str, Callable[[Path], int]]:
    """Return who scans; those that this machine has."""
    every = {"app.intake": by_intake, "os.walk + stat": by_os_walk, "find": by_find, "rclone size": by_rclone}
    return {
        name: scan for name, scan in every.items() if name.split()[0] != "rclone" or shutil.which("rclone")
    }


def compare(tree: Path, files: int, rounds: int) -> dict[str, list[float]]:
    """Let all scan in turns, once uncounted so that the cache is as warm for each."""
    seconds: dict[str, list[float]] = {name: [] for name in peers()}
    for number in range(rounds + 1):
        for name, scan in peers().items():
            began = time.perf_counter()
            count = scan(tree)
            if count != files:
                raise SystemExit(f"{name} found {count} files of {files}")
            if number:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def drop(tree: Path, folder: Path, *, running: bool) -> dict[str, float]:
    """Drop the whole tree on a new installation, and stop when it is scanned; the uploads run meanwhile.

    *running*: the server runs already; else the embedded one is started by this drop, the first of a session.
    """
    home = folder / "home"
    command = python("benchmarks.headless", "--home", home, "--scan-only")
    if running:
        with ServerProcess(folder / "server", "--log-level", "warning") as server:
            ran = run_child([*command, "--server", server.url, str(tree)], given=f"{server.token}\n")
        shutil.rmtree(folder / "server")
    else:
        ran = run_child([*command, str(tree)])
    shutil.rmtree(home)
    told: dict[str, float] = json.loads(ran.output)
    return told | {"peak_mb": ran.peak_mb}


def tell_scans(files: int, seconds: dict[str, list[float]]) -> None:
    """Print who scans how fast."""
    rows = [
        (name, median(each), files / median(each), f"{min(each):.2f}–{max(each):.2f}")
        for name, each in seconds.items()
    ]
    report(f"Scan of {files:,} files", ("who", "median s", "files/s", "range s"), rows)


def tell_drops(files: int, drops: dict[str, list[dict[str, float]]]) -> None:
    """Print how soon a drop begins to send."""
    rows = [
        (
            name,
            median([each["first_byte_seconds"] for each in told]),
            max(each["first_byte_seconds"] for each in told),
            median([each["scanned_seconds"] for each in told]),
            max(each["peak_mb"] for each in told),
        )
        for name, told in drops.items()
    ]
    columns = ("server", "first byte s", "worst", "scanned s, while sending", "peak MB")
    report(f"Drop of {files:,} files", columns, rows)


def main() -> None:
    """Scan and drop in turns."""
    options = parser(__doc__)
    options.add_argument("--files", type=int, default=200_000, help="files in the tree")
    options.add_argument("--rounds", type=int, default=3, help="how often each one scans")
    chosen = options.parse_args()
    if chosen.quick:
        chosen.files, chosen.rounds = 5_000, 1
    with workplace(chosen) as folder:
        finish("scan", chosen, _all(chosen, folder))


def _all(chosen: Namespace, folder: Path) -> dict[str, Any]:
    tree = folder / "tree"
    grow(tree, chosen.files)
    seconds = compare(tree, chosen.files, chosen.rounds)
    tell_scans(chosen.files, seconds)
    drops: dict[str, list[dict[str, float]]] = {"runs already": [], "starts with the drop": []}
    for _ in range(chosen.rounds):
        for name, told in drops.items():
            told.append(drop(tree, folder, running=name == "runs already"))
    tell_drops(chosen.files, drops)
    return {"scan_seconds": seconds, "drops": drops}


if __name__ == "__main__":
    main()
