"""The operations of the API, with the names of its OpenAPI document: each makes a `Call`, which `Client` and `AsyncClient` send.

Searches and the listing also take parameters that are not named here (`**more`): `group`, `sort`, `facets`, `min_relevance`,
and those of newer services.
"""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Required, TypedDict
from urllib.parse import quote

from ml_api_client import models
from ml_api_client.calls import BINARY, Call, Image, answer_as, as_json, as_query, conditions, file_of, given, quoted, whole

Filter = dict[str, Any]
"""Conditions on metadata, as in the service's documentation: `{"price": {"lt": 20}}`."""


def search_by_text(
    q: str, *, limit: int = 10, offset: int = 0, cursor: str | None = None, filter: Filter | None = None, **more: Any
) -> Call[models.SearchAnswer]:
    """Find images by a description."""
    body = {"q": q, "limit": limit, "offset": offset, **given(cursor=cursor, filter=filter), **more}
    return Call("POST", "/v1/search/text", answer_as(models.SearchAnswer), body=as_json(body))


def search_by_image(
    image: Image, *, limit: int = 10, offset: int = 0, cursor: str | None = None, filter: Filter | None = None, **more: Any
) -> Call[models.SearchAnswer]:
    """Find images that look like this one."""
    query = as_query(limit=limit, offset=offset, cursor=cursor, filter=filter, **more)
    return Call("POST", "/v1/search/image", answer_as(models.SearchAnswer), query, file_of(image), BINARY)


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
    page = given(cursor=cursor, filter=filter)
    body = _plain({"query": query, "limit": limit, "offset": offset}) | page | more
    return Call("POST", "/v1/search", answer_as(models.SearchAnswer), body=as_json(body))


def search_for(what: str | bytes | Path | Sequence[Term], **options: Any) -> Call[models.SearchAnswer]:
    """Find images by a description, an image, or several terms. A string is a description."""
    if isinstance(what, str):
        return search_by_text(what, **options)
    return search_by_image(what, **options) if isinstance(what, bytes | Path) else search(what, **options)


def search_batch(queries: Sequence[Query]) -> Call[models.BatchAnswer]:
    """Run several queries at once; each has an answer or a problem."""
    body = {"queries": [_plain(query) for query in queries]}
    return Call("POST", "/v1/search/batch", answer_as(models.BatchAnswer), body=as_json(body))


def find_similar(
    image_id: str, *, limit: int = 10, offset: int = 0, cursor: str | None = None, filter: Filter | None = None, **more: Any
) -> Call[models.SearchAnswer]:
    """Find more like a stored image."""
    query = as_query(limit=limit, offset=offset, cursor=cursor, filter=filter, **more)
    return Call("GET", f"/v1/images/{quoted(image_id)}/similar", answer_as(models.SearchAnswer), query)


def list_images(
    *,
    prefix: str = "",
    limit: int = 100,
    cursor: str | None = None,
    filter: Filter | None = None,
    count: bool = False,
    **more: Any,
) -> Call[models.ListAnswer]:
    """List a page of the stored images, with `count` also their number; `Client.images` yields them all."""
    return Call(
        "GET",
        "/v1/images",
        answer_as(models.ListAnswer),
        as_query(prefix=prefix, limit=limit, cursor=cursor, filter=filter, count=count or None, **more),
    )


def get_image(image_id: str) -> Call[models.StoredImage]:
    return Call("GET", f"/v1/images/{quoted(image_id)}", answer_as(models.StoredImage))


def get_image_content(image_id: str) -> Call[bytes]:
    """Download the original file."""
    return Call("GET", f"/v1/images/{quoted(image_id)}/content", bytes)


def get_image_thumbnail(image_id: str) -> Call[bytes]:
    """Download a WebP preview."""
    return Call("GET", f"/v1/images/{quoted(image_id)}/thumbnail", bytes)


def get_image_heatmap(image_id: str, q: str) -> Call[models.HeatmapAnswer]:
    """Locate a text in an image, as a grid over it."""
    return Call("GET", f"/v1/images/{quoted(image_id)}/heatmap", answer_as(models.HeatmapAnswer), as_query(q=q))


def patch_image(image_id: str, metadata: Mapping[str, Any] | None) -> Call[models.StoredImage]:
    """Change metadata by a merge patch (RFC 7396): None removes a field, or all of them."""
    body = as_json({"metadata": None if metadata is None else dict(metadata)})
    return Call("PATCH", f"/v1/images/{quoted(image_id)}", answer_as(models.StoredImage), body=body)


def patch_images(patches: Mapping[str, Mapping[str, Any] | None]) -> Call[models.PatchesAnswer]:
    """Change the metadata of several images, by their ids, as `patch_image` does."""
    images = [{"id": image_id, "metadata": None if patch is None else dict(patch)} for image_id, patch in patches.items()]
    return Call("PATCH", "/v1/images", answer_as(models.PatchesAnswer), body=as_json({"images": images}))


def put_image(  # noqa: PLR0913 - each is a part of the request
    key: str,
    image: Image,
    *,
    metadata: Mapping[str, Any] | None = None,
    wait: float = 0,
    if_match: str | None = None,
    if_none_match: str | None = None,
) -> Call[models.UploadedImage]:
    """Add or replace an image, and wait at most `wait` seconds until it is searchable.

    With `if_none_match="*"`, no file is replaced; with `if_match`, only the file with this digest. Otherwise the call
    raises PreconditionFailed.
    """
    path, read, query = f"/v1/images/by-key/{quote(key)}", answer_as(models.UploadedImage), as_query(wait=wait)
    headers = conditions(if_match, if_none_match)
    if metadata is None:
        return Call("PUT", path, read, query, file_of(image), BINARY, headers=headers)
    form = (("image", key.rpartition("/")[2], image), ("metadata", "metadata.json", as_json(dict(metadata))))
    return Call("PUT", path, read, query, form=form, headers=headers)


def delete_image(image_id: str, *, wait: float = 0, if_match: str | None = None) -> Call[models.RemovedImage]:
    """Delete an image, its file included; with `if_match` only the file with this digest, else PreconditionFailed."""
    headers = conditions(if_match, None)
    return Call("DELETE", f"/v1/images/{quoted(image_id)}", answer_as(models.RemovedImage), as_query(wait=wait), headers=headers)


def find_duplicates(*, limit: int = 256, cursor: str | None = None) -> Call[models.DuplicatesAnswer]:
    """List a page of the images that are stored more than once; `Client.duplicates` yields them all."""
    return Call("GET", "/v1/duplicates", answer_as(models.DuplicatesAnswer), as_query(limit=limit, cursor=cursor))


def start_sync(  # noqa: PLR0913 - each is a field of the request
    *,
    allow_empty: bool = False,
    allow_removals: bool = False,
    replace: bool = False,
    retry_failed: bool = False,
    rehash: bool = False,
    dry_run: bool = False,
) -> Call[models.SyncJob]:
    """Make the index equal to the corpus. If a sync is running already, it is returned."""
    body = {
        "allow_empty": allow_empty,
        "allow_removals": allow_removals,
        "replace": replace,
        "retry_failed": retry_failed,
        "rehash": rehash,
        "dry_run": dry_run,
    }
    return Call("POST", "/v1/sync", answer_as(models.SyncJob), body=as_json(body))


def list_syncs() -> Call[models.SyncsAnswer]:
    return Call("GET", "/v1/sync", answer_as(models.SyncsAnswer))


def get_sync(job: int) -> Call[models.SyncJob]:
    return Call("GET", f"/v1/sync/{job}", answer_as(models.SyncJob))


def cancel_sync(job: int) -> Call[models.SyncJob]:
    return Call("DELETE", f"/v1/sync/{job}", answer_as(models.SyncJob))


def list_sync_files(
    job: int, *, outcome: str | None = None, limit: int = 100, cursor: int | None = None
) -> Call[models.SyncFilesAnswer]:
    """List a page of the files of a sync with their outcomes."""
    query = as_query(outcome=outcome, limit=limit, cursor=cursor)
    return Call("GET", f"/v1/sync/{job}/files", answer_as(models.SyncFilesAnswer), query)


def create_embeddings(
    inputs: Sequence[str], *, modality: Literal["text", "image"] = "text", model: str | None = None
) -> Call[models.EmbeddingsAnswer]:
    """Embed texts, or images in base64."""
    body = {"input": list(inputs), "modality": modality, "model": model}
    return Call("POST", "/v1/embeddings", answer_as(models.EmbeddingsAnswer), body=as_json(body))


def get_model() -> Call[models.ModelAnswer]:
    return Call("GET", "/v1/model", answer_as(models.ModelAnswer))


def get_metadata_fields() -> Call[models.MetadataAnswer]:
    """List the fields of the metadata, by the names that filters use."""
    return Call("GET", "/v1/metadata", answer_as(models.MetadataAnswer))


def give_feedback(
    query_id: str, image_id: str, verdict: Literal["relevant", "irrelevant", "clicked", "none"], *, comment: str = ""
) -> Call[models.FeedbackAnswer]:
    """Judge a hit of a search; the last verdict counts."""
    body = {"query_id": query_id, "id": image_id, "verdict": verdict, "comment": comment}
    return Call("POST", "/v1/feedback", answer_as(models.FeedbackAnswer), body=as_json(body))


def export_feedback() -> Call[list[models.JudgementLine]]:
    """Export all judgements, in the order of searches."""
    read = models.JudgementLine.model_validate_json
    return Call("GET", "/v1/feedback", lambda lines: [read(line) for line in lines.splitlines()])


def get_stats() -> Call[models.StatsAnswer]:
    return Call("GET", "/v1/stats", answer_as(models.StatsAnswer))


def _plain(query: Query) -> dict[str, Any]:
    """The query as JSON, with images in base64."""
    terms = [
        {**term, "image": base64.b64encode(whole(term["image"])).decode()} if "image" in term else dict(term)
        for term in query["query"]
    ]
    return {**query, "query": terms}
