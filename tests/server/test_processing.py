"""Stored files are processed in the background: verified, recognised, shown small; twice tried, cancelled, resumed."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.support.server import ServerProcess
from tests.support.tus import TusClient, file_id
from tests.support.waiting import eventually

PROBE = "tests.support.probe_server"
OVER = {"completed", "failed", "cancelled"}


def picture(kind: str = "PNG", size: tuple[int, int] = (800, 400)) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(made, kind)
    return made.getvalue()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server with jobs that wait; a test may kill it."""
    with ServerProcess(tmp_path, "--rate-limits", "off", module=PROBE) as running:
        yield running


@pytest.fixture
def tus(server: ServerProcess) -> Iterator[TusClient]:
    with TusClient(server) as client:
        yield client


def processed(tus: TusClient, location: str) -> dict[str, Any]:
    body = eventually(lambda: tus.file_body(location), lambda file: file["processing"]["status"] in OVER)
    found: dict[str, Any] = body["processing"]
    return found


def test_a_picture_gets_its_type_dimensions_and_a_thumbnail(server: ServerProcess, tus: TusClient) -> None:
    content = picture()
    location = tus.created(len(content), content, filename="red.dat", process="1")
    found = processed(tus, location)
    with Image.open(server.data_dir / "thumbnails" / f"{file_id(location)}.jpg") as small:
        seen = small.format, small.size
    assert (found["status"], found["attempts"], found["result"]) == (
        "completed",
        1,
        {
            "sha256_verified": True,
            "mime_type": "image/png",
            "extension": ".png",
            "width": 800,
            "height": 400,
            "thumbnail": True,
        },
    )
    assert seen == ("JPEG", (320, 160))


def test_a_file_that_did_not_ask_is_not_processed(tus: TusClient) -> None:
    assert tus.file_body(tus.created(3, b"abc", filename="a.txt"))["processing"] is None


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        (b"hello\n", "text/plain"),
        (b"%PDF-1.7\n%\xe2\xe3\n", "application/pdf"),
        (b"\x00\x01\x02\xff" * 9, None),
    ],
)
def test_the_true_type_is_told_by_content(tus: TusClient, content: bytes, mime_type: str | None) -> None:
    location = tus.created(len(content), content, filename="claims-to-be.jpg", process="1")
    found = processed(tus, location)["result"]["mime_type"]
    assert found == (mime_type or "application/octet-stream")


def test_a_broken_picture_is_tried_twice_and_does_not_stop_its_batch(tus: TusClient) -> None:
    batch = tus.batch("Mixed")
    good, broken = picture(), picture()[:300]
    first = tus.created(len(broken), broken, filename="broken.png", batch_id=batch, process="1")
    second = tus.created(len(good), good, filename="good.png", batch_id=batch, process="1")
    results = [processed(tus, location) for location in (first, second)]
    body = tus.batch_body(batch)
    assert [(one["status"], one["attempts"]) for one in results] == [("failed", 2), ("completed", 1)]
    assert results[0]["error"].startswith("The picture does not open")
    assert (body["processing_total"], body["processing_completed"], body["processing_failed"]) == (2, 1, 1)
    assert (body["status"], body["completed_at"] is not None) == ("completed", True)


def test_a_picture_of_too_many_pixels_is_not_opened(tus: TusClient) -> None:
    made = io.BytesIO()
    Image.new("1", (20_000, 6_000)).save(made, "PNG")
    location = tus.created(len(made.getvalue()), made.getvalue(), filename="bomb.png", process="1")
    assert "20000 × 6000 pixels" in processed(tus, location)["error"]


def add_job(http: httpx.Client, kind: str, name: str, lane: str = "") -> str:
    answer = http.post("/probe/jobs", json={"kind": kind, "name": name} | ({"lane": lane} if lane else {}))
    job_id: str = answer.json()["id"]
    return job_id


def job(http: httpx.Client, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"/probe/jobs/{job_id}").json()
    return found


def log_lines(server: ServerProcess) -> list[str]:
    path = server.data_dir / "jobs.log"
    return path.read_text().splitlines() if path.exists() else []


def test_jobs_of_one_lane_run_one_after_another_and_others_beside_them(
    server: ServerProcess, tus: TusClient
) -> None:
    with httpx.Client(base_url=server.url, headers=server.headers) as http:
        ids = [add_job(http, "wait", name, "lane") for name in ("one", "two")]
        ids.append(add_job(http, "wait", "beside"))
        eventually(lambda: sorted(log_lines(server)), lambda lines: lines == ["begin beside", "begin one"])
        (server.data_dir / "go").touch()
        eventually(lambda: [job(http, one)["status"] for one in ids], lambda seen: set(seen) == {"completed"})
    lines = log_lines(server)
    assert lines.index("end one") < lines.index("begin two")


def test_a_cancel_reaches_what_runs_and_what_waits(server: ServerProcess) -> None:
    with httpx.Client(base_url=server.url, headers=server.headers) as http:
        running, waiting = (add_job(http, "wait", name, "lane") for name in ("running", "waiting"))
        eventually(lambda: log_lines(server), lambda lines: lines == ["begin running"])
        answers = [http.delete(f"/probe/jobs/{one}").json()["status"] for one in (waiting, running)]
        again = http.delete(f"/probe/jobs/{running}")
        last = add_job(http, "crash", "next", "lane")  # the lane is free again
        ended = eventually(lambda: job(http, last), lambda seen: seen["status"] == "failed")
        states = [job(http, one)["status"] for one in (running, waiting)]
    assert (answers, states, again.status_code, again.json()["status"]) == (
        ["cancelled"] * 2,
        ["cancelled"] * 2,
        400,
        "cancelled",
    )
    assert (ended["attempts"], ended["error"], log_lines(server)) == (
        2,
        "attempt 2 went wrong",
        ["begin running"],
    )


def hold_lane(server: ServerProcess, http: httpx.Client, batch: str) -> str:
    """Begin a job that waits in the lane of a batch, so that its files queue up behind it."""
    before = len(log_lines(server))
    job_id = add_job(http, "wait", "holder", batch)
    eventually(lambda: log_lines(server), lambda lines: len(lines) == before + 1)
    return job_id


def test_cancelling_a_batch_cancels_the_processing_of_what_is_stored(
    server: ServerProcess, tus: TusClient
) -> None:
    batch = tus.batch("Stored, not processed")
    with httpx.Client(base_url=server.url, headers=server.headers) as http:
        hold_lane(server, http, batch)
        locations = [tus.created(3, b"abc", filename=f"{n}", batch_id=batch, process="1") for n in range(3)]
        single = tus.cancel_file(locations[0])
        before = tus.batch_body(batch)
        cancelled = tus.cancel_batch(batch)
    after = tus.batch_body(batch)
    states = [(tus.file_body(one)["status"], tus.file_body(one)["processing"]["status"]) for one in locations]
    assert (single.status_code, before["status"], cancelled.status_code, after["status"]) == (
        200,
        "processing",
        200,
        "cancelled",
    )
    assert (after["stored_count"], after["processing_total"], after["processing_cancelled"]) == (3, 3, 3)
    assert states == [("stored", "cancelled")] * 3


def test_deleting_a_file_takes_its_processing_out_of_the_counters(
    server: ServerProcess, tus: TusClient
) -> None:
    batch, content = tus.batch("Deleted"), picture()
    locations = [
        tus.created(len(content), content, filename=f"{n}", batch_id=batch, process="1") for n in range(2)
    ]
    for one in locations:
        processed(tus, one)
    tus.delete(locations[0])
    body = tus.batch_body(batch)
    assert (body["total_files"], body["processing_total"], body["processing_completed"]) == (1, 1, 1)
    assert len(list((server.data_dir / "thumbnails").iterdir())) == 1


def test_after_kill_9_processing_goes_on_and_counts_nothing_twice(
    server: ServerProcess, tus: TusClient
) -> None:
    batch, content = tus.batch("Killed"), picture(size=(60, 60))
    with httpx.Client(base_url=server.url, headers=server.headers) as http:
        done = [
            tus.created(len(content), content, filename=f"d{n}", batch_id=batch, process="1")
            for n in range(3)
        ]
        for one in done:
            processed(tus, one)
        holder = hold_lane(server, http, batch)
        waiting = [
            tus.created(len(content), content, filename=f"w{n}", batch_id=batch, process="1")
            for n in range(5)
        ]
    server.kill()
    (server.data_dir / "go").touch()
    server.restart()
    with TusClient(server) as again, httpx.Client(base_url=server.url, headers=server.headers) as http:
        states = [processed(again, one) for one in [*done, *waiting]]
        held = eventually(lambda: job(http, holder), lambda seen: seen["status"] == "completed")
        body = again.batch_body(batch)
    assert [(one["status"], one["attempts"]) for one in states] == [("completed", 1)] * 8
    assert (held["attempts"], log_lines(server)) == (1, ["begin holder", "begin holder", "end holder"])
    assert (body["processing_total"], body["processing_completed"], body["processing_failed"]) == (8, 8, 0)
    assert body["status"] == "completed"


def test_a_clean_stop_gives_running_jobs_back(server: ServerProcess) -> None:
    with httpx.Client(base_url=server.url, headers=server.headers) as http:
        add_job(http, "wait", "stopped")
        eventually(lambda: log_lines(server), lambda lines: lines == ["begin stopped"])
    code = server.terminate()
    database = sqlite3.connect(server.database_path)
    row = database.execute("SELECT status, attempts, worker FROM jobs").fetchone()
    database.close()
    assert (code, row, list((server.data_dir / "workers").iterdir())) == (0, ("queued", 0, None), [])
