"""Stories of the command line: real processes, the real embedded server, real files."""

import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli_commands import end
from app.cli_output import Output
from app.cli_session import open_session
from app.domain.state import BatchState, TransferState
from tests.support.command_line import ROOT, Cli
from tests.support.front import Door, Front, reply
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

BIG = {f"{number}.bin": os.urandom(4_000_000) for number in range(3)}


def when_moving(cli: Cli, name: str) -> None:
    """Wait until the batch has something on its server."""
    partials = cli.home / "server" / "partials"
    eventually(
        lambda: sum(p.stat().st_size for p in partials.glob("**/*") if p.is_file()), lambda size: size > 0, 20
    )
    eventually(lambda: cli.json("status")[1]["batches"][-1]["name"], lambda seen: seen == name, 20)


def test_a_folder_arrives_byte_for_byte_on_a_machine_without_qt(cli: Cli) -> None:
    files = cli.make("Photos", {"a.jpg": b"hello", "sub/empty": b"", "new\nline": b"x", "é.txt": b"y"})
    blocker = cli.work / "blocker"
    blocker.mkdir()
    (blocker / "sitecustomize.py").write_text(
        "import sys\n"
        "class NoQt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('PySide6', 'shiboken6', 'qasync'):\n"
        "            raise ImportError('there is no Qt here')\n"
        "sys.meta_path.insert(0, NoQt())\n"
    )
    without_qt = {"PYTHONPATH": f"{blocker}{os.pathsep}{ROOT}"}
    proof = subprocess.run(
        [sys.executable, "-c", "import PySide6"],
        env=cli.environment(without_qt),
        capture_output=True,
        check=False,
    )
    code, out, err = cli.run("upload", "Photos", "--quiet", env=without_qt)
    assert (b"no Qt here" in proof.stderr, code, err, cli.arrived("Photos")) == (True, 0, "", files)
    assert out.startswith("Photos is uploaded: 4 files, 7 B in ")


def test_names_without_encoding_are_sent_and_printed_safely(cli: Cli) -> None:
    cli.make("Odd", {b"bad\xff\nname": b"x", "fine": b"y"})
    code, result = cli.json("upload", "Odd")
    _, listing, _ = cli.run(
        "status", "Odd", env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    )
    lines = listing.splitlines()
    assert (code, result["batch"]["files"]["completed"], len(lines), listing.isascii()) == (0, 2, 3, True)


def test_some_fail_and_that_is_exit_code_1(cli: Cli) -> None:
    cli.make("Mixed", {"good": b"1"})
    os.symlink("nowhere", cli.work / "Mixed" / "link")
    linked = cli.json("upload", "Mixed")
    with ServerProcess(cli.work / "small", "--max-size", "100") as server:
        cli.make("Large", {"large": b"x" * 1000, "small": b"y"})
        code, result = cli.json("upload", "Large", "--server", server.url, env={"UPHAUL_TOKEN": server.token})
    (problem,) = result["problems"]
    assert (linked[0], linked[1]["batch"]["report"]["not_taken"]) == (0, [{"reason": "link", "count": 1}])
    assert (code, result["batch"]["state"], problem["path"], problem["failure"]["kind"]) == (
        1,
        "partial",
        "large",
        "too_large",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_interrupted_in_order_and_resumed(cli: Cli) -> None:
    cli.make("Big", BIG)
    cli.slow_down()
    process = cli.start("upload", "Big")
    when_moving(cli, "Big")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    cli.full_speed()
    resumed, result = cli.json("resume")
    again = cli.json("resume")
    assert (process.returncode, b"`uphaul resume` goes on" in err, b"Traceback" in err) == (130, True, False)
    assert (resumed, result["batches"][0]["batch"]["state"], cli.arrived("Big")) == (0, "completed", BIG)
    assert again == (0, {"batches": [], "left": []})


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_killed_and_resumed_nothing_twice(cli: Cli) -> None:
    cli.make("Big", BIG)
    cli.slow_down()
    process = cli.start("upload", "Big")
    when_moving(cli, "Big")
    process.kill()
    process.communicate()
    cli.full_speed()
    code, _ = cli.json("resume")
    folders = sorted(p.name for p in (cli.home / "server" / "files").iterdir())
    assert (code, folders, cli.arrived("Big")) == (0, ["Big"], BIG)


def test_cancel_from_another_process_while_it_uploads(cli: Cli) -> None:
    cli.make("Big", BIG)
    cli.slow_down(300_000)
    uploading = cli.start("upload", "Big", "--json")
    when_moving(cli, "Big")
    one_code, one = cli.json("cancel", "Big/0.bin")
    code, rest = cli.json("cancel", "Big")
    out, _ = uploading.communicate(timeout=20)
    partials = [p for p in (cli.home / "server" / "partials").rglob("*") if p.is_file()]
    states = {each["path"]: each["state"] for each in json.loads(out)["problems"]}
    assert (one_code, one["endings"], one["transfer"]["state"]) == (0, {"cancelled": 1}, "cancelled")
    assert (code, rest["endings"], uploading.returncode) == (0, {"cancelled": 2}, 1)
    assert (states, partials, cli.arrived("Big")) == (dict.fromkeys(BIG, "cancelled"), [], {})


@pytest.mark.parametrize(
    "size_bytes, message, endings",
    [
        (10, "Too late to cancel: 1 file had finished and stays.", {"finished_first": 1}),
        (1000, "Too late to cancel: 1 file had failed.", {}),
    ],
)
async def test_a_cancel_of_what_has_just_ended_says_that_it_came_too_late(
    cli: Cli, tmp_path: Path, size_bytes: int, message: str, endings: dict[str, int]
) -> None:
    """Whoever uploads it was done before the wish was read: seen as uploading, and over when it was asked for."""
    cli.make("Photos", {"a.jpg": b"1" * size_bytes})
    silent = Output(io.StringIO(), io.StringIO(), as_json=False, quiet=True)
    with ServerProcess(tmp_path / "small", "--max-size", "100") as server:
        token = {"UPHAUL_TOKEN": server.token}
        await asyncio.to_thread(cli.run, "upload", "Photos", "--server", server.url, env=token)
        async with open_session(silent, env=cli.environment(token)) as session:
            (batch,) = await session.manager.batches()
            (row,) = await session.manager.transfers(batch.id)
            before = replace(batch, state=BatchState.UPLOADING), replace(row, state=TransferState.UPLOADING)
            ended = [await end(session, *before), await end(session, before[0], None)]
    assert [(each.message, each.endings) for each in ended] == [(message, endings)] * 2


def test_a_cancel_asks_the_program_that_uploads_and_signs_in_nowhere(cli: Cli, server: ServerProcess) -> None:
    cli.make("Big", BIG)
    cli.slow_down(300_000)
    uploading = cli.start("upload", "Big", "--server", server.url, env={"UPHAUL_TOKEN": server.token})
    eventually(
        lambda: sum(p.stat().st_size for p in server.partials_dir.iterdir()), lambda size: size > 0, 20
    )
    code, out, err = cli.run("cancel", "Big")
    uploading.communicate(timeout=20)
    assert (code, out, "sign" in err) == (
        0,
        "Big: Cancelled. The server kept nothing of 3 files.\n",
        False,
    ), err


def test_a_server_with_a_token(cli: Cli, server: ServerProcess) -> None:
    cli.make("Lab", {"a": b"1"})
    host = server.url.removeprefix("http://")
    without, refused = cli.json("upload", "Lab", "--server", server.url)
    code, _, notes = cli.run(
        "upload", "Lab", "--server", server.url, "--token-stdin", stdin=f"{server.token}\n"
    )
    by_name, _ = cli.json("upload", "Lab", "--server", host, env={"UPHAUL_TOKEN": server.token})
    written = b"".join(p.read_bytes() for p in cli.home.rglob("*") if p.is_file())
    arrived = sorted(str(p.relative_to(server.files_dir)) for p in server.files_dir.rglob("*") if p.is_file())
    assert (without, refused["error"]["code"]) == (2, "sign_in")
    assert (code, "no keyring" in notes, by_name, arrived) == (0, True, 0, ["Lab (2)/a", "Lab/a"])
    assert (server.token.encode() in written, server.token in notes) == (False, False)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes as POSIX has them")
def test_a_reader_that_goes_away_is_no_error(cli: Cli) -> None:
    cli.make("Photos", {"a": b"1"})
    cli.run("upload", "Photos")
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = cli.start("status", stdout=write_end)
    os.close(write_end)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_result_that_cannot_be_printed_is_said(cli: Cli) -> None:
    with open("/dev/full", "wb") as full:
        process = cli.start("status", stdout=full)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (
        2,
        b"uphaul: The result could not be printed: No space left on device.\n",
    )


@pytest.mark.parametrize(
    "args, code, sentence",
    [
        ([], "usage", "The following arguments are required: COMMAND. See `uphaul --help`."),
        (["upload"], "usage", "The following arguments are required: PATH. See `uphaul upload --help`."),
        (["upload", "no\nwhere"], "missing", "“no\\nwhere” does not exist."),
        (
            ["upload", "here", "--server", "lab"],
            "unknown_server",
            "There is no server called “lab”. An address begins with http:// or https://.",
        ),
        (
            ["upload", "here", "--server", "http://me:pw@x"],
            "bad_address",
            "The address must not hold a user name or password. Give the token on its own.",
        ),
        (
            ["upload", "here"],
            "no_files",
            "There is nothing to upload. No files were found. 1 empty folder is not sent.",
        ),
        (
            ["upload", "here", "--token-stdin"],
            "usage",
            "No usable token came on standard input: it must be one line of letters, digits and signs.",
        ),
        (["status", "nix"], "not_found", "There is no batch “nix”."),
        (["cancel", "nix"], "not_found", "There is no batch and no file “nix”."),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(
    cli: Cli, args: list[str], code: str, sentence: str
) -> None:
    (cli.work / "here").mkdir()
    as_json = cli.json(*args)
    assert as_json == (2, {"error": {"code": code, "message": sentence}})


def test_a_server_that_does_not_answer_is_exit_code_2(cli: Cli) -> None:
    cli.make("Photos", {"a": b"1"})
    code, result = cli.json("upload", "Photos", "--server", "http://127.0.0.1:1")
    sentence = result["error"]["message"]
    assert (code, result["error"]["code"]) == (2, "unreachable")
    assert sentence.startswith("127.0.0.1:1: The server cannot be reached")


def test_without_json_the_sentence_is_on_standard_error(cli: Cli) -> None:
    assert cli.run("upload", "no\nwhere") == (2, "", "uphaul: “no\\nwhere” does not exist.\n")


def test_two_batches_of_one_name_are_ambiguous(cli: Cli) -> None:
    cli.make("Photos", {"a": b"1"})
    ids = [cli.json("upload", "Photos")[1]["batch"]["id"] for _ in range(2)]
    code, _, err = cli.run("cancel", "Photos")
    by_prefix = cli.json("status", ids[1][:8])[1]["batch"]["id"]
    listed = ", ".join(each[:8] for each in ids)
    assert (code, err, by_prefix) == (
        2,
        f"uphaul: “Photos” could be 2 batches: {listed}. Give one of these ids.\n",
        ids[1],
    )


def test_each_file_is_named_by_what_status_shows_of_its_id(cli: Cli) -> None:
    cli.make("Photos", {f"{number}.txt": b"1" for number in range(30)})
    cli.run("upload", "Photos")
    _, listing, _ = cli.run("status", "Photos")
    shown = {line.split()[0]: line.split()[-1] for line in listing.splitlines()[1:]}
    ((head, _),) = Counter(short[:8] for short in shown).most_common(1)
    short, name = next((short, name) for short, name in shown.items() if short.startswith(head))
    one, several = (cli.json("cancel", text)[1]["error"] for text in (short, head))
    assert (len(shown), {len(each) for each in shown}, one["message"]) == (
        30,
        {12},
        f"{name} is over; there is nothing to cancel.",
    )
    assert (several["code"], f": {short} ({name} in Photos), " in several["message"]) == ("ambiguous", True)


def test_a_damaged_journal_is_said_and_does_not_stop_the_upload(cli: Cli) -> None:
    cli.make("Photos", {"a": b"1"})
    cli.home.mkdir()
    (cli.home / "journal.sqlite3").write_bytes(b"nonsense" * 1000)
    code, _, err = cli.run("upload", "Photos")
    assert (code, "It was set aside as" in err, len(list(cli.home.glob("journal-corrupt-*")))) == (0, True, 1)


async def test_a_server_that_takes_no_more_now_is_quoted_with_the_time_when_it_goes_on(
    cli: Cli, server: ServerProcess
) -> None:
    cli.make("Photos", {"a.jpg": b"hello"})
    busy = reply(429, '{"detail": "The server takes 5 uploads an hour."}', "Retry-After: 3600")
    async with Front(server.url) as front:
        front.plan(Door("POST", "/files"), busy)
        token = {"UPHAUL_TOKEN": server.token}
        upload = cli.start("upload", "Photos", "--server", front.url, env=token)
        said = ""
        async with asyncio.timeout(20):
            while "goes on at" not in said:
                _, said, _ = await asyncio.to_thread(cli.run, "status")
        upload.terminate()
        await asyncio.to_thread(upload.communicate, None, 20)
    why = re.compile(r" {10}The server takes 5 uploads an hour; Uphaul goes on at \d\d:\d\d( on .+)?\.")
    batch, reason = said.splitlines()
    assert ("Photos" in batch, bool(why.fullmatch(reason))) == (True, True)
