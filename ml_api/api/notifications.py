"""Notifications of buckets, in the forms in which storage services send them, as the objects that they name.

S3 and MinIO: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
CloudEvents over HTTP, structured, in batches and binary: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from ml_api.errors import InvalidEvent, TooLarge, UnsupportedMedia

MAX_BYTES: Final = 4 * 2**20
"""Bytes of one request: some thousands of notifications."""
JSON: Final = "application/json"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

_GCS_SOURCE: Final = re.compile(r"//storage\.googleapis\.com/projects/[^/]*/buckets/([^/]+)")
_GCS_SUBJECT: Final = re.compile(r"objects/(.+)", re.DOTALL)
_AZURE_SUBJECT: Final = re.compile(r"/blobServices/[^/]+/containers/([^/]+)/blobs/(.+)", re.DOTALL)

Event = Mapping[str, Any]


def objects_in(data: bytes, content_type: str, headers: Mapping[str, str]) -> list[str | None]:
    """`bucket/key` for each notification, decoded; None for one that is about no object. Raises InvalidInput."""
    if content_type not in {JSON, STRUCTURED, BATCH}:
        raise UnsupportedMedia(f"the body is {content_type or 'of no stated type'}; send {JSON}, {STRUCTURED} or {BATCH}")
    if len(data) > MAX_BYTES:
        raise TooLarge(f"the notifications have {len(data):,} bytes; at most {MAX_BYTES:,} are read at once")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise InvalidEvent("the body is not valid JSON") from exc
    if content_type == BATCH:
        if not isinstance(body, list):
            raise InvalidEvent(f"the body is no JSON array, as {BATCH} has to be")
        return [_of_cloud_event(_object(event)) for event in body]
    if content_type == STRUCTURED:
        return [_of_cloud_event(_object(body))]
    if "ce-specversion" in headers:
        attributes = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
        return [_of_cloud_event({**attributes, "data": body})]
    return list(_of_records(_object(body)))


def _of_records(body: Event) -> Iterator[str | None]:
    records = body.get("Records")
    if not isinstance(records, list):
        if body.get("Event") == "s3:TestEvent":
            yield None  # S3 asks so whether it reaches us
            return
        raise InvalidEvent('the body has no list "Records", as notifications of S3 and MinIO have, and is no CloudEvent')
    for record in records:
        yield _of_record(_object(record))


def _of_record(record: Event) -> str:
    """Keys come encoded like the fields of a form: a space is a plus."""
    match record:
        case {"s3": {"bucket": {"name": str(bucket)}, "object": {"key": str(key)}}}:
            return f"{bucket}/{unquote_plus(key)}"
    raise InvalidEvent("a record has no s3.bucket.name and s3.object.key")


def _of_cloud_event(event: Event) -> str | None:
    match event:
        case {"specversion": str(), "type": str(), "source": str(source)}:
            pass
        case _:
            raise InvalidEvent("a CloudEvent has no specversion, type or source")
    subject, data = event.get("subject"), event.get("data")
    if isinstance(data, Mapping) and "s3" in data:
        return _of_record(data)
    subject = subject if isinstance(subject, str) else ""
    if (azure := _AZURE_SUBJECT.fullmatch(subject)) is not None:
        return f"{azure[1]}/{azure[2]}"
    if (gcs := _GCS_SOURCE.fullmatch(source)) is not None and (named := _GCS_SUBJECT.fullmatch(subject)) is not None:
        return f"{gcs[1]}/{named[1]}"
    match data:
        case {"bucket": str(bucket), "name": str(name)}:
            return f"{bucket}/{name}"
    return None


def _object(value: Any) -> Event:
    if not isinstance(value, dict):
        raise InvalidEvent("a notification is no JSON object")
    return value
