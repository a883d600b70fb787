"""How soon the window can be used after `uphaul` was typed, with 100,000 transfers in the journal.

usable: from the start of the process to the first frame that shows the batches, and the turn of the event loop after it
files:  the same, to the first frame that shows the selected batch's files
gap:    the longest time without a turn of the event loop in the seconds after the window is usable
"""

import json
import os
import shutil
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.domain.batch import Batch
from app.domain.state import TransferState
from app.domain.transfer import Transfer
from app.settings import Settings
from benchmarks.support import (
    batch_of,
    finish,
    furnish,
    median,
    parser,
    python,
    report,
    run_child,
    screen,
    workplace,
)

Past = list[tuple[Batch, list[Transfer]]]
FILE_BYTES = 4096
PER_BATCH = 1_000


def few(source: Path, _transfers: int) -> Past:
    """Ten files that have arrived: what the start costs at least."""
    return [batch_of("Small", [source] * 10, TransferState.COMPLETED)]


def unfinished(source: Path, transfers: int) -> Past:
    """One batch that goes on at once."""
    return [batch_of("Holiday", [source] * transfers, TransferState.QUEUED)]


def finished(source: Path, transfers: int) -> Past:
    """Many batches that have arrived."""
    return [
        batch_of(f"Batch {number}", [source] * PER_BATCH, TransferState.COMPLETED, first=number)
        for number in range(transfers // PER_BATCH)
    ]


def finished_in_one(source: Path, transfers: int) -> Past:
    """One large batch that has arrived."""
    return [batch_of("Archive", [source] * transfers, TransferState.COMPLETED)]


SCENES: Mapping[str, Callable[[Path, int], Past]] = {
    "10 finished": few,
    "unfinished, goes on": unfinished,
    "finished, many batches": finished,
    "finished, one batch": finished_in_one,
}


def play(past: Past, folder: Path, env: Mapping[str, str], listen_s: float) -> dict[str, Any]:
    """Start the window on an installation with this past; return what the child tells."""
    home = folder / "home"
    furnish(home, Settings(), past)
    began = time.perf_counter()
    ran = run_child(python("benchmarks.start_child", began, listen_s), env={**env, "UPHAUL_HOME": str(home)})
    shutil.rmtree(home)
    told: dict[str, Any] = json.loads(ran.output)
    return told | {"peak_mb": ran.peak_mb}


def tell(runs: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """Print the medians over the rounds."""
    rows = [
        (
            name,
            median([run["usable_s"] for run in each]),
            max(run["usable_s"] for run in each),
            median([run["files_painted_s"] for run in each]),
            median([run["gap_ms"]["max"] for run in each]),
            max(run["peak_mb"] for run in each),
        )
        for name, each in runs.items()
    ]
    columns = ("journal", "usable s", "worst", "files s", "longest gap ms", "peak MB")
    report("From the start of the process", columns, rows)


def main() -> None:
    """Play every scene in turns."""
    options = parser(__doc__)
    options.add_argument("--transfers", type=int, default=100_000, help="transfers in the journal")
    options.add_argument("--rounds", type=int, default=5, help="how often each scene is played")
    options.add_argument(
        "--listen", type=float, default=3.0, help="seconds to listen after the window is usable"
    )
    chosen = options.parse_args()
    if chosen.quick:
        chosen.transfers, chosen.rounds, chosen.listen = 2_000, 1, 1.0
    with workplace(chosen) as folder, screen() as env:
        finish("start", chosen, {"runs": _all(chosen, folder, env)})


def _all(chosen: Namespace, folder: Path, env: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    source = folder / "photo.jpg"
    source.write_bytes(os.urandom(FILE_BYTES))
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in SCENES}
    for _ in range(chosen.rounds):
        for name, scene in SCENES.items():
            runs[name].append(play(scene(source, chosen.transfers), folder, env, chosen.listen))
    tell(runs)
    return runs


if __name__ == "__main__":
    main()
