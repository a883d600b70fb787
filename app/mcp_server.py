"""`uphaul mcp`: batches and uploads as tools of the Model Context Protocol, over standard input and output.

The tools and their JSON are documented in docs/MCP.md. Uploads run in this process while it serves; what is unfinished when
it ends is in the journal, and `uphaul resume` goes on.
"""

import asyncio
import functools
import os
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ParamSpec

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from app import __version__
from app.cli_commands import Ended, check_paths, end, find_batch, find_transfer, is_problem, refuse_empty
from app.cli_output import BATCH_OVER, Output, flat_batch_json, flat_transfer_json, printable, valid
from app.cli_session import CliError, Session, open_session
from app.domain.batch import BatchView
from app.domain.state import BatchState, CancelEnding, TransferState

_P = ParamSpec("_P")
_Json = dict[str, Any]
_INTERRUPTED = 130
_LOOK_EVERY_S = 0.1
_LONGEST_SCAN_S = 10.0
_INSTRUCTIONS = """\
Uploads files and folders from this computer in batches, and tells how they stand. A batch is named by its id, the
beginning of its id (four characters or more) or its name. Sizes are bytes, moments ISO 8601 in UTC. A batch's state is one
of scanning, queued, uploading, processing, waiting, paused, cancelling, and when is_over is true completed, partial (some
files failed), failed or cancelled. Uploads run in the background: upload_paths returns at once, batch_status with
wait_seconds waits for the end."""

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_UPLOADS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
)
_CANCELS = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True
)

_Batch = Annotated[str, Field(description="The batch: its id, the beginning of its id, or its name.")]
_Limit = Annotated[int, Field(ge=1, le=1000, description="At most so many.")]
_Wait = Annotated[
    float,
    Field(ge=0, le=600, description="Wait for the end of the batch, but no longer than so many seconds."),
]


async def serve(output: Output) -> int:
    """Serve until standard input ends. What the engine has to say goes to standard error. Raises CliError."""
    try:
        async with open_session(output) as session:
            serving = asyncio.create_task(_tools(session).run_stdio_async())
            # wait() and not await: the SDK reads in a thread that no cancel reaches, and the journal comes first.
            await asyncio.wait({serving})
        await serving
    except asyncio.CancelledError:
        output.error("interrupted", "Interrupted. What has arrived is kept; `uphaul resume` goes on.")
        os._exit(_INTERRUPTED)  # that thread would hold the interpreter until standard input ends
    return 0


def _told(tool: Callable[_P, Awaitable[_Json]]) -> Callable[_P, Awaitable[_Json]]:
    """Make *tool* answer in valid text, and its CliError an error that the agent reads: "code: sentence"."""

    @functools.wraps(tool)
    async def told(*args: _P.args, **kwargs: _P.kwargs) -> _Json:
        try:
            answer: _Json = valid(await tool(*args, **kwargs))
        except CliError as error:
            raise ToolError(valid(f"{error.code}: {error.sentence}")) from None
        return answer

    return told


def _tools(session: Session) -> MCPServer[Any]:
    """Return the protocol's server with all tools on *session*."""
    server: MCPServer[Any] = MCPServer(
        "uphaul", title="Uphaul", version=__version__, instructions=_INSTRUCTIONS, log_level="WARNING"
    )
    _add_looks(server, session)
    _add_upload(server, session)
    _add_cancels(server, session)
    return server


def _add_looks(server: MCPServer[Any], session: Session) -> None:
    @server.tool(title="List batches", annotations=_READS)
    @_told
    async def list_batches(
        limit: _Limit = 20,
        state: Annotated[BatchState | None, Field(description="Only batches in this state.")] = None,
    ) -> _Json:
        """List the batches of uploads, newest first, each as batch_status answers; `total` counts all that fit."""
        session.manager.drain(None)
        found = [b for b in reversed(await session.manager.batches()) if state in (None, b.state)]
        now = time.time()
        return {"total": len(found), "batches": [flat_batch_json(batch, now) for batch in found[:limit]]}

    @server.tool(title="Status of a batch", annotations=_READS)
    @_told
    async def batch_status(batch: _Batch, wait_seconds: _Wait = 0) -> _Json:
        """Tell how a batch stands: its state, a sentence, and how many files and bytes stand where."""
        view = await _wait(session, (await _batch(session, batch)).id, _is_over, wait_seconds)
        return flat_batch_json(view, time.time())

    @server.tool(title="Failed files", annotations=_READS)
    @_told
    async def failed_files(batch: _Batch, limit: _Limit = 100) -> _Json:
        """List the files of a batch that failed or could not be read, each with the reason; `total` counts all."""
        view = await _batch(session, batch)
        rows = await session.manager.transfers(view.id)
        bad = [row for row in rows if is_problem(row) and row.state is not TransferState.CANCELLED]
        now = time.time()
        files = [flat_transfer_json(row, now) for row in bad[:limit]]
        return {"batch_id": view.id, "batch_name": view.name, "total": len(bad), "files": files}


def _add_upload(server: MCPServer[Any], session: Session) -> None:
    @server.tool(title="Upload files and folders", annotations=_UPLOADS)
    @_told
    async def upload_paths(
        paths: Annotated[
            list[str],
            Field(min_length=1, description="Absolute paths of files and folders on this computer."),
        ],
        server: Annotated[
            str | None,
            Field(description="Name or address of the server; without it, the one on this computer."),
        ] = None,
        batch_name: Annotated[
            str | None, Field(min_length=1, description="Name of the batch; without it, made from the paths.")
        ] = None,
    ) -> _Json:
        """Upload files and folders as one new batch, in the background; answers as batch_status does."""
        check_paths(paths)
        profile_id = await session.server(server)
        target = await session.target(profile_id, None)
        batch_id = await session.manager.add(paths, profile_id, batch_name, target)
        view = await _wait(session, batch_id, lambda b: b.report is not None or _is_over(b), _LONGEST_SCAN_S)
        await refuse_empty(session, view)
        return flat_batch_json(view, time.time())


def _add_cancels(server: MCPServer[Any], session: Session) -> None:
    @server.tool(title="Cancel a batch", annotations=_CANCELS)
    @_told
    async def cancel_batch(batch: _Batch) -> _Json:
        """Cancel a whole batch at its server and tell what became of its files. What had arrived stays there."""
        return _ended_json(await end(session, await _batch(session, batch), None))

    @server.tool(title="Cancel a file", annotations=_CANCELS)
    @_told
    async def cancel_file(
        batch: _Batch,
        file: Annotated[
            str, Field(description="The file: its id, the beginning of its id, or its path in the batch.")
        ],
    ) -> _Json:
        """Cancel one file of a batch at its server and tell what became of it."""
        view = await _batch(session, batch)
        return _ended_json(await end(session, *await find_transfer(session, [view], file)))


async def _batch(session: Session, text: str) -> BatchView:
    session.manager.drain(None)  # the speeds are measured when a frame is taken
    found = find_batch(await session.manager.batches(), text)
    if found is None:
        raise CliError("not_found", f"There is no batch “{printable(text)}”.")
    return found


async def _wait(
    session: Session, batch_id: str, is_enough: Callable[[BatchView], bool], longest_s: float
) -> BatchView:
    """Return the batch as soon as it is as wanted, or as it is after *longest_s*."""
    until = time.monotonic() + longest_s
    while True:
        (view,) = await session.views([batch_id])
        if is_enough(view) or time.monotonic() >= until:
            return view
        await asyncio.sleep(_LOOK_EVERY_S)


def _is_over(batch: BatchView) -> bool:
    return batch.state in BATCH_OVER


def _ended_json(ended: Ended) -> _Json:
    """Return what docs/CLI.md says of a cancel, on one level, with the batch (or the file) as it is now."""
    now = time.time()
    of = flat_transfer_json(ended.transfer, now) if ended.transfer else flat_batch_json(ended.batch, now)
    counts = {f"endings_{each.value}": ended.endings.get(each.value, 0) for each in CancelEnding}
    return (
        of
        | counts
        | {"is_confirmed": ended.is_confirmed, "message": ended.message, "batch_id": ended.batch.id}
    )
