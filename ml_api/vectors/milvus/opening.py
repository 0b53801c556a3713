"""Finding the collection behind its alias, or creating it, and making sure that it is ours to use.

Several processes may do this at once on a server: every step may find its work done by another.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pymilvus import MilvusClient, MilvusException

from ml_api.errors import ConfigError
from ml_api.vectors.milvus.parameters import VectorIndex
from ml_api.vectors.milvus.schema import VECTOR, collection_schema

MODEL = "ml_api.model_id"
DIM = "ml_api.dim"
METRIC = "ml_api.metric"
INDEX = "ml_api.index"
SOURCE = "ml_api.source"
"""Set later than the others, which are fixed; both Milvus Lite and server 2.3.5 merge it with them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The collection that a store asks for. What it is made of stands in its properties: Milvus Lite drops descriptions."""

    alias: str
    model_id: str
    dim: int
    index: VectorIndex

    @property
    def properties(self) -> dict[str, str]:
        return {MODEL: self.model_id, DIM: str(self.dim), METRIC: self.index.metric, INDEX: self.index.kind}

    @property
    def name(self) -> str:
        """The same for everyone who wants the same, so that creating it twice is creating it once."""
        fingerprint = hashlib.sha256(repr(sorted(self.properties.items())).encode()).hexdigest()[:12]
        return f"{self.alias}_{fingerprint}"


def open_collection(client: MilvusClient, wanted: Wanted, timeout_s: float, repair: Callable[[], bool]) -> str:
    """The name of the collection behind the alias, loaded. Raises ConfigError if it holds something else than wanted.

    If it does not load, `repair` may put right what it finds, and it is tried again.

    The name and not the alias is what the store goes on using: if the alias is moved to the collection of a new model, processes
    that embed with the old one must not search it.
    """
    if not client.has_collection(wanted.alias, timeout=timeout_s):
        _create(client, wanted, timeout_s)
    found = client.describe_collection(wanted.alias, timeout=timeout_s)
    _check(wanted, found.get("properties") or {})
    name = str(found["collection_name"])
    try:
        client.load_collection(name, timeout=timeout_s)
    except MilvusException:
        if not repair():
            raise
        client.load_collection(name, timeout=timeout_s)
    return name


def _create(client: MilvusClient, wanted: Wanted, timeout_s: float) -> None:
    """Alias last: whoever finds the alias finds a complete collection."""
    if not client.has_collection(wanted.name, timeout=timeout_s):
        _unless(
            lambda: client.has_collection(wanted.name, timeout=timeout_s),
            lambda: client.create_collection(
                wanted.name,
                schema=collection_schema(wanted.dim),
                properties=wanted.properties,
                # What pymilvus falls back to where it does not pass on the level asked for (it does not with `iterator`).
                consistency_level="Strong",
                timeout=timeout_s,
            ),
        )
    if not client.list_indexes(wanted.name, timeout=timeout_s):
        params = client.prepare_index_params()
        # `params` in `params`: pymilvus flattens one level, and Milvus Lite ignores what is flat. Servers accept both forms.
        build = {"params": wanted.index.build}
        params.add_index(VECTOR, index_type=wanted.index.kind, metric_type=wanted.index.metric, params=build)
        _unless(
            lambda: bool(client.list_indexes(wanted.name, timeout=timeout_s)),
            lambda: client.create_index(wanted.name, params, timeout=timeout_s),
        )
    _unless(
        lambda: client.has_collection(wanted.alias, timeout=timeout_s),
        lambda: client.create_alias(wanted.name, wanted.alias, timeout=timeout_s),
    )


def _unless(done: Callable[[], bool], step: Callable[[], Any]) -> None:
    """Take the step; that it failed does not matter if another process has done it meanwhile."""
    try:
        step()
    except MilvusException:
        if not done():
            raise


def _check(wanted: Wanted, properties: Mapping[str, str]) -> None:
    if MODEL not in properties:
        raise ConfigError(
            f"the Milvus collection {wanted.alias!r} was not made by this application; choose another name in ML_API_COLLECTION"
        )
    if (properties[MODEL], properties[DIM]) != (wanted.model_id, str(wanted.dim)):
        raise ConfigError(
            f"the collection {wanted.alias!r} holds vectors of the model {properties[MODEL]} ({properties[DIM]} dimensions), but "
            f"the configured model is {wanted.model_id} ({wanted.dim} dimensions), and vectors of different models cannot be "
            "compared. Set ML_API_MODEL back to the old model, or choose another ML_API_COLLECTION and sync again"
        )
    for setting, key in (("ML_API_METRIC", METRIC), ("ML_API_INDEX", INDEX)):
        if properties[key] != wanted.properties[key]:
            raise ConfigError(
                f"the collection {wanted.alias!r} was created with {properties[key]}, which cannot be changed to "
                f"{wanted.properties[key]}. Set {setting} back to {properties[key]}, or choose another ML_API_COLLECTION and sync "
                "again"
            )
