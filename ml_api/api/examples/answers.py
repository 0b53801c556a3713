"""Examples of successful answers, by model. A test compares them with real answers."""

from ml_api.api import schemas
from ml_api.api.schemas.composed import BatchAnswer
from ml_api.api.schemas.duplicates import DuplicatesAnswer
from ml_api.api.schemas.edits import PatchesAnswer
from ml_api.api.schemas.embeddings import EmbeddingsAnswer, ListedModel, ModelsAnswer
from ml_api.api.schemas.feedback import FeedbackAnswer, JudgementLine
from ml_api.api.schemas.fields import MetadataAnswer
from ml_api.api.schemas.found import SearchAnswer
from ml_api.api.schemas.heat import HeatmapAnswer
from ml_api.api.schemas.images import StoredImage
from ml_api.api.schemas.sync import SyncFilesAnswer, SyncJob, SyncsAnswer
from ml_api.api.schemas.uploads import EventsAnswer, RemovedImage, UploadedImage, UploadsAnswer
from ml_api.records import image_id
from ml_api.search import Query, TextTerm
from ml_api.search.cursor import Cursors, Position
from ml_api.vectors.base import SearchOptions
from ml_api.vocabulary import SyncOutcome

_KEY = "snow/two-brown-dogs-0000.jpg"
DRAWN_ID = image_id(_KEY)
"""The id of the first picture that `demo` draws, whatever the size of its corpus."""
_VERSION = "d276df211381"
REQUEST_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
_CURSOR = Cursors("images", clock=lambda: 1_796_000_000.0).write(
    Position((bytes.fromhex(DRAWN_ID[:10]),)), Query.of(TextTerm("two dogs in the snow"), SearchOptions(1)), "demo@1"
)
_IMAGE: schemas.JsonObject = {
    "id": DRAWN_ID,
    "key": _KEY,
    "width": 256,
    "height": 256,
    "metadata": {
        "caption": "two brown dogs in the snow",
        "facts": {"kinds": ["dog"], "colours": ["brown"], "counts": [2], "setting": "snow", "relation": None},
    },
    "links": {
        "self": f"/v1/images/{DRAWN_ID}",
        "content": f"/v1/images/{DRAWN_ID}/content?v={_VERSION}",
        "thumbnail": f"/v1/images/{DRAWN_ID}/thumbnail?v={_VERSION}",
        "similar": f"/v1/images/{DRAWN_ID}/similar",
    },
}
_STORED: schemas.JsonObject = {
    **_IMAGE,
    "digest": "d276df21138139b3d9bece2cfdfa998fc4ba433ec7e77cb2acc84a439410d84f",
    "indexed_at": "2026-11-27T15:15:37.490+00:00",
}
_SYNC: schemas.JsonObject = {
    "id": 1,
    "state": "succeeded",
    "corpus": "/srv/photos",
    "options": {
        "allow_empty": False,
        "allow_removals": False,
        "replace": False,
        "retry_failed": False,
        "rehash": False,
        "dry_run": False,
    },
    "requested_at": "2026-11-27T15:15:30.102+00:00",
    "started_at": "2026-11-27T15:15:30.105+00:00",
    "ended_at": "2026-11-27T15:15:43.771+00:00",
    "cancelled": False,
    "done": 1500,
    "total": 1500,
    "error": "",
    "report": {
        "summary": "1499 added, 1 failed",
        "outcomes": {outcome.value: {"added": 1499, "failed": 1}.get(outcome, 0) for outcome in SyncOutcome},
        "seconds": 13.4,
        "not_listed": [],
        "metadata": [],
    },
    "plan": None,
    "links": {"self": "/v1/sync/1", "files": "/v1/sync/1/files"},
}
UPLOADED_DIGEST = "9b2d5b4ab1a26cf8bf6f5a32a5f3fe7bb8ce2cbbd1ed7e5d5a0d3b3b4b5f0a17"
_UPLOADED: schemas.JsonObject = {
    "id": image_id("uploads/red.png"),
    "key": "uploads/red.png",
    "state": "queued",
    "unchanged": False,
    "duplicate_of": None,
    "digest": UPLOADED_DIGEST,
    "width": 8,
    "height": 8,
}
_LISTED_MODEL: schemas.JsonObject = {
    "id": "demo model (small CLIP trained on drawn scenes)",
    "object": "model",
    "created": 0,
    "owned_by": "ml_api",
}
ANSWERS: dict[type, schemas.JsonObject] = {
    SearchAnswer: {
        "query_id": REQUEST_ID,
        "model": "demo model (small CLIP trained on drawn scenes)",
        "truncated": False,
        "next": 1,
        "next_cursor": _CURSOR,
        "confident": None,
        "hits": [{**_IMAGE, "score": 0.485519, "relevance": None, "shares": None, "matched": ["key", "caption"], "group": None}],
        "facets": None,
        "read_as": None,
        "warnings": None,
        "timings_ms": {"fetch": 0, "decode": 0, "prepare": 0.446, "queue": 0.262, "embed": 6.649, "search": 3.948, "total": 13.294},
    },
    BatchAnswer: {
        "query_id": REQUEST_ID,
        "model": "demo model (small CLIP trained on drawn scenes)",
        "results": [
            {
                "query_id": f"{REQUEST_ID}.0",
                "status": 200,
                "found": {
                    "truncated": False,
                    "next": 1,
                    "next_cursor": _CURSOR,
                    "confident": None,
                    "hits": [
                        {
                            **_IMAGE,
                            "score": 0.485519,
                            "relevance": None,
                            "shares": None,
                            "matched": ["key", "caption"],
                            "group": None,
                        }
                    ],
                    "facets": None,
                    "read_as": None,
                    "warnings": None,
                },
                "problem": None,
            }
        ],
        "timings_ms": {
            "fetch": 0.2,
            "decode": 0,
            "prepare": 0.446,
            "queue": 0.262,
            "embed": 6.649,
            "search": 3.948,
            "total": 13.294,
        },
    },
    StoredImage: _STORED,
    HeatmapAnswer: {
        "rows": 2,
        "columns": 3,
        "heat": [[0.0, 0.21, 0.4], [0.35, 0.874, 1.0]],
        "least": 0.094211,
        "greatest": 0.561034,
        "whole": 0.485519,
    },
    schemas.ListAnswer: {"images": [_STORED], "next": DRAWN_ID, "count": None, "warnings": None},
    DuplicatesAnswer: {
        "groups": [
            {
                "kind": "near",
                "image": {**_STORED, "size_bytes": 24_137},
                "duplicates": [{**_STORED, "size_bytes": 11_809, "similarity": 0.987654, "bits": 2, "turn": "mirrored"}],
                "more": False,
            }
        ],
        "compared": 256,
        "without_hash": 0,
        "next": DRAWN_ID,
    },
    JudgementLine: {
        "query_id": REQUEST_ID,
        "id": DRAWN_ID,
        "grade": 2,
        "verdict": "relevant",
        "rank": 1,
        "query": {"query": [{"text": "two dogs playing in the snow"}]},
        "model": "demo model (small CLIP trained on drawn scenes)",
        "comment": "",
        "judged_at": "2026-11-28T04:40:12.345+00:00",
    },
    FeedbackAnswer: {"query_id": REQUEST_ID, "id": DRAWN_ID, "verdict": "relevant"},
    UploadedImage: _UPLOADED,
    UploadsAnswer: {"results": [{"key": _UPLOADED["key"], "status": 202, "image": _UPLOADED, "problem": None}]},
    PatchesAnswer: {"results": [{"id": DRAWN_ID, "status": 200, "problem": None}]},
    EventsAnswer: {"accepted": 1, "ignored": 0},
    RemovedImage: {"id": DRAWN_ID, "key": _KEY, "state": "queued"},
    schemas.ModelAnswer: {
        "name": "demo model (small CLIP trained on drawn scenes)",
        "revision": "ac71b59d217b",
        "dim": 256,
        "device": "cpu",
        "precision": "bf16",
        "text_model": None,
    },
    schemas.StatsAnswer: {
        "images": 1500,
        "collection": "images",
        "backend": "milvus-lite",
        "metric": "COSINE",
        "calibration": None,
    },
    MetadataAnswer: {
        "over": 1500,
        "whole": True,
        "fields": [
            {
                "name": "price",
                "images": 1480,
                "types": {"number": 1480},
                "least": 4.5,
                "most": 99,
                "values": [{"value": 19.95, "images": 40}],
                "distinct": 212,
            }
        ],
    },
    SyncJob: _SYNC,
    SyncsAnswer: {"active": None, "last": [_SYNC]},
    SyncFilesAnswer: {
        "files": [{"key": "beach/holiday.jpg", "outcome": "failed", "code": "", "reason": "The file looks like text"}],
        "next": None,
    },
    EmbeddingsAnswer: {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.0612, -0.0183, 0.0044], "truncated": False}],
        "model": "demo model (small CLIP trained on drawn scenes)",
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    },
    ModelsAnswer: {"object": "list", "data": [_LISTED_MODEL]},
    ListedModel: _LISTED_MODEL,
    schemas.AliveAnswer: {"status": "alive"},
    schemas.ReadyAnswer: {"ready": True, "parts": {"model": "ok", "store": "ok"}},
}
NOT_READY: schemas.JsonObject = {"ready": False, "parts": {"model": "ok", "store": "the vector store is not open"}}
