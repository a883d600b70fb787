"""The server's log: one line an event on standard error, key=value, with the id of the request it belongs to."""

from __future__ import annotations

import logging
import sys

from app.server.gate import request_id

LEVELS = ("debug", "info", "warning", "error")


class _RequestId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


def set_up(level: str) -> None:
    """Send the records of this process to standard error, from *level* on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_RequestId())
    handler.setFormatter(
        logging.Formatter(
            "%(asctime)s.%(msecs)03d level=%(levelname)s logger=%(name)s request=%(request_id)s %(message)s",
            "%Y-%m-%dT%H:%M:%S",
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn", "uvicorn.error", "alembic", "asyncio", "aiosqlite", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
