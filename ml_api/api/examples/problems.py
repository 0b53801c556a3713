"""Examples of errors, by code. A test compares them with real errors."""

from ml_api import images
from ml_api.api import schemas
from ml_api.api.examples.answers import DRAWN_ID, REQUEST_ID, UPLOADED_DIGEST
from ml_api.api.form import MAX_PARTS
from ml_api.api.problems import body_of
from ml_api.api.schemas.search import MAX_LIMIT
from ml_api.settings import Settings

_MAX_BYTES, _TIMEOUT_S, _DECODE_S = (
    Settings.model_fields[name].default for name in ("max_upload_bytes", "request_timeout_s", "decode_timeout_s")
)
PROBLEMS: dict[str, tuple[int, str]] = {
    "invalid-query": (400, f"limit: must be a whole number from 1 to {MAX_LIMIT} (got '0')"),
    "invalid-crop": (
        400,
        "query[1].crop: must be [x, y, width, height] with x and y from 0 and both sides above 0 (got [0, 0, 0, 9])",
    ),
    "invalid-cursor": (
        400,
        "cursor: has only 4 characters, fewer than any has; send it whole, or begin again without cursor",
    ),
    "invalid-json": (400, "the body is not valid JSON, from line 1, column 12 on"),
    "invalid-base64": (400, "image: is a URL, and URLs are not fetched; send the file itself, in base64"),
    "invalid-multipart": (
        400,
        f"the form is malformed or cut off; send multipart/form-data of at most {MAX_PARTS} fields, whole to the last boundary",
    ),
    "missing-image": (400, "image: must be one file (got 0; fields sent: file)"),
    "invalid-id": (400, "id: must be 32 lower-case hex digits, as in the hits of a search (got '1')"),
    "invalid-key": (400, "no image can have the key '../red.png': it has a part '.' or '..'"),
    "invalid-event": (400, "Records[0].s3: must hold bucket.name and object.key, both texts"),
    "invalid-metadata": (400, "metadata: is not valid JSON, from line 1, column 12 on"),
    "corpus-read-only": (403, "the corpus cannot be changed: this service may only read it"),
    "database-full": (507, "The disk is full on which the database /srv/data/ml_api.sqlite3 lies; nothing was changed."),
    "insufficient-storage": (507, "no room is left in the corpus for 'uploads/red.png'; nothing was written"),
    "invalid-timeout": (400, f"X-Request-Timeout: must be a number of seconds above 0 and at most {_TIMEOUT_S:g} (got '0')"),
    "unauthorized": (401, "this service asks for an API key: send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`"),
    "invalid-api-key": (401, "the API key is not one of this service's"),
    "insufficient-scope": (403, "this needs the scope search; the API key 1f6a3c90 (camera) has write"),
    "cross-origin": (
        403,
        (
            "a page of 'https://evil.example' may not ask this of 'localhost'; "
            "a proxy between them has to pass its own name on, in Host or X-Forwarded-Host"
        ),
    ),
    "not-a-hit": (400, f"id: the image {DRAWN_ID} is none of the 10 hits of the search '{REQUEST_ID}'; judge what it found"),
    "not-found": (404, f"no image has the id {DRAWN_ID}"),
    "query-not-found": (
        404,
        f"query_id: no search '{REQUEST_ID}' with hits is kept (those of the last 7 days are, 100,000 at most)",
    ),
    "precondition-failed": (
        412,
        (
            "'uploads/red.png' is there already; to change what is there now send "
            f'If-Match: "{UPLOADED_DIGEST}", or choose another key'
        ),
    ),
    "already-there": (412, "'uploads/red.png' holds these very bytes already"),
    "model-not-found": (404, "model: this service runs 'clip-ViT-B-32'; name that (got 'other')"),
    "sync-refused": (409, "sync 4 of /srv/other into this collection is under way; nothing was changed"),
    "too-large": (
        413,
        f"image: The image file has {_MAX_BYTES + 1:,} bytes; at most {_MAX_BYTES:,} are accepted (ML_API_MAX_UPLOAD_BYTES).",
    ),
    "image-too-large": (413, f"the file has more than {_MAX_BYTES:,} bytes, the largest allowed"),
    "unsupported-media-type": (415, "the body is text/plain; send application/json"),
    "range-not-satisfiable": (416, "the range 'bytes=900000-' lies behind the end of the file"),
    "image-format": (422, f"image: The file looks like text; accepted are {images.ACCEPTED}."),
    "image-truncated": (422, "image: The JPEG file ends before the image does; it may have been cut off."),
    "image-too-costly": (422, f"image: Decoding the image takes more than {_DECODE_S:g} s; send a smaller or simpler one."),
    "misdirected-request": (
        421,
        "this service does not answer to 'photos.example'; if that is its name, ML_API_ALLOWED_HOSTS must list it",
    ),
    "decoding-unavailable": (503, "No process can be started to decode the image in; try again later."),
    "corpus-unavailable": (503, f"the file of image {DRAWN_ID} cannot be read now"),
    "model-unavailable": (503, "The model is not running."),
    "store-unavailable": (503, "the vector store is not open"),
    "database-unavailable": (503, "The database /srv/data/ml_api.sqlite3 does not answer (unable to open database file)."),
    "overloaded": (503, "more requests are waiting than can be answered in time; try again"),
    "deadline-exceeded": (504, f"the answer was not ready within {_TIMEOUT_S:g} s"),
}
"""The status and an example of `detail` for each code."""


def problem(code: str) -> schemas.JsonObject:
    status, detail = PROBLEMS[code]
    return body_of(status, code, detail, REQUEST_ID).model_dump()
