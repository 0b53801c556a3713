"""Commands that only read must not create a database: in the wrong folder, an empty one would answer that nothing is indexed."""

from typing import Final

from ml_api.database import missing_file
from ml_api.errors import ConfigError
from ml_api.settings import Settings, environment_name

READERS: Final = frozenset({"search", "duplicates", "calibrate", "evaluate", "export", "migrate"})
"""Commands that read what is indexed."""


def require_indexed(settings: Settings) -> None:
    """Raises ConfigError. The vectors of a Milvus server are found without a database of this machine."""
    if settings.store_is_embedded:
        require_database(settings, "`sync` makes")


def require_database(settings: Settings, made_by: str) -> None:
    """Raises ConfigError if the database is a file that does not exist."""
    if (file := missing_file(settings.database_address)) is not None:
        setting = environment_name("database_url" if settings.database_url.get_secret_value() else "data_dir")
        raise ConfigError(f"there is no database {file}: {setting} names another, and {made_by} one")
