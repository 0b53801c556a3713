"""What the service answers. Written by scripts/client_models.py from the models of the API; not to be edited.

Fields that a newer service adds are ignored; those that may be null are None where an older service has none.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Links(Model):
    self_: str = Field(..., alias="self")
    """The image's record."""
    content: str
    """The original file."""
    thumbnail: str
    """A small preview."""
    similar: str
    """More like this one."""


class GroupedImage(Model):
    id: str
    key: str
    width: int
    height: int
    score: float
    links: Links


class GroupAnswer(Model):
    size: int
    """Images of the group, this hit among them, as far as the ranking was read: there may be more."""
    hits: list[GroupedImage]
    """The others, best first; 10 at most."""


class HitAnswer(Model):
    id: str
    """The first 32 hex digits of the SHA-256 of the key, in UTF-8."""
    key: str
    """Path of the file below the corpus root."""
    width: int
    """Pixels, as displayed."""
    height: int
    """Pixels, as displayed."""
    metadata: dict[str, Any]
    """Facts that came with the corpus."""
    links: Links
    score: float
    """Similarity in the collection's metric; higher is closer."""
    relevance: float | None = None
    """The probability, 0 to 1, that this is a match: comparable across queries, which `score` is not, and the same whatever
    filter, page or group it is found in. Null where nothing is calibrated (`calibrate`), and for queries by a vector, by
    several images, or by negative terms alone.
    """
    shares: list[float] | None = None
    """With `explain`: how much each term of the query, as it was sent, adds to the cosine similarity, which is the score
    itself unless the metric is L2; in the order of the terms.
    """
    matched: list[str] | None = None
    """Where words of the query stand, if these are part of why it was found: `key`, or fields of its metadata as filters
    name them. Else null.
    """
    group: GroupAnswer | None = None
    """With `group`: what else is of the hit's group; null if it is alone."""


class FacetValue(Model):
    value: str | bool | int | float
    count: int
    """Hits that have it; with `group`, groups. Of lists, their elements."""


class NumberRange(Model):
    """Numbers of a field, with bounds as in a filter: `{"price": {"gte": 20, "lt": 50}}`."""

    count: int
    """Hits with a number in it; with `group`, groups."""
    gte: float | None = None
    """Null for no lower bound."""
    lt: float | None = None
    """Null for no upper bound."""


class FacetNumbers(Model):
    least: float
    most: float
    ranges: list[NumberRange]
    """5 at most, ascending, between round numbers, with about equally many hits."""


class FacetsAnswer(Model):
    over: int
    """How many of the best hits were counted; with `group`, how many groups they are."""
    fields: dict[str, list[FacetValue]]
    """By field, the most frequent values first."""
    numbers: dict[str, FacetNumbers] = {}
    """By field, of those that hold numbers."""


class ReadTerm(Model):
    text: str
    weight: float
    """Negative for what is not wanted."""


class Timings(Model):
    """Milliseconds per stage; a stage that the request did not pass through took 0."""

    fetch: float = 0
    decode: float = 0
    prepare: float = 0
    queue: float = 0
    embed: float = 0
    search: float = 0
    total: float = 0


class SearchAnswer(Model):
    query_id: str
    """Id of this request, as in the X-Request-ID header and in the logs."""
    model: str
    """Name of the model whose vectors were searched, as in `/v1/model`."""
    truncated: bool
    """Whether a text was longer than the model reads."""
    hits: list[HitAnswer]
    timings_ms: Timings
    next: int | None = None
    """`offset` of the next page; null on the last one, and after a `cursor`."""
    next_cursor: str | None = None
    """`cursor` of the next page, in which no hit comes again and none is missed, whatever is added or deleted meanwhile; at
    most 3,500 characters, valid for a day. Null on the last page, after 10,000 hits, and after an `offset`.
    """
    confident: bool | None = None
    """Whether any image that the filter leaves is likely a match; null where `relevance` is."""
    facets: FacetsAnswer | None = None
    """With `facets`: how often values occur among the best hits."""
    read_as: list[ReadTerm] | None = None
    """The terms that were searched for in place of texts that say what is not there, in their order; else null."""
    warnings: list[str] | None = None
    """Where no image fulfils the filter: its fields that no image has, with the nearest names, and those whose values are
    of another kind than it compares them with. Else null.
    """


class FoundAnswer(Model):
    """What a query found, alone or among others."""

    truncated: bool
    """Whether a text was longer than the model reads."""
    hits: list[HitAnswer]
    next: int | None = None
    """`offset` of the next page; null on the last one, and after a `cursor`."""
    next_cursor: str | None = None
    """`cursor` of the next page, in which no hit comes again and none is missed, whatever is added or deleted meanwhile; at
    most 3,500 characters, valid for a day. Null on the last page, after 10,000 hits, and after an `offset`.
    """
    confident: bool | None = None
    """Whether any image that the filter leaves is likely a match; null where `relevance` is."""
    facets: FacetsAnswer | None = None
    """With `facets`: how often values occur among the best hits."""
    read_as: list[ReadTerm] | None = None
    """The terms that were searched for in place of texts that say what is not there, in their order; else null."""
    warnings: list[str] | None = None
    """Where no image fulfils the filter: its fields that no image has, with the nearest names, and those whose values are
    of another kind than it compares them with. Else null.
    """


class Problem(Model):
    """An error, after RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    """What was wrong, and what would be right."""
    code: str
    """Stable slug to switch on."""
    request_id: str


class BatchResult(Model):
    query_id: str
    """Id of this query, by which its hits are judged."""
    status: int
    """The status that this query alone would have been answered with."""
    found: FoundAnswer | None = None
    problem: Problem | None = None


class BatchAnswer(Model):
    query_id: str
    """Id of this request, as in the X-Request-ID header and in the logs."""
    model: str
    """Name of the model whose vectors were searched, as in `/v1/model`."""
    results: list[BatchResult]
    """One for each query, in their order."""
    timings_ms: Timings


class FieldValue(Model):
    value: str | bool | int | float
    images: int
    """How often it was seen; of lists, their elements."""


class MetadataField(Model):
    name: str
    """As filters name it."""
    images: int
    """Images that have it, of those that were looked at."""
    types: dict[str, int]
    """Images by type: text, number, boolean, list, object."""
    values: list[FieldValue]
    """The most frequent values; long texts are left out."""
    least: float | None = None
    """Smallest number; null without numbers."""
    most: float | None = None
    """Largest number; null without numbers."""
    distinct: int | None = None
    """How many different values there are; null if they were too many to count."""


class MetadataAnswer(Model):
    over: int
    """How many images were looked at: a sample of large collections."""
    whole: bool
    """Whether these are all images."""
    fields: list[MetadataField]
    """Those that most images have first; 200 at most."""


class StoredImage(Model):
    id: str
    """The first 32 hex digits of the SHA-256 of the key, in UTF-8."""
    key: str
    """Path of the file below the corpus root."""
    width: int
    """Pixels, as displayed."""
    height: int
    """Pixels, as displayed."""
    metadata: dict[str, Any]
    """Facts that came with the corpus."""
    links: Links
    digest: str
    """sha256 of the file's bytes when it was indexed."""
    indexed_at: str


class HeatmapAnswer(Model):
    rows: int
    """Of the grid, which covers the whole picture, as displayed."""
    columns: int
    heat: list[list[float]]
    """Row by row from the top: 0 where the text is found least, 1 where it is found most, in this picture."""
    least: float
    """Cosine similarity of the text and the part of the picture where `heat` is 0."""
    greatest: float
    """The same where `heat` is 1. Hardly more than `least`: the text is everywhere, or nowhere."""
    whole: float
    """Cosine similarity of the text and the whole picture."""


class ListAnswer(Model):
    images: list[StoredImage]
    """In the order of ids. With `prefix` there may be fewer than `limit`, or none."""
    next: str | None = None
    """`cursor` of the next page; null on the last one."""
    count: int | None = None
    """With `count`: how many images there are on all pages together."""
    warnings: list[str] | None = None
    """Where no image fulfils the filter: its fields that no image has, with the nearest names, and those whose values are
    of another kind than it compares them with. Else null.
    """


class PatchResult(Model):
    id: str
    status: int
    """The status that this patch alone would have been answered with."""
    problem: Problem | None = None


class PatchesAnswer(Model):
    results: list[PatchResult]
    """One for each patch, in their order."""


class SizedImage(Model):
    id: str
    """The first 32 hex digits of the SHA-256 of the key, in UTF-8."""
    key: str
    """Path of the file below the corpus root."""
    width: int
    """Pixels, as displayed."""
    height: int
    """Pixels, as displayed."""
    metadata: dict[str, Any]
    """Facts that came with the corpus."""
    links: Links
    digest: str
    """sha256 of the file's bytes when it was indexed."""
    indexed_at: str
    size_bytes: int | None = None
    """Size of the file when it was indexed; null for objects of buckets, whose ETags do not tell it."""


class DuplicateAnswer(Model):
    id: str
    """The first 32 hex digits of the SHA-256 of the key, in UTF-8."""
    key: str
    """Path of the file below the corpus root."""
    width: int
    """Pixels, as displayed."""
    height: int
    """Pixels, as displayed."""
    metadata: dict[str, Any]
    """Facts that came with the corpus."""
    links: Links
    digest: str
    """sha256 of the file's bytes when it was indexed."""
    indexed_at: str
    similarity: float
    """Cosine of the two embeddings, 1 at most."""
    size_bytes: int | None = None
    """Size of the file when it was indexed; null for objects of buckets, whose ETags do not tell it."""
    bits: int | None = None
    """Bits, of 63, in which the perceptual hashes differ: the most of those of the pictures and of their middles, or of
    one's middles and the other; null if one is not known.
    """
    turn: str | None = None
    """How the group's image has to be turned to look like this one."""


class DuplicateGroup(Model):
    kind: str
    """`exact`: the same bytes. `near`: probably the same picture, by perceptual hash and embedding together. `similar`:
    alike by the embedding alone.
    """
    image: SizedImage
    """Of equal files the one to keep: not below `uploads/`, where the page adds files, and indexed first."""
    duplicates: list[DuplicateAnswer]
    more: bool
    """Whether there are more than are listed."""


class DuplicatesAnswer(Model):
    groups: list[DuplicateGroup]
    compared: int
    """How many images were compared."""
    without_hash: int
    """How many of them have no perceptual hash yet, so that no near duplicate of theirs is found."""
    next: str | None = None
    """`cursor` of the next page; null on the last one."""


class FeedbackAnswer(Model):
    query_id: str
    id: str
    verdict: str
    """The one that counts now."""


class JudgementLine(Model):
    query_id: str
    id: str
    """Of the image."""
    grade: int
    """2 for `relevant`, 1 for `clicked`, 0 for `irrelevant`."""
    verdict: str
    rank: int
    """Of the hit, from 1 on."""
    query: dict[str, Any]
    """What was asked for, as `/v1/search` takes it; texts only if they are kept."""
    model: str
    comment: str
    judged_at: str


class ModelAnswer(Model):
    name: str
    revision: str
    dim: int
    device: str
    precision: str
    text_model: str | None = None
    """Name and revision of the model that embeds texts, if that is another one."""


class CalibrationAnswer(Model):
    images: int
    """How many images there were."""
    searches: int
    """How many searches for what the corpus says of itself it was fitted to."""
    auc: float
    """How well it tells whether a text has a match: the area under the ROC curve, cross-validated."""
    calibration_error: float
    """How far its probabilities are from the truth in the mean."""
    verdicts: int
    """Verdicts on searches by one text, with `ML_API_LOG_QUERIES`, that it was given."""
    judged_texts: int
    """Texts that those are on."""
    used_texts: int
    """Of these, texts whose verdicts it was fitted to: 0 if they do not help."""
    made_at: str | None = None
    """ISO 8601, in UTC; null while it is to be made anew."""


class StatsAnswer(Model):
    images: int
    """How many images can be found."""
    collection: str
    backend: str
    metric: str
    calibration: CalibrationAnswer | None = None
    """What `relevance` and `confident` of searches by a text rest on; null where they are null, too, and while the database
    is away.
    """


class SyncAnswer(Model):
    """The report of a sync, as far as it came."""

    summary: str
    """In words."""
    outcomes: dict[str, int]
    """Number of files by outcome."""
    seconds: float
    """Time that it took, after it was planned; 0 if it did not end."""
    not_listed: list[str]
    """What could not be listed, and why; what is indexed of it stays."""
    metadata: list[str]
    """Problems of the metadata."""


class SyncPlan(Model):
    """What a sync would do, told by names, sizes and times alone."""

    counts: dict[str, int]
    """Number of files by outcome; duplicates count as added."""
    examples: dict[str, list[str]]
    """Some keys of each outcome."""
    to_read: int
    """Files that would be read."""
    passed_over: dict[str, int]
    """Number of files that are not indexed, by reason."""
    refused: str | None = None
    """Why the sync would be refused, and the consent to continue."""


class SyncLinks(Model):
    self_: str = Field(..., alias="self")
    """This sync."""
    files: str
    """What became of single files."""


class SyncJob(Model):
    id: int
    kind: str
    """What it is: a sync, a plan, or an operation of a command."""
    state: str
    """`queued` and `running` are active, all others final."""
    corpus: str
    """The folder or bucket."""
    options: dict[str, bool]
    """What it was asked for with."""
    requested_at: str
    cancelled: bool
    """Whether it was asked to stop."""
    done: int
    """Files that are accounted for."""
    total: int
    """Files and index entries that it is about; 0 until it is planned."""
    error: str
    """Why it was refused, failed or was stopped; empty otherwise."""
    links: SyncLinks
    started_at: str | None = None
    ended_at: str | None = None
    report: SyncAnswer | None = None
    plan: SyncPlan | None = None
    """Of a dry run."""


class SyncsAnswer(Model):
    last: list[SyncJob]
    """Those that are over, the last one first."""
    active: SyncJob | None = None
    """The one that is queued or running."""


class SyncFile(Model):
    key: str
    outcome: str
    code: str
    """Stable slug of the reason; empty where nothing went wrong."""
    reason: str


class SyncFilesAnswer(Model):
    files: list[SyncFile]
    next: int | None = None
    """`cursor` of the next page; null on the last one."""


class AliveAnswer(Model):
    status: str = "alive"


class ReadyAnswer(Model):
    ready: bool
    parts: dict[str, str]
    """`ok`, or why the part is not ready."""


class UploadedImage(Model):
    id: str
    """The first 32 hex digits of the SHA-256 of the key, in UTF-8."""
    key: str
    """Path of the file below the corpus root."""
    state: str
    """`searchable`; `queued`: safe in the corpus, and searchable soon; `superseded`: another upload, or a deletion, under
    its key came after it; `failed`: kept, but the model makes no vector of it.
    """
    unchanged: bool
    """Whether these bytes were there already under this key, so that nothing was written."""
    digest: str
    """sha256 of the file's bytes."""
    width: int
    """Pixels, as displayed."""
    height: int
    """Pixels, as displayed."""
    duplicate_of: str | None = None
    """Key of another indexed image with the same bytes; null if none is known."""


class UploadResult(Model):
    key: str
    """Name of the file in the form."""
    status: int
    """The status that this file alone would have been answered with."""
    image: UploadedImage | None = None
    problem: Problem | None = None


class UploadsAnswer(Model):
    results: list[UploadResult]
    """One for each file, in their order."""


class RemovedImage(Model):
    id: str
    key: str
    state: str
    """`queued`: the file is deleted, and no longer found soon."""


class EventsAnswer(Model):
    accepted: int
    """Notifications of this corpus, which are durable now."""
    ignored: int
    """Notifications about other buckets, prefixes or things."""


class EmbeddingAnswer(Model):
    index: int
    """Place of the input in the request, from 0."""
    embedding: list[float] | str
    """L2-normalised; comparable across texts and images."""
    truncated: bool
    """Whether the text was longer than the model reads."""
    object: str = "embedding"


class EmbeddingsUsage(Model):
    prompt_tokens: int
    """Tokens of the texts that the model read; 0 for images."""
    total_tokens: int


class EmbeddingsAnswer(Model):
    data: list[EmbeddingAnswer]
    model: str
    """Name of the model, as in `/v1/model`."""
    usage: EmbeddingsUsage
    object: str = "list"


class ListedModel(Model):
    id: str
    """Name of the model, as in `/v1/model`."""
    object: str = "model"
    created: int = 0
    """Not known, and 0."""
    owned_by: str = "ml_api"


class ModelsAnswer(Model):
    data: list[ListedModel]
    object: str = "list"
