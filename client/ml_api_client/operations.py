"""The operations of the API, called as in its OpenAPI document: each makes a `Call`, which `Client` and `AsyncClient` carry out.

Searches and the listing also take parameters that this version does not name, for newer services (`**more`).
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Literal, Required, TypedDict, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from ml_api_client import models

Answer = TypeVar("Answer")
Parsed = TypeVar("Parsed", bound=BaseModel)

Image = bytes | Path
"""A file: its bytes, or where it is; it is then read in pieces while it is sent."""
Filter = dict[str, Any]
"""Conditions on metadata, as the service's documentation has them: `{"price": {"lt": 20}}`."""
JSON: Final = "application/json"
BINARY: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """One request, and what its answer means."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    read: Callable[[bytes], Answer]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Image | None = None
    media_type: str = JSON
    form: Sequence[tuple[str, str, Image]] = ()
    """Files of a form, in place of a body: field, name, file."""


def search_by_text(
    q: str, *, limit: int = 10, offset: int = 0, cursor: str | None = None, filter: Filter | None = None, **more: Any
) -> Call[models.SearchAnswer]:
    """Find images by a description."""
    body = {"q": q, "limit": limit, "offset": offset, **_given(cursor=cursor, filter=filter), **more}
    return Call("POST", "/v1/search/text", _read(models.SearchAnswer), body=_json(body))


def search_by_image(
    image: Image, *, limit: int = 10, offset: int = 0, cursor: str | None = None, filter: Filter | None = None, **more: Any
) -> Call[models.SearchAnswer]:
    """Find images that look like this one."""
    query = _query(limit=limit, offset=offset, cursor=cursor, filter=filter, **more)
    return Call("POST", "/v1/search/image", _read(models.SearchAnswer), query, image, BINARY)


class Term(TypedDict, total=False):
    """One of `text`, `image`, `id` and `vector`; `crop` is x, y, width and height of the part of an image that counts."""

    text: str
    image: Image
    id: str
    vector: Sequence[float]
    weight: float
    crop: Sequence[float]


class Query(TypedDict, total=False):
    query: Required[Sequence[Term]]
    limit: int
    offset: int
    cursor: str
    exact: bool
    filter: Filter
    more_like: Sequence[str]
    less_like: Sequence[str]


def search(
    query: Sequence[Term], *, limit: int = 10, offset: int = 0, cursor: str | None = None, filter: Filter | None = None, **more: Any
) -> Call[models.SearchAnswer]:
    """Find images by any number of terms; those with a negative weight are avoided."""
    page = _given(cursor=cursor, filter=filter)
    body = _plain({"query": query, "limit": limit, "offset": offset}) | page | more
    return Call("POST", "/v1/search", _read(models.SearchAnswer), body=_json(body))


def search_for(what: str | Image | Sequence[Term], **options: Any) -> Call[models.SearchAnswer]:
    """Find images by a description, an image, or several terms."""
    if isinstance(what, str):
        return search_by_text(what, **options)
    return search_by_image(what, **options) if isinstance(what, bytes | Path) else search(what, **options)


def search_batch(queries: Sequence[Query]) -> Call[models.BatchAnswer]:
    """Several queries at once; an answer or a problem for each."""
    body = {"queries": [_plain(query) for query in queries]}
    return Call("POST", "/v1/search/batch", _read(models.BatchAnswer), body=_json(body))


def find_similar(
    image_id: str, *, limit: int = 10, offset: int = 0, cursor: str | None = None, filter: Filter | None = None, **more: Any
) -> Call[models.SearchAnswer]:
    """Find more like a stored image."""
    query = _query(limit=limit, offset=offset, cursor=cursor, filter=filter, **more)
    return Call("GET", f"/v1/images/{_id(image_id)}/similar", _read(models.SearchAnswer), query)


def list_images(
    *, prefix: str = "", limit: int = 100, cursor: str | None = None, filter: Filter | None = None, **more: Any
) -> Call[models.ListAnswer]:
    """A page of the stored images; `Client.images` has them all."""
    return Call(
        "GET", "/v1/images", _read(models.ListAnswer), _query(prefix=prefix, limit=limit, cursor=cursor, filter=filter, **more)
    )


def get_image(image_id: str) -> Call[models.StoredImage]:
    return Call("GET", f"/v1/images/{_id(image_id)}", _read(models.StoredImage))


def get_image_content(image_id: str) -> Call[bytes]:
    """The original file."""
    return Call("GET", f"/v1/images/{_id(image_id)}/content", bytes)


def get_image_thumbnail(image_id: str) -> Call[bytes]:
    """A WebP preview."""
    return Call("GET", f"/v1/images/{_id(image_id)}/thumbnail", bytes)


def patch_image(image_id: str, metadata: Mapping[str, Any] | None) -> Call[models.StoredImage]:
    """Change metadata by a merge patch (RFC 7396): None removes a field, or all of them."""
    body = _json({"metadata": None if metadata is None else dict(metadata)})
    return Call("PATCH", f"/v1/images/{_id(image_id)}", _read(models.StoredImage), body=body)


def put_image(key: str, image: Image, *, metadata: Mapping[str, Any] | None = None, wait: float = 0) -> Call[models.UploadedImage]:
    """Add or replace an image; `wait` so many seconds for it to be searchable."""
    path, read, query = f"/v1/images/by-key/{quote(key)}", _read(models.UploadedImage), _query(wait=wait)
    if metadata is None:
        return Call("PUT", path, read, query, image, BINARY)
    form = (("image", key.rpartition("/")[2], image), ("metadata", "metadata.json", _json(dict(metadata))))
    return Call("PUT", path, read, query, form=form)


def delete_image(image_id: str, *, wait: float = 0) -> Call[models.RemovedImage]:
    """Delete an image, its file included."""
    return Call("DELETE", f"/v1/images/{_id(image_id)}", _read(models.RemovedImage), _query(wait=wait))


def find_duplicates(*, limit: int = 256, cursor: str | None = None) -> Call[models.DuplicatesAnswer]:
    """A page of the images that are stored more than once; `Client.duplicates` has them all."""
    return Call("GET", "/v1/duplicates", _read(models.DuplicatesAnswer), _query(limit=limit, cursor=cursor))


def start_sync(
    *,
    allow_empty: bool = False,
    allow_removals: bool = False,
    replace: bool = False,
    retry_failed: bool = False,
    dry_run: bool = False,
) -> Call[models.SyncJob]:
    """Make the index equal to the corpus; the sync that is under way, if there is one."""
    body = {
        "allow_empty": allow_empty,
        "allow_removals": allow_removals,
        "replace": replace,
        "retry_failed": retry_failed,
        "dry_run": dry_run,
    }
    return Call("POST", "/v1/sync", _read(models.SyncJob), body=_json(body))


def list_syncs() -> Call[models.SyncsAnswer]:
    return Call("GET", "/v1/sync", _read(models.SyncsAnswer))


def get_sync(job: int) -> Call[models.SyncJob]:
    return Call("GET", f"/v1/sync/{job}", _read(models.SyncJob))


def cancel_sync(job: int) -> Call[models.SyncJob]:
    return Call("DELETE", f"/v1/sync/{job}", _read(models.SyncJob))


def list_sync_files(
    job: int, *, outcome: str | None = None, limit: int = 100, cursor: int | None = None
) -> Call[models.SyncFilesAnswer]:
    """A page of what became of single files."""
    query = _query(outcome=outcome, limit=limit, cursor=cursor)
    return Call("GET", f"/v1/sync/{job}/files", _read(models.SyncFilesAnswer), query)


def create_embeddings(
    inputs: Sequence[str], *, modality: Literal["text", "image"] = "text", model: str | None = None
) -> Call[models.EmbeddingsAnswer]:
    """Embed texts, or images in base64."""
    body = {"input": list(inputs), "modality": modality, "model": model}
    return Call("POST", "/v1/embeddings", _read(models.EmbeddingsAnswer), body=_json(body))


def get_model() -> Call[models.ModelAnswer]:
    return Call("GET", "/v1/model", _read(models.ModelAnswer))


def get_metadata_fields() -> Call[models.MetadataAnswer]:
    """Which fields the metadata have, by the names that filters use."""
    return Call("GET", "/v1/metadata", _read(models.MetadataAnswer))


def give_feedback(
    query_id: str, image_id: str, verdict: Literal["relevant", "irrelevant", "clicked", "none"], *, comment: str = ""
) -> Call[models.FeedbackAnswer]:
    """Judge a hit of a search; the last verdict counts."""
    body = {"query_id": query_id, "id": image_id, "verdict": verdict, "comment": comment}
    return Call("POST", "/v1/feedback", _read(models.FeedbackAnswer), body=_json(body))


def export_feedback() -> Call[list[models.JudgementLine]]:
    """All judgements, in the order of searches."""
    read = models.JudgementLine.model_validate_json
    return Call("GET", "/v1/feedback", lambda lines: [read(line) for line in lines.splitlines()])


def get_stats() -> Call[models.StatsAnswer]:
    return Call("GET", "/v1/stats", _read(models.StatsAnswer))


def _read(model: type[Parsed]) -> Callable[[bytes], Parsed]:
    return model.model_validate_json


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


def _plain(query: Query) -> dict[str, Any]:
    """With images in base64."""
    terms = [
        {**term, "image": base64.b64encode(whole(term["image"])).decode()} if "image" in term else dict(term)
        for term in query["query"]
    ]
    return {**query, "query": terms}


def whole(image: Image) -> bytes:
    return image.read_bytes() if isinstance(image, Path) else image


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _query(**given: Any) -> dict[str, str]:
    """Without what is not given; what is neither text nor number as JSON."""
    stated = {name: value for name, value in given.items() if value is not None and value != ""}
    return {name: json.dumps(value) if isinstance(value, bool | dict | list) else str(value) for name, value in stated.items()}


def _id(image_id: str) -> str:
    return quote(image_id, safe="")
