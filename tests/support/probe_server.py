"""A server with a room of its own, `/probe`, that uses everything the core offers an API: `python -m tests.support.probe_server`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from starlette.responses import Response

from app.server import batches, files, jobs, outbox
from app.server.api.room import Api, bearer, room_app
from app.server.appending import DisconnectedError
from app.server.body import RequestBody
from app.server.command import add_arguments, run
from app.server.core import Core
from app.server.database import Transaction
from app.server.files import FileRecord, NewFile
from app.server.gate import respond
from app.server.jobs import NewJob
from app.server.limits import address
from app.server.multipart import parts
from app.server.names import safe_name
from app.server.receiving import receive
from app.server.work import Work


def mount(core: Core) -> list[Api]:
    """The room, with jobs that wait for a file to appear, and an outbox event for each file that is stored here."""
    app = room_app("Probe", respond)
    _add_users(app, core)
    _add_files(app, core)
    core.processors["wait"] = _wait_for_go
    core.processors["crash"] = _crash

    def announce(tx: Transaction, file: FileRecord) -> None:
        data = {
            "file": {"id": file.id, "name": file.filename, "size": file.size_bytes, "sha256": file.sha256}
        }
        outbox.add(tx, kind="file.stored", owner=file.owner, data=data, now=core.now(), file_id=file.id)

    core.on_stored["probe"] = announce
    return [
        Api("probe", "/probe", app, bearer(core), respond, frozenset({"/register", "/token", "/refresh"}))
    ]


def _add_users(app: FastAPI, core: Core) -> None:
    @app.post("/register", status_code=201)
    async def register(body: dict[str, str]) -> dict[str, str]:
        user = await core.accounts.register(body["name"], body["password"])
        return {"id": user.id, "name": user.name}

    @app.post("/token")
    async def token(request: Request, body: dict[str, str]) -> Any:
        core.limits.take("3/minute", address(request), "token")
        user = await core.accounts.check(body["name"], body["password"])
        if user is None:
            return Response(status_code=401)
        seconds = int(body.get("access_seconds", "60"))
        made = await core.accounts.issue(
            user, access_seconds=seconds, refresh_seconds=600, claims={"app": "probe"}
        )
        return {"access": made.access, "refresh": made.refresh}

    @app.post("/refresh")
    async def refresh(body: dict[str, str]) -> dict[str, str | None]:
        rotate = body.get("rotate", "yes") == "yes"
        _, made = await core.accounts.refresh(
            body["refresh"], access_seconds=60, refresh_seconds=600, rotate=rotate
        )
        return {"access": made.access, "refresh": made.refresh}

    @app.post("/logout", status_code=204)
    async def logout(request: Request) -> None:
        await core.accounts.revoke(request.headers["authorization"].partition(" ")[2])

    @app.get("/me")
    async def me(request: Request) -> dict[str, str]:
        return {"id": request.state.user.id, "name": request.state.user.name}


def _add_files(app: FastAPI, core: Core) -> None:
    @app.post("/bulk", status_code=201)
    async def bulk(request: Request) -> dict[str, Any]:
        owner = request.state.owner
        batch, _ = await core.database.write(
            batches.create, owner, "Bulk", None, core.now(), core.storage.has_folder, origin="probe"
        )
        stored = []
        async for part in parts(request):
            if part.filename is None:
                continue
            new = NewFile(
                id=uuid4().hex,
                owner=owner,
                filename=part.filename,
                relative_path=safe_name(part.filename),
                size_bytes=None,
                batch_id=batch.id,
                origin="probe",
                process="process" in request.query_params,
                extra={"content_type": part.content_type},
            )
            stored.append((await receive(core, new, part)).file.id)
        return {"batch_id": batch.id, "files": stored}

    @app.post("/raw", status_code=201)
    async def raw(request: Request) -> Any:
        new = NewFile(uuid4().hex, request.state.owner, "raw.bin", "raw.bin", None, extra={"from": "raw"})
        try:
            created = await receive(core, new, RequestBody(request.receive, request.headers))
        except DisconnectedError:
            return Response(status_code=499)
        return {"id": created.file.id, "sha256": created.appended.sha256}

    @app.post("/jobs", status_code=201)
    async def add_job(request: Request, body: dict[str, str]) -> dict[str, str]:
        new = NewJob(
            body["kind"], request.state.owner, lane=body.get("lane"), payload={"filename": body["name"]}
        )
        return {"id": await core.database.write(jobs.enqueue, new, core.now())}

    @app.get("/jobs/{job_id}")
    async def job(request: Request, job_id: str) -> dict[str, Any]:
        found = await core.database.read(jobs.get, request.state.owner, job_id)
        return {
            "status": found.status,
            "attempts": found.attempts,
            "error": found.error,
            "result": found.result,
        }

    @app.delete("/jobs/{job_id}")
    async def cancel(request: Request, job_id: str) -> dict[str, str]:
        return {"status": (await core.cancel_job(request.state.owner, job_id, request.state.owner)).status}

    @app.get("/files/{file_id}/events")
    async def events(request: Request, file_id: str) -> list[dict[str, Any]]:
        await core.database.read(files.get, request.state.owner, file_id)
        found = await core.database.read(outbox.of_file, request.state.owner, file_id)
        return [{"id": one.event_id, "status": one.status, "attempts": one.attempts} for one in found]


def _wait_for_go(work: Work) -> Mapping[str, Any]:
    """Log the start, wait for `go` in DATA, log the end: what was run, and when, can be read from the log."""
    data = work.storage.parts_dir.parent
    with open(data / "jobs.log", "a", encoding="utf-8") as log:
        log.write(f"begin {work.job.payload['filename']}\n")
    ticks = 0
    while not (data / "go").exists():
        ticks += 1
        time.sleep(0.01)
        work.progress(ticks % 90, f"tick {ticks}")
    with open(data / "jobs.log", "a", encoding="utf-8") as log:
        log.write(f"end {work.job.payload['filename']}\n")
    return {"done": work.job.payload["filename"]}


def _crash(work: Work) -> Mapping[str, Any]:
    raise RuntimeError(f"attempt {work.job.attempts} went wrong")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    sys.exit(run(parser.parse_args(), mount=mount))
