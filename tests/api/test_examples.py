"""The answers that the documentation shows are those that the service gives."""

import io
import json
import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from ml_api.access import Access, Scope
from ml_api.access.keys import create
from ml_api.api import EXTENSION, examples, schemas
from ml_api.api.operation import PROBLEMS
from ml_api.api.schemas.uploads import EventsAnswer, RemovedImage, UploadedImage, UploadsAnswer
from ml_api.app import create_app
from ml_api.corpus.folder import FolderCorpus
from ml_api.errors import CorpusUnavailable, InsufficientStorage, TooCostly, Unavailable
from ml_api.images import InlineDecoder
from ml_api.indexing.jobs import Jobs, SyncOptions
from ml_api.indexing.uploads import Uploads
from ml_api.logs.throttle import LogThrottle
from ml_api.serving.refusing import Refusals, too_many
from ml_api.settings import Settings, load_settings
from tests.api.stand import FORM_TYPE, LIMITS, MAX_BYTES, fill_disk, form, picture

PUT = "/v1/images/by-key/uploads/red.png"
SEARCH, IMAGE = "/v1/search/text?q=red", "/v1/search/image"


@pytest.fixture(scope="module")
def stand(shared_stand):
    return shared_stand


def shape(value):
    """The names and types in a value, in their order; of a list, those of its first."""
    if isinstance(value, dict):
        return [(name, shape(given) if name != "metadata" else dict) for name, given in value.items()]
    if isinstance(value, list):
        return [shape(value[0])]
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


@pytest.mark.parametrize(
    ("model", "address"),
    [
        (schemas.SearchAnswer, "/v1/search/text?q=red.png&limit=1"),
        (schemas.StoredImage, "/v1/images/{id}"),
        (schemas.HeatmapAnswer, "/v1/images/{id}/heatmap?q=red"),
        (schemas.ListAnswer, "/v1/images?limit=1"),
        (schemas.ModelAnswer, "/v1/model"),
        (schemas.StatsAnswer, "/v1/stats"),
        (schemas.AliveAnswer, "/livez"),
        (schemas.ReadyAnswer, "/readyz"),
    ],
)
def test_an_example_of_an_answer_has_the_form_of_a_real_one(stand, model, address):
    answered = stand.client.get(address.format(id=stand.id("red.png"))).get_json()
    assert shape(examples.ANSWERS[model]) == shape(answered)


@pytest.mark.parametrize(
    ("model", "method", "address", "sent"),
    [
        (UploadedImage, "PUT", PUT, lambda: {"data": picture()}),
        (UploadsAnswer, "POST", "/v1/images", lambda: {"data": {"image": (io.BytesIO(picture()), "a.png")}}),
        (EventsAnswer, "POST", "/v1/events", lambda: {"json": {"Records": []}}),
        (RemovedImage, "DELETE", "/v1/images/{id}", dict),
    ],
)
def test_an_example_of_an_answer_to_a_change_has_the_form_of_a_real_one(make_stand, model, method, address, sent):
    stand = make_stand()
    answered = stand.client.open(address.format(id=stand.id("red.png")), method=method, **sent()).get_json()
    assert shape(examples.ANSWERS[model]) == shape(answered)


def test_the_readme_shows_that_answer():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert json.loads(re.search(r"```json\n(.*?)```", readme, re.DOTALL)[1]) == examples.ANSWERS[schemas.SearchAnswer]


def post(stand, data=b"", content_type="image/png"):
    return stand.client.post(IMAGE, data=data, content_type=content_type)


def grown(stand):
    (stand.root / "red.png").write_bytes(b"x" * (MAX_BYTES + 1))
    return stand.client.get(f"/v1/images/{stand.id('red.png')}/content")


def closed(part):
    def ask(stand):
        getattr(stand.services.engine, part).close()
        return stand.client.get(SEARCH)

    return ask


class FailingDecoder(InlineDecoder):
    def __init__(self, error):
        super().__init__(LIMITS)
        self.error = error

    def decode(self, *_):
        raise self.error


class FailingCorpus(FolderCorpus):
    def read(self, *_):
        raise CorpusUnavailable("Input/output error")


def undecodable(error):
    def ask(stand):
        stand.app.extensions[EXTENSION] = replace(stand.services, decoder=FailingDecoder(error))
        return post(stand, picture())

    return ask


def unreadable(stand):
    stand.app.extensions[EXTENSION] = replace(stand.services, corpus=FailingCorpus(stand.root))
    return stand.client.get(f"/v1/images/{stand.id('red.png')}/content")


def under_way_elsewhere(stand):
    jobs = stand.services.syncs.jobs
    Jobs(stand.services.database, jobs.target, "/srv/other").submit(SyncOptions())
    return stand.client.post("/v1/sync")


VERDICT = {"id": "0" * 32, "verdict": "relevant"}


def judged(stand, image):
    found = stand.client.get(SEARCH, headers={"X-Request-ID": "0" * 32}).get_json()
    return stand.client.post("/v1/feedback", json={**VERDICT, "query_id": found["query_id"], "id": image})


def without_tables(stand):
    with stand.services.database.write() as session:
        session.execute(text("ALTER TABLE jobs RENAME TO lost"))
    return stand.client.get("/v1/sync")


def with_key(secret=None, scopes=()):
    """Asks with that key, or one of these scopes, where keys are asked for."""

    def ask(stand):
        database = stand.services.database
        given = create(database, "camera", scopes, now=0.0)[1] if scopes else secret
        client = create_app(load_settings({}), replace(stand.services, access=Access(database))).test_client()
        return client.get(SEARCH, headers={"X-API-Key": given} if given else {})

    return ask


PROVOKED = {
    "invalid-query": lambda stand: stand.client.get(f"{SEARCH}&limit=0"),
    "invalid-json": lambda stand: stand.client.post("/v1/search/text", data=b"{", content_type="application/json"),
    "invalid-base64": lambda stand: stand.client.post(IMAGE, json={"image": "https://example.org/x.png"}),
    "invalid-cursor": lambda stand: stand.client.get(f"{SEARCH}&cursor=AAAA"),
    "invalid-crop": lambda stand: stand.client.post(
        "/v1/search", json={"query": [{"text": "red"}, {"image": "AAAA", "crop": [0, 0, 0, 9]}]}
    ),
    "invalid-multipart": lambda stand: post(stand, form(picture())[:-8], FORM_TYPE),
    "missing-image": lambda stand: stand.client.post(IMAGE, data={"file": (io.BytesIO(picture()), "x.png")}),
    "invalid-id": lambda stand: stand.client.get("/v1/images/1"),
    "invalid-timeout": lambda stand: stand.client.get(SEARCH, headers={"X-Request-Timeout": "0"}),
    "unauthorized": with_key(),
    "invalid-api-key": with_key("wrong"),
    "insufficient-scope": with_key(scopes=[Scope.WRITE]),
    "cross-origin": lambda stand: stand.client.post(IMAGE, headers={"Origin": "https://evil.example"}),
    "not-found": lambda stand: stand.client.get("/v1/images/f396cf4db01a74c74b657633feb25958"),
    "too-large": lambda stand: post(stand, b"x" * (MAX_BYTES + 1)),
    "image-too-large": grown,
    "unsupported-media-type": lambda stand: stand.client.post("/v1/search/text", data=b"red", content_type="text/plain"),
    "range-not-satisfiable": lambda stand: stand.client.get(
        f"/v1/images/{stand.id('red.png')}/content", headers={"Range": "bytes=900000-"}
    ),
    "image-format": lambda stand: post(stand, b"just text"),
    "image-truncated": lambda stand: post(stand, (whole := picture(kind="JPEG", size=(200, 150)))[: len(whole) // 2]),
    "image-too-costly": undecodable(TooCostly("Decoding the image takes more than 4 s", lacking="time")),
    "decoding-unavailable": undecodable(
        Unavailable("No process can be started to decode the image in; try again later.", code="decoding-unavailable")
    ),
    "corpus-unavailable": unreadable,
    "misdirected-request": lambda stand: stand.client.get(SEARCH, headers={"Host": "photos.example"}),
    "not-a-hit": lambda stand: judged(stand, "0" * 32),
    "query-not-found": lambda stand: stand.client.post("/v1/feedback", json={**VERDICT, "query_id": "0" * 32}),
    "model-not-found": lambda stand: stand.client.post("/v1/embeddings", json={"input": "red", "model": "other"}),
    "model-unavailable": closed("embedder"),
    "store-unavailable": closed("store"),
    "sync-refused": under_way_elsewhere,
    "database-unavailable": without_tables,
    "deadline-exceeded": lambda stand: stand.client.get(SEARCH, headers={"X-Request-Timeout": "1e-9"}),
}


class FullCorpus(FolderCorpus):
    def write(self, key, _data, _expected=None):
        raise InsufficientStorage(f"no room is left in the corpus for {key!r}; nothing was written")


class ReadOnlyCorpus(FolderCorpus):
    writable = False


def uploaded_to(corpus_class):
    def ask(stand):
        parts, engine = stand.services, stand.services.engine
        uploads = Uploads(
            corpus_class(stand.root), engine.store, parts.changes, parts.decoder, engine.preprocessor, max_bytes=MAX_BYTES
        )
        stand.app.extensions[EXTENSION] = replace(parts, engine=replace(engine, uploads=uploads))
        return stand.client.put(PUT, data=picture())

    return ask


def noted_on_a_full_disk(stand):
    fill_disk(stand.services.database)
    much = json.dumps({"text": "x" * 50_000})
    data = {"image": (io.BytesIO(picture()), "x.png"), "metadata": much}
    return stand.client.put(PUT, data=data, content_type="multipart/form-data")


def put_new_twice(stand, second):
    return [stand.client.put(PUT, data=data, headers={"If-None-Match": "*"}) for data in (picture(), second)][1]


PROVOKED |= {
    "invalid-key": lambda stand: stand.client.put("/v1/images/by-key/../red.png", data=picture()),
    "invalid-event": lambda stand: stand.client.post("/v1/events", json={"Records": [{}]}),
    "invalid-metadata": lambda stand: stand.client.put(
        PUT, data={"image": (io.BytesIO(picture()), "x.png"), "metadata": "{"}, content_type="multipart/form-data"
    ),
    "precondition-failed": lambda stand: put_new_twice(stand, picture((1, 1, 1))),
    "already-there": lambda stand: put_new_twice(stand, picture()),
    "corpus-read-only": uploaded_to(ReadOnlyCorpus),
    "insufficient-storage": uploaded_to(FullCorpus),
    "database-full": noted_on_a_full_disk,
}


def in_general(detail):
    """Without numbers, keys, and the list of formats, which grows."""
    detail = re.sub("metadata of '[^']+'", "metadata of KEY", detail)
    detail = re.sub(r"(sync \d+ of|database) \S+|\(unable.*\)|\(no such table.*\)", "…", detail)
    detail = re.sub("runs '[^']+'", "runs MODEL", detail)
    detail = re.sub("accepted are .*", "accepted are …", re.sub(r"\b([0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{8})\b", "ID", detail))
    return re.sub(r"\d[\d,.e-]*", "#", detail)


@pytest.mark.parametrize("code", PROVOKED)
def test_an_example_of_an_error_is_what_the_service_says(make_stand, code):
    answered, shown = PROVOKED[code](make_stand()).get_json(), examples.problem(code)
    answered.pop("error", None)  # what OpenAI's clients read
    assert {**answered, "detail": in_general(answered["detail"]), "request_id": ""} == {
        **shown,
        "detail": in_general(shown["detail"]),
        "request_id": "",
    }


def test_the_example_of_overload_is_what_the_service_says(make_stand):
    refusals = Refusals(make_stand().client.application, LogThrottle(logging.getLogger("ml_api")))
    answered = json.loads(refusals.overloaded("GET", SEARCH.partition("?")[0], None, too_many()).body)
    assert {**answered, "request_id": ""} == {**examples.problem("overloaded"), "request_id": ""}


def test_the_example_of_not_being_ready_is_what_the_service_says(make_stand):
    stand = make_stand()
    stand.services.engine.store.close()
    assert stand.client.get("/readyz").get_json() == examples.NOT_READY


def test_limits_in_examples_are_those_that_are_shipped():
    """As 20,971,520 bytes were not."""
    assert "33,554,433 bytes; at most 33,554,432" in examples.PROBLEMS["too-large"][1]
    assert Settings.model_fields["max_upload_bytes"].default == 33_554_432


def test_every_route_documents_the_codes_of_its_own(document):
    def codes(path, method="get"):
        answers = document["paths"][path][method]["responses"].values()
        return {
            code for answer in answers for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", ())
        }

    assert codes("/v1/search/image", "post") >= {"image-too-costly", "decoding-unavailable", "misdirected-request"}
    assert codes("/v1/images/{image_id}/content") >= {"corpus-unavailable", "misdirected-request"}
    assert codes("/v1/images/{image_id}/thumbnail") >= {"image-too-costly", "decoding-unavailable", "corpus-unavailable"}
    assert "misdirected-request" in codes("/livez")


def test_every_error_that_is_shown_is_provoked_here():
    assert set(examples.PROBLEMS) == {*PROVOKED, "overloaded"}
    assert {status for status, _ in examples.PROBLEMS.values()} == set(PROBLEMS)


def test_every_answer_in_the_document_has_an_example(document):
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                for media_type, content in answer.get("content", {}).items():
                    if media_type.endswith("json"):
                        assert content.get("example") or content.get("examples"), (path, status)


def test_operations_are_called_by_what_they_do(document):
    names = [operation["operationId"] for operations in document["paths"].values() for operation in operations.values()]
    assert sorted(names) == [
        "cancel_sync",
        "create_embeddings",
        "delete_image",
        "export_feedback",
        "find_duplicates",
        "find_similar",
        "get_image",
        "get_image_content",
        "get_image_heatmap",
        "get_image_thumbnail",
        "get_liveness",
        "get_metadata_fields",
        "get_model",
        "get_readiness",
        "get_stats",
        "get_sync",
        "give_feedback",
        "list_images",
        "list_models",
        "list_sync_files",
        "list_syncs",
        "patch_image",
        "patch_images",
        "put_image",
        "receive_events",
        "retrieve_model",
        "search",
        "search_batch",
        "search_by_image",
        "search_by_text",
        "search_by_text_in_json",
        "start_sync",
        "upload_images",
    ]
