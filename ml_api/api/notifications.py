"""Parses the notifications of buckets, in the formats of storage services, to the objects that they name.

S3 and MinIO: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
CloudEvents over HTTP, structured, in batches and binary: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from ml_api.errors import InvalidEvent, TooLarge, UnsupportedMedia
from ml_api.wording import got, no_json

MAX_BYTES: Final = 4 * 2**20
"""The most bytes of one request, some thousands of notifications."""
JSON: Final = "application/json"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

_GCS_SOURCE: Final = re.compile(r"//storage\.googleapis\.com/projects/[^/]*/buckets/([^/]+)")
_GCS_SUBJECT: Final = re.compile(r"objects/(.+)", re.DOTALL)
_AZURE_SUBJECT: Final = re.compile(r"/blobServices/[^/]+/containers/([^/]+)/blobs/(.+)", re.DOTALL)

Event = Mapping[str, Any]


def objects_in(data: bytes, content_type: str, headers: Mapping[str, str]) -> list[str | None]:
    """Return `bucket/key`, decoded, for each notification; None for one that is about no object. Raises InvalidInput."""
    if content_type not in {JSON, STRUCTURED, BATCH}:
        raise UnsupportedMedia(f"the body is {content_type or 'of no stated type'}; send {JSON}, {STRUCTURED} or {BATCH}")
    if len(data) > MAX_BYTES:
        raise TooLarge(f"the notifications have {len(data):,} bytes; at most {MAX_BYTES:,} are read at once")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise InvalidEvent(f"the body {no_json(exc)}") from exc
    if content_type == BATCH:
        if not isinstance(body, list):
            raise InvalidEvent(f"the body must be a JSON array, as it is {BATCH}{got(body)}")
        return [_of_cloud_event(_object(event, f"[{place}]"), f"[{place}].") for place, event in enumerate(body)]
    if content_type == STRUCTURED:
        return [_of_cloud_event(_object(body, "the body"))]
    if "ce-specversion" in headers:
        attributes = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
        return [_of_cloud_event({**attributes, "data": body})]
    return list(_of_records(_object(body, "the body")))


def _of_records(body: Event) -> Iterator[str | None]:
    records = body.get("Records")
    if not isinstance(records, list):
        if body.get("Event") == "s3:TestEvent":
            yield None  # by which S3 tests whether the service can be reached
            return
        right = f"must be an array, as in notifications of S3 and MinIO; CloudEvents are sent as {STRUCTURED}"
        raise InvalidEvent(f"Records: {right}{got(records)}")
    for place, record in enumerate(records):
        yield _of_record(_object(record, f"Records[{place}]"), f"Records[{place}].")


def _of_record(record: Event, within: str) -> str:
    """Parse a record. Keys are encoded like form fields: a space is a plus. `within` is the place of the record in the body."""
    match record:
        case {"s3": {"bucket": {"name": str(bucket)}, "object": {"key": str(key)}}}:
            return f"{bucket}/{unquote_plus(key)}"
    raise InvalidEvent(f"{within}s3: must hold bucket.name and object.key, both texts")


def _of_cloud_event(event: Event, within: str = "") -> str | None:
    for name in ("specversion", "type", "source"):
        if not isinstance(event.get(name), str):
            raise InvalidEvent(f"{within}{name}: must be a text, as in every CloudEvent{got(event.get(name))}")
    source = event["source"]
    subject, data = event.get("subject"), event.get("data")
    if isinstance(data, Mapping) and "s3" in data:
        return _of_record(data, f"{within}data.")
    subject = subject if isinstance(subject, str) else ""
    if (azure := _AZURE_SUBJECT.fullmatch(subject)) is not None:
        return f"{azure[1]}/{azure[2]}"
    if (gcs := _GCS_SOURCE.fullmatch(source)) is not None and (named := _GCS_SUBJECT.fullmatch(subject)) is not None:
        return f"{gcs[1]}/{named[1]}"
    match data:
        case {"bucket": str(bucket), "name": str(name)}:
            return f"{bucket}/{name}"
    return None


def _object(value: Any, where: str) -> Event:
    if not isinstance(value, dict):
        raise InvalidEvent(f"{where} must be a JSON object{got(value)}")
    return value
