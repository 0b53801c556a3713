"""Between stores and vector files: out of a store, into a store, and a store that is a file, for a sync to write to."""

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
"""Rows of a part of an extraction: what a kill costs at most, some seconds of the model's time."""

IMPORTED_AT_ONCE: Final = 4096
"""Rows of a write: as many as one message to a server holds at 512 dimensions."""

Progress = Callable[[int], None]
"""Called with the rows done until now."""

Stop = Callable[[], bool]


def export(store: VectorStore, writer: PartsWriter, progress: Progress, stop: Stop) -> bool:
    """Write what follows the last row written, and put the file in its place; False if it was stopped before that."""
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
    """Upsert every row that can be stored, reading the next rows while some are written.

    Repeated in whole or in part, it ends in the same state. Raises InvalidInput where the file ends too early, with what was done
    until then.
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
    """A store that is a vector file being written: a sync into it extracts the vectors of a corpus.

    What an interrupted extraction wrote it has as entries, without digests, so that their vectors are never asked for: images that
    changed since are embedded again, those that are gone are left out. Call `finish` at the end.
    """

    backend = "file"

    def __init__(self, writer: PartsWriter) -> None:
        super().__init__()
        self._writer = writer
        self._buffer = _Buffer(writer, EXTRACTED_AT_ONCE)
        self._gone: set[str] = set()

    def entries(self, after: str = "", until: str = "") -> Iterator[Entry]:
        """In no order."""
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
    """Rows in parts of `size` at least."""

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
