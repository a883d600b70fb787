"""Our server and those it is compared with, each started afresh, watched from outside, and gone afterwards."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.server import ServerProcess

NO_NGINX = "nginx is not here: install the Debian package nginx-light."
NO_TUS = (
    "@tus/server is not here: run `npm install @tus/server @tus/file-store` in a folder of its own and name its "
    "node_modules with --node-modules."
)
_SAMPLE_S = 0.02
_START_S = 20.0
_HERE = Path(__file__).parent
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Served:
    """A server that listens: who it is, what every request to it needs, and where its finished files lie."""

    url: str
    pid: int
    store: Path
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


Start = Callable[[Path], AbstractContextManager[Served]]


@contextlib.contextmanager
def uphaul(folder: Path) -> Iterator[Served]:
    """Our own server, as `uphaul serve` starts it; without rate limits, which would count the benchmark as an attack."""
    with ServerProcess(folder, "--log-level", "warning", "--rate-limits", "off") as server:
        yield Served(server.url, server.pid, server.files_dir, server.headers)


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[Served]:
    """Nginx with `dav_methods PUT`; bodies go to a file in the same file system and get their name by a rename."""
    store = folder / "files"
    store.mkdir(parents=True)
    (folder / "bodies").mkdir()
    port = _free_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, user="user root;" if os.geteuid() == 0 else ""))
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit(NO_NGINX)
    command = [program, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(config)]
    with _child(command, {}) as process:
        _await_port(port)
        yield Served(f"http://127.0.0.1:{port}", process.pid, store)


_NGINX = """
{user}
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {folder}/bodies;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        location / {{ dav_methods PUT; create_full_put_path on; dav_access user:rw; }}
    }}
}}
"""


def tus_server(node_modules: Path) -> Start:
    """Return how to start npm's @tus/server on Node with its file store."""

    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Served]:
        store = folder / "files"
        store.mkdir(parents=True)
        command = ["node", str(_HERE / "tus_peer.cjs"), str(store)]
        with _child(command, {"NODE_PATH": str(node_modules)}) as process:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise SystemExit("@tus/server did not start.")
            yield Served(url, process.pid, store)

    return start


def missing_nginx() -> str | None:
    """Return the sentence that says what to install, or None."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    return None if found else NO_NGINX


def missing_tus(node_modules: Path | None) -> str | None:
    """Return the sentence that says what to install, or None."""
    wanted = (
        [] if node_modules is None else [node_modules / "@tus" / name for name in ("server", "file-store")]
    )
    return None if shutil.which("node") and wanted and all(path.is_dir() for path in wanted) else NO_TUS


@contextlib.contextmanager
def _child(command: list[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, env=os.environ | env, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def _await_port(port: int) -> None:
    until = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise SystemExit("nginx did not start.") from None
            time.sleep(0.02)


class Watch:
    """Samples a process and its children while it is entered: resident memory in MiB, and processor time."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.samples: list[tuple[float, float]] = []
        """When (seconds since the start) and how much memory in MiB."""
        self.cpu_seconds = 0.0

    def __enter__(self) -> "Watch":
        self._began, self._cpu_before = time.perf_counter(), self._cpu()
        self.samples.append((0.0, self._resident_mb()))
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()
        self.cpu_seconds = self._cpu() - self._cpu_before

    @property
    def rest_mb(self) -> float:
        """Its memory before anything was asked of it."""
        return self.samples[0][1]

    @property
    def peak_mb(self) -> float:
        """The most it had."""
        return max(mb for _, mb in self.samples)

    def _sample(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            self.samples.append((time.perf_counter() - self._began, self._resident_mb()))

    def _resident_mb(self) -> float:
        pages = sum(int(_proc(pid, "statm").split()[1]) for pid in self._tree())
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2

    def _cpu(self) -> float:
        return (
            sum(sum(map(int, _proc(pid, "stat").rpartition(")")[2].split()[11:13])) for pid in self._tree())
            / _TICKS
        )

    def _tree(self) -> list[int]:
        found = [self._pid]
        for pid in found:
            found += map(int, _proc(pid, f"task/{pid}/children").split())
        return found


def _proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()
