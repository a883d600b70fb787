"""How fluid the window stays with 100,000 rows: at rest, at 125 MB/s, and at full speed to the embedded server.

gap:   how much later than due a 2 ms timer of the window's event loop fires
paint: how long a paintEvent of the Files table takes
"""

import json
import os
import shutil
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.domain.state import TransferState
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

FILM_BYTES = 64 * 1024 * 1024
"""The most that the engine does not count as large: of those, it would keep one place free for small ones."""
PHOTO_BYTES = 4096
AT_ONCE = 16
MEASURES = ("gap_ms", "paint_ms")


@dataclass(frozen=True, slots=True)
class Scene:
    """What goes on meanwhile: nothing, or sixteen transfers under a speed limit (0: none)."""

    name: str
    runs: bool
    limit_bps: int = 0

    def settings(self) -> Settings:
        """Return the settings that make it so."""
        return Settings(uploads_at_once=AT_ONCE, resume_on_start=self.runs, speed_limit_bps=self.limit_bps)


SCENES = (Scene("idle", False), Scene("125 MB/s", True, 125_000_000), Scene("full speed", True))


def play(scene: Scene, folder: Path, env: Mapping[str, str], options: Namespace) -> dict[str, Any]:
    """Open the window on a journal that holds the batch, films first; return what the child has heard."""
    home = folder / "home"
    films = _films(folder, options.films)
    sources = [*films, *[_photo(folder)] * (options.rows - len(films))]
    furnish(home, scene.settings(), [batch_of("Holiday", sources, TransferState.QUEUED)])
    command = python("benchmarks.window_child", "--home", home, "--seconds", options.seconds)
    ran = run_child(
        [*command, "--rows", str(options.rows), "--running", str(AT_ONCE if scene.runs else 0)], env=env
    )
    shutil.rmtree(home)
    heard: dict[str, Any] = json.loads(ran.output)
    return heard | {"peak_mb": ran.peak_mb, "cpu_seconds": ran.cpu_seconds}


def _films(folder: Path, count: int) -> list[Path]:
    """Make files without content on the disk: reading costs as much as from the cache."""
    paths = [folder / f"film {number:03d}.mp4" for number in range(count)]
    for path in paths:
        path.touch()
        os.truncate(path, FILM_BYTES)
    return paths


def _photo(folder: Path) -> Path:
    path = folder / "photo.jpg"
    path.write_bytes(os.urandom(PHOTO_BYTES))
    return path


def tell(runs: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """Print the medians over the rounds; for the longest gap, the worst round as well."""
    rows = []
    for name, each in runs.items():
        figures = [
            median([run[measure][value] for run in each])
            for measure in MEASURES
            for value in ("p50", "p99", "max")
        ]
        worst = max(run["gap_ms"]["max"] for run in each)
        speed = median([run["mb_per_s"] for run in each])
        rows.append((name, speed, *figures, worst, max(run["peak_mb"] for run in each)))
    columns = ("scene", "MB/s", "gap p50", "p99", "max", "paint p50", "p99", "max", "worst gap", "peak MB")
    report("The window with many rows, in milliseconds", columns, rows)


def main() -> None:
    """Play every scene in turns."""
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=100_000, help="files in the batch")
    options.add_argument("--films", type=int, default=250, help="of these, files of 64 MiB, which go first")
    options.add_argument("--seconds", type=float, default=8.0, help="how long to listen")
    options.add_argument("--rounds", type=int, default=3, help="how often each scene is played")
    options.add_argument("--scene", choices=[scene.name for scene in SCENES], help="only this one")
    chosen = options.parse_args()
    if chosen.quick:
        chosen.rows, chosen.films, chosen.seconds, chosen.rounds = 5_000, 100, 2.0, 1
    scenes = [scene for scene in SCENES if chosen.scene in (None, scene.name)]
    runs: dict[str, list[dict[str, Any]]] = {scene.name: [] for scene in scenes}
    with workplace(chosen) as folder, screen() as env:
        for _ in range(chosen.rounds):
            for scene in scenes:
                runs[scene.name].append(play(scene, folder, env, chosen))
    tell(runs)
    finish("window", chosen, {"runs": runs})


if __name__ == "__main__":
    main()
