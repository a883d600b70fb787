"""The command line: `uphaul upload`, `resume`, `status`, `cancel`, `serve`. The same engine as the window's, without Qt.

Exit codes: 0 all completed, 1 some failed, 2 usage or unreachable, 130 interrupted and journalled.
"""

import argparse
import asyncio
import io
import os
import signal
import sys
import traceback
from collections.abc import Coroutine, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from app import __version__
from app.cli_output import Output, printable
from app.cli_session import CliError, Secret

_CANNOT, _INTERRUPTED = 2, 130
_EPILOG = """\
exit codes: 0 all completed, 1 some failed, 2 usage or unreachable, 130 interrupted (`uphaul resume` goes on).
A secret is taken from --password-stdin or --token-stdin, then from the variables UPHAUL_PASSWORD or UPHAUL_TOKEN, then
from the system's keyring.
UPHAUL_HOME moves settings, journal and embedded data to another folder. JSON is described in docs/CLI.md."""


class _UsageError(Exception):
    """What argparse found, as a sentence."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message[:1].upper()}{message[1:]}. See `{self.prog} --help`.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    stdout, stderr = _tolerant(sys.stdout), _tolerant(sys.stderr)
    try:
        args = _parser(with_serve=arguments[:1] == ["serve"]).parse_args(arguments)
    except _UsageError as error:
        wants_json = "--json" in arguments
        Output(stdout, stderr, as_json=wants_json, quiet=False).error("usage", str(error))
        return _CANNOT
    if args.command == "serve":
        from app.server.command import run

        return run(args)
    if (
        args.command == "mcp"
    ):  # standard output is the protocol's: what there is to say goes to standard error
        args.json = args.quiet = False
    output = Output(stdout, stderr, as_json=args.json, quiet=args.quiet)
    try:
        return _run(args, output)
    except CliError as error:
        output.error(error.code, error.sentence)
    except OSError as error:
        _last_words(f"The result could not be printed: {error.strerror or error}.")
    except Exception as error:  # the last place where a traceback can become a sentence
        at = traceback.extract_tb(error.__traceback__)[-1]
        _last_words(
            f"Uphaul met a problem of its own: {error!r} in {Path(at.filename).name}, line {at.lineno}."
        )
    return _CANNOT


def _last_words(sentence: str) -> None:
    print(f"uphaul: {printable(sentence)}", file=sys.stderr)


def _run(args: argparse.Namespace, output: Output) -> int:
    # Imported late: `uphaul --help` does not wait for the engine, and nothing but `mcp` for its protocol.
    from app import cli_commands as commands

    work: Coroutine[Any, Any, int]
    if args.command == "mcp":
        try:
            from app.mcp_server import serve
        except ModuleNotFoundError as error:
            if error.name and error.name.partition(".")[0] == "app":
                raise
            raise CliError(
                "usage", "`uphaul mcp` needs the package mcp: pip install 'uphaul[mcp]'."
            ) from None
        work = serve(output)
    elif args.command == "upload":
        work = commands.upload(args, output, _secret_from_stdin(args, sys.stdin))
    elif args.command == "resume":
        work = commands.resume(args, output, _secret_from_stdin(args, sys.stdin))
    elif args.command == "server" or (args.command == "cancel" and args.server is not None):
        from app import cli_servers as servers

        act = servers.cancel if args.command == "cancel" else servers.run
        work = act(args, output, _secret_from_stdin(args, sys.stdin))
    elif args.command == "check-update":
        from app.cli_update import check_update

        work = check_update(output)
    elif args.command == "licences":
        from app.cli_update import licences

        work = licences(output)
    elif args.command == "status":
        work = commands.status(args, output)
    else:
        work = commands.cancel(args, output, _secret_from_stdin(args, sys.stdin))
    return asyncio.run(_until_interrupted(work, output))


async def _until_interrupted(work: Coroutine[Any, Any, int], output: Output) -> int:
    """Await *work*. The first Ctrl-C ends it in order, the second at once: the journal stands either way."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    interrupted = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            os._exit(_INTERRUPTED)
        interrupted = True
        loop.call_soon_threadsafe(stop)

    def stop() -> None:
        if not task.done():
            output.say("Stopping. Press Ctrl-C again to stop at once.")
            task.cancel()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return await task
    except asyncio.CancelledError:
        output.error("interrupted", "Interrupted. What has arrived is kept; `uphaul resume` goes on.")
        return _INTERRUPTED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parser(*, with_serve: bool) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="uphaul",
        description="Uploads files and folders. Without a command, `uphaul` or `uphaul PATH…` opens the window, or hands the "
        "paths to the one that is open; `uphaul --hidden` waits in the tray.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"uphaul {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = _Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the result as JSON")
    common.add_argument("--quiet", action="store_true", help="no progress and no notes, only the result")

    upload = commands.add_parser("upload", parents=[common], help="send files and folders as one batch")
    upload.add_argument("paths", nargs="+", metavar="PATH", help="a file or folder")
    upload.add_argument(
        "--server", metavar="NAME|URL", help="where to send (default: the server on this computer)"
    )
    project = upload.add_mutually_exclusive_group()
    project.add_argument(
        "--project", metavar="P", help="name or id of the project there, where it has projects"
    )
    project.add_argument("--new-project", metavar="P", help="make a project of this name, and upload into it")
    _add_secret(upload)
    upload.add_argument("--batch-name", metavar="N", help="name of the batch (default: made from the paths)")
    resume = commands.add_parser(
        "resume", parents=[common], help="go on with everything that is not finished"
    )
    _add_secret(resume)
    status = commands.add_parser("status", parents=[common], help="say how batches stand")
    status.add_argument(
        "batch", nargs="?", metavar="BATCH", help="an id, its beginning, or a name; then its files are listed"
    )
    cancel = commands.add_parser("cancel", parents=[common], help="cancel a batch or one file at the server")
    cancel.add_argument(
        "what", metavar="BATCH_OR_FILE", help="an id, its beginning, a batch's name or a file's path in it"
    )
    cancel.add_argument(
        "--server", metavar="NAME", help="cancel a batch that this server lists, by its id there"
    )
    _add_secret(cancel)
    _add_server(commands, common)
    commands.add_parser("check-update", parents=[common], help="ask whether there is a newer Uphaul")
    commands.add_parser(
        "licences", parents=[common], help="print everything Uphaul is made of, with its licence"
    )
    commands.add_parser("mcp", help="serve agents by the Model Context Protocol on standard input and output")
    serve = commands.add_parser("serve", help="run the server that comes with Uphaul, alone")
    if with_serve:
        from app.server.command import add_arguments

        add_arguments(serve)
    return parser


def _add_server(commands: "argparse._SubParsersAction[_Parser]", common: _Parser) -> None:
    server = commands.add_parser("server", help="add, list, test and remove servers")
    whats = server.add_subparsers(dest="what", required=True, metavar="WHAT")
    add = whats.add_parser("add", parents=[common], help="find out what answers at an address, and keep it")
    add.add_argument("name", metavar="NAME", help="what you call it")
    add.add_argument("url", metavar="URL", help="its address, as you have it; any page of it will do")
    add.add_argument("--dialect", metavar="D", help="which API it speaks (default: found out)")
    add.add_argument("--user", metavar="U", help="as whom to sign in")
    add.add_argument(
        "--ca-file", metavar="F", help="certificates (PEM) that its certificate is checked by, too"
    )
    add.add_argument("--client-cert", metavar="F", help="your own certificate (PEM), if it asks for one")
    add.add_argument(
        "--client-key", metavar="F", help="the key of that certificate, if it is a file of its own"
    )
    add.add_argument("--proxy", metavar="P", help="system (default), none, or http://host:port")
    _add_secret(add)
    whats.add_parser("list", parents=[common], help="list them").set_defaults(
        password_stdin=False, token_stdin=False
    )
    for name, text in (
        ("test", "reach one, signed in, and say what it can do"),
        ("remove", "forget one, its password and token"),
        ("batches", "list the account's batches as the server tells them"),
    ):
        one = whats.add_parser(name, parents=[common], help=text)
        one.add_argument("name", metavar="NAME", help="its name or address")
        _add_secret(one)


def _add_secret(command: argparse.ArgumentParser) -> None:
    one = command.add_mutually_exclusive_group()
    one.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input, one line"
    )
    one.add_argument(
        "--token-stdin", action="store_true", help="read the token from standard input, one line"
    )


def _secret_from_stdin(args: argparse.Namespace, stdin: TextIO) -> Secret | None:
    """Return what --password-stdin or --token-stdin ask for: one line. Raises CliError."""
    if not (args.password_stdin or args.token_stdin):
        return None
    text = stdin.readline().rstrip("\r\n")
    if args.password_stdin:
        if not text:
            raise CliError("usage", "No password came on standard input: it must be one line.")
        return Secret(text, is_password=True, is_from_stdin=True)
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise CliError(
            "usage",
            "No usable token came on standard input: it must be one line of letters, digits and signs.",
        )
    return Secret(token, is_password=False, is_from_stdin=True)


def _tolerant(stream: TextIO) -> TextIO:
    """Let a stream print any name: what its encoding lacks is escaped instead of raising."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream
