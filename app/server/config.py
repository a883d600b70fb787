"""What one server was told at its start."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

DEFAULT_MIN_FREE_BYTES = 100 * 1024 * 1024
DEFAULT_EXPIRE_HOURS = 72.0
DEFAULT_STALL_SECONDS = 60.0
DEFAULT_JOB_PROCESSES = 2
DEFAULT_JOB_MEMORY_BYTES = 2 * 1024**3
DEFAULT_JOB_STALL_SECONDS = 120.0
DEFAULT_KEEP_EXPORTS_HOURS = 24.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where the outbox is delivered, and the secret its bodies are signed with (may be empty: no signature)."""

    url: str
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where the data lies, who may come in, and the limits."""

    data_dir: Path
    token: str = field(repr=False)
    max_file_bytes: int | None = None
    max_batch_files: int | None = None
    min_free_bytes: int = DEFAULT_MIN_FREE_BYTES
    expire_after: timedelta = timedelta(hours=DEFAULT_EXPIRE_HOURS)
    stall_seconds: float = DEFAULT_STALL_SECONDS
    """A request body that brings no byte for so long is given up; what arrived is kept."""
    keep_exports: timedelta = timedelta(hours=DEFAULT_KEEP_EXPORTS_HOURS)
    """A finished export of the Cell Segmentation Hub leaves the disk after so long."""
    process: bool = False
    """Whether files that come by our own API are worked at without being asked to."""
    job_processes: int = DEFAULT_JOB_PROCESSES
    """How many processes work at stored files."""
    job_memory_bytes: int = DEFAULT_JOB_MEMORY_BYTES
    """The most memory of each, where the system can limit it."""
    job_stall_seconds: float = DEFAULT_JOB_STALL_SECONDS
    """Work on a stored file that gives no sign of life for so long is ended."""
    root_api: str | None = None
    """The API that is served at the root as well."""
    rate_limit_factor: float | None = 1.0
    """Scales every rate limit; None turns them off."""
    webhook: Webhook | None = None

    @property
    def database_path(self) -> Path:
        """The SQLite database, the source of truth."""
        return self.data_dir / "server.sqlite3"
