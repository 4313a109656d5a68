"""The schema, moved by the migrations of this checkout, each way in one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from policy_engine.domain.ports import MembersUnavailable
from policy_engine.store.control import Lock, take
from policy_engine.store.database import is_postgresql, raising, reading, writing
from policy_engine.store.tables import metadata

MIGRATIONS: Final = Path(__file__).resolve().parents[2] / "migrations"


def head() -> str:
    """The schema version that this code works with."""
    version = ScriptDirectory.from_config(_config(None)).get_current_head()
    if version is None:
        raise FileNotFoundError(f"no migration in `{MIGRATIONS}`")
    return version


def current(engine: Engine) -> str | None:
    """The schema version of the database, `None` for an empty one. Raises `MembersUnavailable`."""
    with raising(MembersUnavailable), reading(engine) as reader:
        return MigrationContext.configure(reader).get_current_revision()


def upgrade(engine: Engine, version: str = "head") -> None:
    """Bring the schema up to a version; two processes may try at once. Raises `MembersUnavailable`."""
    with raising(MembersUnavailable), writing(engine) as writer:
        take(writer, Lock.MIGRATION)
        command.upgrade(_config(writer), version)


def downgrade(engine: Engine, version: str) -> None:
    """Take the schema back to a version, with everything that the later ones kept. Raises `MembersUnavailable`."""
    with raising(MembersUnavailable), writing(engine) as writer:
        take(writer, Lock.MIGRATION)
        command.downgrade(_config(writer), version)


def grant(engine: Engine, role: str) -> None:
    """Let a PostgreSQL role that does not own the tables run the service: it adds records and never changes one.

    Raises `ValueError` on SQLite, which has no roles, and `MembersUnavailable`.
    """
    with raising(MembersUnavailable), writing(engine) as writer:
        if not is_postgresql(writer):
            raise ValueError("SQLite has no roles")
        quoted = writer.dialect.identifier_preparer.quote(role)
        for table in metadata.sorted_tables:
            writer.exec_driver_sql(f"GRANT {table.info['service']} ON {table.name} TO {quoted}")
        writer.exec_driver_sql(f"GRANT SELECT ON alembic_version TO {quoted}")


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
