"""Names a collection in the rows of the database: an embedded store by its path, which changes when its folder is moved."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from ml_api.database import Database
from ml_api.database.tables import CalibrationRow, JobRow, OwnerRow, SearchRow, TextRow
from ml_api.settings import Settings

_TABLES: Final = (CalibrationRow, JobRow, SearchRow, TextRow)
"""Those whose rows are about a collection. Verdicts follow their searches."""

_log = logging.getLogger(__name__)


def target_of(settings: Settings) -> str:
    """Names the collection that syncs with these settings write, for every process that shares the database."""
    return f"{settings.store_uri} {settings.milvus_database} {settings.collection}"


def follow_store(settings: Settings, database: Database) -> None:
    """Name the store by its present path in all rows. Call with the store open: nobody else has it then.

    Only where the store lies beside a SQLite database: that a folder was moved, or copied, shows by nothing else. Raises
    DatabaseUnavailable.
    """
    store, file = Path(settings.store_uri), Path(database.location)
    if not settings.store_is_embedded or database.backend != "sqlite" or store.parent != file.parent:
        return
    target = target_of(settings)
    with database.read() as session:
        moved = {other for other in _targets(session) if _names_it_elsewhere(other, target, file.name)}
    if not moved:
        return
    with database.write() as session:
        for table in _TABLES:
            # What the present path has already counts, such as a calibration that was made here.
            renamed = update(table).where(table.target.in_(moved)).values(target=target).prefix_with("OR IGNORE")
            session.execute(renamed)
            session.execute(delete(table).where(table.target.in_(moved)))
        session.execute(delete(OwnerRow).where(OwnerRow.target.in_(moved)))
    _log.info("database     follows the store, which was at %s before", ", ".join(sorted(map(_path_in, moved))))


def _targets(session: Session) -> Iterator[str]:
    """The collections that rows are about, found by the tables' indexes: there is a text for each image."""
    for table in _TABLES:
        after = ""
        while (found := session.scalar(select(func.min(table.target)).where(table.target > after))) is not None:
            yield found
            after = found


def _names_it_elsewhere(other: str, target: str, database: str) -> bool:
    """Whether `other` names the collection of `target` at another path, at which there is no such store now, or one with a
    `database` of its own, of which this is a copy."""
    path, here = Path(_path_in(other)), Path(_path_in(target))
    if path == here or target != other.replace(str(path.parent), str(here.parent), 1):
        return False
    return not os.path.exists(path) or os.path.exists(path.with_name(database))  # noqa: PTH110 - False if it may not be looked at


def _path_in(target: str) -> str:
    return target.rsplit(" ", 2)[0]
