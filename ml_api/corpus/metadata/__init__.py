"""Metadata of images, from files in the corpus root and from a catalogue: joined by key, file stem or folder, typed, streamed."""

from ml_api.corpus.metadata.catalogue import Catalogue
from ml_api.corpus.metadata.fields import FieldType
from ml_api.corpus.metadata.reading import METADATA_FILES, metadata_version, read_metadata
from ml_api.corpus.metadata.rows import KEYS, comparable
from ml_api.corpus.metadata.sidecars import ENDING, facts_in, has_sidecar, sidecar_of, stem_of, version_alone, version_beside
from ml_api.corpus.metadata.table import Metadata, fingerprint

__all__ = [
    "ENDING",
    "KEYS",
    "METADATA_FILES",
    "Catalogue",
    "FieldType",
    "Metadata",
    "comparable",
    "facts_in",
    "fingerprint",
    "has_sidecar",
    "metadata_version",
    "read_metadata",
    "sidecar_of",
    "stem_of",
    "version_alone",
    "version_beside",
]
