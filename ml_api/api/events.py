"""The route that receives notifications of buckets, `POST /v1/events`: images that were created, overwritten or deleted there."""

from flask import Blueprint, Response, request

from ml_api.access import Scope
from ml_api.api import services
from ml_api.api.answers import json_answer
from ml_api.api.notifications import BATCH, JSON, STRUCTURED, objects_in
from ml_api.api.operation import NO_NOTE, operation
from ml_api.api.schemas import JsonObject
from ml_api.api.schemas.uploads import EventsAnswer
from ml_api.indexing.changes import Source

blueprint = Blueprint("events", __name__, url_prefix="/v1/events")

RECORDS: JsonObject = {
    "Records": [
        {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "photos"}, "object": {"key": "dogs/rex+and+max.jpg"}}},
    ]
}
CLOUD_EVENT: JsonObject = {
    "specversion": "1.0",
    "id": "1",
    "type": "google.cloud.storage.object.v1.finalized",
    "source": "//storage.googleapis.com/projects/_/buckets/photos",
    "subject": "objects/dogs/rex.jpg",
}
NOTIFICATION: JsonObject = {"type": "object", "title": "BucketNotification"}
EVENT: JsonObject = {"type": "object", "title": "CloudEvent"}


@blueprint.post("")
@operation(
    "receive_events",
    "Take notifications of a bucket",
    tag="images",
    scope=Scope.WRITE,
    description="Of S3 and MinIO (`Records`), or CloudEvents, as Google Cloud Storage and Azure send them: structured, in batches "
    "or binary. They may come twice and in any order. The answer comes when they are durable; the index follows. Those "
    "about other buckets and prefixes are ignored.",
    answer=EventsAnswer,
    body={
        JSON: {"schema": NOTIFICATION, "example": RECORDS},
        STRUCTURED: {"schema": EVENT, "example": CLOUD_EVENT},
        BATCH: {"schema": {"type": "array", "items": {"type": "object"}}, "example": [CLOUD_EVENT]},
    },
    fails=("invalid-event", "invalid-query", "too-large", "unsupported-media-type", *NO_NOTE),
)
def post() -> Response:
    headers = {name.lower(): value for name, value in request.headers.items()}
    places = objects_in(request.get_data(cache=False), request.mimetype, headers)
    keys = [key for place in places if place is not None and (key := services().corpus.key_of(place)) is not None]
    services().changes.note(keys, Source.EVENT)
    return json_answer(EventsAnswer(accepted=len(keys), ignored=len(places) - len(keys)))


@blueprint.after_request
def consent(response: Response) -> Response:
    """Allow every origin to send notifications, which Azure's Event Grid and others ask for first by OPTIONS
    (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md). The notifications need an API key all the same.
    """
    origin = request.headers.get("WebHook-Request-Origin")
    if request.method == "OPTIONS" and origin:
        response.headers["WebHook-Allowed-Origin"] = origin
        response.headers["WebHook-Allowed-Rate"] = "*"
    return response
