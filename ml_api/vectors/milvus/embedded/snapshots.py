"""Keeps a view of the rows of each Milvus Lite collection, for `server`, which no search has to wait for.

Rows move: a flush takes them from memory to a file, a merge from files to a larger one. Who lists the files before and looks into
memory after misses some. Neither changes which rows there are, though, so that a view stays right until it is replaced by a new one
at the end of either. Milvus Lite's own readers wait for both, seconds for a merge of 100,000 rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_api.vectors.milvus.embedded.parts import Mask, Part
from ml_api.vectors.milvus.embedded.views import View


class Snapshots:
    """Thread-safe, as a view is replaced as a whole.

    Views keep the rows of files in memory, as Milvus Lite itself does; those of files that were merged until the new file has an
    index, those of a dropped collection as long as Milvus Lite's own collection.
    """

    def __init__(self) -> None:
        self._views: WeakKeyDictionary[Any, View] = WeakKeyDictionary()

    def of(self, engine: Any) -> View:
        """Return the view of `engine`, Milvus Lite's collection."""
        engine._require_loaded()  # noqa: SLF001 - Milvus Lite is pinned, and the contract suite tests this
        view = self._views.get(engine)
        if view is not None:
            return view
        with engine._maintenance_lock:  # noqa: SLF001 - as above; nothing is moved meanwhile
            return self._renew(engine)

    @contextmanager
    def flushing(self, engine: Any) -> Iterator[None]:
        """Replace the view at the end. If the flush fails, what there was before it stays in view."""
        with engine._maintenance_lock:  # noqa: SLF001 - as above
            yield
            self._renew(engine)

    def merged(self, engine: Any) -> None:
        """Replace the view after files were merged."""
        with engine._maintenance_lock:  # noqa: SLF001 - as above
            view = self._views.get(engine)
            if view is None or view.memtable is not engine._memtable:  # noqa: SLF001 - after a flush that failed
                return
            if [part.segment for part in view.files] != _filled(engine):
                self._renew(engine)

    def _renew(self, engine: Any) -> View:
        filled = _filled(engine)
        known = {part.segment: part for part in self._views[engine].files} if engine in self._views else {}
        masks = _masks(filled, engine._delta_index._map)  # noqa: SLF001 - as above
        files = tuple(
            Part(segment, mask, known[segment].lengths) if segment in known else Part.of(segment, mask)
            for segment, mask in zip(filled, masks, strict=True)
        )
        view = self._views[engine] = View(files, engine._memtable)  # noqa: SLF001 - as above
        return view


def _filled(engine: Any) -> list[Any]:
    """The segments of files that have rows. Called with the maintenance lock."""
    return [segment for segment in engine._segment_cache.values() if segment.num_rows]  # noqa: SLF001 - as above


def _masks(segments: Sequence[Any], deleted: Mapping[str, int]) -> list[Mask | None]:
    """Which rows of each segment are current: the newest of their ids, if they were not deleted later."""
    if not segments:
        return []
    chunks = [chunk for segment in segments for chunk in segment.table.column("id").chunks]
    ids = pa.chunked_array(chunks).combine_chunks().dictionary_encode()
    seqs = np.concatenate([segment.seqs for segment in segments]).astype(np.int64)
    numbers = ids.indices.to_numpy()
    newest = np.full(len(ids.dictionary), -1, dtype=np.int64)
    np.maximum.at(newest, numbers, seqs)
    if deleted:
        places = pc.index_in(ids.dictionary, pa.array(deleted.keys(), pa.string())).fill_null(len(deleted)).to_numpy()
        newest = np.maximum(newest, np.array([*deleted.values(), -1], dtype=np.int64)[places])
    current = seqs == newest[numbers]
    ends = np.cumsum([segment.num_rows for segment in segments])[:-1]
    return [None if mask.all() else mask for mask in np.split(current, ends)]
