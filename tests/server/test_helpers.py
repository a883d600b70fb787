"""Whatever a file does to the process that works on it, it does to that process alone, and only as long as it is wanted."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.server.helper import packed
from tests.support.consistency import contradictions
from tests.support.deadly import LOG
from tests.support.server import ROOT, ServerProcess
from tests.support.tus import TusClient
from tests.support.vuemantics_client import VuemanticsClient, picture
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the acts need POSIX signals")
DEADLY = "tests.support.deadly_server"
OVER = {"completed", "failed", "cancelled"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server whose processor does what a file's name says; a test may kill it."""
    with ServerProcess(tmp_path, "--rate-limits", "off", module=DEADLY) as running:
        yield running


@pytest.fixture
def tus(server: ServerProcess) -> Iterator[TusClient]:
    with TusClient(server) as client:
        yield client


def helpers_log(server: ServerProcess) -> list[tuple[str, int]]:
    """Return what was begun, and by which process."""
    path = server.data_dir / LOG
    lines = path.read_text().splitlines() if path.exists() else []
    return [(name, int(pid)) for name, pid in (line.split() for line in lines if line.count(" ") == 1)]


def begun(server: ServerProcess, name: str) -> int:
    """Wait until the work on a file has begun; return the process that does it."""
    log = eventually(lambda: helpers_log(server), lambda log: name in dict(log), 20)
    return dict(log)[name]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]


def send(tus: TusClient, batch: str, *names: str) -> list[str]:
    """Store a picture under each name, to be processed in that order."""
    content = picture()
    return [
        tus.created(len(content), content, filename=f"{name}.png", batch_id=batch, process="1")
        for name in names
    ]


def processed(tus: TusClient, location: str) -> dict[str, Any]:
    look = lambda: tus.file_body(location)["processing"]  # noqa: E731
    found: dict[str, Any] = eventually(look, lambda seen: seen["status"] in OVER, 30)
    return found


@pytest.mark.parametrize("act", ["sleep", "deaf", "stuck"])
def test_a_cancel_ends_work_that_hangs_before_it_is_confirmed(
    server: ServerProcess, tus: TusClient, act: str
) -> None:
    batch, next_batch = tus.batch("Hangs"), tus.batch("Next")
    hangs, waits = send(tus, batch, act, "fine")
    pid = begun(server, act)
    answer = tus.cancel_batch(batch)
    was_alive = is_alive(pid)
    (later,) = send(tus, next_batch, "fine")
    assert (answer.status_code, was_alive, processed(tus, later)["status"]) == (200, False, "completed")
    assert [processed(tus, one)["status"] for one in (hangs, waits)] == ["cancelled"] * 2
    assert (("tidied", pid) in helpers_log(server)) == (act == "sleep")
    assert (tus.batch_body(batch)["processing_cancelled"], contradictions(server)) == (2, [])


def test_a_cancel_of_one_file_ends_its_work_and_the_batch_goes_on(
    server: ServerProcess, tus: TusClient
) -> None:
    batch = tus.batch("One hangs")
    hangs, waits = send(tus, batch, "sleep", "fine")
    pid = begun(server, "sleep")
    answer = tus.cancel_file(hangs)
    was_alive = is_alive(pid)
    assert (answer.status_code, was_alive, processed(tus, waits)["status"]) == (200, False, "completed")
    assert tus.batch_body(batch)["status"] == "completed"


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ("crash", "The process that worked on this file crashed (SIGSEGV)."),
        (
            "killed",
            "The system ended the process that worked on this file (SIGKILL): most likely memory ran out.",
        ),
        ("exit", "The process that worked on this file ended by itself (exit code 7)."),
    ],
)
def test_a_crash_fails_its_file_and_no_other(server: ServerProcess, act: str, reason: str) -> None:
    names = ["first", act, "last"]
    with VuemanticsClient(server) as client:
        told = client.bulk([(f"{name}.png", picture(), "image/png") for name in names]).json()
        batch = client.over(told["batch_id"])
        shown = [client.upload(one) for one in told["upload_ids"]]
    tries = [name for name, _ in helpers_log(server)]
    assert [(one["processing_status"], one["error_message"]) for one in shown] == [
        ("completed", None),
        ("failed", f"Failed after retry: {reason}"),
        ("completed", None),
    ]
    assert (tries.count(act), sorted(set(tries))) == (2, sorted(names))
    counts = [batch[f"{name}_uploads"] for name in ("total", "processed", "successful", "failed")]
    assert (batch["status"], counts, batch["error_message"]) == (
        "completed",
        [3, 3, 2, 1],
        "1 of 3 files failed.",
    )
    assert contradictions(server) == []


def test_a_file_that_crashed_once_gets_its_second_try(tus: TusClient) -> None:
    (location,) = send(tus, tus.batch("Once"), "once")
    found = processed(tus, location)
    assert (found["status"], found["attempts"], found["error"]) == ("completed", 2, None)


def test_one_process_serves_many_files_and_may_print(server: ServerProcess, tus: TusClient) -> None:
    locations = send(tus, tus.batch("Many"), "chat", "fine", "chat", "fine")
    states = [processed(tus, one)["status"] for one in locations]
    pids = {pid for _, pid in helpers_log(server)}
    assert (states, len(pids), "said by" in server.log) == (["completed"] * 4, 1, False)


def test_one_that_dies_with_nothing_to_do_is_replaced(server: ServerProcess, tus: TusClient) -> None:
    batch = tus.batch("Idle")
    (first,) = send(tus, batch, "first")
    processed(tus, first)
    os.kill(begun(server, "first"), signal.SIGKILL)
    (second,) = send(tus, batch, "second")
    states = [processed(tus, one)["status"] for one in (first, second)]
    assert (states, len({pid for _, pid in helpers_log(server)})) == (["completed"] * 2, 2)


def test_a_file_without_a_sign_of_life_has_failed(tmp_path: Path) -> None:
    options = ("--job-stall-seconds", "1", "--rate-limits", "off")
    with ServerProcess(tmp_path, *options, module=DEADLY) as server, TusClient(server) as tus:
        (location,) = send(tus, tus.batch("Silent"), "sleep")
        found = processed(tus, location)
        pids = [pid for name, pid in helpers_log(server) if name == "sleep"]
    assert (found["status"], found["attempts"], found["error"]) == (
        "failed",
        2,
        "The work on this file got stuck: no sign of life for 1 s.",
    )
    assert (len(pids), [pid for pid in pids if is_alive(pid)]) == (2, [])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a limit of the address space")
def test_a_file_that_wants_too_much_memory_has_failed(server: ServerProcess, tus: TusClient) -> None:
    hungry, fine = send(tus, tus.batch("Hungry"), "eat", "fine")
    states = [(found["status"], found["error"]) for found in (processed(tus, hungry), processed(tus, fine))]
    assert states == [("failed", "There is not enough memory for this file."), ("completed", None)]


@pytest.mark.parametrize("act", ["sleep", "deaf"])
def test_kill_9_of_the_server_leaves_no_process_behind(
    server: ServerProcess, tus: TusClient, act: str
) -> None:
    idle_batch, batch = tus.batch("Idle"), tus.batch("Busy")
    (done,) = send(tus, idle_batch, "idle")
    send(tus, batch, act)
    send(tus, tus.batch("Busy, too"), act)
    processed(tus, done)
    eventually(lambda: [name for name, _ in helpers_log(server)].count(act), lambda number: number == 2, 20)
    pids = {pid for _, pid in helpers_log(server)}
    server.kill()
    left = eventually(lambda: [pid for pid in pids if is_alive(pid)], lambda alive: alive == [])
    assert (len(pids), left) == (2, [])


def test_not_even_one_that_hears_nothing_outlives_a_killed_server_for_long(tmp_path: Path) -> None:
    options = ("--job-stall-seconds", "2", "--rate-limits", "off")
    with ServerProcess(tmp_path, *options, module=DEADLY) as server:
        with TusClient(server) as tus:
            send(tus, tus.batch("Stuck"), "stuck")
            pid = begun(server, "stuck")
        server.kill()
        assert eventually(lambda: is_alive(pid), lambda alive: not alive, 20) is False


def test_a_signal_to_all_processes_of_the_server_is_no_attempt(server: ServerProcess, tus: TusClient) -> None:
    send(tus, tus.batch("Stopped"), "sleep")
    pid = begun(server, "sleep")
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    code = server.terminate()
    with closing(sqlite3.connect(server.database_path)) as database:
        row = database.execute("SELECT status, attempts, worker, error FROM jobs").fetchone()
    assert (code, row, is_alive(pid)) == (0, ("queued", 0, None, None), False)


def test_the_whole_program_has_the_helper_too(tmp_path: Path) -> None:
    """A frozen program has no modules to start; it starts itself."""
    terms = {"data": str(tmp_path), "memory_bytes": 2**31, "stall_seconds": 60}
    command = [sys.executable, "-m", "app", "serve", "helper"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as helper:
        assert helper.stdin is not None
        assert helper.stdout is not None
        helper.stdin.write(packed(terms) + packed(an_order("no.such.module:function")))
        helper.stdin.flush()
        answer = json.loads(helper.stdout.read(int.from_bytes(helper.stdout.read(4), "big")))
        helper.stdin.close()
        rest, code = helper.stdout.read(), helper.wait(20)
    assert (answer["error"], rest, code) == ("No module named 'no'", b"", 0)


def an_order(function: str) -> dict[str, Any]:
    job = dict.fromkeys("id kind owner file_id batch_id lane stage error created_at".split())
    job |= dict.fromkeys(["started_at", "completed_at"])
    numbers = {"seq": 1, "attempts": 1, "progress": 0}
    return {
        "function": function,
        "job": {**job, **numbers, "status": "processing", "result": {}, "payload": {}},
        "file": None,
    }
