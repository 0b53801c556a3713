"""Finds the collection of an alias, or creates it with its index, and checks its model, metric and index, for `opening`.

Several processes may do this at once on a server, so every step may find its work done by another one.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from pymilvus import MilvusClient, MilvusException

from ml_api.errors import ConfigError, ModelReplaced
from ml_api.vectors.filters import Field, field_of
from ml_api.vectors.milvus.failures import CANNOT_CONNECT, lacks_space
from ml_api.vectors.milvus.index import SERVER_KINDS, VectorIndex
from ml_api.vectors.milvus.schema import VECTOR, collection_schema

MODEL = "ml_api.model_id"
DIM = "ml_api.dim"
METRIC = "ml_api.metric"
INDEX = "ml_api.index"
SOURCE = "ml_api.source"
REPLACED = "ml_api.replaced"
"""The name of the collection that this one took over from."""
FIELDS = "ml_api.filter_fields"
"""The names of the fields that have columns, as JSON."""
SETTING = "ml_api.setting"
"""The value of ML_API_MODEL that names the model."""
# SOURCE, REPLACED and SETTING are set later than the other properties, which are fixed; Milvus Lite and server 2.3.5 merge them.


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """The collection that a store needs. Its parameters are stored as its properties, as Milvus Lite drops descriptions."""

    alias: str
    model_id: str
    dim: int
    index: VectorIndex
    fields: tuple[Field, ...] = ()
    """Metadata fields that are to have columns."""

    @property
    def properties(self) -> dict[str, str]:
        plain = {MODEL: self.model_id, DIM: str(self.dim), METRIC: self.index.metric, INDEX: self.index.kind}
        return plain | {FIELDS: json.dumps([field.name for field in self.fields])} if self.fields else plain

    @property
    def name(self) -> str:
        """A name derived from the properties, so that processes that create the same collection at once create only one."""
        fingerprint = hashlib.sha256(repr(sorted(self.properties.items())).encode()).hexdigest()[:12]
        return f"{self.alias}_{fingerprint}"


def fields_in(properties: Mapping[str, str]) -> tuple[Field, ...]:
    """The fields that have columns in a collection with these properties."""
    return tuple(field_of(name, FIELDS) for name in json.loads(properties.get(FIELDS, "[]")))


def open_collection(
    client: MilvusClient, spec: CollectionSpec, timeout_s: float, repair: Callable[[], bool]
) -> tuple[str, tuple[Field, ...]]:
    """Load the collection of the alias, after creating it if there is none; return its name and the fields that have columns.

    Raises ConfigError if it is of another model, metric or index; `repair` is that of `load`.

    The store uses the name from then on and not the alias: if the alias is moved to the collection of a new model, processes that
    embed with the old one must not search it.
    """
    if not client.has_collection(spec.alias, timeout=timeout_s):
        create(client, spec, timeout_s)
        # Last, so that it never leads to an incomplete collection.
        _unless(
            lambda: client.has_collection(spec.alias, timeout=timeout_s),
            lambda: client.create_alias(spec.name, spec.alias, timeout=timeout_s),
        )
    description = client.describe_collection(spec.alias, timeout=timeout_s)
    properties = description.get("properties") or {}
    _check(spec, properties)
    name = str(description["collection_name"])
    load(client, name, timeout_s, repair)
    return name, fields_in(properties)


def load(client: MilvusClient, name: str, timeout_s: float, repair: Callable[[], bool]) -> None:
    """Load a collection. If that fails, call `repair`, which may remove damaged files, and try again; not if the disk is full,
    where removed files could not be written again. Raises MilvusException.
    """
    try:
        client.load_collection(name, timeout=timeout_s)
    except MilvusException as exc:
        if lacks_space(exc) or not repair():
            raise
        client.load_collection(name, timeout=timeout_s)


def create(client: MilvusClient, spec: CollectionSpec, timeout_s: float) -> None:
    """Create the collection and its index, as far as they are missing, without an alias."""
    if not client.has_collection(spec.name, timeout=timeout_s):
        _unless(
            lambda: client.has_collection(spec.name, timeout=timeout_s),
            lambda: client.create_collection(
                spec.name,
                schema=collection_schema(spec.dim, spec.fields),
                properties=spec.properties,
                # pymilvus's default where it does not pass on the requested level, as with `iterator`.
                consistency_level="Strong",
                timeout=timeout_s,
            ),
        )
    if not client.list_indexes(spec.name, timeout=timeout_s):
        params = client.prepare_index_params()
        # `params` in `params`: pymilvus flattens one level, and Milvus Lite ignores flat parameters. Servers accept both forms.
        build = {"params": spec.index.build}
        params.add_index(VECTOR, index_type=spec.index.kind, metric_type=spec.index.metric, params=build)
        try:
            _unless(
                lambda: bool(client.list_indexes(spec.name, timeout=timeout_s)),
                lambda: client.create_index(spec.name, params, timeout=timeout_s),
            )
        except MilvusException as exc:
            if not _is_refusal(exc):
                raise
            client.drop_collection(spec.name, timeout=timeout_s)
            raise _refused(spec.index, exc) from exc


def _is_refusal(exc: MilvusException) -> bool:
    """Whether the server has refused the index; False if it did not answer."""
    return isinstance(exc.code, int) and exc.code != CANNOT_CONNECT and not isinstance(exc.__cause__, grpc.RpcError)


def _refused(index: VectorIndex, exc: MilvusException) -> ConfigError:
    others = ", ".join(kind for kind in SERVER_KINDS if kind != index.kind)
    built = ", ".join(f"{name} {value}" for name, value in index.build.items()) or "no parameters"
    return ConfigError(
        f"ML_API_INDEX: the Milvus server refuses the index {index.kind} ({built}): {str(exc.message).strip()[:300]}. "
        f"Servers of version 2.3 have {others} as well"
    )


def _unless(done: Callable[[], bool], step: Callable[[], Any]) -> None:
    """Take a step; its failure is ignored if another process has done it meanwhile."""
    try:
        step()
    except MilvusException:
        if not done():
            raise


def _check(spec: CollectionSpec, properties: Mapping[str, str]) -> None:
    if MODEL not in properties:
        raise ConfigError(
            f"the Milvus collection {spec.alias!r} was not made by this application; choose another name in ML_API_COLLECTION"
        )
    if (properties[MODEL], properties[DIM]) != (spec.model_id, str(spec.dim)):
        if properties.get(REPLACED) == spec.name:
            raise ModelReplaced(
                f"the collection {spec.alias!r} was migrated from the configured model, {spec.model_id}, to {properties[MODEL]}: "
                f"set ML_API_MODEL={properties.get(SETTING) or ' to it'}, or go back with `python -m ml_api migrate --rollback`",
                setting=properties.get(SETTING, ""),
            )
        raise ConfigError(
            f"the collection {spec.alias!r} holds vectors of the model {properties[MODEL]} ({properties[DIM]} dimensions), but "
            f"the configured model is {spec.model_id} ({spec.dim} dimensions), and vectors of different models cannot be "
            "compared. Set ML_API_MODEL back to the old model, or choose another ML_API_COLLECTION and sync again"
        )
    for setting, key in (("ML_API_METRIC", METRIC), ("ML_API_INDEX", INDEX)):
        if properties[key] != spec.properties[key]:
            raise ConfigError(
                f"the collection {spec.alias!r} was created with {properties[key]}, which cannot be changed to "
                f"{spec.properties[key]}. Set {setting} back to {properties[key]}, or choose another ML_API_COLLECTION and sync "
                "again"
            )
