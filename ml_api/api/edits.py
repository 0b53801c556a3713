"""Routes that change the metadata of stored images."""

from flask import Blueprint, Response

from ml_api.access import Scope
from ml_api.api import services
from ml_api.api.answers import json_answer, stored_image
from ml_api.api.operation import IMAGE_ID, LATE, NO_STORE, TIMEOUT, operation, ref
from ml_api.api.parsing import JSON, MERGE_PATCH, image_id_of, json_body, request_deadline
from ml_api.api.problems import problem_of
from ml_api.api.schemas.edits import (
    MAX_PATCHES,
    PATCH_BODY_BYTES,
    PATCHES_BODY_BYTES,
    ImagePatch,
    ImagePatches,
    PatchesAnswer,
    PatchResult,
)
from ml_api.api.schemas.images import StoredImage
from ml_api.errors import MlApiError
from ml_api.indexing.edits import patch_all, patch_metadata
from ml_api.records import ImageRecord

blueprint = Blueprint("edits", __name__, url_prefix="/v1/images")

PATCH_EXAMPLE = {"metadata": {"price": 49.95, "old": None}}
EDITING = (
    "By merge patches (RFC 7396); no image is embedded. A sync keeps what was set or removed here, field by field, until the "
    "corpus or a catalogue says something else of that field than it did then."
)
BAD_BODY = ("invalid-id", "invalid-query", "invalid-json", "too-large", "unsupported-media-type")


@blueprint.patch("/<image_id>")
@operation(
    "patch_image",
    "Change the metadata of a stored image",
    tag="images",
    description=EDITING,
    scope=Scope.WRITE,
    answer=StoredImage,
    parameters=(IMAGE_ID, TIMEOUT),
    body={kind: {"schema": ref(ImagePatch), "example": PATCH_EXAMPLE} for kind in (MERGE_PATCH, JSON)},
    fails=(*BAD_BODY, "invalid-metadata", "not-found", *NO_STORE, *LATE),
)
def patch(image_id: str) -> Response:
    deadline = request_deadline()
    wanted = json_body(ImagePatch, max_bytes=PATCH_BODY_BYTES, also=MERGE_PATCH)
    return stored_image(patch_metadata(services().engine.store, image_id_of(image_id), wanted.metadata, deadline))


@blueprint.patch("")
@operation(
    "patch_images",
    "Change the metadata of several stored images",
    tag="images",
    description=f"Up to {MAX_PATCHES:,} of them, in one write. {EDITING} What is wrong with one image is its own `problem`; a body "
    "that is not as described is refused as a whole.",
    scope=Scope.WRITE,
    answer=PatchesAnswer,
    parameters=(TIMEOUT,),
    body={JSON: {"schema": ref(ImagePatches), "example": {"images": [{"id": "0" * 32, **PATCH_EXAMPLE}]}}},
    fails=(*BAD_BODY, *NO_STORE, *LATE),
)
def patch_several() -> Response:
    deadline = request_deadline()
    wanted = json_body(ImagePatches, max_bytes=PATCHES_BODY_BYTES).images
    patches = [(image_id_of(one.id, f"images[{place}].id"), one.metadata) for place, one in enumerate(wanted)]
    outcomes = patch_all(services().engine.store, patches, deadline)
    results = [_result(image_id, outcome) for (image_id, _), outcome in zip(patches, outcomes, strict=True)]
    return json_answer(PatchesAnswer(results=results))


def _result(image_id: str, outcome: ImageRecord | MlApiError) -> PatchResult:
    problem = problem_of(outcome) if isinstance(outcome, MlApiError) else None
    return PatchResult(id=image_id, status=problem.status if problem else 200, problem=problem)
