"""Milvus Lite's current rows in the order of their ids, for `views`."""

import numpy as np

from ml_api.vectors.milvus.access import PageQuery
from ml_api.vectors.milvus.embedded.parts import Mask, Parts, Passing
from ml_api.vectors.milvus.schema import Row


class Order:
    """The current rows in the order of their ids; Milvus Lite itself would read all rows, with their vectors, for each page."""

    def __init__(self, parts: Parts) -> None:
        chosen = [part.among(None) for part in parts]
        ids = [part.segment.pks[row] for part, rows in zip(parts, chosen, strict=True) for row in rows.tolist()]
        keys = np.array(ids, dtype="S32")
        order = np.argsort(keys)
        self._parts = parts
        self._ids = keys[order]
        self._places = np.repeat(np.arange(len(parts)), [len(rows) for rows in chosen])[order]
        self._rows = np.concatenate([np.arange(0), *chosen])[order]

    def page(self, after: str, asked: PageQuery, passing: Passing | None) -> list[Row]:
        """Return the rows of the page with the smallest ids above `after`, of those that are `passing`."""
        start = int(np.searchsorted(self._ids, after.encode(), side="right"))
        end = int(np.searchsorted(self._ids, asked.until.encode(), side="right")) if asked.until else len(self._ids)
        if passing is None:
            chosen = np.arange(start, min(end, start + asked.limit))
        else:
            chosen = start + np.flatnonzero(self._mask(passing)[start:end])[: asked.limit]
        places, rows = self._places[chosen], self._rows[chosen]
        by_spot: dict[int, Row] = {}
        for place in np.unique(places).tolist():
            spots = np.flatnonzero(places == place)
            by_spot |= zip(spots.tolist(), self._parts[place].rows(rows[spots], asked.fields), strict=True)
        return [by_spot[spot] for spot in range(len(places))]

    def _mask(self, passing: Passing) -> Mask:
        mask = np.empty(len(self._ids), np.bool_)
        for place, part in enumerate(self._parts):
            spots = np.flatnonzero(self._places == place)
            mask[spots] = passing(part.segment)[self._rows[spots]]
        return mask
