"""Which revision of the tables a database has, which there are, and the way to the newest."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, column, inspect, select, table

MIGRATIONS: Final = Path(__file__).with_name("migrations")
_TABLE: Final = "alembic_version"


def revisions() -> list[str]:
    """From the first to the newest, by the names of their files: Alembic would import all of them, and itself, to say so."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def revision_of(connection: Connection) -> str | None:
    """None: there are no tables yet."""
    if not inspect(connection).has_table(_TABLE):
        return None
    return connection.scalar(select(column("version_num")).select_from(table(_TABLE)))


def upgrade(connection: Connection) -> None:
    """To the newest, in the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
