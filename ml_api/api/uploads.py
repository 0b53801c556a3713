"""Routes that upload and delete images. Their answers say whether the index has been updated, too."""

from flask import Blueprint, Response

from ml_api import images
from ml_api.access import Scope
from ml_api.api import services
from ml_api.api.answers import json_answer
from ml_api.api.examples import ANSWERS
from ml_api.api.form import FILE_FIELD, MAX_PARTS, SentFile
from ml_api.api.observe import elsewhere, note
from ml_api.api.operation import IMAGE_ID, LATE, NO_DECODING, NO_NOTE, NO_STORE, TIMEOUT, operation, ref
from ml_api.api.parsing import image_id_of, naming, query_parameters, request_deadline
from ml_api.api.preconditions import CHANGES_IF, IF_MATCH, IF_NONE_MATCH, sent_precondition
from ml_api.api.problems import problem_of
from ml_api.api.schemas import JsonObject
from ml_api.api.schemas.uploads import RemovedImage, UploadedImage, UploadParameters, UploadResult, UploadsAnswer, WaitParameters
from ml_api.api.sent_images import METADATA_FIELD, key_in_path, sent_image, sent_images
from ml_api.deadline import Deadline
from ml_api.errors import InvalidImage, MlApiError, TooLarge
from ml_api.indexing.preconditions import ANY, Precondition
from ml_api.indexing.uploads import Upload
from ml_api.vocabulary import UploadState

blueprint = Blueprint("uploads", __name__, url_prefix="/v1/images")

KEY: JsonObject = {
    "name": "key",
    "in": "path",
    "required": True,
    "description": "Path of the file below the corpus root, percent-encoded; it ends as image files do.",
    "schema": {"type": "string", "minLength": 1},
    "example": "uploads/red.png",
}
FILE: JsonObject = {"type": "string", "format": "binary"}
NOT_WRITTEN = ("corpus-read-only", "insufficient-storage", "corpus-unavailable", *NO_NOTE)
BAD_FORM = ("missing-image", "invalid-multipart", "invalid-metadata", "unsupported-media-type", "too-large")
TO_RETURN_S = 0.5
"""Seconds of a request's time that are reserved for its answer after waiting."""


def _accepted(answer: type[UploadedImage | UploadsAnswer | RemovedImage]) -> dict[str, JsonObject]:
    content = {"application/json": {"schema": ref(answer), "example": ANSWERS[answer]}}
    return {"202": {"description": "Done in the corpus; the index follows soon.", "content": content}}


def _form(image: JsonObject, metadata: str) -> JsonObject:
    fields = {FILE_FIELD: image, METADATA_FIELD: {"type": "string", "description": metadata, "default": ""}}
    return {"schema": {"type": "object", "properties": fields, "required": [FILE_FIELD]}}


@blueprint.put("/by-key/<key:key>")
@operation(
    "put_image",
    "Add or replace an image",
    tag="images",
    scope=Scope.WRITE,
    description=f"Formats: {images.ACCEPTED}. The file is the body, or a field of a form with metadata beside it. It is decoded "
    "before anything is written, and written whole or not at all. Safe to repeat. The answer's `ETag` is that of the content.",
    answer=UploadedImage,
    query=WaitParameters,
    parameters=(KEY, IF_MATCH, IF_NONE_MATCH, TIMEOUT),
    body={
        "application/octet-stream": {"schema": FILE},
        "multipart/form-data": _form(FILE, "A JSON object: fields of the image."),
    },
    fails=("invalid-key", "invalid-query", *CHANGES_IF, *BAD_FORM, *NO_DECODING, *NOT_WRITTEN, *LATE),
    also=_accepted(UploadedImage),
)
def put(key: str) -> Response:
    key, wait_s, deadline = key_in_path(key), query_parameters(WaitParameters).wait, request_deadline()
    data, metadata = sent_image()
    note({"ml_api.key": key})
    with naming(FILE_FIELD, (InvalidImage, TooLarge)), elsewhere():
        upload = services().engine.uploads.put(key, data, metadata, deadline, sent_precondition())
        state = services().engine.uploads.state(upload, _until(wait_s, deadline))
    answer = json_answer(_uploaded(upload, state), _status_of(state))
    answer.set_etag(upload.digest)
    return answer


@blueprint.post("")
@operation(
    "upload_images",
    "Add or replace several images",
    tag="images",
    scope=Scope.WRITE,
    description=f"The files of a form, at most {MAX_PARTS - 1}, each under its name, which may have folders (`dogs/rex.jpg`). What "
    "is wrong with one keeps no other out.",
    answer=UploadsAnswer,
    query=UploadParameters,
    parameters=(TIMEOUT,),
    body={
        "multipart/form-data": _form(
            {"type": "array", "items": FILE}, "A JSON object: by the name of a file, an object with fields of the image."
        )
    },
    fails=("invalid-query", *BAD_FORM, *LATE),
    also=_accepted(UploadsAnswer),
)
def post() -> Response:
    wanted, deadline = query_parameters(UploadParameters), request_deadline()
    files, metadata = sent_images()
    precondition = None if wanted.overwrite else Precondition(none_match=ANY)
    with elsewhere():
        kept = [(file.name, _keep(file, metadata, deadline, precondition)) for file in files]
        until = _until(wanted.wait, deadline)
        results = [_result(key, upload, until) for key, upload in kept]
    is_over = all(result.status != 202 for result in results)
    return json_answer(UploadsAnswer(results=results), 200 if is_over else 202)


@blueprint.delete("/<image_id>")
@operation(
    "delete_image",
    "Delete an image",
    tag="images",
    scope=Scope.WRITE,
    description="The file, and with it what is indexed of it.",
    answer=RemovedImage,
    query=WaitParameters,
    parameters=(IMAGE_ID, IF_MATCH, IF_NONE_MATCH, TIMEOUT),
    fails=("invalid-id", "invalid-query", "not-found", "precondition-failed", *NO_STORE, *NOT_WRITTEN, *LATE),
    also=_accepted(RemovedImage),
)
def delete(image_id: str) -> Response:
    wait_s, deadline = query_parameters(WaitParameters).wait, request_deadline()
    with elsewhere():
        key = services().engine.uploads.remove(image_id_of(image_id), deadline, sent_precondition())
        is_removed = services().engine.uploads.is_removed(key, _until(wait_s, deadline))
    note({"ml_api.key": key})
    answer = RemovedImage(id=image_id, key=key, state="removed" if is_removed else "queued")
    return json_answer(answer, 200 if is_removed else 202)


def _keep(file: SentFile, metadata: JsonObject, deadline: Deadline, precondition: Precondition | None) -> Upload | MlApiError:
    try:
        return services().engine.uploads.put(file.name, file.data, metadata.get(file.name), deadline, precondition)
    except MlApiError as exc:
        return exc


def _result(key: str, upload: Upload | MlApiError, until: Deadline) -> UploadResult:
    if isinstance(upload, MlApiError):
        wrong = problem_of(upload)
        return UploadResult(key=key, status=wrong.status, image=None, problem=wrong)
    state = services().engine.uploads.state(upload, until)
    return UploadResult(key=key, status=_status_of(state), image=_uploaded(upload, state), problem=None)


def _until(wait_s: float, deadline: Deadline) -> Deadline:
    """Until when to wait for the index: early enough that the answer about what was stored is still in time."""
    return min(Deadline.within(wait_s), Deadline(deadline.at - TO_RETURN_S, wait_s))


def _status_of(state: UploadState) -> int:
    return 202 if state is UploadState.QUEUED else 200


def _uploaded(upload: Upload, state: UploadState) -> UploadedImage:
    return UploadedImage(
        id=upload.id,
        key=upload.key,
        state=state,
        unchanged=upload.unchanged,
        duplicate_of=upload.duplicate_of,
        digest=upload.digest,
        width=upload.width,
        height=upload.height,
    )
