"""Notifications of buckets: read in every form, durable when they are answered, ignored if they are not of this corpus."""

import json

import pytest

from ml_api.corpus.folder import FolderCorpus
from ml_api.indexing.changes import Changes
from tests.api.stand import assert_problem, fill_disk, picture
from tests.databases import new_database

CLOUD = {"specversion": "1.0", "id": "1", "type": "google.cloud.storage.object.v1.finalized"}
GCS = {**CLOUD, "source": "//storage.googleapis.com/projects/_/buckets/photos", "subject": "objects/a b+c.png"}
AZURE = {
    **CLOUD,
    "type": "Microsoft.Storage.BlobCreated",
    "source": "/subscriptions/1/resourceGroups/r/providers/Microsoft.Storage/storageAccounts/s",
    "subject": "/blobServices/default/containers/photos/blobs/a b+c.png",
    "data": {"api": "PutBlob", "url": "https://s.blob.core.windows.net/photos/a%20b+c.png"},
}
BINARY = {"ce-specversion": "1.0", "ce-type": "x", "ce-source": "y"}


class BucketLike(FolderCorpus):
    """A folder that answers to the name of a bucket."""

    def key_of(self, place):
        return place.removeprefix("photos/") if place.startswith("photos/") else None


class Unheard(Changes):
    def on_notice(self, listener):
        pass


def record(key, bucket="photos", event="ObjectCreated:Put"):
    return {"eventName": event, "s3": {"bucket": {"name": bucket}, "object": {"key": key, "sequencer": "0055AED6DCD90281E5"}}}


@pytest.fixture
def unconsumed(make_stand, tmp_path):
    database = new_database(tmp_path / "unconsumed.sqlite3")
    corpus = BucketLike(tmp_path / "corpus")
    yield make_stand(corpus=corpus, database=database, changes=Unheard(database, corpus.location))
    database.close()


def post(stand, body, content_type="application/json", **headers):
    data = body if isinstance(body, bytes) else json.dumps(body)
    return stand.client.post("/v1/events", data=data, content_type=content_type, headers=headers)


def keys(stand):
    return sorted(change.key for change in stand.services.changes.claim(5000))


def test_every_form_of_a_notification_is_read(unconsumed):
    forms = [
        ({"Records": [record("s3/a+b%2Bc.png")]}, "application/json", {}),
        ({**GCS, "subject": "objects/gcs/a b+c.png"}, "application/cloudevents+json", {}),
        ([{**AZURE, "subject": AZURE["subject"].replace("a b", "azure/a b")}], "application/cloudevents-batch+json", {}),
        ({**CLOUD, "source": "minio", "data": record("minio/a+b%2Bc.png")}, "application/cloudevents+json", {}),
        (
            {"bucket": "photos", "name": "data/a b+c.png"},
            "application/json",
            {"ce-specversion": "1.0", "ce-type": "x", "ce-source": "y"},
        ),
    ]
    for body, content_type, headers in forms:
        response = post(unconsumed, body, content_type, **headers)
        assert response.status_code == 200, response.get_data(as_text=True)
        assert response.get_json() == {"accepted": 1, "ignored": 0}
    assert keys(unconsumed) == [f"{place}/a b+c.png" for place in ("azure", "data", "gcs", "minio", "s3")]


def test_what_is_not_ours_is_ignored(unconsumed):
    records = [record("a.png", bucket="other"), record("b.png"), record("b.png", event="ObjectRemoved:Delete")]
    assert post(unconsumed, {"Records": records}).get_json() == {"accepted": 2, "ignored": 1}
    assert keys(unconsumed) == ["b.png"]
    unrelated = {**CLOUD, "type": "com.example.order", "source": "/shop"}
    assert post(unconsumed, unrelated, "application/cloudevents+json").get_json() == {"accepted": 0, "ignored": 1}
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos"}
    assert post(unconsumed, test).get_json() == {"accepted": 0, "ignored": 1}


def test_a_thousand_at_once_are_taken(unconsumed):
    assert post(unconsumed, {"Records": [record(f"{number}.png") for number in range(1000)]}).get_json()["accepted"] == 1000
    assert unconsumed.services.changes.backlog().waiting == 1000


def test_the_index_follows(make_stand, tmp_path):
    stand = make_stand(corpus=BucketLike(tmp_path / "corpus"))
    (stand.root / "new.png").write_bytes(picture((250, 140, 20)))
    (stand.root / "red.png").unlink()

    post(stand, {"Records": [record("new.png"), record("red.png", event="ObjectRemoved:Delete"), record("never/was.png")]})

    assert stand.client.get(f"/v1/images/{stand.id('new.png')}").status_code == 200
    assert stand.client.get(f"/v1/images/{stand.id('red.png')}").status_code == 404


ONE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@pytest.mark.parametrize(
    ("body", "content_type", "says"),
    [
        (b"{", "application/json", "the body is not valid JSON, from line 1, column 2 on"),
        (b"\xff\xfe\x00", "application/json", "the body is not UTF-8"),
        (b"[" * 100_000, "application/json", "the body is nested too deeply"),
        (b"1" + b"0" * 5000, "application/json", "the body is not valid JSON: it has a number of thousands of digits"),
        ([], "application/json", "the body must be a JSON object (got an array of 0)"),
        ({"Records": {}}, "application/json", "Records: must be an array, as in notifications of S3 and MinIO"),
        ({"Records": [record("a.png"), 3]}, "application/json", "Records[1] must be a JSON object (got 3)"),
        ({"Records": [{"s3": {}}]}, "application/json", "Records[0].s3: must hold bucket.name and object.key, both texts"),
        ({"Records": [record("a.png", bucket=3)]}, "application/json", "Records[0].s3: must hold bucket.name"),
        ({"type": "x"}, ONE, "specversion: must be a text, as in every CloudEvent (got null)"),
        ({}, BATCH, f"the body must be a JSON array, as it is {BATCH} (got an object)"),
        ([{"specversion": "1.0", "type": "x", "source": 3}], BATCH, "[0].source: must be a text, as in every CloudEvent (got 3)"),
        ([{"specversion": "1.0", "type": "x", "source": "s", "data": {"s3": 1}}], BATCH, "[0].data.s3: must hold bucket.name"),
    ],
)
def test_what_is_wrong_with_a_notification_is_named(shared_stand, body, content_type, says):
    assert says in assert_problem(post(shared_stand, body, content_type), 400, "invalid-event")["detail"]


def test_a_body_that_is_no_json_by_its_type_is_refused(shared_stand):
    assert_problem(post(shared_stand, b"x", "text/plain"), 415, "unsupported-media-type")


def test_hostile_keys_change_nothing(shared_stand):
    hostile = ["../../etc/passwd", "a\0.png", "%00.png", "%ff.png", "x" * 5000 + ".png", "", "\ud800.png"]
    response = post(shared_stand, {"Records": [record(key) for key in hostile]})
    assert response.status_code == 200
    assert response.get_json()["ignored"] == len(hostile)


def test_on_a_full_disk_nothing_is_acknowledged_and_with_room_all_is(unconsumed):
    notices = {"Records": [record(f"{number}{'x' * 200}.png") for number in range(200)]}
    fill_disk(unconsumed.services.database)
    problem = assert_problem(post(unconsumed, notices), 507, "database-full")
    assert problem["detail"].startswith("The disk is full on which the database ")
    assert keys(unconsumed) == []
    fill_disk(unconsumed.services.database, pages=10_000)
    assert post(unconsumed, notices).get_json() == {"accepted": 200, "ignored": 0}
    assert len(keys(unconsumed)) == 200


def test_who_asks_whether_events_may_be_sent_hears_yes(unconsumed):
    asking = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "120"}
    response = unconsumed.client.options("/v1/events", headers=asking)
    assert response.status_code == 200
    assert response.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert response.headers["WebHook-Allowed-Rate"] == "*"
    assert "POST" in response.headers["Allow"]
    assert "WebHook-Allowed-Origin" not in unconsumed.client.options("/v1/events").headers
    assert "WebHook-Allowed-Origin" not in unconsumed.client.options("/v1/images", headers=asking).headers
