"""The requests and answers of `/v1/search` and `/v1/search/batch`."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from ml_api.api.schemas.base import Answer, Problem, Request
from ml_api.api.schemas.found import AnsweredBy, FoundAnswer, Timings
from ml_api.api.schemas.images import ID_PATTERN
from ml_api.api.schemas.search import MAX_QUERY_CHARS, RED_SQUARE, MatchBy, Negation, PageBody, encodable, not_blank

MAX_TERMS: Final = 64
"""The most terms of a query."""
MAX_QUERIES: Final = 64
"""The most queries of a batch."""
MAX_BATCH_TERMS: Final = 256
"""The most terms of all queries of a batch together."""
MAX_MARKS: Final = 64
"""The most images in each of `more_like` and `less_like`."""
MAX_WEIGHT: Final = 1000
MAX_DIM: Final = 8192
"""The longest vector that is parsed; it is compared with the model's dimension later."""


class QueryTerm(Request):
    """One of `text`, `image`, `id` and `vector`."""

    text: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_QUERY_CHARS,
            description="What the images show, in natural language.",
            examples=["a red dress"],
        ),
        AfterValidator(lambda text: text if text is None else not_blank(encodable(text))),
    ] = None
    image: Annotated[
        str | None,
        Field(
            min_length=1,
            description="An image file in base64, bare or as a `data:` URI; in a form, the name of the field with the file.",
            examples=[RED_SQUARE],
        ),
    ] = None
    id: Annotated[
        str | None, Field(description="Id of a stored image, 32 hex digits.", json_schema_extra={"pattern": ID_PATTERN})
    ] = None
    vector: Annotated[
        list[Annotated[float, Field(allow_inf_nan=False)]] | None,
        Field(
            min_length=1,
            max_length=MAX_DIM,
            description="A vector of the model's, as many numbers as it has dimensions; its length does not matter.",
        ),
    ] = None
    weight: Annotated[
        float,
        Field(
            ge=-MAX_WEIGHT,
            le=MAX_WEIGHT,
            allow_inf_nan=False,
            description="How much the term counts beside the others. Below 0, what it describes is avoided; its text is then taken "
            "as it stands.",
            examples=[1],
        ),
    ] = 1.0
    crop: Annotated[
        list[Annotated[float, Field(allow_inf_nan=False)]] | None,
        Field(
            min_length=4,
            max_length=4,
            description="Of an image, the part that counts: x, y, width and height in pixels of the picture as displayed or, if "
            "none is above 1, in shares of its width and height.",
            examples=[[0, 0, 0.5, 1]],
        ),
    ] = None


MarkedIds = Annotated[
    list[str],
    Field(default_factory=list, max_length=MAX_MARKS, json_schema_extra={"items": {"type": "string", "pattern": ID_PATTERN}}),
]


class ComposedQuery(PageBody):
    query: Annotated[
        list[QueryTerm],
        Field(
            min_length=1,
            max_length=MAX_TERMS,
            description="The terms.",
            examples=[[{"text": "two dogs"}, {"text": "snow", "weight": -0.5}]],
        ),
    ]
    exclude_inputs: Annotated[
        bool, Field(description="Leave the stored images that are terms themselves out of the hits.", examples=[True])
    ] = True
    more_like: Annotated[
        MarkedIds,
        Field(description="Ids of stored images that were marked good: what is searched for moves towards them.", examples=[[]]),
    ]
    less_like: Annotated[
        MarkedIds,
        Field(description="Ids of those that were marked bad: it moves away from them, and they are left out.", examples=[[]]),
    ]
    negation: Negation = True
    match: MatchBy = "auto"
    explain: Annotated[
        bool,
        Field(
            description="Tell how much each term, and then each image of `more_like` and of `less_like`, adds to each hit's score.",
            examples=[False],
        ),
    ] = False


class BatchQuery(Request):
    queries: Annotated[
        list[ComposedQuery],
        Field(
            min_length=1,
            max_length=MAX_QUERIES,
            description=f"Searches, each as `/v1/search` takes it; of {MAX_BATCH_TERMS} terms and marked images in all at most.",
        ),
    ]


class BatchResult(Answer):
    query_id: Annotated[str, Field(description="Id of this query, by which its hits are judged.")]
    status: Annotated[int, Field(description="The status that this query alone would have been answered with.")]
    found: FoundAnswer | None
    problem: Problem | None


class BatchAnswer(AnsweredBy):
    results: Annotated[list[BatchResult], Field(description="One for each query, in their order.")]
    timings_ms: Timings
