"""The client against the application: what it asks stands in the OpenAPI document, what it reads is what comes."""

import asyncio
import inspect
import json
import subprocess
import sys
import threading
from email.utils import formatdate
from pathlib import Path

import pytest
from ml_api_client import (
    AccessDenied,
    AsyncClient,
    Client,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    Retries,
    Unavailable,
    Unreachable,
    operations,
)
from werkzeug import Response
from werkzeug.serving import make_server

from scripts import client_models, client_twin
from tests.api.stand import COLOURS, build_stand, picture, write_corpus

ROOT = Path(__file__).parents[2]
AT_ONCE = Retries(attempts=3, first_s=0.0)
ID = "0" * 32
CALLS = {
    "search_by_text_in_json": operations.search_by_text("red"),
    "search": operations.search([{"text": "red", "weight": 2}, {"image": b"x", "crop": [0, 0, 1, 1]}]),
    "search_batch": operations.search_batch([{"query": [{"text": "red"}]}]),
    "search_by_image": operations.search_by_image(b"x", limit=3, exact=True),
    "find_similar": operations.find_similar(ID, offset=2, filter={"width": {"gt": 1}}),
    "list_images": operations.list_images(prefix="a/", cursor=ID),
    "get_image": operations.get_image(ID),
    "get_image_content": operations.get_image_content(ID),
    "get_image_thumbnail": operations.get_image_thumbnail(ID),
    "get_image_heatmap": operations.get_image_heatmap(ID, "red"),
    "patch_image": operations.patch_image(ID, {}),
    "patch_images": operations.patch_images({ID: {}}),
    "put_image": operations.put_image("a/b.png", b"x", wait=2),
    "delete_image": operations.delete_image(ID, wait=1),
    "find_duplicates": operations.find_duplicates(cursor=ID),
    "start_sync": operations.start_sync(dry_run=True),
    "list_syncs": operations.list_syncs(),
    "get_sync": operations.get_sync(1),
    "cancel_sync": operations.cancel_sync(1),
    "list_sync_files": operations.list_sync_files(1, outcome="failed", cursor=3),
    "create_embeddings": operations.create_embeddings(["red"]),
    "get_model": operations.get_model(),
    "get_metadata_fields": operations.get_metadata_fields(),
    "give_feedback": operations.give_feedback("q", ID, "clicked"),
    "export_feedback": operations.export_feedback(),
    "get_stats": operations.get_stats(),
}
"""By `operationId`; the client's search by text is the one that sends JSON."""
OLDER = json.loads(Path(__file__).with_name("older_answers.json").read_text())
"""By `operationId`."""


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    stand = build_stand(write_corpus(folder / "corpus"), folder / "thumbnails")
    yield stand
    stand.services.close()


@pytest.fixture(scope="module")
def url(stand):
    server = make_server("127.0.0.1", 0, stand.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def client(url):
    with Client(url) as client:
        yield client


@pytest.fixture(scope="module")
def document(stand):
    return stand.client.get("/openapi.json").get_json()


def test_the_models_are_those_of_the_document():
    assert client_models.MODELS.read_text() == client_models.source(), "run scripts/client_models.py"


def test_the_client_for_threads_is_that_for_tasks_without_its_waits():
    assert client_twin.TWIN.read_text() == client_twin.source(), "run scripts/client_twin.py"


@pytest.mark.parametrize("name", CALLS)
def test_every_operation_is_called_as_it_is_documented(document, name):
    call = CALLS[name]
    [(path, operation)] = [
        (path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation["operationId"] == name and method == call.method.lower()
    ]
    parts = zip(path.split("/"), call.path.split("/", maxsplit=path.count("/")), strict=True)
    assert all(documented == sent or documented.startswith("{") for documented, sent in parts)
    parameters = [
        document["components"]["parameters"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        for one in operation.get("parameters", ())
    ]
    assert call.query.keys() <= {one["name"] for one in parameters if one["in"] == "query"}
    if call.body is not None:
        assert call.media_type in operation["requestBody"]["content"]


@pytest.mark.parametrize("name", OLDER)
def test_answers_of_an_older_service_are_read(name):
    """Recorded at 259eda4: the listing had no `count` then, which the client wanted. What answers gain has to be nullable."""
    read = CALLS[name].read(json.dumps(OLDER[name]).encode())
    assert read is not None


@pytest.mark.parametrize("name", OLDER)
def test_fields_that_a_newer_service_adds_are_ignored(name):
    newer = OLDER[name] | {"newer": {"a": 1}}
    newer |= {
        part: [one | {"newer": 1} for one in newer[part]]
        for part in ("hits", "images", "results")
        if isinstance(newer.get(part), list)
    }
    assert CALLS[name].read(json.dumps(newer).encode()) == CALLS[name].read(json.dumps(OLDER[name]).encode())


def test_both_clients_have_every_operation():
    made = {name for name, each in vars(operations).items() if inspect.isfunction(each) and each.__module__ == operations.__name__}
    made = {name for name in made if not name.startswith("_")} - {"whole", "search_for"}  # which are no operations
    assert {"search_by_text" if name == "search_by_text_in_json" else name for name in CALLS} == made
    for kind in (Client, AsyncClient):
        for name in made:
            assert inspect.signature(getattr(kind, name)) == inspect.signature(getattr(operations, name)), name


def test_images_are_found_looked_at_and_embedded(client, tmp_path):
    answer = client.search_by_text("something red", limit=2)
    assert answer.hits[0].key == "red.png"
    image = client.get_image(answer.hits[0].id)
    assert image.links.self_ == f"/v1/images/{image.id}"
    (tmp_path / "mine.png").write_bytes(picture((35, 170, 70)))
    for mine in (tmp_path / "mine.png", (tmp_path / "mine.png").read_bytes()):
        assert client.search_by_image(mine, limit=1).hits[0].key == "sub/green.png"
    assert len(client.find_similar(image.id).hits) == 3
    assert client.get_image_content(image.id) == picture(COLOURS["red.png"])
    assert client.get_image_thumbnail(image.id).startswith(b"RIFF")
    assert len(client.create_embeddings(["red"]).data[0].embedding) == client.get_model().dim
    assert client.get_stats().images == 4
    assert client.get_metadata_fields().over == 4


def test_terms_are_combined_and_queries_sent_together(client):
    green = {"image": picture((35, 170, 70))}
    assert client.search([green, {"text": "red", "weight": -1}], limit=1).hits[0].key == "sub/green.png"
    answer = client.search_batch([{"query": [green], "limit": 1}, {"query": [{"id": ID}]}])
    assert answer.results[0].found.hits[0].key == "sub/green.png"
    assert answer.results[1].problem.code == "not-found"


def test_hits_are_judged_and_refine_the_next_search(client):
    found = client.search([{"text": "red"}])
    best, worst = found.hits[0].id, found.hits[-1].id
    assert client.give_feedback(found.query_id, best, "relevant", comment="\u2028").verdict == "relevant"
    assert client.give_feedback(found.query_id, worst, "irrelevant").verdict == "irrelevant"
    judged = [one for one in client.export_feedback() if one.query_id == found.query_id]
    assert {(one.id, one.grade, one.comment) for one in judged} == {(best, 2, "\u2028"), (worst, 0, "")}
    refined = client.search([{"text": "red"}], more_like=[best], less_like=[worst])
    assert worst not in {hit.id for hit in refined.hits}


def test_a_filter_is_sent_as_each_route_takes_it(client):
    wide = {"width": {"gt": 100}}
    assert client.search_by_text("red", filter=wide).hits == []
    assert client.search_by_image(picture((1, 2, 3)), filter=wide).hits == []
    assert client.search([{"text": "red"}], filter=wide).hits == []
    assert list(client.hits("red", filter=wide)) == []
    assert [image.key for image in client.images(filter={"caption": {"eq": "<b>red</b>"}})] == ["red.png"]


def test_fields_are_counted_and_copies_grouped_as_each_route_takes_it(client):
    [hit] = client.search_by_text("red", limit=1).hits
    wanted = {"facets": ["width", "caption"], "group": "duplicates"}
    for found in (
        client.search_by_text("red", **wanted),
        client.search([{"text": "red"}], **wanted),
        client.search_by_image(picture(), **wanted),
        client.find_similar(hit.id, **wanted),
    ):
        assert set(found.facets.fields) == {"width", "caption"}
        assert found.facets.fields["width"][0].count == found.facets.over
        assert all(one.group is None for one in found.hits)


def test_iterators_go_through_all_pages(client):
    assert sorted(image.key for image in client.images(page=1)) == sorted(COLOURS)
    assert [image.key for image in client.images(prefix="sub/")] == ["sub/green.png"]
    assert [hit.key for hit in client.hits("red", page=1)] == [hit.key for hit in client.search_by_text("red").hits]
    assert [hit.key for hit in client.hits(picture(), page=2)] == [hit.key for hit in client.search_by_image(picture()).hits]
    terms = [{"text": "red"}, {"text": "blue", "weight": -0.2}]
    assert [hit.key for hit in client.hits(terms, page=3)] == [hit.key for hit in client.search(terms).hits]
    assert list(client.duplicates(page=1)) == []


def test_a_folder_is_uploaded_and_one_bad_file_ends_nothing(client, tmp_path):
    for name, data in {
        "a.png": picture((1, 2, 3)),
        "deep/b é.png": picture((3, 2, 1)),
        "bad.jpg": b"text",
        ".hidden.png": b"",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere")
    uploaded = {one.key: one for one in client.upload_folder(str(tmp_path), prefix="new/", at_once=2)}
    assert set(uploaded) == {"new/a.png", "new/deep/b é.png", "new/bad.jpg", "new/broken.png"}
    assert isinstance(uploaded["new/broken.png"].error, FileNotFoundError)
    with pytest.raises(NotADirectoryError):
        next(client.upload_folder(tmp_path / "mistyped"))
    assert uploaded["new/a.png"].image.state in {"queued", "searchable"}
    assert uploaded["new/bad.jpg"].error.code == "image-format"
    assert {image.key for image in client.images(prefix="new/")} == {"new/a.png", "new/deep/b é.png"}
    changed = client.patch_image(uploaded["new/a.png"].image.id, {"price": 3})
    assert [one.status for one in client.patch_images({changed.id: {"stock": 1}, "0" * 32: None}).results] == [200, 404]
    assert changed.metadata == {"price": 3}
    with_metadata = client.put_image("new/c.png", picture((9, 9, 9)), metadata={"caption": "grey"}, wait=5)
    assert client.get_image(with_metadata.id).metadata == {"caption": "grey"}
    with pytest.raises(PreconditionFailed) as refused:
        client.put_image("new/c.png", picture((9, 9, 8)), if_none_match="*")
    assert refused.value.code == "precondition-failed"
    replaced = client.put_image("new/c.png", picture((9, 9, 8)), if_match=with_metadata.digest, wait=5)
    with pytest.raises(PreconditionFailed):
        client.delete_image(with_metadata.id, if_match=with_metadata.digest)
    assert client.get_image_content(replaced.id) == picture((9, 9, 8))
    for image in [*client.images(prefix="new/")]:
        assert client.delete_image(image.id, wait=5).state == "removed"


def test_the_async_client_does_the_same(url, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x.png").write_bytes(picture((9, 8, 7)))
    (tmp_path / "folder" / "broken.png").symlink_to(tmp_path / "nowhere")

    async def use():
        async with AsyncClient(url) as client:
            answer, model = await asyncio.gather(client.search_by_text("green", limit=1), client.get_model())
            broken, uploaded = sorted(await client.upload_folder(tmp_path / "folder", prefix="async/"), key=lambda one: one.key)
            assert isinstance(broken.error, FileNotFoundError)
            keys = [image.key async for image in client.images(prefix="async/", page=1)]
            await client.delete_image(uploaded.image.id, wait=5)
            hits = [hit.key async for hit in client.hits("green", page=3)]
            groups = [group async for group in client.duplicates()]
            with pytest.raises(NotFound):
                await client.get_image(ID)
            return answer.hits[0].key, model.name, keys, len(hits), groups

    assert asyncio.run(use()) == ("sub/green.png", "fake", ["async/x.png"], 4, [])


def test_a_sync_is_waited_for(client):
    job = client.start_sync(dry_run=True)
    assert client.wait_for_sync(job.id, every_s=0.01).state == "succeeded"


def test_errors_are_of_their_kind_and_say_what_was_wrong(client):
    with pytest.raises(InvalidRequest, match=r"limit: must be a whole number from 1 to 100 .* \(400 invalid-query\)") as raised:
        client.search_by_text("red", limit=1000)
    assert raised.value.request_id
    with pytest.raises(NotFound):
        client.get_image(ID)
    with pytest.raises(InvalidRequest) as raised:
        client.search_by_image(b"just text")
    assert (raised.value.status, raised.value.code) == (422, "image-format")


def test_parameters_of_newer_services_are_passed_on(httpserver):
    found = {"query_id": "", "model": "", "truncated": False, "next": None, "hits": [], "timings_ms": {}}
    wanted, as_text = {"newer": {"price": {"lt": 3}}}, {"newer": '{"price": {"lt": 3}}'}
    usual = {"limit": "10", "offset": "0"}
    sent = {"q": "red", "limit": 10, "offset": 0, **wanted}
    httpserver.expect_oneshot_request("/v1/search/text", json=sent).respond_with_json(found)
    httpserver.expect_oneshot_request("/v1/search/image", query_string=usual | as_text).respond_with_json(found)
    httpserver.expect_oneshot_request("/v1/images", query_string={"limit": "100"} | as_text).respond_with_json(
        {"images": [], "next": None, "count": None}
    )
    with Client(httpserver.url_for("")) as client:
        assert client.search_by_text("red", **wanted).hits == []
        assert client.search_by_image(b"x", **wanted).hits == []
        assert client.list_images(**wanted).images == []


def test_a_refused_request_is_repeated_after_the_time_that_the_service_says(httpserver):
    httpserver.expect_ordered_request("/v1/stats").respond_with_json({"code": "overloaded"}, 503, {"Retry-After": "0"})
    httpserver.expect_ordered_request("/v1/stats").respond_with_data("a proxy's page", 502)
    httpserver.expect_ordered_request("/v1/stats", headers={"X-API-Key": "secret"}).respond_with_json(
        {"images": 3, "collection": "images", "backend": "memory", "metric": "COSINE", "new": 1}
    )
    with Client(httpserver.url_for(""), api_key="secret", retries=AT_ONCE) as client:
        assert client.get_stats().images == 3


def test_a_body_is_sent_whole_at_every_attempt(httpserver, tmp_path):
    bodies = []

    def answer(request):
        bodies.append(request.get_data())
        return Response("{}", 503, {"Retry-After": "0"})

    httpserver.expect_request("/v1/images/by-key/x.png").respond_with_handler(answer)
    (tmp_path / "x.png").write_bytes(data := picture() * 3000)
    with Client(httpserver.url_for(""), retries=AT_ONCE) as client, pytest.raises(Unavailable):
        client.put_image("x.png", tmp_path / "x.png")

    async def put():
        async with AsyncClient(httpserver.url_for(""), retries=AT_ONCE) as client:
            with pytest.raises(Unavailable):
                await client.put_image("x.png", tmp_path / "x.png")

    asyncio.run(put())
    assert bodies == [data] * 6


def test_who_does_not_answer_is_unreachable():
    with Client("http://127.0.0.1:9", retries=AT_ONCE) as client, pytest.raises(Unreachable, match="does not answer"):
        client.get_model()


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("127.0.0.1:8420", "url: '127.0.0.1:8420' does not begin with http:// or https://, as http://127.0.0.1:8420 does"),
        ("localhost:8420", "does not begin with"),
        ("http://", "url: 'http://' names no host"),
    ],
)
def test_an_address_that_cannot_be_asked_is_refused_at_once(url, wrong):
    with pytest.raises(ValueError, match=wrong):
        Client(url)


@pytest.mark.parametrize(("key", "wrong"), [("mlapi_…", "character 7 of 7 is '…'"), ("mlapi_1\n", r"character 8 of 8 is '\\n'")])
def test_a_key_that_no_header_can_have_is_refused_and_not_repeated(key, wrong):
    with pytest.raises(ValueError, match=wrong) as refused:
        AsyncClient(api_key=key)
    assert "mlapi" not in str(refused.value)


def test_a_string_is_the_path_of_an_image_and_not_its_bytes(client, tmp_path):
    file = tmp_path / "mine.png"
    file.write_bytes(picture(COLOURS["red.png"]))
    found = [client.search_by_image(given).hits[0].id for given in (str(file), file, file.read_bytes())]
    assert len(set(found)) == 1
    assert client.search([{"image": str(file)}]).hits[0].id == found[0]
    assert operations.put_image("a/b.png", str(file)).body == file


def test_no_key_is_no_reason_to_try_again(httpserver):
    httpserver.expect_oneshot_request("/v1/model").respond_with_json({"code": "unauthorized", "detail": "a key"}, 401)
    with Client(httpserver.url_for("")) as client, pytest.raises(AccessDenied, match="a key"):
        client.get_model()


@pytest.mark.parametrize(
    ("attempt", "status", "headers", "least", "most"),
    [
        (1, 503, {"retry-after": "7"}, 7, 7),
        (1, 429, {"retry-after": formatdate(4_000_000_000)}, None, None),
        (1, 503, {"retry-after": formatdate(0)}, 0, 0),
        (1, 503, {"retry-after": "61"}, None, None),
        (1, 503, {"retry-after": "soon"}, 0, 0.5),
        (4, None, {}, 0, 4),
        (5, 503, {"retry-after": "0"}, None, None),
        (1, 504, {"retry-after": "0"}, None, None),
        (1, 200, {}, None, None),
        (1, 400, {}, None, None),
    ],
)
def test_when_a_call_is_repeated(attempt, status, headers, least, most):
    wait_s = Retries().wait_s(attempt, status, headers)
    assert (wait_s is None) if least is None else (least <= wait_s <= most)


def test_the_client_needs_nothing_of_the_service():
    code = "import sys, ml_api_client; print(sorted({'torch', 'flask', 'numpy', 'ml_api'} & sys.modules.keys()))"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "client", capture_output=True, text=True, timeout=60, check=True
    )
    assert shown.stdout == "[]\n"


@pytest.mark.parametrize("example", ["find.py", "upload.py", "alike.py", "refine.py"])
def test_examples_work(url, tmp_path, example):
    (tmp_path / "mine.png").write_bytes(picture((35, 170, 70)))
    arguments, expected = {
        "find.py": (["something red"], "red.png"),
        "upload.py": ([tmp_path, "sent/"], "sent/mine.png"),
        "refine.py": (["something red"], "again: "),
        "alike.py": ([tmp_path / "mine.png"], "mine.png -> "),
    }[example]
    program = ROOT / "client" / "examples" / example
    run = subprocess.run(
        [sys.executable, "-W", "error", program, url, *arguments],
        env={"PYTHONPATH": str(ROOT / "client")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert expected in run.stdout, run.stderr
