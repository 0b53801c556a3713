"""The answers of searches: pages of hits, with the fields that concern the whole search."""

from typing import Annotated

from pydantic import Field

from ml_api.api.schemas.arrangement import FacetsAnswer, GroupAnswer
from ml_api.api.schemas.base import Answer
from ml_api.api.schemas.images import ImageAnswer
from ml_api.search.cursor import MAX_CURSOR_CHARS
from ml_api.search.query import MAX_DEPTH

Warnings = Annotated[
    list[str] | None,
    Field(
        description="Where no image fulfils the filter: its fields that no image has, with the nearest names, and those whose "
        "values are of another kind than it compares them with. Else null."
    ),
]


class HitAnswer(ImageAnswer):
    score: Annotated[float, Field(description="Similarity in the collection's metric; higher is closer.")]
    relevance: Annotated[
        float | None,
        Field(
            description="The probability, 0 to 1, that this is a match: comparable across queries, which `score` is not, and the "
            "same whatever filter, page or group it is found in. Null where nothing is calibrated (`calibrate`), and for queries "
            "by a vector, by several images, or by negative terms alone."
        ),
    ] = None
    shares: Annotated[
        list[float] | None,
        Field(
            description="With `explain`: how much each term of the query, as it was sent, adds to the cosine similarity, which is "
            "the score itself unless the metric is L2; in the order of the terms."
        ),
    ] = None
    matched: Annotated[
        list[str] | None,
        Field(
            description="Where words of the query stand, if these are part of why it was found: `key`, or fields of its metadata "
            "as filters name them. Else null."
        ),
    ] = None
    group: Annotated[
        GroupAnswer | None, Field(description="With `group`: what else is of the hit's group; null if it is alone.")
    ] = None


class Timings(Answer):
    """Milliseconds per stage; a stage that the request did not pass through took 0."""

    fetch: float = 0
    decode: float = 0
    prepare: float = 0
    queue: float = 0
    embed: float = 0
    search: float = 0
    total: float = 0


class AnsweredBy(Answer):
    query_id: Annotated[str, Field(description="Id of this request, as in the X-Request-ID header and in the logs.")]
    model: Annotated[str, Field(description="Name of the model whose vectors were searched, as in `/v1/model`.")]


class ReadTerm(Answer):
    text: str
    weight: Annotated[float, Field(description="Negative for what is not wanted.")]


class FoundAnswer(Answer):
    """What a query found, alone or among others."""

    truncated: Annotated[bool, Field(description="Whether a text was longer than the model reads.")]
    next: Annotated[int | None, Field(description="`offset` of the next page; null on the last one, and after a `cursor`.")]
    next_cursor: Annotated[
        str | None,
        Field(
            description="`cursor` of the next page, in which no hit comes again and none is missed, whatever is added or deleted "
            f"meanwhile; at most {MAX_CURSOR_CHARS:,} characters, valid for a day. Null on the last page, after {MAX_DEPTH:,} "
            "hits, and after an `offset`."
        ),
    ] = None
    confident: Annotated[
        bool | None, Field(description="Whether any image that the filter leaves is likely a match; null where `relevance` is.")
    ] = None
    hits: list[HitAnswer]
    facets: Annotated[FacetsAnswer | None, Field(description="With `facets`: how often values occur among the best hits.")] = None
    read_as: Annotated[
        list[ReadTerm] | None,
        Field(
            description="The terms that were searched for in place of texts that say what is not there, in their order; else null."
        ),
    ] = None
    warnings: Warnings = None


class SearchAnswer(FoundAnswer, AnsweredBy):
    timings_ms: Timings
