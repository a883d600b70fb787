"""`uphaul serve`: the server alone, in the foreground, until a signal or the end of its parent."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import os
import re
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.places import Places
from app.server import helper, user_command
from app.server.api import NAMES
from app.server.config import (
    DEFAULT_EXPIRE_HOURS,
    DEFAULT_JOB_MEMORY_BYTES,
    DEFAULT_JOB_PROCESSES,
    DEFAULT_JOB_STALL_SECONDS,
    DEFAULT_KEEP_EXPORTS_HOURS,
    DEFAULT_MIN_FREE_BYTES,
    DEFAULT_STALL_SECONDS,
    ServerConfig,
    Webhook,
)

TOKEN_VARIABLE = "UPHAUL_SERVE_TOKEN"  # noqa: S105 - the name of the variable, not a token
HANG_UP_SECONDS = 0.7
NICENESS = 10
if TYPE_CHECKING:
    from app.server.api.room import Api
    from app.server.core import Core

WEBHOOK_SECRET_VARIABLE = "UPHAUL_WEBHOOK_SECRET"  # noqa: S105 - a name, too
GRACE_SECONDS = 1
WEBSOCKET_FRAME_BYTES = 16 * 1024 * 1024
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `uphaul serve`."""
    _add_place(parser)
    _add_limits(parser)
    _add_times(parser)
    _add_company(parser)
    _add_job_arguments(parser)
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    parser.add_argument("--parent-stdin", action="store_true", help="end when standard input closes")
    what = parser.add_subparsers(dest="what", title="instead of serving", metavar="user")
    user_command.add_arguments(what)
    what.add_parser("helper")  # no help: it is for the server itself, where the program is frozen


def _add_place(parser: argparse.ArgumentParser) -> None:
    """Where it listens and keeps its files, and who may come in."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    parser.add_argument("--port", type=_port, default=0, help="port; 0 takes a free one (default)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where files and the database live")
    parser.add_argument(
        "--token",
        metavar="T",
        help=f"bearer token; other users of this machine can see it in the process list, so prefer the environment "
        f"variable {TOKEN_VARIABLE} (default: a fresh random one)",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """How much it takes, and how often."""
    parser.add_argument(
        "--max-size", type=_size, metavar="SIZE", help="largest file, e.g. 20G (default: any)"
    )
    parser.add_argument(
        "--max-files", type=_positive, metavar="N", help="most files in a batch (default: any)"
    )
    parser.add_argument(
        "--min-free",
        type=_size,
        default=DEFAULT_MIN_FREE_BYTES,
        metavar="SIZE",
        help="disk space that always stays free (default: 100M)",
    )
    parser.add_argument(
        "--rate-limits",
        type=_factor,
        default=1.0,
        metavar="off|FACTOR",
        help="turn rate limits off, or scale them (default: 1)",
    )


def _add_times(parser: argparse.ArgumentParser) -> None:
    """How long it waits, and how long it keeps."""
    parser.add_argument(
        "--expire-hours",
        type=_hours,
        default=DEFAULT_EXPIRE_HOURS,
        metavar="H",
        help="an unfinished upload is given up after so long (default: 72)",
    )
    parser.add_argument(
        "--stall-seconds",
        type=_seconds,
        default=DEFAULT_STALL_SECONDS,
        metavar="S",
        help="a request that brings no byte for so long is given up; what arrived is kept (default: 60)",
    )
    parser.add_argument(
        "--keep-exports-hours",
        type=_hours,
        default=DEFAULT_KEEP_EXPORTS_HOURS,
        metavar="H",
        help="a finished export (Cell Segmentation Hub) leaves the disk after so long (default: 24)",
    )


def _add_company(parser: argparse.ArgumentParser) -> None:
    """Whose clients it serves at the root, and whom it tells."""
    parser.add_argument(
        "--root-api",
        choices=NAMES,
        metavar="NAME",
        help=f"serve one API at the root as well: {', '.join(NAMES)}",
    )
    parser.add_argument(
        "--webhook-url",
        type=_web_address,
        metavar="URL",
        help=f"where events are delivered; the secret they are signed with is in {WEBHOOK_SECRET_VARIABLE}",
    )


def _add_job_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--process",
        action="store_true",
        help="work at every file that arrives by our own API: its true type, dimensions, a thumbnail of pictures",
    )
    parser.add_argument(
        "--job-processes",
        type=_positive,
        default=DEFAULT_JOB_PROCESSES,
        metavar="N",
        help="how many processes work at stored files (default: 2)",
    )
    parser.add_argument(
        "--job-memory",
        type=_size,
        default=DEFAULT_JOB_MEMORY_BYTES,
        metavar="SIZE",
        help="most memory of each of them, where the system can limit it (default: 2G)",
    )
    parser.add_argument(
        "--job-stall-seconds",
        type=_seconds,
        default=DEFAULT_JOB_STALL_SECONDS,
        metavar="S",
        help="work on a stored file that gives no sign of life for so long is ended (default: 120)",
    )


def run(args: argparse.Namespace, *, mount: Callable[[Core], list[Api]] | None = None) -> int:
    """Serve until told to stop. The first line on standard output is JSON: url and token. *mount*: see `create_app`."""
    if getattr(args, "what", None) == "helper":
        return helper.main()
    config = ServerConfig(
        data_dir=(args.data or Places.from_environment(os.environ).server_data_dir).expanduser().absolute(),
        token=args.token or os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(32),
        max_file_bytes=args.max_size,
        max_batch_files=args.max_files,
        min_free_bytes=args.min_free,
        expire_after=timedelta(hours=args.expire_hours),
        stall_seconds=args.stall_seconds,
        process=args.process,
        job_processes=args.job_processes,
        job_memory_bytes=args.job_memory,
        job_stall_seconds=args.job_stall_seconds,
        keep_exports=timedelta(hours=args.keep_exports_hours),
        root_api=args.root_api,
        rate_limit_factor=args.rate_limits,
        webhook=_webhook(args.webhook_url),
    )
    if getattr(args, "what", None) == "user":
        return user_command.run(config, args)
    try:
        config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        listener = _listen(args.host, args.port)
    except OSError as error:
        print(f"uphaul serve: {error}", file=sys.stderr)
        return 2
    if not _is_loopback(listener):
        print(
            f"uphaul serve: warning: {args.host} can be reached from other machines, and HTTP is not encrypted.",
            file=sys.stderr,
        )
    _serve(config, listener, mount, log_level=args.log_level, ends_with_stdin=args.parent_stdin)
    return 0


def _serve(
    config: ServerConfig,
    listener: socket.socket,
    mount: Callable[[Core], list[Api]] | None,
    *,
    log_level: str,
    ends_with_stdin: bool,
) -> None:
    # Imported here: `uphaul --help` does not wait for FastAPI.
    import uvicorn

    from app.server import logs
    from app.server.api import mount_all
    from app.server.app import create_app
    from app.server.reception import StopReason

    app = create_app(config, mount=mount or mount_all)

    class Server(uvicorn.Server):
        """Announces itself, and on its way out ends the requests that would keep it waiting."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(json.dumps({"url": _url(listener), "token": config.token}), flush=True)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await app.state.core.receptions.stop_all(StopReason.STOPPING)
            asyncio.get_running_loop().call_later(HANG_UP_SECONDS, self._hang_up)
            await super().shutdown(sockets)

        def _hang_up(self) -> None:
            """Only bodies that do not come are left by now: to them it is as if their sender had gone."""
            for connection in list(self.server_state.connections):
                connection.transport.close()

    logs.set_up(log_level)
    server = Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            ws="websockets-sansio",
            ws_max_size=WEBSOCKET_FRAME_BYTES,
        )
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            number, lambda *_: None
        )  # uvicorn raises them again when it is done: that is a clean end here
    if ends_with_stdin:
        _give_way()
        threading.Thread(target=_wait_for_stdin, args=(server,), name="uphaul-parent", daemon=True).start()
    server.run(sockets=[listener])


def _give_way() -> None:
    """Let the window go first: it shares the machine with its own server, which may well use all of it."""
    if sys.platform != "win32":
        os.nice(NICENESS)


def _wait_for_stdin(server: object) -> None:
    """Read by the descriptor: a buffered read would hold a lock that the interpreter wants at its end."""
    while os.read(0, 4096):
        pass
    server.should_exit = True  # type: ignore[attr-defined]


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0].split("%")[0]).is_loopback


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**16:
        raise argparse.ArgumentTypeError("a port is 0 to 65535")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _hours(text: str) -> float:
    number = float(text)
    if not 0 < number < 24 * 365 * 100:
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 86_400:
        raise argparse.ArgumentTypeError("must be more than 0, and less than a day")
    return number


def _factor(text: str) -> float | None:
    if text == "off":
        return None
    number = float(text)
    if not 0 < number <= 1e9:
        raise argparse.ArgumentTypeError("must be off, or more than 0")
    return number


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise argparse.ArgumentTypeError("must be an address that begins with http:// or https://")
    return text


def _webhook(url: str | None) -> Webhook | None:
    return None if url is None else Webhook(url, os.environ.get(WEBHOOK_SECRET_VARIABLE, ""))


def _size(text: str) -> int:
    """Read `500M`, `20G`, `1.5TiB` or plain bytes; the units are powers of 1024."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write e.g. 500M or 20G")
    return int(float(match[1]) * _UNITS[match[2].upper()])
