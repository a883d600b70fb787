"""What the benchmarks share: options, children that are measured, a journal with many transfers, tables and JSON."""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from app import settings as settings_file
from app.domain.batch import Batch
from app.domain.state import TransferState
from app.domain.transfer import Transfer
from app.journal.sqlite import SqliteJournal
from app.places import Places
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
_SAMPLE_S = 0.05
_FOREIGN = ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_", "XDG_", "QT_", "UPHAUL_", "SESSION_MANAGER")


# --- options and results --------------------------------------------------------------------------------------------


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    result = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    result.add_argument("--quick", action="store_true", help="small sizes: shows that it works, says little")
    result.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    result.add_argument(
        "--dir",
        type=Path,
        help="where the files lie meanwhile; /dev/shm takes the disk out (default: TMPDIR)",
    )
    return result


def machine() -> dict[str, Any]:
    """Return what one must know of this machine to compare figures."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "qt": metadata.version("PySide6-Essentials"),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def report(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], notes: Sequence[str] = ()
) -> None:
    """Print a table: the first column from the left, figures from the right."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(line[place]) for line in [list(columns), *texts]) for place in range(len(columns))]
    print(f"\n{title}")
    for line in (list(columns), ["-" * width for width in widths], *texts):
        first, *rest = (
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([first, *rest]).rstrip())
    for note in notes:
        print(note)
    sys.stdout.flush()


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def finish(name: str, options: argparse.Namespace, results: Mapping[str, Any]) -> None:
    """Say on which machine this was, and write the JSON that was asked for."""
    here = machine()
    print(
        f"\n{here['cores']} cores ({here['processor']}), Python {here['python']}, Qt {here['qt']}, "
        f"load now {here['load'][0]}"
    )
    if options.json is not None:
        asked = {
            key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()
        }
        content = {"benchmark": name, "machine": here, "options": asked, "results": results}
        options.json.write_text(json.dumps(content, indent=2) + "\n")


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    return statistics.median(values)


@contextlib.contextmanager
def workplace(options: argparse.Namespace) -> Iterator[Path]:
    """Lend a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="uphaul-benchmark-", dir=options.dir) as folder:
        yield Path(folder)


def empty(folder: Path) -> None:
    """Remove what is in *folder*."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def write_random(path: Path, size_bytes: int) -> None:
    """Write a file that no file system can shorten."""
    block = os.urandom(1024 * 1024)
    with path.open("wb") as file:
        while size_bytes > 0:
            size_bytes -= file.write(block[:size_bytes])


# --- children -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ran:
    """What a child process took: wall clock from its start to its end, processor time, and its peak memory."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    output: str


def run_child(command: Sequence[str], *, env: Mapping[str, str] | None = None, given: str = "") -> Ran:
    """Run *command* from the repository's root with *given* on its standard input; raise if it fails."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        began = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=said, stderr=complained, text=True
        )
        peak = _Peak(child.pid)
        assert child.stdin is not None
        child.stdin.write(given)
        child.stdin.close()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        peak.stop()
        said.seek(0)
        complained.seek(0)
        output, complaints = said.read(), complained.read()
    if child.returncode:
        raise SystemExit(f"{' '.join(command[:4])} ended with {child.returncode}:\n{output}\n{complaints}")
    return Ran(seconds, usage.ru_utime + usage.ru_stime, peak.peak_mb, output)


class _Peak:
    """Watches a process's peak memory. (rusage counts that of the parent in, from before the exec.)"""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()
        self.peak_mb = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            with contextlib.suppress(OSError, StopIteration):
                line = next(x for x in self._status.read_text().splitlines() if x.startswith("VmHWM"))
                self.peak_mb = int(line.split()[1]) / 1024

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


def python(module: str, *arguments: object) -> list[str]:
    """Return the command that runs a module of this repository."""
    return [sys.executable, "-m", module, *map(str, arguments)]


@contextlib.contextmanager
def screen() -> Iterator[dict[str, str]]:
    """Lend an environment in which a window opens: an X server of our own, or Qt's offscreen platform without one."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
    env |= {"NO_AT_BRIDGE": "1", "DBUS_SESSION_BUS_ADDRESS": "disabled:"}
    if shutil.which("Xvfb") is None:
        yield env | {"QT_QPA_PLATFORM": "offscreen"}
        return
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            number = pipe.readline().strip()
        yield env | {"QT_QPA_PLATFORM": "xcb", "DISPLAY": f":{number}"}
    finally:
        server.terminate()
        server.wait()


# --- an installation with a past ------------------------------------------------------------------------------------


def places_in(home: Path) -> Places:
    """Return the places of an installation in *home* (what UPHAUL_HOME=home means)."""
    return Places.from_environment({"UPHAUL_HOME": str(home)})


def furnish(home: Path, settings: Settings, past: Sequence[tuple[Batch, Sequence[Transfer]]]) -> Places:
    """Make an installation with these settings and these batches in its journal."""
    home.mkdir(parents=True, exist_ok=True)
    places = places_in(home)
    settings_file.save(places.settings_path, settings)
    asyncio.run(_write_journal(places.journal_path, past))
    return places


async def _write_journal(path: Path, past: Sequence[tuple[Batch, Sequence[Transfer]]]) -> None:
    journal = SqliteJournal(path)
    await journal.open()
    for batch, transfers in past:
        journal.put_batches([batch])
        journal.put_transfers(transfers)
    await journal.close()


def batch_of(
    name: str, sources: Sequence[Path], state: TransferState, *, first: int = 0
) -> tuple[Batch, list[Transfer]]:
    """Return a batch for the embedded server with a transfer for each of *sources*; a file may be named many times."""
    now = time.time()
    over = now if state is TransferState.COMPLETED else None
    batch = Batch(uuid.uuid4().hex, name, "embedded", now + first, started_at=over, finished_at=over)
    known: dict[Path, os.stat_result] = {}
    transfers = []
    for number, source in enumerate(sources):
        found = known.get(source) or known.setdefault(source, source.stat())
        transfers.append(
            Transfer(
                uuid.uuid4().hex,
                batch.id,
                number,
                str(source),
                f"{name}/folder {number // 500:03d}/IMG_{number:06d}{source.suffix}",
                found.st_size,
                found.st_mtime_ns,
                state,
                offset_bytes=found.st_size if over else 0,
            )
        )
    return batch, transfers


def as_dict(ran: Ran) -> dict[str, float]:
    """Return the figures of a run, without what it printed."""
    return {key: value for key, value in asdict(ran).items() if key != "output"}
