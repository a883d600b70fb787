"""Where things live on this machine: settings, the journal, locks and the embedded server's data."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs


@dataclass(frozen=True, slots=True)
class Places:
    """Folders and files of one installation. Nothing is created by asking for them."""

    config_dir: Path
    data_dir: Path

    @property
    def server_data_dir(self) -> Path:
        """The embedded server's DATA: its database, the partials and the finished files."""
        return self.data_dir / "server"

    @property
    def journal_path(self) -> Path:
        """The engine's SQLite journal."""
        return self.data_dir / "journal.sqlite3"

    @property
    def settings_path(self) -> Path:
        """The person's settings, as TOML."""
        return self.config_dir / "settings.toml"

    @property
    def locks_dir(self) -> Path:
        """Lock files of running programs."""
        return self.data_dir / "locks"

    @property
    def window_dir(self) -> Path:
        """Where a second start meets the open window; one for each user, for a home may be shared."""
        return self.data_dir / ("window" if sys.platform == "win32" else f"window-{os.getuid()}")

    @property
    def updates_path(self) -> Path:
        """What the check for updates was told last."""
        return self.data_dir / "updates.json"

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Places:
        """`UPHAUL_HOME` in *env* moves everything to one folder; otherwise the platform's own places are used."""
        home = env.get("UPHAUL_HOME", "")
        if home:
            root = Path(home).expanduser().absolute()
            return cls(config_dir=root, data_dir=root)
        return cls(
            config_dir=Path(platformdirs.user_config_dir("uphaul", appauthor=False)),
            data_dir=Path(platformdirs.user_data_dir("uphaul", appauthor=False)),
        )
