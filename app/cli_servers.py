"""`uphaul server …`: add, list, test and remove servers, and look at their own batches. Each returns the exit code."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from app.accounts.profiles import ServerProfile
from app.cli_output import Output, printable
from app.cli_session import CliError, Secret, Session, open_session, turned
from app.remote.base import Abilities, RemoteBatchRow, RemoteState
from app.remote.registry import DIALECTS, SignsIn
from app.server_words import ability_rows, remote_files_text, remote_state_text

ALL_WELL, SOME_FAILED = 0, 1


async def run(args: Namespace, output: Output, given: Secret | None) -> int:
    """Run the subcommand that *args* name. Raises CliError."""
    command = {"add": add, "list": show, "test": test, "remove": remove, "batches": batches}[args.what]
    async with open_session(output, given) as session:
        return await command(session, args)


async def add(session: Session, args: Namespace) -> int:
    """Find out what answers, reach it signed in, and keep it."""
    profile = ServerProfile(
        "",
        args.name,
        args.url,
        args.dialect or "",
        args.user or "",
        args.ca_file or "",
        args.client_cert or "",
        args.client_key or "",
        args.proxy or "system",
    )
    if args.dialect is None:
        profile = await session.detected(profile)
    elif args.dialect not in DIALECTS:
        raise CliError(
            "usage", f"There is no dialect “{printable(args.dialect)}”. Known ones: {', '.join(DIALECTS)}."
        )
    _check_sign_in(profile, session.secret_for(profile))
    abilities = await session.reach(profile)
    saved = await session.save(profile)
    title = f"{printable(saved.name)} is added: {DIALECTS[saved.dialect].title} at {saved.url}."
    session.output.result(
        {"server": server_json(saved), "abilities": asdict(abilities)}, [title, *_table(abilities)]
    )
    return ALL_WELL


async def show(session: Session, args: Namespace) -> int:
    """List the servers."""
    known = await session.manager.profiles()
    width = max((len(printable(each.name)) for each in known), default=0)
    lines = [_line(each, width) for each in known] or [
        "No server has been added yet: `uphaul server add NAME URL`."
    ]
    session.output.result({"servers": [server_json(each) for each in known]}, lines)
    return ALL_WELL


async def test(session: Session, args: Namespace) -> int:
    """Reach a server, signed in, and say what it can do."""
    profile = await session.known(args.name)
    abilities = await session.reach(profile)
    session.output.result(
        {"server": server_json(profile), "abilities": asdict(abilities)},
        [f"{printable(profile.name)} answers and lets you in.", *_table(abilities)],
    )
    return ALL_WELL


async def remove(session: Session, args: Namespace) -> int:
    """Forget a server, its password and token."""
    profile = await session.known(args.name)
    async with turned(profile.name):
        await session.manager.remove_server(profile.id)
    session.output.result({"server": server_json(profile)}, [f"{printable(profile.name)} is removed."])
    return ALL_WELL


async def batches(session: Session, args: Namespace) -> int:
    """List the account's batches as the server tells them, those begun elsewhere too."""
    profile = await session.known(args.name)
    await session.reach(profile)
    rows = await _listed(session, profile)
    lines = [_row_line(row) for row in rows] or ["The server has no batch of this account."]
    session.output.result({"server": server_json(profile), "batches": [row_json(row) for row in rows]}, lines)
    return ALL_WELL


async def cancel(args: Namespace, output: Output, given: Secret | None) -> int:
    """Ask a server to cancel one of its batches, read it back, and say what became of it."""
    async with open_session(output, given) as session:
        profile = await session.known(args.server)
        await session.reach(profile)
        before = await _listed(session, profile)
        if not any(row.remote_id == args.what for row in before):
            raise CliError("not_found", f"The server has no batch “{printable(args.what)}”.")
        async with turned(profile.name):
            answer = await session.manager.cancel_server_batch(profile.id, args.what)
        after = next((row for row in await _listed(session, profile) if row.remote_id == args.what), None)
        is_over = after is None or after.state is RemoteState.CANCELLED
        word = remote_state_text(after) if after else "It is no longer listed"
        told = f" ({printable(answer.message)})" if answer.message else ""
        said = f"The server answered {answer.http_status}{told}. {word}."
        output.result(
            {
                "server": server_json(profile),
                "http_status": answer.http_status,
                "message": answer.message,
                "batch": row_json(after) if after else None,
            },
            [said],
        )
        return ALL_WELL if is_over else SOME_FAILED


def server_json(profile: ServerProfile) -> dict[str, Any]:
    """The JSON of a server in docs/CLI.md. Never a secret."""
    kind = DIALECTS.get(profile.dialect)
    return {
        "id": profile.id,
        "name": profile.name,
        "url": profile.url,
        "dialect": profile.dialect,
        "title": kind.title if kind else profile.dialect,
        "user": profile.user,
        "project": profile.target_name or profile.target,
        "ca_file": profile.ca_file,
        "client_cert_file": profile.client_cert_file,
        "client_key_file": profile.client_key_file,
        "proxy": profile.proxy,
    }


def row_json(row: RemoteBatchRow) -> dict[str, Any]:
    """The JSON of one of the server's own batches in docs/CLI.md."""
    return asdict(row) | {"state": row.state.value}


def _check_sign_in(profile: ServerProfile, given: Secret | None) -> None:
    """Say what is missing before the server does. Raises CliError."""
    kind = DIALECTS[profile.dialect]
    if given is None and kind.may_be_anonymous and not profile.user:
        return
    if kind.signs_in is SignsIn.PASSWORD and not profile.user:
        or_nobody = f", or no {given.what} to send as nobody" if given and kind.may_be_anonymous else ""
        raise CliError("usage", f"{kind.title} wants a name and a password: give --user NAME{or_nobody}.")
    if given is None:
        how = "--token-stdin or UPHAUL_TOKEN"
        if kind.signs_in is SignsIn.PASSWORD or profile.user:
            how = "--password-stdin or UPHAUL_PASSWORD"
        raise CliError("sign_in", f"{kind.title} wants a sign-in: give it by {how}.")
    if given.is_password and kind.signs_in is SignsIn.TOKEN:
        raise CliError(
            "usage", f"{kind.title} wants a token, not a password: give --token-stdin or UPHAUL_TOKEN."
        )
    if not given.is_password and kind.signs_in is SignsIn.PASSWORD:
        raise CliError(
            "usage", f"{kind.title} wants a password, not a token: give --password-stdin or UPHAUL_PASSWORD."
        )


async def _listed(session: Session, profile: ServerProfile) -> Sequence[RemoteBatchRow]:
    kind = DIALECTS.get(profile.dialect)
    if kind is not None and not kind.lists_batches:
        raise CliError("refused", f"{printable(profile.name)}: a {kind.title} server does not list batches.")
    async with turned(profile.name):
        return await session.manager.server_batches(profile.id)


def _line(profile: ServerProfile, width: int) -> str:
    kind = DIALECTS.get(profile.dialect)
    title = kind.title if kind else profile.dialect
    who = f"  {printable(profile.user)}" if profile.user else ""
    return f"{printable(profile.name):<{width}}  {title:<21}  {profile.url}{who}"


def _row_line(row: RemoteBatchRow) -> str:
    return "  ".join(
        (row.remote_id, f"{remote_state_text(row):<20}", f"{remote_files_text(row):>16}", printable(row.name))
    )


def _table(abilities: Abilities) -> list[str]:
    return [f"  {what:<38} {how}" for what, how in ability_rows(abilities)]
