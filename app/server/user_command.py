"""`uphaul serve user`: users of a DATA and their tokens, whether a server runs on it or not."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from typing import TYPE_CHECKING, Any

from app.server.config import ServerConfig

if TYPE_CHECKING:
    from app.server.accounts import Accounts

SHORTEST_PASSWORD = 8
MOST_DAYS = 3650


def add_arguments(what: argparse._SubParsersAction[Any]) -> None:
    """Add `user add NAME`, `list`, `remove NAME`, `token NAME` and `revoke`; without them the server is started."""
    user = what.add_parser("user", help="add, list or remove users, and their tokens")
    actions = user.add_subparsers(dest="action", required=True, metavar="add|list|remove|token|revoke")
    add = actions.add_parser("add", help="add a user; asks for the password")
    add.add_argument("name", metavar="NAME", help="a name or an e-mail address, unique in any letter case")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    actions.add_parser("list", help="list the users")
    remove = actions.add_parser("remove", help="remove a user; stored files stay on the disk")
    remove.add_argument("name", metavar="NAME")
    token = actions.add_parser("token", help="print a new bearer token of a user, for scripts")
    token.add_argument("name", metavar="NAME")
    token.add_argument(
        "--days", type=_days, default=365, metavar="N", help="how long it is good (default: 365)"
    )
    actions.add_parser("revoke", help="end a token, which is read from standard input")


def _days(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"must be 1 to {MOST_DAYS}")
    return number


def run(config: ServerConfig, args: argparse.Namespace) -> int:
    """Do it; 0, or 1 with a sentence on standard error."""
    try:
        config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        password = _password(args) if args.action == "add" else ""
        sentence = asyncio.run(_run(config, args, password))
    except (OSError, ValueError) as error:
        sentence = str(error)
    if sentence is not None:
        print(f"uphaul serve user: {sentence}", file=sys.stderr)
    return 0 if sentence is None else 1


def _password(args: argparse.Namespace) -> str:
    if args.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise ValueError("the passwords differ.")
    if len(password) < SHORTEST_PASSWORD:
        raise ValueError(f"a password has at least {SHORTEST_PASSWORD} characters.")
    return password


async def _run(config: ServerConfig, args: argparse.Namespace, password: str) -> str | None:
    from app.server.accounts import Accounts, list_users, remove_user
    from app.server.clock import utc_now
    from app.server.database import Database
    from app.server.events import Events
    from app.server.problems import Problem

    database = Database(config.database_path, Events(), lambda _who: None)
    await database.open()
    try:
        if args.action == "list":
            for user in await database.read(list_users):
                print(f"{user.name}\t{user.id}\t{user.created_at}")
        elif args.action == "remove":
            if not await database.write(remove_user, args.name):
                return f"there is no user called {args.name}."
        elif args.action == "add":
            await Accounts(database, config.token, utc_now).register(args.name, password)
        else:
            return await _tokens(Accounts(database, config.token, utc_now), args)
    except Problem as problem:
        return problem.detail
    finally:
        await database.close()
    return None


async def _tokens(accounts: Accounts, args: argparse.Namespace) -> str | None:
    if args.action == "revoke":
        token = sys.stdin.readline().strip()
        if await accounts.why(token) == "invalid":
            return "this is no token of a user."
        await accounts.revoke(token)
        return None
    user = await accounts.find(args.name)
    if user is None:
        return f"there is no user called {args.name}."
    print((await accounts.issue(user, access_seconds=args.days * 86_400)).access)
    return None
