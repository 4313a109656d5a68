"""The settings of a command, with what is wrong with them told before anything is opened."""

from __future__ import annotations

from typing import Final

from policy_engine.app.settings import Settings
from policy_engine.app.stores import database_file
from policy_engine.cli.remote import Misused

LOG_LEVELS: Final = ("debug", "info", "warning", "error")


class DatabaseMissing(Exception):
    """There is no database at the path of the settings; SQLite would make an empty one."""


def checked_settings() -> Settings:
    """The settings of the environment, whose database URL and log level can be read.

    Raises `Misused` with the name of the setting, and pydantic's `ValidationError`.
    """
    settings = Settings()
    try:
        database_file(settings)
    except ValueError as error:
        # The URL is not repeated: there may be a password in it.
        raise Misused(
            f"POLICY_ENGINE_DATABASE_URL: {error}; write sqlite:///path or postgresql://user@host/name"
        ) from error
    if settings.log_level not in LOG_LEVELS:
        raise Misused(f"POLICY_ENGINE_LOG_LEVEL is `{settings.log_level}`: write {', '.join(LOG_LEVELS)}")
    return settings


def settings_with_database() -> Settings:
    """The same, where the file of an SQLite database is there. Raises `DatabaseMissing` too."""
    settings = checked_settings()
    path = database_file(settings)
    if path is not None and not path.is_file():
        raise DatabaseMissing(
            f"there is no database at `{path}`: correct the path in POLICY_ENGINE_DATABASE_URL, or make a database with"
            " `policy-engine db upgrade`"
        )
    return settings
