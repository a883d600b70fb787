"""`uphaul serve user`: add, list and remove users of a DATA, whether a server runs on it or not."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys

from app.server.config import ServerConfig

SHORTEST_PASSWORD = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `user add NAME`, `user list` and `user remove NAME`; without them the server is started."""
    what = parser.add_subparsers(dest="what", title="instead of serving", metavar="user")
    user = what.add_parser("user", help="add, list or remove users")
    actions = user.add_subparsers(dest="action", required=True, metavar="add|list|remove")
    add = actions.add_parser("add", help="add a user; asks for the password")
    add.add_argument("name", metavar="NAME", help="a name or an e-mail address, unique in any letter case")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    actions.add_parser("list", help="list the users")
    remove = actions.add_parser("remove", help="remove a user; stored files stay on the disk")
    remove.add_argument("name", metavar="NAME")


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
        else:
            await Accounts(database, config.token, utc_now).register(args.name, password)
    except Problem as problem:
        return problem.detail
    finally:
        await database.close()
    return None
