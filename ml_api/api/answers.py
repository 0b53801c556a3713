"""From the application's values to the JSON that clients see."""

from datetime import UTC, datetime
from time import perf_counter

from flask import Response, g, url_for
from pydantic import BaseModel

from ml_api import stages, tracing
from ml_api.api.schemas import HitAnswer, ImageAnswer, Links, SearchAnswer, StoredImage, Timings
from ml_api.records import Hit, ImageRecord
from ml_api.search import SearchResult
from ml_api.vectors.base import SearchOptions


def json_answer(body: BaseModel, status: int = 200) -> Response:
    return Response(body.model_dump_json(by_alias=True) + "\n", status, content_type="application/json")


def search_answer(result: SearchResult, options: SearchOptions, model: str) -> Response:
    body = SearchAnswer(
        query_id=tracing.request_id(),
        model=model,
        truncated=result.truncated,
        next=options.window if result.more else None,
        hits=[_hit(hit) for hit in result.hits],
        timings_ms=Timings(
            **{stage: _ms(taken) for stage, taken in stages.so_far().items()}, total=_ms(perf_counter() - g.started)
        ),
    )
    return json_answer(body)


def stored_image(record: ImageRecord) -> Response:
    body = StoredImage(
        **_image(record).model_dump(by_alias=False),
        digest=record.digest,
        indexed_at=datetime.fromtimestamp(record.indexed_at, UTC).isoformat(timespec="milliseconds"),
    )
    return json_answer(body)


def _hit(hit: Hit) -> HitAnswer:
    return HitAnswer(**_image(hit.record).model_dump(by_alias=False), score=round(hit.score, 6))


def _image(record: ImageRecord) -> ImageAnswer:
    return ImageAnswer(
        id=record.id,
        key=record.key,
        width=record.width,
        height=record.height,
        metadata=dict(record.metadata),
        links=_links(record),
    )


def _links(record: ImageRecord) -> Links:
    """Links to content carry its version, so that browsers may keep it for good."""
    version = record.digest[:12]
    return Links(
        self_=url_for("images.record", image_id=record.id),
        content=url_for("images.content", image_id=record.id, v=version),
        thumbnail=url_for("images.thumbnail", image_id=record.id, v=version),
        similar=url_for("search.similar", image_id=record.id),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
