"""Implements Generations by collections: there is one for each model that embedded the corpus, and the alias refers to the one in
use."""

import re

from pymilvus import MilvusClient

from ml_api.errors import ConfigError, NothingIndexed
from ml_api.vectors.base import Generation
from ml_api.vectors.milvus.calls import OpenCollection
from ml_api.vectors.milvus.collection import DIM, MODEL, REPLACED, SETTING, fields_in


class MilvusGenerations:
    """`Generations` over the connection of a store that is open."""

    def __init__(self, alias: str, opened: OpenCollection) -> None:
        self._alias = alias
        self._opened = opened

    def current(self) -> Generation:
        with self._opened.reading("generations") as timeout_s:
            return leading(self._opened.client, self._alias, timeout_s)

    def others(self) -> list[Generation]:
        name = re.compile(re.escape(self._alias) + "_[0-9a-f]{12}")
        used = self.current().name
        with self._opened.reading("generations") as timeout_s:
            names = sorted(self._opened.client.list_collections(timeout=timeout_s))
            own = [other for other in names if name.fullmatch(other) and other != used]
            described = [_described(self._opened.client, other, timeout_s) for other in own]
        return [generation for generation in described if generation is not None]

    def switch(self, to: Generation) -> None:
        before = self.current()
        with self._opened.writing("switch") as timeout_s:
            if before.name != to.name:
                self._opened.client.alter_collection_properties(to.name, {REPLACED: before.name}, timeout=timeout_s)
            self._opened.client.alter_alias(to.name, self._alias, timeout=timeout_s)

    def note_setting(self, generation: Generation, setting: str) -> None:
        with self._opened.writing("note_setting") as timeout_s:
            self._opened.client.alter_collection_properties(generation.name, {SETTING: setting}, timeout=timeout_s)

    def drop(self, generation: Generation) -> None:
        if generation.name == self.current().name:
            raise ConfigError(f"{generation.name} is the collection in use")
        with self._opened.writing("drop") as timeout_s:
            self._opened.client.drop_collection(generation.name, timeout=timeout_s)


def leading(client: MilvusClient, alias: str, timeout_s: float) -> Generation:
    """The generation that the alias refers to. Raises NothingIndexed; ConfigError if the collection is another application's."""
    is_there = client.has_collection(alias, timeout=timeout_s)
    generation = _described(client, alias, timeout_s) if is_there else None
    if generation is None:
        raise (ConfigError if is_there else NothingIndexed)(
            f"there is no collection {alias!r} of this application yet: `python -m ml_api sync` makes it, ML_API_COLLECTION names "
            "another"
        )
    return generation


def _described(client: MilvusClient, name: str, timeout_s: float) -> Generation | None:
    """The generation in a collection; None if the collection is another application's."""
    description = client.describe_collection(name, timeout=timeout_s)
    properties = description.get("properties") or {}
    if MODEL not in properties:
        return None
    name, dim = str(description["collection_name"]), int(properties[DIM])
    return Generation(
        name, properties[MODEL], dim, properties.get(REPLACED, ""), properties.get(SETTING, ""), fields_in(properties)
    )
