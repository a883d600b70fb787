"""`uphaul server …` as a person types it: real processes, real servers on loopback, no keyring."""

import base64
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import ROOT, Cli
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
NOBODY_LISTENS = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("lab"), "--rate-limits", "off") as server:
        yield server


def add(cli: Cli, lab: ServerProcess, name: str = "Lab") -> Any:
    return cli.json("server", "add", name, f"{lab.url}/docs", env={"UPHAUL_TOKEN": lab.token})


def test_what_answers_is_found_out_and_what_it_can_do_is_said(cli: Cli, lab: ServerProcess) -> None:
    code, out, err = cli.run(
        "server", "add", "Lab", f"{lab.url}/docs", "--token-stdin", stdin=f"{lab.token}\n"
    )
    rows = [line.split("  ")[1] for line in out.splitlines()[1:]]
    assert (code, out.splitlines()[0], rows[:3], lab.token in out + err, "no keyring" in err) == (
        0,
        f"Lab is added: Uphaul at {lab.url}.",
        ["Goes on after an interruption", "Cancels a file", "Cancels a batch"],
        False,
        True,
    )


def test_a_server_is_added_listed_used_and_removed(cli: Cli, lab: ServerProcess) -> None:
    cli.make("Story", {"a.txt": b"hello"})
    added = add(cli, lab)
    listed = cli.json("server", "list")
    code, out, err = cli.run("upload", "Story", "--server", "lab", env={"UPHAUL_TOKEN": lab.token})
    removed = cli.json("server", "remove", "LAB")
    after = cli.json("server", "list")
    assert (
        added[0],
        listed[1]["servers"],
        (code, "The token is taken from UPHAUL_TOKEN." in err),
        (lab.files_dir / "Story" / "a.txt").read_bytes(),
        removed[0],
        after,
    ) == (0, [added[1]["server"]], (0, True), b"hello", 0, (0, {"servers": []})), (out, err)


def test_a_server_that_wants_a_name_and_a_password(cli: Cli, lab: ServerProcess) -> None:
    url, word = f"{lab.url}/vuemantics", {"UPHAUL_PASSWORD": lab.token}
    without_name = cli.json("server", "add", "Pics", url, env=word)
    with_token = cli.json("server", "add", "Pics", url, "--user", "local", env={"UPHAUL_TOKEN": lab.token})
    with_nothing = cli.json("server", "add", "Pics", url, "--user", "local")
    wrong = cli.json("server", "add", "Pics", url, "--user", "local", env={"UPHAUL_PASSWORD": "wrong"})
    none_added = cli.json("server", "list")
    right = cli.json("server", "add", "Pics", url, "--user", "local", env=word)
    batches = cli.json("server", "batches", "Pics", env=word)
    assert wrong[1]["error"]["message"].startswith("Pics: The user name or the password is wrong. Check both")
    assert (
        [each[1]["error"]["code"] for each in (without_name, with_token, with_nothing, wrong)],
        none_added[1],
        (right[0], right[1]["server"]["dialect"], right[1]["abilities"]["max_files"]),
        (batches[0], batches[1]["batches"]),
    ) == (["usage", "usage", "sign_in", "sign_in"], {"servers": []}, (0, "vuemantics", 1000), (0, []))


@pytest.mark.parametrize("how", [(), ("--dialect", "directdrive")])
def test_a_password_without_a_user_is_told_to_be_unused_where_nobody_may_send(
    cli: Cli, lab: ServerProcess, how: tuple[str, ...]
) -> None:
    cli.make("Album", {"a.png": PNG})
    word, url = {"UPHAUL_PASSWORD": "of another server"}, f"{lab.url}/directdrive"
    unused = "UPHAUL_PASSWORD is not used: no user name is given with it. Files go to Open as nobody's."
    code, out, err = cli.run("server", "add", "Open", url, *how, env=word)
    sent, _, notes = cli.run("upload", "Album", "--server", "Open", env=word)
    refused = cli.run("server", "add", "Mine", url, *how, "--password-stdin", stdin="secret\n")
    assert (code, unused in err, sent, unused in notes) == (0, True, 0, True), (out, err, notes)
    assert (refused[0], "give --user NAME, or no password to send as nobody." in refused[2]) == (2, True)


def test_a_server_whose_files_go_into_projects(cli: Cli, lab: ServerProcess) -> None:
    cli.make("Cells", {"a.png": PNG})
    word = {"UPHAUL_PASSWORD": lab.token}
    cli.json("server", "add", "Hub", f"{lab.url}/cell-segmentation-hub", "--user", "local", env=word)
    unsaid = cli.json("upload", "Cells", "--server", "Hub", env=word)
    made = cli.json("upload", "Cells", "--server", "Hub", "--new-project", "Day 1", env=word)
    unknown = cli.json("upload", "Cells", "--server", "Hub", "--project", "Day 2", env=word)
    again = cli.json("upload", "Cells", "--server", "Hub", env=word)
    assert (
        (unsaid[0], unsaid[1]["error"]["code"]),
        (made[0], made[1]["batch"]["state"]),
        (unknown[0], unknown[1]["error"]["message"]),
        again[0],
    ) == (
        (2, "unknown_project"),
        (0, "completed"),
        (2, "Hub: There is no project “Day 2”. Projects there: Day 1."),
        0,
    )


def test_a_batch_that_somebody_else_began_is_cancelled_at_the_server(cli: Cli, lab: ServerProcess) -> None:
    cli.make("Else", {"a.txt": b"hello"})
    add(cli, lab)
    word = {"UPHAUL_TOKEN": lab.token}
    cli.json("upload", "Else", "--server", "Lab", env=word)
    rows = cli.json("server", "batches", "Lab", env=word)[1]["batches"]
    mine = next(row for row in rows if row["name"] == "Else")
    code, told = cli.json("cancel", mine["remote_id"], "--server", "Lab", env=word)
    missing = cli.json("cancel", "nothing", "--server", "Lab", env=word)
    # It was complete: the server says so, and what is there stays.
    assert (mine["state"], mine["total_files"], code, told["http_status"], missing[1]["error"]["code"]) == (
        "stored",
        1,
        1,
        400,
        "not_found",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_what_was_interrupted_goes_on_at_the_same_server_with_the_same_secret(
    cli: Cli, lab: ServerProcess
) -> None:
    content = {"big.bin": os.urandom(3_000_000)}
    cli.make("Cut", content)
    add(cli, lab)
    word = {"UPHAUL_TOKEN": lab.token}
    cli.slow_down(500_000)
    process = cli.start("upload", "Cut", "--server", "Lab", env=word)
    partial = lab.partials_dir
    eventually(lambda: [path.stat().st_size for path in partial.iterdir()], lambda sizes: sum(sizes) > 0)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    cli.full_speed()
    without = cli.json("resume")
    code, resumed = cli.json("resume", env=word)
    assert (
        process.returncode,
        (without[0], [each["error"]["code"] for each in without[1]["left"]]),
        (code, resumed["batches"][0]["batch"]["state"]),
        (lab.files_dir / "Cut" / "big.bin").read_bytes() == content["big.bin"],
    ) == (130, (2, ["sign_in"]), (0, "completed"), True)


@pytest.mark.parametrize(
    "args, code, sentence",
    [
        (["add", "Lab", "ftp://x"], "not_a_server", "the address must begin with http:// or https:// and a host"),
        (["add", "Lab", NOBODY_LISTENS], "unreachable", "The server cannot be reached"),
        (["add", "Lab", "http://me:pw@x"], "not_a_server", "the address must not hold a name or password"),
        (["add", "Lab", NOBODY_LISTENS, "--dialect", "gopher"], "usage", "There is no dialect “gopher”."),
        (["add", "This computer", NOBODY_LISTENS, "--dialect", "tus"], "bad_address", "Give this one another name."),
        (["add", "Lab", NOBODY_LISTENS, "--proxy", "gopher://x"], "bad_address", "The proxy must be"),
        (["add", "Lab", "https://127.0.0.1:9", "--ca-file", "no.pem"], "tls", "no.pem: No such file or directory"),
        (["test", "Lab"], "unknown_server", "There is no server called “Lab”."),
        (["remove", "http://x"], "unknown_server", "There is no server at “http://x”: add it first."),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_a_sentence(cli: Cli, args: list[str], code: str, sentence: str) -> None:
    exit_code, told = cli.json("server", *args)
    message = told["error"]["message"]
    assert (exit_code, told["error"]["code"], sentence in message, "pw" in message) == (
        2,
        code,
        True,
        False,
    ), told


def test_the_documented_json_is_what_comes_out(cli: Cli, lab: ServerProcess) -> None:
    text = (ROOT / "docs" / "CLI.md").read_text(encoding="utf-8")
    documented = json.loads(re.findall(r"```json\n(\{.+?\n\})\n```", text, re.DOTALL)[0])
    _, came_out = add(cli, lab)
    assert {key: sorted(value) for key, value in came_out.items()} == {
        key: sorted(value) for key, value in documented.items()
    }


def test_no_secret_in_any_file(cli: Cli, lab: ServerProcess) -> None:
    add(cli, lab)
    cli.json("server", "test", "Lab", env={"UPHAUL_TOKEN": lab.token})
    written = b"".join(path.read_bytes() for path in Path(cli.home).rglob("*") if path.is_file())
    assert lab.token.encode() not in written
