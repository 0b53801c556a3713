"""Every request and answer, defined once: these models validate what comes in and describe the API in its OpenAPI document."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ml_api.api.schemas.base import Answer as _Answer
from ml_api.api.schemas.base import Problem
from ml_api.api.schemas.base import Request as _Request
from ml_api.api.schemas.base import whole as _whole
from ml_api.api.schemas.duplicates import DuplicatesAnswer
from ml_api.api.schemas.embeddings import EmbeddingsAnswer, EmbeddingsQuery, ModelsAnswer
from ml_api.api.schemas.images import ID_PATTERN, ImageAnswer, StoredImage, cursor
from ml_api.api.schemas.sync import SyncFilesAnswer, SyncJob, SyncRequest, SyncsAnswer
from ml_api.api.schemas.uploads import EventsAnswer, RemovedImage, UploadedImage, UploadsAnswer
from ml_api.vectors.base import MAX_KEY_BYTES, MAX_METADATA_BYTES

MAX_LIMIT = 100
MAX_OFFSET = 10_000
MAX_LISTED = 1000
"""Images in one answer of the listing."""
MAX_QUERY_CHARS = 1000
TEXT_BODY_BYTES = 64 * 1024
"""Of a search by text as JSON: five times the longest text, each character of it escaped."""

PATCH_BODY_BYTES = 6 * MAX_METADATA_BYTES
"""Of a patch of metadata: the largest, each character of it escaped."""

RED_SQUARE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mM8oaHBgA0wMeAAg1MCAOA4ASjhBhuDAAAAAElFTkSuQmCC"
)
"""An image small enough to stand in the documentation."""

JsonObject = dict[str, Any]


def _encodable(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("holds a lone surrogate, which is not a character; send valid Unicode")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank; describe what the images should show")
    return text.strip()


class PageParameters(_Request):
    limit: Annotated[
        int,
        Field(ge=1, le=MAX_LIMIT, description="How many images to return.", examples=[10]),
        BeforeValidator(_whole),
    ] = 10
    offset: Annotated[
        int,
        Field(ge=0, le=MAX_OFFSET, description="How many of the best to skip.", examples=[0]),
        BeforeValidator(_whole),
    ] = 0
    exact: Annotated[
        bool,
        Field(
            description="Compare with every stored vector instead of asking the index, which may miss some. Takes time in "
            "proportion to the collection: seconds for 100,000 images.",
            examples=[False],
        ),
    ] = False


class TextQuery(PageParameters):
    q: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_QUERY_CHARS,
            description="What the images should show, in natural language. Always taken as plain text.",
            examples=["two dogs playing in the snow"],
        ),
        AfterValidator(_encodable),
        AfterValidator(_not_blank),
    ]


class ImageQuery(_Request):
    image: Annotated[
        str,
        Field(
            min_length=1,
            description="The image file in base64, bare or as a `data:image/...;base64,` URI. URLs are not fetched.",
            examples=[RED_SQUARE],
        ),
    ]


class ListParameters(_Request):
    limit: Annotated[
        int,
        Field(ge=1, le=MAX_LISTED, description="How many images to return at most.", examples=[10]),
        BeforeValidator(_whole),
    ] = 100
    cursor: Annotated[
        str | None,
        Field(description="Where to continue: `next` of the answer before.", json_schema_extra={"pattern": ID_PATTERN}),
        AfterValidator(lambda text: text if text is None else cursor(text)),
    ] = None
    prefix: Annotated[
        str,
        Field(max_length=MAX_KEY_BYTES, description="Beginning of the keys, such as a folder: `dogs/`."),
        AfterValidator(_encodable),
    ] = ""


class ImagePatch(_Request):
    metadata: Annotated[
        JsonObject | None,
        Field(
            description="A merge patch (RFC 7396): fields to set, null for those to remove; null for the object removes all.",
            examples=[{"price": 49.95, "tags": ["red", "sale"], "old": None}],
        ),
    ]


class HitAnswer(ImageAnswer):
    score: Annotated[float, Field(description="Similarity in the collection's metric; higher is closer.")]


class ListAnswer(_Answer):
    images: Annotated[
        list[StoredImage], Field(description="In the order of ids. With `prefix` there may be fewer than `limit`, or none.")
    ]
    next: Annotated[str | None, Field(description="`cursor` of the next page; null on the last one.")]


class Timings(_Answer):
    """Milliseconds per stage; a stage that the request did not pass through took 0."""

    fetch: float = 0
    decode: float = 0
    prepare: float = 0
    queue: float = 0
    embed: float = 0
    search: float = 0
    total: float = 0


class SearchAnswer(_Answer):
    query_id: Annotated[str, Field(description="Id of this request, as in the X-Request-ID header and in the logs.")]
    model: Annotated[str, Field(description="Name of the model whose vectors were searched, as in `/v1/model`.")]
    truncated: Annotated[bool, Field(description="Whether the text was longer than the model reads.")]
    next: Annotated[int | None, Field(description="`offset` of the next page; null on the last one.")]
    hits: list[HitAnswer]
    timings_ms: Timings


class ModelAnswer(_Answer):
    name: str
    revision: str
    dim: int
    device: str
    precision: str
    text_model: Annotated[
        str | None, Field(description="Name and revision of the model that embeds texts, if that is another one.")
    ]


class StatsAnswer(_Answer):
    images: Annotated[int, Field(description="How many images can be found.")]
    collection: str
    backend: str
    metric: str


class AliveAnswer(_Answer):
    status: Literal["alive"] = "alive"


class ReadyAnswer(_Answer):
    ready: bool
    parts: Annotated[
        dict[str, str], Field(description="`ok`, or why the part is not ready.", examples=[{"model": "ok", "store": "ok"}])
    ]


REQUESTS: tuple[type[_Request], ...] = (TextQuery, ImageQuery, ImagePatch, SyncRequest, EmbeddingsQuery)
ANSWERS: tuple[type[_Answer], ...] = (
    SearchAnswer,
    StoredImage,
    ListAnswer,
    DuplicatesAnswer,
    ModelAnswer,
    StatsAnswer,
    SyncJob,
    SyncsAnswer,
    SyncFilesAnswer,
    AliveAnswer,
    ReadyAnswer,
    Problem,
    UploadedImage,
    UploadsAnswer,
    RemovedImage,
    EventsAnswer,
    EmbeddingsAnswer,
    ModelsAnswer,
)
"""What the OpenAPI document describes by name."""
