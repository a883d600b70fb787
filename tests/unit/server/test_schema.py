"""The migrations make exactly the tables the code works with."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, create_engine

import app.server.migrations
from app.server.api.cell_segmentation_hub import tables as csh
from app.server.api.doorito import tables as doorito
from app.server.database import Database
from app.server.events import Events
from app.server.schema import HEAD, metadata


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(app.server.migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


async def test_an_empty_database_becomes_what_the_tables_say(tmp_path: Path) -> None:
    path = tmp_path / "new %20 database.sqlite3"
    database = Database(path, Events(), lambda _: None)
    await database.open()
    await database.close()
    engine = create_engine(URL.create("sqlite", database=str(path)))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_the_rooms_bring_tables_of_their_own() -> None:
    assert {csh.projects.name, doorito.sessions.name} <= set(metadata.tables)
