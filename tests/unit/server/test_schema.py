"""The migrations make exactly the tables the code works with."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine

import app.server.migrations
from app.server.api import ROOMS
from app.server.database import Database
from app.server.events import Events
from app.server.schema import HEAD, metadata


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(app.server.migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def tables_of_every_room() -> MetaData:
    """Return the core's tables and those that rooms bring along when they are imported."""
    for room in ROOMS:
        if find_spec(f"app.server.api.{room}"):
            import_module(f"app.server.api.{room}")
    return metadata


async def test_an_empty_database_becomes_what_the_tables_say(tmp_path: Path) -> None:
    database = Database(tmp_path / "new %20 database.sqlite3", Events(), lambda _: None)
    await database.open()
    await database.close()
    engine = create_engine(f"sqlite:///{tmp_path / 'new %20 database.sqlite3'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables_of_every_room()) == []
    engine.dispose()
