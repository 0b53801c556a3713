"""Stored images: their records, their files, their previews. Files are reached by id only, never by a path."""

import hashlib
import unicodedata
from urllib.parse import quote

from flask import Blueprint, Response, request

from ml_api import images
from ml_api.access import Scope
from ml_api.api import services
from ml_api.api.answers import heatmap_answer, stored_image, stored_images
from ml_api.api.listing import listed
from ml_api.api.observe import elsewhere
from ml_api.api.operation import IMAGE_ID, LATE, NO_DECODING, NO_MODEL, NO_STORE, TIMEOUT, operation
from ml_api.api.parsing import image_id_of, query_parameters, request_deadline
from ml_api.api.schemas import JsonObject, ListAnswer, ListParameters
from ml_api.api.schemas.heat import HeatmapAnswer, HeatmapParameters
from ml_api.api.schemas.images import StoredImage
from ml_api.corpus.keys import require_image
from ml_api.deadline import Deadline
from ml_api.errors import CorpusUnavailable, NotFound
from ml_api.images import Whole
from ml_api.records import ImageRecord
from ml_api.search.heat import heat_of
from ml_api.search.unfulfilled import warnings_on
from ml_api.vectors.base import no_image
from ml_api.vectors.filters import parse_text

blueprint = Blueprint("images", __name__, url_prefix="/v1/images")

VERSION: JsonObject = {
    "name": "v",
    "in": "query",
    "required": False,
    "description": "First digits of the file's digest, as in links; with it the answer may be cached for a year.",
    "schema": {"type": "string"},
}
BINARY = {"schema": {"type": "string", "format": "binary"}}
NOT_MODIFIED = {"304": {"description": "What the client holds (`If-None-Match`) is current."}}
PART = {"206": {"description": "The part of the file that `Range` asks for.", "content": {"application/octet-stream": BINARY}}}
NOT_STORED = ("invalid-id", "invalid-query", "not-found", *NO_STORE, *LATE)
NO_FILE = ("image-too-large", "corpus-unavailable")
A_YEAR_S = 31_536_000


@blueprint.get("")
@operation(
    "list_images",
    "List the stored images",
    tag="images",
    scope=Scope.SEARCH,
    description="Page by page, in the order of ids: with `next` as the `cursor` of the following request, until `next` is null. "
    "Every image that is stored all the while comes exactly once, whatever is added and removed meanwhile.",
    answer=ListAnswer,
    query=ListParameters,
    parameters=(TIMEOUT,),
    fails=("invalid-query", *NO_STORE, *LATE),
)
def listing() -> Response:
    wanted, deadline = query_parameters(ListParameters), request_deadline()
    passing = None if wanted.filter is None else parse_text(wanted.filter)
    entries, following = listed(services().engine.store, wanted, passing, deadline)
    stored = services().engine.store.get([entry.id for entry in entries], deadline)
    count = services().engine.store.count(deadline, filter=passing) if wanted.count else None
    is_empty = not (entries or wanted.cursor or wanted.prefix)
    overview = services().engine.searcher.fields.overview
    warnings = warnings_on(passing, overview, deadline) if passing is not None and is_empty else ()
    return stored_images((stored[entry.id] for entry in entries if entry.id in stored), following, count, warnings)


@blueprint.get("/<image_id>")
@operation(
    "get_image",
    "Look up a stored image",
    tag="images",
    scope=Scope.SEARCH,
    answer=StoredImage,
    parameters=(IMAGE_ID, TIMEOUT),
    fails=NOT_STORED,
)
def record(image_id: str) -> Response:
    return stored_image(_stored(image_id, request_deadline()))


@blueprint.get("/<image_id>/content")
@operation(
    "get_image_content",
    "Download the original file",
    description="`Range` asks for a part in bytes, such as `bytes=0-65535`. Of several parts the whole file is sent.",
    tag="images",
    scope=Scope.SEARCH,
    answer={"image/*": BINARY, "application/octet-stream": BINARY},
    parameters=(IMAGE_ID, VERSION, TIMEOUT),
    fails=(*NOT_STORED, *NO_FILE, "range-not-satisfiable"),
    also=NOT_MODIFIED | PART,
)
def content(image_id: str) -> Response:
    deadline = request_deadline()
    stored = _stored(image_id, deadline)
    if _holds(stored) and _names(stored.digest):  # the address names the version that the client holds
        return _cacheable(b"", "application/octet-stream", stored.digest)
    data = _file(stored, deadline)
    media_type = images.MEDIA_TYPES.get(images.identify(data) or "", "application/octet-stream")
    response = _cacheable(data, media_type, hashlib.sha256(data).hexdigest(), ranges=True)
    _name(response, stored.key.rpartition("/")[2])
    return response


def _name(response: Response, name: str) -> None:
    """What a browser calls the file when it saves it, also to browsers that know ASCII only (RFC 6266, appendix D)."""
    decomposed = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = "".join(char if char.isprintable() and char not in '"\\/%' else "_" for char in decomposed)
    names = {"filename": plain} if plain == name else {"filename": plain, "filename*": f"UTF-8''{quote(name, safe='')}"}
    response.headers.set("Content-Disposition", "inline", **names)


@blueprint.get("/<image_id>/thumbnail")
@operation(
    "get_image_thumbnail",
    "Show a small preview",
    tag="images",
    scope=Scope.SEARCH,
    answer={images.THUMBNAIL_MEDIA_TYPE: BINARY, "application/octet-stream": BINARY},  # generated clients know files by the latter
    parameters=(IMAGE_ID, VERSION, TIMEOUT),
    fails=(*NOT_STORED, *NO_FILE, *NO_DECODING),
    also=NOT_MODIFIED,
)
def thumbnail(image_id: str) -> Response:
    deadline = request_deadline()
    stored = _stored(image_id, deadline)
    if _holds(stored):  # nothing to read: the digest says what the client holds
        return _cacheable(b"", images.THUMBNAIL_MEDIA_TYPE, stored.digest)
    cached = services().thumbnails.cached(stored.digest)
    if cached is not None:
        return _cacheable(cached, images.THUMBNAIL_MEDIA_TYPE, stored.digest)
    data = _file(stored, deadline)
    digest = hashlib.sha256(data).hexdigest()  # the file may have changed since it was indexed
    with elsewhere():
        preview = services().thumbnails.make(digest, data, deadline)
    return _cacheable(preview, images.THUMBNAIL_MEDIA_TYPE, digest)


@blueprint.get("/<image_id>/heatmap")
@operation(
    "get_image_heatmap",
    "Show where in a stored image a text is found",
    description="The picture is looked at part by part, some 25 to 60 of them: it takes as long as embedding so many images. "
    "The text is taken as it stands.",
    tag="images",
    scope=Scope.SEARCH,
    answer=HeatmapAnswer,
    query=HeatmapParameters,
    parameters=(IMAGE_ID, TIMEOUT),
    fails=(*NOT_STORED, *NO_FILE, *NO_DECODING, *NO_MODEL),
)
def heatmap(image_id: str) -> Response:
    wanted, deadline = query_parameters(HeatmapParameters), request_deadline()
    engine = services().engine
    query = engine.preprocessor.prepare_text(wanted.q)
    stored = _stored(image_id, deadline)
    with elsewhere():
        whole = services().decoder.decode(_file(stored, deadline), Whole(2 * engine.preprocessor.fit.edge_px), deadline)
    heat = heat_of(whole.pixels, query, engine.preprocessor, engine.embedder, deadline)
    return heatmap_answer(heat)


def _stored(image_id: str, deadline: Deadline) -> ImageRecord:
    stored = services().engine.store.get([image_id_of(image_id)], deadline).get(image_id)
    if stored is None:
        raise no_image(image_id)
    return stored


def _file(stored: ImageRecord, deadline: Deadline) -> bytes:
    try:
        with elsewhere():  # a bucket may be far away
            require_image(stored.key)
            return services().corpus.read(stored.key, services().limits.max_bytes, deadline)
    except NotFound as exc:
        raise NotFound(f"the file of image {stored.id} is no longer in the corpus; the next sync will notice") from exc
    except CorpusUnavailable as exc:  # a disk that fails, rights, too many open files: it may well be there
        raise CorpusUnavailable(f"the file of image {stored.id} cannot be read now") from exc


def _holds(stored: ImageRecord) -> bool:
    """Whether the client says that it holds the indexed version. If-Match is judged first (RFC 9110, 13.2.2), by the file."""
    return request.if_none_match.contains_weak(stored.digest) and not request.if_match


def _names(digest: str) -> bool:
    """Whether the address names this version of the file."""
    version = request.args.get("v", "")
    return len(version) >= 8 and digest.startswith(version)


def _cacheable(data: bytes, media_type: str, digest: str, *, ranges: bool = False) -> Response:
    """An image that browsers may cache, and must not take for a page or a script."""
    response = Response(data, content_type=media_type)
    response.set_etag(digest)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.cache_control.private = True
    if _names(digest):
        response.cache_control.max_age = A_YEAR_S
        response.cache_control.immutable = True
    else:
        response.cache_control.no_cache = True
    if ranges:
        response.accept_ranges = "bytes"
    response.make_conditional(request, accept_ranges=ranges and _asks_for_one_part(), complete_length=len(data))
    return response


def _asks_for_one_part() -> bool:
    """Others may be ignored (RFC 9110, 14.2); werkzeug would refuse them."""
    return request.range is not None and request.range.units == "bytes" and len(request.range.ranges) == 1
