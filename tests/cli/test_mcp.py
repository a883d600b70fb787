"""`uphaul mcp` as an agent meets it: the official SDK's client, a real process, the real embedded server, real files."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client

from tests.support.command_line import ROOT, Cli
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

BIG = {f"{number}.bin": os.urandom(4_000_000) for number in range(3)}


class Agent:
    """What an agent can do: call a tool and read its answer."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call *tool*; its structured answer, which its text says, too."""
        result = await self.client.call_tool(tool, arguments)
        told = result.content[0].text  # type: ignore[union-attr]
        assert not result.is_error, told
        assert json.loads(told) == result.structured_content
        return result.structured_content or {}

    async def refused(self, tool: str, **arguments: Any) -> str:
        """Call *tool*, which must refuse, and return its words."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result.structured_content
        return str(result.content[0].text)  # type: ignore[union-attr]


@asynccontextmanager
async def agent(cli: Cli, **env: str) -> AsyncIterator[Agent]:
    """An agent whose `uphaul mcp` runs as a child; whatever that says beside the protocol must be expected."""
    cli.home.mkdir(exist_ok=True)
    with (cli.home / "mcp.log").open("a", encoding="utf-8") as log:
        parameters = StdioServerParameters(
            command=sys.executable, args=["-m", "app", "mcp"], env=cli.environment(env), cwd=cli.work
        )
        async with Client(stdio_client(parameters, errlog=log)) as client:
            yield Agent(client)


async def test_the_tools_explain_themselves(cli: Cli) -> None:
    async with agent(cli) as one:
        tools = {tool.name: tool for tool in (await one.client.list_tools()).tools}
    undescribed = [
        f"{name}.{field}"
        for name, tool in tools.items()
        for field, schema in tool.input_schema["properties"].items()
        if not schema.get("description")
    ]
    destructive = {
        name for name, tool in tools.items() if tool.annotations and tool.annotations.destructive_hint
    }
    assert set(tools) == {
        "list_batches",
        "batch_status",
        "failed_files",
        "upload_paths",
        "cancel_batch",
        "cancel_file",
    }
    assert (undescribed, destructive) == ([], {"cancel_batch", "cancel_file"})
    assert (cli.home / "mcp.log").read_text() == ""


async def test_a_folder_is_uploaded_and_its_status_is_flat(cli: Cli) -> None:
    files = cli.make("Photos", {"a.jpg": b"hello", "sub/zażółć 🐙": b"", "é.txt": b"y"})
    async with agent(cli) as one:
        begun = await one.ask("upload_paths", paths=[str(cli.work / "Photos")], batch_name="Fjörð")
        ended = await one.ask("batch_status", batch=begun["id"], wait_seconds=30)
        listed = await one.ask("list_batches", state="completed")
        other = await one.ask("list_batches", state="failed")
        by_name = await one.ask("batch_status", batch="Fjörð")
    assert cli.arrived("Fjörð") == files
    assert (ended["is_over"], ended["state"], ended["progress_percentage"]) == (True, "completed", 100)
    assert (ended["files_total"], ended["files_completed"], ended["bytes_done"]) == (3, 3, 6)
    assert (begun.keys(), listed, other) == (
        ended.keys(),
        {"total": 1, "batches": [ended]},
        {"total": 0, "batches": []},
    )
    assert (by_name, [name for name, value in ended.items() if isinstance(value, dict)]) == (ended, [])


async def test_its_names_are_those_of_the_command_line(cli: Cli) -> None:
    cli.make("Photos", {"a.jpg": b"hello"})
    async with agent(cli) as one:
        begun = await one.ask("upload_paths", paths=[str(cli.work / "Photos")])
        ended = await one.ask("batch_status", batch=begun["id"], wait_seconds=30)
    _, status = cli.json("status", begun["id"])
    flat = {}
    for name, value in status["batch"].items():
        flat |= (
            {f"{name}_{key}": each for key, each in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
    flat["server"] = ended["server"]  # a command that does not connect knows its server by id
    assert ended == flat | {"is_over": True, "progress_percentage": 100}


async def test_every_name_is_documented(cli: Cli) -> None:
    documented = set(re.findall(r"\w+", (ROOT / "docs" / "MCP.md").read_text(encoding="utf-8")))
    cli.make("Photos", {"a.jpg": b"hello", "b.jpg": b"2" * 600_000})
    cli.slow_down(50_000)
    async with agent(cli) as one:
        begun = await one.ask("upload_paths", paths=[str(cli.work / "Photos")])
        answers = [
            begun,
            await one.ask("cancel_file", batch="Photos", file="b.jpg"),
            await one.ask("list_batches"),
            await one.ask("failed_files", batch="Photos"),
        ]
    assert sorted({name for answer in answers for name in answer} - documented) == []


async def test_failed_files_say_why(cli: Cli) -> None:
    cli.make("Lab", {"big": b"1" * 2000, "small": b"1"})
    async with agent(cli, UPHAUL_TOKEN="only-for-the-lab") as one:
        with ServerProcess(cli.home / "lab", "--max-size", "1000", token="only-for-the-lab") as server:
            begun = await one.ask("upload_paths", paths=[str(cli.work / "Lab")], server=server.url)
            ended = await one.ask("batch_status", batch=begun["id"], wait_seconds=30)
            failed = await one.ask("failed_files", batch="Lab")
    (file,) = failed["files"]
    assert (ended["state"], ended["files_failed"], failed["total"]) == ("partial", 1, 1)
    assert (file["path"], file["state"], file["failure_kind"]) == ("big", "failed", "too_large")
    written = [
        path for path in cli.home.rglob("*") if path.is_file() and b"only-for-the-lab" in path.read_bytes()
    ]
    assert written == []


async def test_cancels_are_confirmed_by_the_server(cli: Cli) -> None:
    cli.make("Big", BIG)
    cli.slow_down(300_000)
    partials = cli.home / "server" / "partials"
    async with agent(cli) as one:
        begun = await one.ask("upload_paths", paths=[str(cli.work / "Big")])
        file = await one.ask("cancel_file", batch=begun["id"], file="1.bin")
        batch = await one.ask("cancel_batch", batch="Big")
        twice = await one.refused("cancel_batch", batch="Big")
        left = [path for path in partials.rglob("*") if path.is_file()]
    assert (file["path"], file["state"], file["endings_cancelled"]) == ("1.bin", "cancelled", 1)
    assert (batch["state"], batch["endings_cancelled"], batch["is_confirmed"]) == ("cancelled", 2, True)
    assert (left, cli.arrived("Big")) == ([], {})
    assert twice.endswith("nothing_to_cancel: Big is over; there is nothing to cancel.")


async def test_what_cannot_be_done_is_one_sentence(cli: Cli) -> None:
    (cli.work / "empty").mkdir()
    async with agent(cli) as one:
        told = [
            await one.refused("batch_status", batch="nix"),
            await one.refused("upload_paths", paths=["/no/where"]),
            await one.refused("upload_paths", paths=[str(cli.work / "empty")]),
            await one.refused("upload_paths", paths=[str(cli.work / "empty")], server="lab"),
        ]
        rest = await one.ask("list_batches")
    assert [
        sentence.rpartition("Error executing tool ")[2].partition(": ")[2] or sentence for sentence in told
    ] == [
        "not_found: There is no batch “nix”.",
        "missing: “/no/where” does not exist.",
        "no_files: There is nothing to upload. No files were found. 1 empty folder is not sent.",
        "unknown_server: There is no server called “lab”. An address begins with http:// or https://.",
    ]
    assert rest["total"] == 0


async def test_an_upload_survives_the_agent(cli: Cli) -> None:
    cli.make("Big", BIG)
    cli.slow_down()
    async with agent(cli) as one:
        await one.ask("upload_paths", paths=[str(cli.work / "Big")])
    cli.full_speed()
    async with agent(cli) as another:
        seen = await another.ask("batch_status", batch="Big")
    code, _ = cli.json("resume")
    assert (seen["is_over"], code, cli.arrived("Big")) == (False, 0, BIG)


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_a_signal_ends_it_though_its_input_stays_open(cli: Cli) -> None:
    process = cli.start("mcp")
    eventually((cli.home / "journal.sqlite3").exists, lambda there: there, 20)
    process.send_signal(signal.SIGTERM)
    code = process.wait(timeout=20)
    out, err = process.communicate()
    assert (code, out, b"`uphaul resume` goes on" in err, b"Traceback" in err) == (130, b"", True, False)


def test_the_end_of_its_input_ends_it_quietly(cli: Cli) -> None:
    assert cli.run("mcp") == (0, "", "")


def test_other_commands_do_not_load_it(cli: Cli) -> None:
    seen = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "app", "status"],
        env=cli.environment(),
        cwd=cli.work,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("mcp" in seen.stderr, "app.cli_commands" in seen.stderr) == (False, True)
