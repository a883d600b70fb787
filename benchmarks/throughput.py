"""One large file, and many small ones, sent by Uphaul without a window and by curl to the same server, in turns."""

import base64
import json
import os
import re
import urllib.request
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.settings import Settings
from benchmarks.support import (
    Ran,
    as_dict,
    empty,
    finish,
    furnish,
    median,
    parser,
    python,
    report,
    run_child,
    workplace,
    write_random,
)
from tests.support.server import ServerProcess

MIB = 1024 * 1024
TUS = {"Tus-Resumable": "1.0.0"}
BODY = {"Content-Type": "application/offset+octet-stream", "Expect": ""}


@dataclass(frozen=True, slots=True)
class Bench:
    """Where things are: the server, a folder to work in, and how many files go at once."""

    server: ServerProcess
    folder: Path
    at_once: int


Contender = Callable[[Bench, Sequence[Path]], Ran]


def engine(bench: Bench, paths: Sequence[Path]) -> Ran:
    """The engine as the command line runs it; the clock runs from `add` to the last file's end."""
    home = bench.folder / "home"
    command = python("benchmarks.headless", "--home", home, "--server", bench.server.url)
    ran = run_child(
        [*command, "--at-once", str(bench.at_once), *map(str, paths)], given=f"{bench.server.token}\n"
    )
    empty(home)
    return Ran(json.loads(ran.output)["seconds"], ran.cpu_seconds, ran.peak_mb, ran.output)


def command_line(bench: Bench, paths: Sequence[Path]) -> Ran:
    """`uphaul upload` as a whole process: the interpreter's start, imports and the end are in it."""
    home = bench.folder / "home"
    furnish(home, Settings(uploads_at_once=bench.at_once), [])
    command = python("app", "upload", "--server", bench.server.url, "--token-stdin", "--json", *paths)
    ran = run_child(command, env=os.environ | {"UPHAUL_HOME": str(home)}, given=f"{bench.server.token}\n")
    empty(home)
    return ran


def curl_large(bench: Bench, paths: Sequence[Path]) -> Ran:
    """A creation, then one PATCH with the whole file."""
    [path] = paths
    created = _config(bench, "/files", "POST", _creation(path, path.name, None))
    first = run_child(["curl", "--config", str(_written(bench, [[*created, "include", "fail"]]))])
    found = re.search(r"^location: (\S+)", first.output, re.IGNORECASE | re.MULTILINE)
    if found is None:
        raise SystemExit(f"no upload was created:\n{first.output}")
    sent = _config(bench, found[1], "PATCH", TUS | BODY | {"Upload-Offset": "0"})
    second = run_child(
        ["curl", "--config", str(_written(bench, [[*sent, f'upload-file = "{path}"', "fail"]]))]
    )
    return Ran(
        first.seconds + second.seconds,
        first.cpu_seconds + second.cpu_seconds,
        max(first.peak_mb, second.peak_mb),
        "",
    )


def curl_small(bench: Bench, paths: Sequence[Path]) -> Ran:
    """A creation with the content for each file, as many at once as Uphaul sends."""
    [folder] = paths
    batch_id = _open_batch(bench)
    requests = []
    for path in sorted(folder.rglob("*.bin")):
        headers = _creation(path, f"{folder.name}/{path.relative_to(folder)}", batch_id) | BODY
        config = _config(bench, "/files", "POST", headers)
        requests.append([*config, f'data-binary = "@{path}"', 'output = "/dev/null"', "fail"])
    command = ["curl", "--parallel", "--parallel-max", str(bench.at_once), "--no-progress-meter"]
    return run_child([*command, "--config", str(_written(bench, requests))])


def _creation(path: Path, relative_path: str, batch_id: str | None) -> dict[str, str]:
    told = {"filename": path.name, "relative_path": relative_path} | (
        {"batch_id": batch_id} if batch_id else {}
    )
    metadata = ",".join(f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in told.items())
    return TUS | {"Upload-Length": str(path.stat().st_size), "Upload-Metadata": metadata}


def _config(bench: Bench, path: str, method: str, headers: dict[str, str]) -> list[str]:
    sent = bench.server.headers | headers
    lines = [f'url = "{bench.server.url}{path}"', f'request = "{method}"', "silent", "show-error"]
    return lines + [
        f'header = "{name}: {value}"' if value else f'header = "{name}:"' for name, value in sent.items()
    ]


def _written(bench: Bench, requests: Sequence[Sequence[str]]) -> Path:
    file = bench.folder / "curl.config"
    file.write_text("\nnext\n".join("\n".join(lines) for lines in requests) + "\n")
    return file


def _open_batch(bench: Bench) -> str:
    body = json.dumps({"name": "curl"}).encode()
    headers = bench.server.headers | {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{bench.server.url}/api/v1/batches", body, headers, method="POST")
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["batch_id"])


def race(
    bench: Bench, paths: Sequence[Path], contenders: dict[str, Contender], rounds: int
) -> dict[str, list[Ran]]:
    """Let the contenders run in turns; what arrived is removed after each run. One round before is not counted."""
    runs: dict[str, list[Ran]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            ran = contender(bench, paths)
            empty(bench.server.files_dir)
            if number:
                runs[name].append(ran)
    return runs


def tell(title: str, unit: str, amount: float, runs: dict[str, list[Ran]]) -> dict[str, Any]:
    """Print the table of one race; return its figures. *amount* is in *unit*, which comes per second."""
    middle = {name: median([ran.seconds for ran in each]) for name, each in runs.items()}
    rows: list[Sequence[object]] = [
        (
            name,
            middle[name],
            amount / middle[name],
            middle["curl"] / middle[name],
            f"{min(r.seconds for r in each):.2f}–{max(r.seconds for r in each):.2f}",
            median([ran.cpu_seconds for ran in each]),
            max(ran.peak_mb for ran in each),
        )
        for name, each in runs.items()
    ]
    report(title, ("sender", "median s", f"{unit}/s", "of curl", "range s", "CPU s", "peak MB"), rows)
    ratios = {name: middle["curl"] / seconds for name, seconds in middle.items()}
    return {
        "ratio_to_curl": ratios,
        "runs": {name: [as_dict(ran) for ran in each] for name, each in runs.items()},
    }


def main() -> None:
    """Run both races."""
    options = parser(__doc__)
    options.add_argument("--size-mib", type=int, default=1024, help="size of the large file")
    options.add_argument("--files", type=int, default=10_000, help="how many small files")
    options.add_argument("--small-bytes", type=int, default=4096, help="size of each small file")
    options.add_argument("--rounds", type=int, default=3, help="how often each sender runs")
    options.add_argument("--at-once", type=int, default=6, help="files on their way at the same time")
    options.add_argument("--only", choices=("large", "small"), help="one of the two races")
    chosen = options.parse_args()
    if chosen.quick:
        chosen.size_mib, chosen.files, chosen.rounds = 64, 500, 1
    with workplace(chosen) as folder, ServerProcess(folder / "server", "--log-level", "warning") as server:
        bench = Bench(server, folder, chosen.at_once)
        finish("throughput", chosen, _both(chosen, bench))


def _both(chosen: Namespace, bench: Bench) -> dict[str, Any]:
    results = {}
    if chosen.only != "small":
        large = bench.folder / "large.bin"
        write_random(large, chosen.size_mib * MIB)
        runs = race(
            bench,
            [large],
            {"engine": engine, "uphaul upload": command_line, "curl": curl_large},
            chosen.rounds,
        )
        results["large"] = tell(f"One file of {chosen.size_mib} MiB", "MB", chosen.size_mib * MIB / 1e6, runs)
        large.unlink()
    if chosen.only != "large":
        small = bench.folder / "small"
        make_small(small, chosen.files, chosen.small_bytes)
        runs = race(
            bench,
            [small],
            {"engine": engine, "uphaul upload": command_line, "curl": curl_small},
            chosen.rounds,
        )
        results["small"] = tell(
            f"{chosen.files:,} files of {chosen.small_bytes:,} bytes", "files", chosen.files, runs
        )
    return results


def make_small(folder: Path, files: int, size_bytes: int) -> None:
    """Write many small files, 500 in a folder."""
    for number in range(files):
        path = folder / f"{number // 500:03d}" / f"{number:06d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_random(path, size_bytes)


if __name__ == "__main__":
    main()
