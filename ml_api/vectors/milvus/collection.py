"""The collection: found behind its alias or created with its index, and made sure to be ours to use.

Several processes may do this at once on a server: every step may find its work done by another.
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
"""JSON: the names of the fields that have columns."""
SETTING = "ml_api.setting"
"""The value of ML_API_MODEL that finds the model."""
# Those of the source, of what was replaced and of the setting are set later than the others, which are fixed; both Milvus Lite and
# server 2.3.5 merge them with those.


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """The collection that a store asks for. What it is made of stands in its properties: Milvus Lite drops descriptions."""

    alias: str
    model_id: str
    dim: int
    index: VectorIndex
    fields: tuple[Field, ...] = ()
    """Fields of the metadata that are to have columns."""

    @property
    def properties(self) -> dict[str, str]:
        plain = {MODEL: self.model_id, DIM: str(self.dim), METRIC: self.index.metric, INDEX: self.index.kind}
        return plain | {FIELDS: json.dumps([field.name for field in self.fields])} if self.fields else plain

    @property
    def name(self) -> str:
        """Made from the properties, so that processes that create the same collection at once create one."""
        fingerprint = hashlib.sha256(repr(sorted(self.properties.items())).encode()).hexdigest()[:12]
        return f"{self.alias}_{fingerprint}"


def fields_in(properties: Mapping[str, str]) -> tuple[Field, ...]:
    """Those that have columns in the collection with these properties."""
    return tuple(field_of(name, FIELDS) for name in json.loads(properties.get(FIELDS, "[]")))


def open_collection(
    client: MilvusClient, spec: CollectionSpec, timeout_s: float, repair: Callable[[], bool]
) -> tuple[str, tuple[Field, ...]]:
    """The name of the collection behind the alias, loaded, and which fields have columns in it.

    Raises ConfigError if it holds something else than wanted; `repair` is that of `load`.

    The name and not the alias is what the store goes on using: if the alias is moved to the collection of a new model, processes
    that embed with the old one must not search it.
    """
    if not client.has_collection(spec.alias, timeout=timeout_s):
        create(client, spec, timeout_s)
        # Last, so that it never leads to an incomplete collection.
        _unless(
            lambda: client.has_collection(spec.alias, timeout=timeout_s),
            lambda: client.create_alias(spec.name, spec.alias, timeout=timeout_s),
        )
    found = client.describe_collection(spec.alias, timeout=timeout_s)
    _check(spec, found.get("properties") or {})
    name = str(found["collection_name"])
    load(client, name, timeout_s, repair)
    return name, fields_in(found.get("properties") or {})


def load(client: MilvusClient, name: str, timeout_s: float, repair: Callable[[], bool]) -> None:
    """If it does not load, `repair` may put right what it finds, and it is tried again; unless the disk is full, where what it
    would make anew has no room. Raises MilvusException.
    """
    try:
        client.load_collection(name, timeout=timeout_s)
    except MilvusException as exc:
        if lacks_space(exc) or not repair():
            raise
        client.load_collection(name, timeout=timeout_s)


def create(client: MilvusClient, spec: CollectionSpec, timeout_s: float) -> None:
    """The collection with its index, or what is missing of them; no alias leads to it."""
    if not client.has_collection(spec.name, timeout=timeout_s):
        _unless(
            lambda: client.has_collection(spec.name, timeout=timeout_s),
            lambda: client.create_collection(
                spec.name,
                schema=collection_schema(spec.dim, spec.fields),
                properties=spec.properties,
                # What pymilvus falls back to where it does not pass on the level asked for (it does not with `iterator`).
                consistency_level="Strong",
                timeout=timeout_s,
            ),
        )
    if not client.list_indexes(spec.name, timeout=timeout_s):
        params = client.prepare_index_params()
        # `params` in `params`: pymilvus flattens one level, and Milvus Lite ignores what is flat. Servers accept both forms.
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
    """Whether the server refuses the index, as opposed to a server that does not answer."""
    return isinstance(exc.code, int) and exc.code != CANNOT_CONNECT and not isinstance(exc.__cause__, grpc.RpcError)


def _refused(index: VectorIndex, exc: MilvusException) -> ConfigError:
    others = ", ".join(kind for kind in SERVER_KINDS if kind != index.kind)
    built = ", ".join(f"{name} {value}" for name, value in index.build.items()) or "no parameters"
    return ConfigError(
        f"ML_API_INDEX: the Milvus server refuses the index {index.kind} ({built}): {str(exc.message).strip()[:300]}. "
        f"Servers of version 2.3 have {others} as well"
    )


def _unless(done: Callable[[], bool], step: Callable[[], Any]) -> None:
    """Take the step; that it failed does not matter if another process has done it meanwhile."""
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
