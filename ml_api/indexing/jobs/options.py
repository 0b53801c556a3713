"""What a job is to do, and how a row of the database says it. Rows may be those of another version of this program."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from ml_api.database.tables import OPERATION
from ml_api.errors import InvalidInput
from ml_api.indexing.guard import Consent
from ml_api.vocabulary import JobKind


@dataclass(frozen=True, slots=True)
class Operation:
    """Work of the owner of an embedded store for a command. The API cannot ask for it: it names models and files of a machine."""

    kind: JobKind
    model: str = ""
    """A value of ML_API_MODEL."""
    switch: bool = True
    """For a migration: whether to use the new vectors once they are there."""
    file: str = ""
    """The absolute path of a file: of vectors, or of judged queries; an evaluation without one has `queries` of `k` hits."""
    said: str = ""
    """For an import: the model that the user says made the vectors."""
    queries: int = 0
    k: int = 0


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What the options of `sync` and the fields of `POST /v1/sync` ask for."""

    allow_empty: bool = False
    allow_removals: bool = False
    replace: bool = False
    retry_failed: bool = False
    rehash: bool = False
    dry_run: bool = False
    """Only say what it would do."""
    operation: Operation | None = None
    """This instead of a sync."""

    @property
    def kind(self) -> JobKind:
        if self.operation is not None:
            return self.operation.kind
        return JobKind.DRY_RUN if self.dry_run else JobKind.SYNC

    @property
    def consent(self) -> Consent:
        return Consent(self.allow_empty, self.allow_removals, self.replace)


def row_of(options: SyncOptions) -> dict[str, Any]:
    row = asdict(options)
    if (operation := row.pop("operation")) is not None:
        row[OPERATION] = operation
    return row


def options_of(row: Any) -> SyncOptions:
    """Of any JSON value. Raises InvalidInput for what this version does not know."""
    named = {field.name for field in fields(SyncOptions)} - {"operation"}
    row = dict(_known(row, named | {OPERATION}))
    if (asked := row.pop(OPERATION, None)) is None:
        return SyncOptions(**row)
    operation = _known(asked, {field.name for field in fields(Operation)})
    if operation.get("kind") not in list(JobKind):  # no set: it may be a value that has no hash
        raise InvalidInput(f"it is a {operation.get('kind')}, which this version does not know; another version asked for it")
    return SyncOptions(**row, operation=Operation(**operation | {"kind": JobKind(operation["kind"])}))


def _known(row: Any, names: set[str]) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise InvalidInput(f"it asks for {row!r}, which this version does not know; another version asked for it")
    if unknown := sorted(row.keys() - names):
        raise InvalidInput(f"it asks for {', '.join(unknown)}, which this version does not know; another version asked for it")
    return row
