"""The embedded server as a child process of the program that needs it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.server.host import EmbeddedServer, Endpoint, ServerStartError
from tests.support.server import ROOT
from tests.support.waiting import eventually


async def asked(endpoint: Endpoint) -> int:
    async with httpx.AsyncClient() as client:
        headers = {"Authorization": f"Bearer {endpoint.token}"}
        return (await client.get(f"{endpoint.url}/api/v1/batches", headers=headers)).status_code


def child_of(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(line) for line in found.split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]


async def test_it_starts_at_first_need_and_once(tmp_path: Path) -> None:
    events: list[str] = []
    host = EmbeddedServer(tmp_path, on_event=events.append)
    first, second = await asyncio.gather(host.endpoint(), host.endpoint())
    status = await asked(first)
    await host.stop()
    assert (first, status, events) == (second, 200, ["started"])


async def test_it_is_restarted_when_it_dies_with_the_same_token(tmp_path: Path) -> None:
    started = asyncio.Semaphore(0)
    host = EmbeddedServer(tmp_path, on_event=lambda event: started.release() if event == "started" else None)
    first = await host.endpoint()
    await started.acquire()
    (child,) = child_of(os.getpid())
    os.kill(child, signal.SIGKILL)
    await started.acquire()
    second = await host.endpoint()
    status = await asked(second)
    await host.stop()
    assert (status, second.token == first.token, child_of(os.getpid())) == (200, True, [])


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    host = EmbeddedServer(in_the_way / "data")
    with pytest.raises(ServerStartError, match="Not a directory"):
        await host.endpoint()
    await host.stop()


async def test_a_stopped_server_can_be_started_again(tmp_path: Path) -> None:
    host = EmbeddedServer(tmp_path)
    await host.endpoint()
    await host.stop()
    await host.stop()
    status = await asked(await host.endpoint())
    await host.stop()
    assert status == 200


async def test_it_works_from_any_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    host = EmbeddedServer(tmp_path / "data")
    status = await asked(await host.endpoint())
    await host.stop()
    assert status == 200


async def test_the_token_is_in_no_repr_and_in_no_process_list(tmp_path: Path) -> None:
    host = EmbeddedServer(tmp_path)
    endpoint = await host.endpoint()
    (child,) = child_of(os.getpid())
    shown = repr(endpoint) + repr(host) + Path(f"/proc/{child}/cmdline").read_text()
    await host.stop()
    assert endpoint.token not in shown


PARENT = """
import asyncio, sys
from pathlib import Path
from app.server.host import EmbeddedServer
async def main():
    await EmbeddedServer(Path(sys.argv[1])).endpoint()
    print("ready", flush=True)
    await asyncio.sleep(3600)
asyncio.run(main())
"""


def test_kill_9_of_the_parent_leaves_no_orphan(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        (child,) = child_of(parent.pid)
        parent.kill()
    assert eventually(lambda: is_alive(child), lambda alive: not alive) is False


def test_the_module_does_not_import_the_server(tmp_path: Path) -> None:
    look = (
        "import sys, app.server.host; print(sorted({'fastapi', 'sqlalchemy', 'uvicorn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_who_stops_it_while_it_starts_does_not_wait_for_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who quits at once; the patience for an orderly end is for a server that has something to finish."""
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "sitecustomize.py").write_text("import time\ntime.sleep(1000)\n")
    monkeypatch.setenv("PYTHONPATH", str(slow))
    monkeypatch.setattr("app.server.host.STOP_SECONDS", 1000)
    host = EmbeddedServer(tmp_path / "data")
    starting = asyncio.ensure_future(host.endpoint())
    await asyncio.to_thread(eventually, lambda: child_of(os.getpid()), bool)
    await host.stop()
    await asyncio.wait({starting})
    assert (child_of(os.getpid()), type(starting.exception())) == ([], ServerStartError)
