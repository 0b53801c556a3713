"""Opens and closes the collections of an alias, for MilvusStore. They share one connection, which is closed with the last of
them."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from pymilvus import MilvusClient

from ml_api.errors import NothingIndexed, StoreUnavailable
from ml_api.metrics import Metrics
from ml_api.vectors.filters import Field
from ml_api.vectors.milvus.access import Access, ServerAccess
from ml_api.vectors.milvus.calls import OpenCollection
from ml_api.vectors.milvus.collection import CollectionSpec, create, load, open_collection
from ml_api.vectors.milvus.connection import MilvusEndpoint, connect
from ml_api.vectors.milvus.failures import startup_failures, translated
from ml_api.vectors.milvus.generations import leading

OPEN_TIMEOUT_S: Final = 120.0
"""The least timeout of loading a collection: after a crash Milvus Lite replays its log, which took up to 29 s."""

WRITE_TIMEOUT_S: Final = 120.0
"""The least timeout of a write to Milvus Lite: it cannot be cancelled, and a second one must not start meanwhile."""

WITHOUT_COLUMNS: Final = (
    "the collection %s has no columns for %s (ML_API_FILTER_FIELDS): filters on them read the metadata of every image, as without "
    "that setting. `python -m ml_api migrate` makes a collection that has them, beside the one in use, and embeds nothing anew"
)

_log = logging.getLogger(__name__)


class _Found(NamedTuple):
    """A collection that exists and is loaded."""

    name: str
    model_id: str
    dim: int
    fields: tuple[Field, ...]


class Opening:
    """Opens the collections of `alias`. Thread-safe."""

    def __init__(self, endpoint: MilvusEndpoint, alias: str, metrics: Metrics, timeout_s: float) -> None:
        self.endpoint = endpoint
        self.alias = alias
        self.access: Access = _access_to(endpoint, timeout_s)
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._open_timeout_s = max(timeout_s, OPEN_TIMEOUT_S)
        self._write_timeout_s = max(timeout_s, WRITE_TIMEOUT_S) if endpoint.embedded else timeout_s
        self._lock = threading.Lock()
        self._open: list[OpenCollection] = []
        """The open collections; the connection is closed with the last one."""

    def wanted(self, spec: CollectionSpec, *, create: bool = True) -> OpenCollection:
        """Open the collection of the alias, creating it if there is none. Raises ConfigError if it does not match `spec`; without
        `create`, NothingIndexed if there is none.
        """

        def find(client: MilvusClient, timeout_s: float) -> _Found:
            if not create:
                leading(client, spec.alias, timeout_s)
            name, fields = open_collection(client, spec, timeout_s, self.access.repair)
            if missing := [field.name for field in spec.fields if field not in fields]:
                _log.warning(WITHOUT_COLUMNS, spec.alias, ", ".join(missing))
            return _Found(name, spec.model_id, spec.dim, fields)

        return self._first(find, create=create)

    def current(self) -> OpenCollection:
        """Open the collection of the alias, whatever its model. Raises NothingIndexed."""

        def find(client: MilvusClient, timeout_s: float) -> _Found:
            generation = leading(client, self.alias, timeout_s)
            client.load_collection(generation.name, timeout=timeout_s)
            return _Found(generation.name, generation.model_id, generation.dim, generation.fields)

        return self._first(find, create=False)

    def beside(self, opened: OpenCollection, spec: CollectionSpec) -> OpenCollection:
        """Open the collection of `spec`, to which the alias does not refer, creating it if there is none."""
        with opened.writing("ensure"), startup_failures(self.endpoint, self._open_timeout_s):
            create(opened.client, spec, self._open_timeout_s)
            opened.client.load_collection(spec.name, timeout=self._open_timeout_s)
        other = replace(opened, collection=spec.name, model_id=spec.model_id, dim=spec.dim, fields=spec.fields)
        with self._lock:
            if not self._open:
                raise StoreUnavailable("the vector store is not open", reason="closed")
            self.access.attach(other.flush)
            self._open.append(other)
        return other

    def tend(self) -> None:
        """See `Access.tend`."""
        self.access.tend(self._load)

    def _load(self) -> None:
        for opened in list(self._open):
            with translated("load", self._open_timeout_s):
                load(opened.client, opened.collection, self._open_timeout_s, self.access.repair)

    def close(self, opened: OpenCollection) -> None:
        with self._lock:
            self._open.remove(opened)
            if self._open:
                self.access.detach(opened.flush)
            else:
                self.access.close(opened.client.close)

    def _first(self, find: Callable[[MilvusClient, float], _Found], *, create: bool) -> OpenCollection:
        if not create and self.endpoint.embedded and not Path(self.endpoint.uri).expanduser().exists():
            raise NothingIndexed(
                f"there is no vector store {self.endpoint.uri} yet: `python -m ml_api sync` makes it, ML_API_DATA_DIR names another"
            )
        with self._lock, self._metrics.store.call(self.access.backend, "ensure"):
            uri = self.access.open()
            client = None
            try:
                with startup_failures(self.endpoint, self._open_timeout_s):
                    client = connect(self.endpoint, uri, self._timeout_s)
                    found = find(client, self._open_timeout_s)
                timeouts = self._timeout_s, self._write_timeout_s
                opened = OpenCollection(client, *found, self.access, self._metrics.store, *timeouts)
                self.access.attach(opened.flush)
                self._open.append(opened)
            except BaseException:
                # The folder of Milvus Lite must be free again for the next attempt.
                self.access.close(client.close if client is not None else lambda: None)
                raise
        _log.info("collection %s (%s) is open in %s", self.alias, found.name, self.endpoint.address)
        return opened


def _access_to(endpoint: MilvusEndpoint, timeout_s: float) -> Access:
    if not endpoint.embedded:
        return ServerAccess(endpoint.uri)
    from ml_api.vectors.milvus.embedded.access import EmbeddedAccess

    return EmbeddedAccess(endpoint.uri, timeout_s)
