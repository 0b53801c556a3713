"""Transfers vectors between stores and vector files: `export`, `import_`, and FileStore, a store that a sync writes to a file."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Final

import numpy as np

from ml_api.errors import InvalidInput
from ml_api.records import Entry, ImageRecord, Vectors
from ml_api.vectors.base import VectorStore
from ml_api.vectors.files.intake import ImportReport, Intake
from ml_api.vectors.files.opening import VectorFile
from ml_api.vectors.files.parts import PartsWriter
from ml_api.vectors.memory import MemoryStore

EXPORTED_AT_ONCE: Final = 4096
"""Rows of a part of an export: a row group of 8 MB at 512 dimensions."""

EXTRACTED_AT_ONCE: Final = 256
"""Rows of a part of an extraction; if the process is killed, at most these are computed again, in a few seconds."""

IMPORTED_AT_ONCE: Final = 4096
"""Rows of a write: as many as fit in one message to a server at 512 dimensions."""

Progress = Callable[[int], None]
"""Called with the number of rows done so far."""

Stop = Callable[[], bool]
"""Returns whether the transfer is to stop."""


def export(store: VectorStore, writer: PartsWriter, progress: Progress, stop: Stop) -> bool:
    """Write the rows after the last one written, and finish the file. Returns False if it was stopped before that."""
    buffer = _Buffer(writer, EXPORTED_AT_ONCE)
    for records, vectors in store.scan(writer.written.last):
        buffer.add(records, vectors)
        progress(buffer.rows)
        if stop():
            buffer.write()
            return False
    buffer.write()
    writer.finish()
    return True


def import_(file: VectorFile, store: VectorStore, intake: Intake, progress: Progress, stop: Stop) -> ImportReport:
    """Upsert every row that can be stored; further rows are read while a batch is written.

    Repeating it, in whole or in part, gives the same state. Raises InvalidInput where the file ends too early, with a summary of
    the rows before.
    """
    try:
        _write_rows(file, store, intake, progress, stop)
    except InvalidInput as exc:
        raise InvalidInput(f"{exc.detail}; until then {intake.report.summary()}") from exc
    store.flush()
    return intake.report


def _write_rows(file: VectorFile, store: VectorStore, intake: Intake, progress: Progress, stop: Stop) -> None:
    with ThreadPoolExecutor(1, "import-write") as writer:
        written: Future[None] | None = None
        for records, vectors in intake.batches(file.read(), IMPORTED_AT_ONCE):
            if written is not None:
                written.result()
                progress(intake.report.rows)
            written = writer.submit(copy_context().run, store.upsert, records, vectors)
            if stop():
                break
        if written is not None:
            written.result()
            progress(intake.report.rows)


class FileStore(MemoryStore):
    """A store that writes a vector file: a sync into it extracts the vectors of a corpus.

    Its entries are the rows of an interrupted extraction, without digests, so that their vectors are never read: images that have
    changed since are embedded again, and deleted ones are left out. Call `finish` at the end.
    """

    backend = "file"

    def __init__(self, writer: PartsWriter) -> None:
        super().__init__()
        self._writer = writer
        self._buffer = _Buffer(writer, EXTRACTED_AT_ONCE)
        self._gone: set[str] = set()

    def entries(self, after: str = "", until: str = "") -> Iterator[Entry]:
        """Yield the rows written so far, in no order."""
        for record in self._writer.records():
            if after < record.id and (not until or record.id <= until):
                yield Entry(record.id, record.key, record.version, digest="")

    def upsert(self, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        self._buffer.add(records, vectors)

    def delete(self, ids: Sequence[str]) -> None:
        self._gone.update(ids)

    def flush(self) -> None:
        self._buffer.write()

    def finish(self) -> None:
        self.flush()
        self._writer.clean(self._gone)
        self._writer.finish()


class _Buffer:
    """Collects rows for a writer, in parts of at least `size` rows."""

    def __init__(self, writer: PartsWriter, size: int) -> None:
        self._writer = writer
        self._size = size
        self._records: list[ImageRecord] = []
        self._vectors: list[Vectors] = []

    @property
    def rows(self) -> int:
        return self._writer.written.rows + len(self._records)

    def add(self, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        self._records += records
        self._vectors.append(vectors)
        if len(self._records) >= self._size:
            self.write()

    def write(self) -> None:
        if self._records:
            self._writer.add(self._records, np.concatenate(self._vectors))
            self._records, self._vectors = [], []
