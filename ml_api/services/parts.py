"""Parts of the service and of commands, each built from the settings."""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ml_api import cores
from ml_api.access import Access
from ml_api.addresses import is_loopback
from ml_api.corpus.base import Corpus, location_at
from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.metadata import Catalogue
from ml_api.corpus.thumbnails import ThumbnailCache
from ml_api.database import Database
from ml_api.errors import ConfigError, DatabaseUnavailable, InvalidQuery
from ml_api.images import Decoder, ImageLimits
from ml_api.metrics import Metrics
from ml_api.settings import Settings, environment_name
from ml_api.vectors.base import VectorStore
from ml_api.vectors.filters import Field, field_of

if TYPE_CHECKING:
    from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore

MAX_FILTER_FIELDS: Final = 20
"""Milvus has 64 columns, and each takes two."""

_log = logging.getLogger(__name__)


def corpus_of(settings: Settings) -> Corpus:
    """Raises ConfigError."""
    if settings.corpus is None:
        raise ConfigError(f"{environment_name('corpus')} is not set: name the folder of images")
    ignore, include = _patterns(settings.ignore), _patterns(settings.include)
    catalogue = Catalogue(settings.catalogue) if settings.catalogue else None
    if isinstance(settings.corpus, str):
        from ml_api.corpus.bucket import BucketCorpus, open_objects

        objects, at_once = open_objects(settings.corpus), settings.waiting_threads
        return BucketCorpus(objects, ignore=ignore, include=include, catalogue=catalogue, at_once=at_once)
    return FolderCorpus(
        settings.corpus,
        ours=ours_of(settings),
        ignore=ignore,
        include=include,
        follow_links=settings.follow_links,
        catalogue=catalogue,
    )


def location_of(settings: Settings) -> str:
    """Where the corpus is that they name; empty if they name none."""
    return "" if settings.corpus is None else location_at(settings.corpus)


def knowing_corpus(settings: Settings, store: VectorStore) -> Settings:
    """Where they name no corpus, with the one that the vectors were last synced with, if there is any."""
    if settings.corpus is not None or not (location := store.source()):
        return settings
    return settings.model_copy(update={"corpus": location if "://" in location else Path(location)})


def ours_of(settings: Settings) -> list[Path]:
    """Folders with files of this application, which are no part of a corpus around them."""
    return [settings.thumbnails, *([Path(settings.store_uri)] if settings.store_is_embedded else [])]


def _patterns(setting: str) -> list[str]:
    return [pattern for pattern in map(str.strip, setting.split(",")) if pattern]


def database_of(settings: Settings) -> Database:
    """Close it. Raises ConfigError."""
    return Database.open(settings.database_address)


def access_of(settings: Settings, database: Database) -> Access | None:
    """None if no API keys are asked for. Says so in the log. Raises ConfigError if they are, and there is none."""
    reachable = settings.published_host or settings.host
    is_for_this_machine = is_loopback(reachable)
    if settings.auth == "off" or (settings.auth == "auto" and is_for_this_machine):
        if is_for_this_machine:
            _log.info("access       without API keys: only this machine reaches %s", reachable)
        else:
            _log.warning(
                "access       without API keys (%s=off): every client that reaches %s may do everything",
                environment_name("auth"),
                reachable,
            )
        return None
    try:
        access = Access(database)
    except DatabaseUnavailable as exc:
        raise ConfigError(exc.detail) from exc
    valid = [key for key in access.keys if not key.end(time.time())]
    if not any(key.revoked_at is None for key in access.keys):
        auth = environment_name("auth")
        why = f"{auth}={settings.auth} asks for one" if is_for_this_machine else f"others reach {reachable}"
        alone = "" if is_for_this_machine else f"or listen on 127.0.0.1 alone ({environment_name('host')}); "
        raise ConfigError(
            f"there is no API key, and {why}. Make one with the same settings, "
            f"`python -m ml_api keys create NAME --scope search,write`; {alone}or let everybody in with {auth}=off"
        )
    if not valid:
        _log.warning("every API key has expired: no client may search until there is a new one (`keys create`)")
    _log.info("access       with API keys, of which %d are valid", len(valid))
    return access


def thumbnail_cache_of(settings: Settings) -> ThumbnailCache:
    return ThumbnailCache(settings.thumbnails, settings.thumbnail_cache_bytes)


def limits_of(settings: Settings) -> ImageLimits:
    return ImageLimits(settings.max_upload_bytes, settings.max_image_pixels, settings.max_image_aspect)


def decoder_of(settings: Settings, metrics: Metrics) -> Decoder:
    """Close it."""
    from ml_api.images.processes import Bounds, ProcessDecoder

    bounds = Bounds(max(2, cores.usable()), settings.decode_memory_bytes, settings.decode_timeout_s)
    return ProcessDecoder(limits_of(settings), bounds, metrics.decoding, exif=settings.exif)


def milvus_endpoint(settings: Settings) -> "MilvusEndpoint":
    from ml_api.vectors.milvus import MilvusEndpoint

    return MilvusEndpoint(
        uri=settings.store_uri,
        token=settings.milvus_token.get_secret_value(),
        database=settings.milvus_database,
        tls_ca=settings.milvus_tls_ca,
        tls_server_name=settings.milvus_tls_server_name,
    )


def milvus_store(settings: Settings, metrics: Metrics) -> "MilvusStore":
    from ml_api.vectors.milvus import MilvusStore, VectorIndex

    index = VectorIndex(
        metric=settings.metric,
        kind=settings.index,
        hnsw_m=settings.hnsw_m,
        hnsw_ef_construction=settings.hnsw_ef_construction,
        hnsw_ef=settings.hnsw_ef,
        ivf_nlist=settings.ivf_nlist,
        ivf_nprobe=settings.ivf_nprobe,
        pq_m=settings.pq_m,
        pq_nbits=settings.pq_nbits,
        scann_reorder_k=settings.scann_reorder_k,
        diskann_search_list=settings.diskann_search_list,
    )
    fields = filter_fields_of(settings)
    return MilvusStore(milvus_endpoint(settings), settings.collection, index, metrics, settings.store_timeout_s, fields=fields)


def filter_fields_of(settings: Settings) -> list[Field]:
    """Those with columns of their own, in the order of their names. Raises ConfigError."""
    setting = environment_name("filter_fields")
    try:
        fields = {field_of(name, setting) for name in _patterns(settings.filter_fields)}
    except InvalidQuery as exc:
        raise ConfigError(exc.detail) from exc
    if built_in := [field.name for field in fields if field.built_in is not None]:
        raise ConfigError(f"{setting}: {', '.join(sorted(built_in))}: every image has a column for it already; leave it out")
    if len(fields) > MAX_FILTER_FIELDS:
        raise ConfigError(
            f"{setting}: names {len(fields)} fields; at most {MAX_FILTER_FIELDS} get columns, which Milvus has few of"
        )
    return sorted(fields, key=lambda field: field.name)
