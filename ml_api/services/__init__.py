"""The wiring: the only place that names concrete classes and unpacks Settings.

Adapters are imported inside the functions that need them, so that importing the application costs neither torch nor pymilvus.
"""

from ml_api.services.encoder import write_triton_repository
from ml_api.services.engine import Engine
from ml_api.services.indexer import open_indexer, preview_sync, reading_of
from ml_api.services.parts import corpus_of, database_of, location_of
from ml_api.services.searching import Searching, open_searching
from ml_api.services.service import Services, StoreFacts, build_services
from ml_api.services.target import target_of
from ml_api.services.transfers import (
    examine_for,
    export_images,
    import_images,
    open_export,
    open_extraction,
    open_import,
    open_store,
)

__all__ = [
    "Engine",
    "Searching",
    "Services",
    "StoreFacts",
    "build_services",
    "corpus_of",
    "database_of",
    "examine_for",
    "export_images",
    "import_images",
    "location_of",
    "open_export",
    "open_extraction",
    "open_import",
    "open_indexer",
    "open_searching",
    "open_store",
    "preview_sync",
    "reading_of",
    "target_of",
    "write_triton_repository",
]
