"""A child of the other benchmarks: uploads PATHs through app.manager, and prints what that took as a line of JSON.

With --server, the server's token comes on standard input. Ends with an error unless every file has arrived.
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from app.accounts.profiles import new_profile
from app.domain.events import EngineEvent, IntakeEnded
from app.domain.state import TransferState
from app.manager import UploadManager
from app.remote.registry import UPHAUL
from app.servers import EMBEDDED_ID
from app.settings import Settings
from benchmarks.support import places_in

_LOOK_EVERY_S = 0.002


async def upload(options: argparse.Namespace, token: str) -> dict[str, float]:
    """Upload the paths as one batch; all times are seconds from `add`, which is what a drop calls."""
    scanned_at: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def hear(event: EngineEvent) -> None:
        if isinstance(event, IntakeEnded):
            scanned_at.set_result(time.perf_counter())

    settings = Settings(uploads_at_once=options.at_once)
    manager = UploadManager(places_in(options.home), settings, on_event=hear)
    await manager.start()
    try:
        profile_id = await _known(manager, options.server, token) if options.server else EMBEDDED_ID
        began = time.perf_counter()
        batch_id = await manager.add(options.paths, profile_id)
        told = {"first_byte_seconds": await _first_byte(manager, batch_id) - began}
        told["scanned_seconds"] = await scanned_at - began
        if not options.scan_only:
            await manager.wait_idle([batch_id])
            told["seconds"] = time.perf_counter() - began
        view = next(batch for batch in await manager.batches() if batch.id == batch_id)
    finally:
        await manager.close()
    if not options.scan_only and view.files[TransferState.COMPLETED] != view.total_files:
        raise SystemExit(f"not everything arrived: {view.files}")
    return told


async def _known(manager: UploadManager, url: str, token: str) -> str:
    """Make the server known for this run; return its profile id."""
    profile = replace(new_profile("bench", url, UPHAUL), id="")
    await manager.save_server(profile, token, keep=False)
    return (await manager.profiles())[0].id


async def _first_byte(manager: UploadManager, batch_id: str) -> float:
    """Return when the first byte had been handed over; looks as often as a window never would."""
    while True:
        frame = manager.drain(None)
        if any(batch.done_bytes for batch in frame.batches if batch.id == batch_id):
            return time.perf_counter()
        await asyncio.sleep(_LOOK_EVERY_S)


def main() -> None:
    """Run the child."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="what UPHAUL_HOME would be")
    parser.add_argument("--server", metavar="URL", help="where to send (default: the embedded server)")
    parser.add_argument("--at-once", type=int, default=Settings().uploads_at_once)
    parser.add_argument("--scan-only", action="store_true", help="stop when the scan has ended")
    parser.add_argument("paths", nargs="+")
    options = parser.parse_args()
    token = sys.stdin.readline().strip() if options.server else ""
    print(json.dumps(asyncio.run(upload(options, token))))


if __name__ == "__main__":
    main()
