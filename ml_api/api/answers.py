"""Converts the application's values to the JSON answers of the routes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, Final

from flask import Flask, Response, current_app, g, request
from pydantic import BaseModel, TypeAdapter
from werkzeug.routing import Map

from ml_api import stages, tracing
from ml_api.api.schemas import JsonObject, ListAnswer
from ml_api.api.schemas.arrangement import MAX_GROUPED, FacetNumbers, FacetsAnswer, FacetValue
from ml_api.api.schemas.base import Problem
from ml_api.api.schemas.duplicates import DuplicateAnswer, DuplicateGroup, DuplicatesAnswer, SizedImage
from ml_api.api.schemas.found import ReadTerm, Timings
from ml_api.api.schemas.heat import HeatmapAnswer
from ml_api.api.schemas.images import StoredImage
from ml_api.corpus.base import size_told_by
from ml_api.duplicates import DuplicatesPage
from ml_api.records import Hit, ImageRecord
from ml_api.search import Query, SearchResult, TextTerm
from ml_api.search.facets import Facets
from ml_api.search.heat import Heat
from ml_api.search.query import RELEVANCE_DIGITS, SCORE_DIGITS, ResultRow

_ANY_ID: Final = "@id"
"""A placeholder in links: `@` is never in a root path (`reverse_proxies`), and is not quoted in a URL."""
_LINKS: Final = "ml_api.links"
"""The key, in `app.extensions`, of the links of an image by root path."""
_VERSION_DIGITS: Final = 12
_ROOTS: Final = 16
"""How many root paths links are kept for; a proxy may state any."""
HEAT_DIGITS: Final = 3
_PLAIN: Final = TypeAdapter(Any)
"""Writes plain values as the models do. Hits are plain: making models of them, which checks each again, took five times as long."""


def register(app: Flask) -> None:
    app.extensions[_LINKS] = lru_cache(_ROOTS)(partial(_links_below, app.url_map))


def json_answer(body: BaseModel, status: int = 200) -> Response:
    return _response(body.model_dump_json(by_alias=True).encode(), status)


def _plain_answer(body: JsonObject) -> Response:
    return _response(_PLAIN.dump_json(body), 200)


def _response(body: bytes, status: int) -> Response:
    return Response(body + b"\n", status, content_type="application/json")


def search_answer(result: SearchResult, query: Query, model: str) -> Response:
    """A `SearchAnswer`."""
    found = _found(result, query, _linking())
    return _plain_answer({"query_id": query_id(), "model": model, **found, "timings_ms": _timings()})


def timestamp(seconds: float) -> str:
    """Format seconds since the epoch as a time in ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def query_id(place: int | None = None) -> str:
    """The id by which hits are judged: that of the request, or of its query at the index `place`."""
    return tracing.request_id() if place is None else f"{tracing.request_id()}.{place}"


def heatmap_answer(heat: Heat) -> Response:
    least, greatest = float(heat.scores.min()), float(heat.scores.max())
    shares = (heat.scores - least) / max(greatest - least, 1e-9)
    rows, columns = shares.shape
    scores = [round(score, SCORE_DIGITS) for score in (least, greatest, heat.whole)]
    grid = [[round(share, HEAT_DIGITS) for share in row] for row in shares.tolist()]
    return json_answer(HeatmapAnswer(rows=rows, columns=columns, heat=grid, least=scores[0], greatest=scores[1], whole=scores[2]))


def batch_answer(results: Iterable[tuple[Query, SearchResult] | Problem], model: str) -> Response:
    """A `BatchAnswer`."""
    links_to = _linking()
    answers = [
        {"query_id": query_id(place), "status": result.status, "found": None, "problem": result}
        if isinstance(result, Problem)
        else {"query_id": query_id(place), "status": 200, "found": _found(result[1], result[0], links_to), "problem": None}
        for place, result in enumerate(results)
    ]
    return _plain_answer({"query_id": query_id(), "model": model, "results": answers, "timings_ms": _timings()})


def _found(result: SearchResult, query: Query, links_to: Callable[[ImageRecord], JsonObject]) -> JsonObject:
    """The fields of a `FoundAnswer`."""
    return {
        "truncated": result.truncated,
        "next": query.next_offset if result.more else None,
        "next_cursor": result.next_cursor,
        "confident": result.confident,
        "hits": [hit_fields(row, links_to(row.hit.record), group_fields(row, links_to)) for row in result.rows],
        "facets": _facets(result.facets),
        "read_as": read_terms(query),
        "warnings": list(result.warnings) or None,
    }


def hit_fields(row: ResultRow, links: JsonObject | None, group: JsonObject | None) -> JsonObject:
    """The fields of a `HitAnswer`; without `links` where no service serves its image."""
    return {
        **_image_fields(row.hit.record),
        "links": links,
        "score": round(row.hit.score, SCORE_DIGITS),
        "relevance": None if row.relevance is None else round(row.relevance, RELEVANCE_DIGITS),
        "shares": None if row.shares is None else [round(share, SCORE_DIGITS) for share in row.shares],
        "matched": list(row.hit.match.fields) if row.hit.match else None,
        "group": group,
    }


def group_fields(row: ResultRow, links_to: Callable[[ImageRecord], JsonObject | None]) -> JsonObject | None:
    """The fields of the `GroupAnswer` of a hit; None if it is alone."""
    if not row.others:
        return None
    return {"size": 1 + len(row.others), "hits": [_grouped_fields(hit, links_to(hit.record)) for hit in row.others[:MAX_GROUPED]]}


def _grouped_fields(hit: Hit, links: JsonObject | None) -> JsonObject:
    """The fields of a `GroupedImage`."""
    record, score = hit.record, round(hit.score, SCORE_DIGITS)
    return {"id": record.id, "key": record.key, "width": record.width, "height": record.height, "score": score, "links": links}


def read_terms(query: Query) -> list[ReadTerm] | None:
    """Return the terms that stand in place of texts with negations; None if there are none."""
    otherwise = () if query.reading is None else query.reading.otherwise
    texts = ((weighted.term, weighted.weight) for weighted in otherwise)
    return [ReadTerm(text=term.text, weight=weight) for term, weight in texts if isinstance(term, TextTerm)] or None


def _facets(facets: Facets | None) -> FacetsAnswer | None:
    if facets is None:
        return None
    fields = {name: [FacetValue(value=value, count=count) for value, count in values] for name, values in facets.fields.items()}
    numbers = {name: FacetNumbers(**asdict(found)) for name, found in facets.numbers.items()}
    return FacetsAnswer(over=facets.over, fields=fields, numbers=numbers)


def _timings() -> Timings:
    return Timings(**{stage: _ms(taken) for stage, taken in stages.so_far().items()}, total=_ms(perf_counter() - g.started))


def stored_image(record: ImageRecord) -> Response:
    return json_answer(_stored(record, _linking()))


def stored_images(
    records: Iterable[ImageRecord], following: str | None, count: int | None, warnings: Sequence[str] = ()
) -> Response:
    """A page of the listing. `following` is the cursor of the next page, `count` the number of images on all pages."""
    links_to = _linking()
    images = [_stored(record, links_to) for record in records]
    return json_answer(ListAnswer(images=images, next=following, count=count, warnings=list(warnings) or None))


def duplicates_answer(page: DuplicatesPage) -> Response:
    links_to = _linking()
    groups = [
        DuplicateGroup(
            kind=group.kind,
            image=SizedImage(**_sized(group.image, links_to)),
            duplicates=[
                DuplicateAnswer(
                    **_sized(duplicate.record, links_to),
                    similarity=round(duplicate.evidence.similarity, SCORE_DIGITS),
                    bits=duplicate.evidence.bits,
                    turn=duplicate.evidence.turn,
                )
                for duplicate in group.duplicates
            ],
            more=group.more,
        )
        for group in page.groups
    ]
    return json_answer(
        DuplicatesAnswer(groups=groups, compared=page.compared, without_hash=page.without_hash, next=page.next or None)
    )


def _sized(record: ImageRecord, links_to: Callable[[ImageRecord], JsonObject]) -> dict[str, Any]:
    """The fields of a SizedImage."""
    return dict(_stored(record, links_to)) | {"size_bytes": size_told_by(record.version)}


def _stored(record: ImageRecord, links_to: Callable[[ImageRecord], JsonObject]) -> StoredImage:
    return StoredImage(
        **_image_fields(record),
        links=links_to(record),
        digest=record.digest,
        indexed_at=timestamp(record.indexed_at),
    )


def _image_fields(record: ImageRecord) -> dict[str, Any]:
    """The fields of an ImageAnswer without its links."""
    return {
        "id": record.id,
        "key": record.key,
        "width": record.width,
        "height": record.height,
        "metadata": dict(record.metadata),
    }


def _linking() -> Callable[[ImageRecord], JsonObject]:
    """Return a function that makes an image's `Links`, below the root path of this request.

    Links to content include its version, so that browsers may cache it for ever.
    """
    record, content, thumbnail, similar = current_app.extensions[_LINKS](request.root_path)

    def links_to(image: ImageRecord) -> JsonObject:
        id_, version = image.id, image.digest[:_VERSION_DIGITS]
        return {
            "self": id_.join(record),
            "content": id_.join(content) + version,
            "thumbnail": id_.join(thumbnail) + version,
            "similar": id_.join(similar),
        }

    return links_to


def _links_below(url_map: Map, root: str) -> list[list[str]]:
    """The links of an image below a root path, each as what stands before its id and after it; a version follows at the end.

    Kept for each application, as building forty URLs, for ten hits, took as long as all else that Flask does for a search.
    """
    build = url_map.bind("", root).build
    image: JsonObject = {"image_id": _ANY_ID}
    urls = (
        build("images.record", image),
        build("images.content", image | {"v": ""}),
        build("images.thumbnail", image | {"v": ""}),
        build("search.similar", image),
    )
    return [url.split(_ANY_ID) for url in urls]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
