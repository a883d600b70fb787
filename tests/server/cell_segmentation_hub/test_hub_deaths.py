"""A server dies, or hangs, and another one shares its DATA: every upload, item and export ends, once, and leaves nothing."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest

from tests.support.hub_client import (
    Sender,
    freeze,
    image,
    login,
    names_of,
    noise,
    on_disk,
    png,
    project,
    rows,
    same_user,
    until,
)
from tests.support.server import ServerProcess

ITEMS = "SELECT status, attempts, interruptions FROM jobs WHERE kind = 'csh_segment' ORDER BY seq"

FREEZES = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="stops a process, and reads in /proc which one it is"
)


@contextmanager
def neighbour(server: ServerProcess) -> Iterator[ServerProcess]:
    """Another server on the same DATA."""
    with ServerProcess(server.data_dir, "--rate-limits", "off", token=server.token) as running:
        yield running


def status_of(client: httpx.Client, project_id: str, upload_id: str) -> str:
    return str(client.get(f"/api/projects/{project_id}/uploads/{upload_id}").json()["data"]["status"])


def segmentation(client: httpx.Client, image_id: str) -> str:
    return str(client.get(f"/api/images/{image_id}").json()["data"]["segmentationStatus"])


def test_the_queue_goes_on_after_kill_9_and_counts_nothing_twice(server: ServerProcess) -> None:
    with login(server) as client:
        here = project(client)
        slow = image(client, here, "slow.png", png(2500, 2500, noisy=True))
        fast, bad = image(client, here), image(client, here, "bad.png", b"no picture")
        body = {"imageIds": [slow, fast, bad], "projectId": here}
        client.post("/api/queue/batch", json=body)
        until(lambda: client.get(f"/api/queue/projects/{here}/stats").json()["data"]["processing"])
        server.kill()
        left = [row[0] for row in rows(server, ITEMS)]
        server.start()
        until(lambda: segmentation(client, bad) == "failed")
        ends = [segmentation(client, one) for one in (slow, fast, bad)]
        server.kill()
        server.start()
        again = client.get(f"/api/queue/projects/{here}/stats").json()["data"]["total"]
        late = client.get(f"/api/queue/projects/{here}/items").json()["data"]
    assert left == ["processing", "queued", "queued"]
    assert ends == ["segmented", "segmented", "failed"]
    assert rows(server, ITEMS) == [("completed", 1, 1), ("completed", 1, 0), ("failed", 2, 0)]
    assert (again, late) == (0, [])


@FREEZES
def test_an_upload_whose_server_dies_while_it_is_cancelling_ends_cancelled(server: ServerProcess) -> None:
    with login(server) as client, neighbour(server) as other, same_user(client, other) as there:
        here, upload = project(client), str(uuid4())
        with Sender(server, client, here, upload), ThreadPoolExecutor(1) as pool:
            freeze(server)
            asked = pool.submit(there.post, f"/api/projects/{here}/uploads/{upload}/cancel")
            until(lambda: status_of(there, here, upload) == "cancelling")
            other.kill()
            server.kill()
            with pytest.raises(httpx.TransportError):
                asked.result()
        left = on_disk(server)
        server.start()
        end = status_of(client, here, upload)
        listed = names_of(client, here)
        twice = client.post(f"/api/projects/{here}/uploads/{upload}/cancel").json()["error"]
    assert (left != [], end, on_disk(server), listed) == (True, "cancelled", [], [])
    assert twice == "Upload already cancelled"


@FREEZES
def test_an_export_whose_server_dies_while_it_is_cancelling_ends_cancelled(server: ServerProcess) -> None:
    with login(server) as client, neighbour(server) as other, same_user(client, other) as there:
        here = project(client)
        for number in range(5):
            image(client, here, f"{number}.png", noise())
        export = f"/api/projects/{here}/export"
        export += f"/{client.post(export).json()['jobId']}"
        until(lambda: list((server.data_dir / "parts").glob("csh-export-*.new")))
        holder, cold, sender = (
            (server, other, there) if is_working(server, client, export) else (other, server, client)
        )
        freeze(holder)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(sender.post, f"{export}/cancel")
            until(lambda: sender.get(f"{export}/status").json()["status"] == "cancelling")
            cold.kill()
            holder.kill()
            with pytest.raises(httpx.TransportError):
                asked.result()
        server.start()
        end = client.get(f"{export}/status").json()["status"]
        download = client.get(f"{export}/download").status_code
    assert (end, exported(server), download) == ("cancelled", [], 404)


def test_an_export_whose_server_died_between_cancel_and_clean_up_leaves_nothing(
    server: ServerProcess,
) -> None:
    with login(server) as client:
        here = project(client)
        for number in range(3):
            image(client, here, f"{number}.png", noise())
        export = f"/api/projects/{here}/export"
        export += f"/{client.post(export).json()['jobId']}"
        until(lambda: exported(server) == [".life", ".new"])
        server.cut_power()
        left = exported(server)
        # What the cancel commits before the work hears of it; no signal hits exactly that moment.
        rows(
            server,
            "UPDATE jobs SET status = 'cancelled', completed_at = '2026-01-01' WHERE kind = 'csh_export'",
        )
        server.start()
        end = client.get(f"{export}/status").json()["status"]
    assert (left, end, exported(server)) == ([".life", ".new"], "cancelled", [])


def exported(server: ServerProcess) -> list[str]:
    return [f".{name.rpartition('.')[2]}" for name in on_disk(server) if name.startswith("csh-export-")]


def is_working(server: ServerProcess, client: httpx.Client, export: str) -> bool:
    """Whether it is this server that writes the export: each has its lock in DATA/workers."""
    worker = rows(server, "SELECT worker FROM jobs WHERE kind = 'csh_export'")[0][0]
    return any(
        os.readlink(f"/proc/{server.pid}/fd/{fd}").endswith(worker)
        for fd in os.listdir(f"/proc/{server.pid}/fd")
    )


def test_a_cancel_that_another_server_takes_ends_the_upload_that_runs_here(server: ServerProcess) -> None:
    with login(server) as client, neighbour(server) as other, same_user(client, other) as there:
        here, upload = project(client), str(uuid4())
        with Sender(server, client, here, upload) as sender:
            answer = there.post(f"/api/projects/{here}/uploads/{upload}/cancel")
            left = on_disk(server)
            ended = sender.answer()
    told = answer.json()["data"]
    assert (answer.status_code, told["status"], told["removedFiles"]) == (200, "cancelled", 1)
    assert (ended.split()[1], left) == (b"409", [])


@FREEZES
def test_a_cancel_does_not_wait_for_a_server_that_hangs(server: ServerProcess) -> None:
    with login(server) as client, neighbour(server) as other, same_user(client, other) as there:
        here, upload = project(client), str(uuid4())
        with Sender(server, client, here, upload) as sender:
            freeze(server)
            answer = there.post(f"/api/projects/{here}/uploads/{upload}/cancel")
            os.kill(server.pid, signal.SIGCONT)
            ended = sender.answer()
            until(lambda: status_of(there, here, upload) == "cancelled")
    told = answer.json()["data"]
    assert (answer.status_code, told["status"], told["cleanupCompleted"]) == (202, "cancelling", False)
    assert (ended.split()[1], on_disk(server)) == (b"409", [])


def test_a_server_that_lives_ends_what_a_dead_one_left(server: ServerProcess) -> None:
    with login(server) as client, neighbour(server) as other, same_user(client, other) as there:
        here, upload = project(client), str(uuid4())
        with Sender(server, client, here, upload):
            server.kill()
            until(lambda: status_of(there, here, upload) == "failed")
        assert (on_disk(other), names_of(there, here)) == ([], [])


def test_exports_expire_and_leave_the_disk(server: ServerProcess) -> None:
    with login(server) as client:
        here = project(client)
        image(client, here)
        export = f"/api/projects/{here}/export"
        export += f"/{client.post(export).json()['jobId']}"
        until(lambda: client.get(f"{export}/status").json()["status"] == "completed")
        fresh = client.get(f"{export}/download").status_code
        server.terminate()
        server.start()
        kept = client.get(f"{export}/download").status_code
        server.options = ("--rate-limits", "off", "--keep-exports-hours", "0.0003")
        server.restart()
        until(lambda: exported(server) == [])
        gone = client.get(f"{export}/download").status_code
        told = client.get(f"{export}/status").json()
    assert (fresh, kept, gone) == (200, 200, 404)
    assert (told["status"], told["message"], told["completedAt"] < told["expiresAt"]) == (
        "completed",
        "Export has expired",
        True,
    )
