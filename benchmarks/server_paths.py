"""The ways of bytes into our server, beside nginx (PUT) and npm's @tus/server, with one client, in turns.

large: one file in one request.   small: many files.   parts: one file in parts, several at once.
Every run has a server of its own, started afresh; after it, all that is on its disk is compared by SHA-256.
"""

import os
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks import peers, ways
from benchmarks.peers import Served, Start, Watch
from benchmarks.support import finish, median, parser, report, workplace
from benchmarks.ways import Load, Send
from benchmarks.wire import BLOCK_BYTES

MIB = 1024 * 1024
MOST_MULTIPART_FILE_BYTES = 100 * MIB
"""The largest file that vuemantics takes."""
RACES = ("large", "small", "parts")


@dataclass(frozen=True, slots=True)
class Contender:
    """A server, a way into it, and how many connections it is used over."""

    name: str
    start: Start
    send: Send
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One run. *then_s* is what the server did after the last byte: it put parts together, or processed files."""

    seconds: float
    then_s: float
    cpu_seconds: float
    rest_mb: float
    peak_mb: float


@contextmanager
def started(contender: Contender, folder: Path) -> Iterator[Served]:
    """Lend a server with an empty folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=folder) as place, contender.start(Path(place) / "data") as served:
        yield served


def sent(contender: Contender, load: Load, served: Served) -> tuple[Run, Watch]:
    """Send the load while the server is watched."""
    with Watch(served.pid) as watch:
        began = time.perf_counter()
        then_s = contender.send(served, load, contender.at_once)
        seconds = time.perf_counter() - began - then_s
    return Run(seconds, then_s, watch.cpu_seconds, watch.rest_mb, watch.peak_mb), watch


def require(store: Path, load: Load, expected: Sequence[str], name: str) -> None:
    """End the program if the files on the disk are not those that were sent. Parts that stayed apart count as one file."""
    paths = sorted(path for path in store.rglob("*") if path.is_file() and path.suffix != ".json")
    if load.is_one_file:
        found = [ways.sha256(chain.from_iterable(map(_blocks, paths)))]
    else:
        found = sorted(ways.sha256(_blocks(path)) for path in paths)
    if found != list(expected):
        raise SystemExit(f"{name}: what is on the disk is not what was sent ({len(paths)} files)")


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def race(
    title: str, load: Load, contenders: Sequence[Contender], rounds: int, folder: Path
) -> dict[str, Any]:
    """Let the contenders run in turns, print the table, return every run. One round before is not counted."""
    expected = load.hashes()
    runs: dict[str, list[Run]] = {each.name: [] for each in contenders}
    for number in range(rounds + 1):
        for each in contenders:
            with started(each, folder) as served:
                run, _ = sent(each, load, served)
                require(served.store, load, expected, each.name)
            if number:
                runs[each.name].append(run)
    tell(title, load, runs)
    compare(contenders, runs)
    return {name: [asdict(run) for run in done] for name, done in runs.items()}


def tell(title: str, load: Load, runs: Mapping[str, Sequence[Run]]) -> None:
    """Print what each of them took."""
    rows: list[Sequence[object]] = []
    for name, each in runs.items():
        seconds = median([run.seconds for run in each])
        rows.append(
            (
                name,
                seconds,
                f"{min(run.seconds for run in each):.2f}–{max(run.seconds for run in each):.2f}",
                load.total_bytes / 1e6 / seconds,
                load.pieces / seconds,
                median([run.cpu_seconds for run in each]),
                median([run.rest_mb for run in each]),
                max(run.peak_mb for run in each),
                median([run.then_s for run in each]),
            )
        )
    columns = (
        "median s",
        "range s",
        "MB/s",
        "pieces/s",
        "server CPU s",
        "MB at rest",
        "MB peak",
        "and then s",
    )
    report(title, ("", *columns), rows)


def compare(contenders: Sequence[Contender], runs: Mapping[str, Sequence[Run]]) -> None:
    """Print our speed as a share of each peer's: the median of the rounds' own shares, for what disturbs a round disturbs both."""
    ours = [each.name for each in contenders if each.start is peers.uphaul]
    others = [each.name for each in contenders if each.start is not peers.uphaul]
    rows = [
        (
            our,
            *(
                median([b.seconds / a.seconds for a, b in zip(runs[our], runs[other], strict=True)])
                for other in others
            ),
        )
        for our in ours
    ]
    if others:
        report("Our speed as a share of", ("", *others), rows)


def flat(folder: Path, gib: int) -> dict[str, Any]:
    """Send *gib* GiB as the files of one vuemantics bulk POST, and follow the server's memory all the way."""
    size_bytes = gib * 1024 * MIB
    files = -(-size_bytes // MOST_MULTIPART_FILE_BYTES)
    load = Load(ways.photograph(MIB), files, size_bytes // files)
    contender = Contender("vuemantics bulk", peers.uphaul, ways.vuemantics_bulk)
    with started(contender, folder) as served:
        run, watch = sent(contender, load, served)
        require(served.store, load, load.hashes(), contender.name)
    steady = [(at, mb) for at, mb in watch.samples if at >= run.seconds / 10]
    arriving = [mb for at, mb in steady if at <= run.seconds]
    figures = {
        "files": files,
        "s": run.seconds,
        "MB/s": load.total_bytes / 1e6 / run.seconds,
        "server CPU s": run.cpu_seconds,
        "MB at rest": run.rest_mb,
        "MB min": min(arriving),
        "MB max": max(arriving),
        "and then s": run.then_s,
        "MB max then": max(mb for _, mb in steady),
    }
    row = (f"{gib} GiB in one POST", *figures.values())
    note = "MB min and max: while the last nine tenths arrive; then: while the last files are processed, too."
    report("Memory of the server while a multipart body arrives", ("", *figures), [row], [note])
    return figures | {"samples": watch.samples[::10]}


def main() -> None:
    """Run what was asked for."""
    options = parser(__doc__)
    options.add_argument("--size-mib", type=int, default=1024, help="size of the large file")
    options.add_argument("--files", type=int, default=1000, help="how many small files, at most 1,000")
    options.add_argument("--small-kib", type=int, default=100, help="size of each small file")
    options.add_argument("--parts", type=int, default=128, help="how many parts")
    options.add_argument("--part-mib", type=int, default=8, help="size of each part")
    options.add_argument("--at-once", type=int, default=4, help="connections, where there are several")
    options.add_argument("--rounds", type=int, default=3, help="how often each server runs")
    options.add_argument("--node-modules", type=Path, metavar="DIR", help="where @tus/server is installed")
    options.add_argument("--only", nargs="+", choices=RACES, default=RACES, help="some of the races")
    options.add_argument(
        "--multipart-gib",
        type=int,
        metavar="N",
        help="instead of the races: send so much (at most 10) in one multipart POST and follow the server's memory",
    )
    chosen = options.parse_args()
    if chosen.quick:
        chosen.size_mib, chosen.files, chosen.parts, chosen.part_mib, chosen.rounds = 64, 100, 16, 2, 1
    with workplace(chosen) as folder:
        if chosen.multipart_gib:
            results = {"multipart": flat(folder, chosen.multipart_gib)}
        else:
            results = races(chosen, folder)
        finish("server_paths", chosen, results)


def races(chosen: Namespace, folder: Path) -> dict[str, Any]:
    """Run the races against the peers that are here, and say what is missing."""
    no_nginx, no_tus = peers.missing_nginx(), peers.missing_tus(chosen.node_modules)
    for sentence in filter(None, (no_nginx, no_tus)):
        print(sentence)
    noise = os.urandom(MIB)
    small = ways.photograph(chosen.small_kib * 1024)
    titles = {
        "large": (
            f"One file of {chosen.size_mib} MiB in one request",
            Load(noise, 1, chosen.size_mib * MIB, is_one_file=True),
        ),
        "small": (
            f"{chosen.files:,} files of {chosen.small_kib} KiB",
            Load(small, chosen.files, len(small)),
        ),
        "parts": (
            f"One file in {chosen.parts} parts of {chosen.part_mib} MiB, {chosen.at_once} at once",
            Load(noise, chosen.parts, chosen.part_mib * MIB, is_one_file=True),
        ),
    }
    entered = _contenders(chosen, with_nginx=no_nginx is None, with_tus=no_tus is None)
    return {name: race(*titles[name], entered[name], chosen.rounds, folder) for name in chosen.only}


def _contenders(chosen: Namespace, *, with_nginx: bool, with_tus: bool) -> dict[str, list[Contender]]:
    """Say who runs in which race."""
    at_once: int = chosen.at_once
    large = [Contender("Uphaul, tus PATCH", peers.uphaul, ways.tus_patch)]
    small = [
        Contender("Uphaul, vuemantics bulk, one POST", peers.uphaul, ways.vuemantics_bulk),
        Contender("Uphaul, tus creation, 1 at once", peers.uphaul, ways.tus_create),
        Contender(f"Uphaul, tus creation, {at_once} at once", peers.uphaul, ways.tus_create, at_once),
    ]
    parts = [Contender("Uphaul, Doorito parts", peers.uphaul, ways.doorito_parts, at_once)]
    if with_tus:
        node = peers.tus_server(chosen.node_modules)
        large.append(Contender("@tus/server, PATCH", node, ways.tus_patch))
        small.append(Contender("@tus/server, creation, 1 at once", node, ways.tus_create))
        small.append(Contender(f"@tus/server, creation, {at_once} at once", node, ways.tus_create, at_once))
    if with_nginx:
        large.append(Contender("nginx, PUT", peers.nginx, ways.put))
        small.append(Contender("nginx, PUT, 1 at once", peers.nginx, ways.put))
        small.append(Contender(f"nginx, PUT, {at_once} at once", peers.nginx, ways.put, at_once))
        parts.append(Contender("nginx, PUT", peers.nginx, ways.put, at_once))
    return {"large": large, "small": small, "parts": parts}


if __name__ == "__main__":
    main()
