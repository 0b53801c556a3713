"""Defines every request and answer of the API: the models validate requests, and describe the API in its OpenAPI document."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from ml_api.api.schemas.base import Answer as _Answer
from ml_api.api.schemas.base import Problem
from ml_api.api.schemas.base import Request as _Request
from ml_api.api.schemas.base import whole as _whole
from ml_api.api.schemas.composed import BatchAnswer, BatchQuery, ComposedQuery
from ml_api.api.schemas.duplicates import DuplicatesAnswer
from ml_api.api.schemas.edits import ImagePatch, ImagePatches, PatchesAnswer
from ml_api.api.schemas.embeddings import EmbeddingsAnswer, EmbeddingsQuery, ListedModel, ModelsAnswer
from ml_api.api.schemas.feedback import FeedbackAnswer, FeedbackRequest, JudgementLine
from ml_api.api.schemas.fields import MetadataAnswer
from ml_api.api.schemas.filters import FilterText
from ml_api.api.schemas.found import SearchAnswer, Warnings
from ml_api.api.schemas.heat import HeatmapAnswer
from ml_api.api.schemas.images import ID_PATTERN, StoredImage, cursor
from ml_api.api.schemas.search import ImageQuery, TextQuery, encodable
from ml_api.api.schemas.sync import SyncFilesAnswer, SyncJob, SyncRequest, SyncsAnswer
from ml_api.api.schemas.uploads import EventsAnswer, RemovedImage, UploadedImage, UploadsAnswer
from ml_api.vectors.base import MAX_KEY_BYTES

MAX_LISTED = 1000
"""The most images in one answer of the listing."""
TEXT_BODY_BYTES = 64 * 1024
"""Longest JSON body of a search by text: five times the longest text with each character escaped."""

JsonObject = dict[str, Any]


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
        AfterValidator(encodable),
    ] = ""
    filter: FilterText = None
    count: Annotated[
        bool,
        Field(
            description="Tell how many images there are on all pages together. Not with `prefix`. Takes time in proportion to the "
            "collection where the store cannot say the whole of a filter.",
            examples=[False],
        ),
    ] = False

    @field_validator("count")
    @classmethod
    def _not_by_prefix(cls, count: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
        if count and info.data.get("prefix"):
            raise ValueError('does not go with prefix; a filter has one, too: {"key": {"prefix": "dogs/"}}')
        return count


class ListAnswer(_Answer):
    images: Annotated[
        list[StoredImage], Field(description="In the order of ids. With `prefix` there may be fewer than `limit`, or none.")
    ]
    next: Annotated[str | None, Field(description="`cursor` of the next page; null on the last one.")]
    count: Annotated[int | None, Field(description="With `count`: how many images there are on all pages together.")]
    warnings: Warnings = None


class ModelAnswer(_Answer):
    name: str
    revision: str
    dim: int
    device: str
    precision: str
    text_model: Annotated[
        str | None, Field(description="Name and revision of the model that embeds texts, if that is another one.")
    ]


class CalibrationAnswer(_Answer):
    made_at: Annotated[str | None, Field(description="ISO 8601, in UTC; null while it is to be made anew.")]
    images: Annotated[int, Field(description="How many images there were.")]
    searches: Annotated[int, Field(description="How many searches for what the corpus says of itself it was fitted to.")]
    auc: Annotated[
        float, Field(description="How well it tells whether a text has a match: the area under the ROC curve, cross-validated.")
    ]
    calibration_error: Annotated[float, Field(description="How far its probabilities are from the truth in the mean.")]
    verdicts: Annotated[int, Field(description="Verdicts on searches by one text, with `ML_API_LOG_QUERIES`, that it was given.")]
    judged_texts: Annotated[int, Field(description="Texts that those are on.")]
    used_texts: Annotated[int, Field(description="Of these, texts whose verdicts it was fitted to: 0 if they do not help.")]


class StatsAnswer(_Answer):
    images: Annotated[int, Field(description="How many images can be found.")]
    collection: str
    backend: str
    metric: str
    calibration: Annotated[
        CalibrationAnswer | None,
        Field(
            description="What `relevance` and `confident` of searches by a text rest on; null where they are null, too, and "
            "while the database is away."
        ),
    ] = None


class AliveAnswer(_Answer):
    status: Literal["alive"] = "alive"


class ReadyAnswer(_Answer):
    ready: bool
    parts: Annotated[
        dict[str, str], Field(description="`ok`, or why the part is not ready.", examples=[{"model": "ok", "store": "ok"}])
    ]


REQUESTS: tuple[type[_Request], ...] = (
    *(TextQuery, ImageQuery, ComposedQuery, BatchQuery, ImagePatch, ImagePatches),
    *(FeedbackRequest, SyncRequest, EmbeddingsQuery),
)
ANSWERS: tuple[type[_Answer], ...] = (
    SearchAnswer,
    BatchAnswer,
    MetadataAnswer,
    StoredImage,
    HeatmapAnswer,
    ListAnswer,
    PatchesAnswer,
    DuplicatesAnswer,
    FeedbackAnswer,
    JudgementLine,
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
    ListedModel,
)
"""The models of answers that the OpenAPI document describes by name."""
