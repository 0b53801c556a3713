"""Images are put into the corpus and deleted from it: checked first, written whole or not at all, and searchable soon."""

import io
import json
import os
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from time import perf_counter
from urllib.parse import quote

import pytest
from PIL import Image
from sqlalchemy import text

from ml_api.corpus.folder import FolderCorpus
from ml_api.errors import StoreUnavailable
from ml_api.images import ImageLimits
from ml_api.records import image_id
from ml_api.vectors.memory import MemoryStore
from tests.api.stand import MAX_BYTES, assert_problem, build_stand, picture, write_corpus
from tests.contracts.samples import record
from tests.databases import new_database

BY_KEY = "/v1/images/by-key/"
ORANGE = (250, 140, 20)


def put(client, key, data=None, **more):
    return client.put(f"{BY_KEY}{key}", data=picture(ORANGE) if data is None else data, **more)


def form(*files, metadata=None):
    sent = {"image": [(io.BytesIO(data), name) for name, data in files]}
    return sent if metadata is None else sent | {"metadata": metadata if isinstance(metadata, str) else json.dumps(metadata)}


def names(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    """One application for all tests that do not break it: each has keys of its own."""
    folder = tmp_path_factory.mktemp("uploads")
    stand = build_stand(write_corpus(folder / "corpus"), folder / "thumbnails")
    yield stand
    stand.services.close()


@pytest.fixture
def client(stand):
    return stand.client


def test_an_uploaded_image_is_in_the_corpus_and_is_found(stand):
    response = put(stand.client, "new/orange.png?wait=5")

    assert response.status_code == 200
    answer = response.get_json()
    assert answer["id"] == image_id("new/orange.png")
    assert answer["key"] == "new/orange.png"
    assert answer["state"] == "searchable"
    assert answer["unchanged"] is False
    assert (answer["width"], answer["height"]) == (64, 48)
    assert (stand.root / "new/orange.png").read_bytes() == picture(ORANGE)
    assert stand.client.get(f"/v1/images/{answer['id']}/content").data == picture(ORANGE)
    found = stand.client.post("/v1/search/image", data=picture(ORANGE), content_type="image/png").get_json()["hits"]
    assert found[0]["key"] == "new/orange.png"


def test_an_upload_says_where_the_same_bytes_are_already(stand):
    first = put(stand.client, "same/a.png?wait=5", picture((9, 9, 99)))
    again = put(stand.client, "same/b.png?wait=5", picture((9, 9, 99)))
    assert (first.get_json()["duplicate_of"], again.get_json()["duplicate_of"]) == (None, "same/a.png")
    assert put(stand.client, "same/c.png", picture((9, 9, 98))).get_json()["duplicate_of"] is None


def test_an_upload_that_nobody_has_indexed_yet_is_queued(unconsumed):
    response = put(unconsumed.client, "queued.png?wait=0.01")

    assert response.status_code == 202
    assert response.get_json()["state"] == "queued"
    assert unconsumed.services.changes.backlog().waiting == 1
    assert (unconsumed.root / "queued.png").is_file()


def test_waiting_never_costs_the_answer(unconsumed):
    response = unconsumed.client.put(f"{BY_KEY}a.png?wait=60", data=picture(), headers={"X-Request-Timeout": "0.6"})
    assert response.status_code == 202


def test_the_same_bytes_again_are_not_written_again(stand):
    put(stand.client, "orange.png")
    before = (stand.root / "orange.png").stat()

    answer = put(stand.client, "orange.png").get_json()

    assert answer["unchanged"] is True
    assert answer["state"] == "searchable"
    assert (stand.root / "orange.png").stat().st_mtime_ns == before.st_mtime_ns


def test_the_same_bytes_are_written_again_if_the_file_has_gone_or_changed(stand):
    put(stand.client, "again.png")
    (stand.root / "again.png").unlink()
    assert put(stand.client, "again.png").get_json()["unchanged"] is False
    (stand.root / "again.png").write_bytes(picture((1, 2, 3), size=(10, 10)))
    assert put(stand.client, "again.png").get_json()["unchanged"] is False
    assert (stand.root / "again.png").read_bytes() == picture(ORANGE)


def test_an_image_is_replaced(stand):
    put(stand.client, "red.png?wait=5")
    assert (stand.root / "red.png").read_bytes() == picture(ORANGE)
    record = stand.client.get(f"/v1/images/{stand.id('red.png')}").get_json()
    assert record["metadata"] == {"caption": "<b>red</b>"}, "what the metadata file says of this key still holds"


def test_metadata_come_with_an_image(stand):
    response = stand.client.put(f"{BY_KEY}priced.png", data={"image": (io.BytesIO(picture()), "x"), "metadata": '{"price": 3}'})
    assert response.get_json()["state"] == "searchable"
    record = stand.client.get(f"/v1/images/{stand.id('priced.png')}").get_json()
    assert record["metadata"] == {"price": 3}


def test_a_field_for_metadata_that_is_left_empty_is_none(stand):
    def sent(name):
        """Werkzeug's client leaves out the line that an empty field has."""
        head, fields = b"--x\r\nContent-Disposition: form-data; name=", [b'"metadata"\r\n\r\n\r\n']
        fields.append(b'"image"; filename="%s"\r\n\r\n%s\r\n' % (name, picture(ORANGE)))
        return {
            "data": b"".join(head + field for field in fields) + b"--x--\r\n",
            "content_type": "multipart/form-data; boundary=x",
        }

    assert stand.client.put(f"{BY_KEY}one.png", **sent(b"x")).status_code == 200
    assert stand.client.post("/v1/images?wait=5", **sent(b"two.png")).status_code == 200
    assert stand.client.get(f"/v1/images/{stand.id('two.png')}").get_json()["metadata"] == {}


def test_other_metadata_of_the_same_bytes_are_kept(stand):
    for price in (3, 4):
        sent = {"image": (io.BytesIO(picture()), "x"), "metadata": json.dumps({"price": price})}
        assert stand.client.put(f"{BY_KEY}repriced.png", data=sent).get_json()["unchanged"] is False
    assert stand.client.get(f"/v1/images/{stand.id('repriced.png')}").get_json()["metadata"] == {"price": 4}


@pytest.mark.parametrize(
    "metadata",
    ["{", "[]", '"x"', '{"a": NaN}', '{"a": 1e999}', '{"a": 123456789012345678901}', "[" * 5000, json.dumps({"a": "x" * 70_000})],
)
def test_metadata_that_cannot_be_kept_keep_the_image_out(client, stand, metadata):
    before = names(stand.root)
    response = client.put(f"{BY_KEY}a.png", data={"image": (io.BytesIO(picture()), "x"), "metadata": metadata})
    assert_problem(response, 400, "invalid-metadata")
    assert names(stand.root) == before


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "image-empty"),
        (b"just text", 422, "image-format"),
        (picture(kind="JPEG", size=(200, 150))[:-900], 422, "image-truncated"),
        (picture(size=(2000, 2000)), 422, "image-too-many-pixels"),
        (b"x" * (MAX_BYTES + 1), 413, "too-large"),
    ],
)
def test_what_is_no_image_is_not_kept(client, stand, data, status, code):
    before = names(stand.root)
    response = put(client, "a.jpg", data)
    assert_problem(response, status, code)
    assert response.get_json()["detail"].startswith("image: ")
    assert names(stand.root) == before
    assert stand.services.changes.backlog().waiting == 0


@pytest.mark.parametrize(
    "key",
    [
        "../escape.png",
        "a/../../escape.png",
        "%2e%2e/escape.png",
        "..%2fescape.png",
        "a%00.png",
        "a%0D.png",
        "a%0A.png",
        "%0A",
        ".hidden/a.png",
        ".hidden.png",
        "notes.txt",
        "red.png/a.png",
        "a" * 2000 + ".png",
        "x/" * 1000 + "a.png",
        "metadata.jsonl",
    ],
)
def test_hostile_keys_write_nothing(client, stand, key):
    before = names(stand.root.parent)
    assert_problem(put(client, key), 400, "invalid-key")
    assert [name for name in names(stand.root.parent) if "sqlite3" not in name] == [n for n in before if "sqlite3" not in n]


def test_a_key_that_is_not_utf_8_is_refused(client):
    raw = f"{BY_KEY}caf\xe9.png"  # as a server hands it over
    assert_problem(put(client, "caf.png", environ_overrides={"PATH_INFO": raw}), 400, "invalid-key")


@pytest.mark.parametrize("key", ["a b.png", "ü/日本.png", "100%25.png", "a?b.png", "#1.png", "a+b.png", "x'] or id in ['.png"])
def test_odd_keys_are_keys(client, stand, key):
    plain = key.replace("%25", "%")
    answer = put(client, quote(plain)).get_json()
    assert answer["key"] == plain
    assert (stand.root / plain).is_file()


def test_two_ways_to_write_one_name_are_two_keys(client):
    """NFC and NFD: a folder on Linux holds both."""
    ids = {put(client, key).get_json()["id"] for key in ("caf%C3%A9.png", "cafe%CC%81.png")}
    assert len(ids) == 2


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "application/x-www-form-urlencoded"])
def test_an_upload_names_the_types_it_takes(client, content_type):
    assert (
        "send the file itself as image/*"
        in assert_problem(put(client, "a.png", content_type=content_type), 415, "unsupported-media-type")["detail"]
    )


def test_a_form_without_the_image_or_with_more_is_refused(client):
    assert_problem(client.put(f"{BY_KEY}a.png", data={"file": (io.BytesIO(picture()), "x")}), 400, "missing-image")
    two = {"image": [(io.BytesIO(picture()), "a"), (io.BytesIO(picture()), "b")]}
    assert_problem(client.put(f"{BY_KEY}a.png", data=two), 400, "missing-image")
    more = {"image": (io.BytesIO(picture()), "a"), "caption": "x"}
    assert_problem(client.put(f"{BY_KEY}a.png", data=more), 400, "invalid-query")


def test_a_corpus_that_may_only_be_read_says_so(make_stand, tmp_path):
    class ReadOnly(FolderCorpus):
        writable = False

    stand = make_stand(corpus=ReadOnly(tmp_path / "corpus"))
    assert_problem(put(stand.client, "a.png"), 403, "corpus-read-only")
    assert_problem(stand.client.delete(f"/v1/images/{stand.id('red.png')}"), 403, "corpus-read-only")


class DownStore(MemoryStore):
    down = False

    def get(self, ids, deadline=None):
        if self.down:
            raise StoreUnavailable("the store is down")
        return super().get(ids, deadline)


def test_while_the_store_is_down_uploads_are_taken(make_stand):
    store = DownStore()
    stand = make_stand(store=store)
    store.down = True

    response = put(stand.client, "a.png?wait=0.01")

    assert response.status_code == 202
    assert (stand.root / "a.png").is_file()


def test_while_the_database_is_down_nothing_is_written(make_stand):
    stand = make_stand()
    with stand.services.database.write() as session:
        session.execute(text("DROP TABLE changes"))
    before = names(stand.root)
    assert_problem(put(stand.client, "a.png"), 503, "database-unavailable")
    assert names(stand.root) == before


def test_an_upload_waits_for_a_locked_database_no_longer_than_it_may(make_stand, tmp_path):
    """Five seconds, however little time the client gave."""
    path = tmp_path / "locked.sqlite3"
    with closing(new_database(path)) as database, closing(sqlite3.connect(path, isolation_level=None)) as other:
        stand = make_stand(database=database)
        other.execute("BEGIN IMMEDIATE")
        began = perf_counter()
        headers = {"X-Request-Timeout": "0.3"}
        response = stand.client.put(f"{BY_KEY}a.png", data=picture(), headers=headers)
        assert perf_counter() - began < 4
        other.execute("ROLLBACK")
        assert_problem(response, 503, "database-unavailable")
        assert "a.png" not in names(stand.root)
        assert put(stand.client, "a.png?wait=5").status_code == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_told_and_works_again_with_room(make_stand, tmp_path):
    disk = tmp_path / "corpus" / "disk"
    disk.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this container may not mount a disk")
    try:
        stand = make_stand(limits=ImageLimits(10**6, 10**7, 20))
        filler = disk / "filler.bin"
        filler.write_bytes(b"x" * 250_000)
        photograph = _noise()
        assert_problem(put(stand.client, "disk/a.png", photograph), 507, "insufficient-storage")
        assert [path.name for path in disk.iterdir()] == ["filler.bin"]
        filler.unlink()
        assert put(stand.client, "disk/a.png", photograph).get_json()["state"] == "searchable"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _noise():
    file = io.BytesIO()
    Image.frombytes("RGB", (250, 200), os.urandom(250 * 200 * 3)).save(file, "PNG")
    return file.getvalue()


def test_of_two_uploads_under_one_key_one_wins_and_the_index_has_it(stand):
    pictures = [picture((number * 20, 100, 50), size=(64, 48 + number)) for number in range(12)]
    clients = [stand.app.test_client() for _ in pictures]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda pair: put(pair[0], "one.png?wait=10", pair[1]), zip(clients, pictures, strict=True)))

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.get_json()["state"] for answer in answers} <= {"searchable", "superseded"}
    held = (stand.root / "one.png").read_bytes()
    assert held in pictures
    record = stand.client.get(f"/v1/images/{stand.id('one.png')}").get_json()
    assert record["height"] == 48 + pictures.index(held)
    assert stand.services.changes.backlog().waiting == 0


def test_an_image_is_deleted_with_what_is_indexed_of_it(stand):
    response = stand.client.delete(f"/v1/images/{stand.id('blue.png')}?wait=5")

    assert response.status_code == 200
    assert response.get_json() == {"id": stand.id("blue.png"), "key": "blue.png", "state": "removed"}
    assert not (stand.root / "blue.png").exists()
    assert_problem(stand.client.get(f"/v1/images/{stand.id('blue.png')}"), 404, "not-found")
    assert_problem(stand.client.delete(f"/v1/images/{stand.id('blue.png')}"), 404, "not-found")


def test_an_image_whose_file_has_gone_is_deleted_from_the_index(stand):
    (stand.root / "pink.png").unlink()
    assert stand.client.delete(f"/v1/images/{stand.id('pink.png')}?wait=5").status_code == 200
    assert_problem(stand.client.get(f"/v1/images/{stand.id('pink.png')}"), 404, "not-found")


@pytest.mark.parametrize(
    "key",
    [
        *(
            "../outside.png",
            "/etc/passwd",
            "a/../../outside.png",
            "nul\0.png",
            "line\nbreak.png",
            "k" * 4096,
            "product-17",
            "./red.png",
            ".env.png",
            "metadata.jsonl",
        ),
        *("sub", "pipe.png", "link-out.png", "thé.png", "the\u0301.png"),
    ],
)
def test_what_was_imported_under_any_key_is_no_way_to_a_file_and_can_be_deleted(stand, key):
    """An import takes the keys of other programs; those of a folder are paths."""
    outside = stand.root.parent / "outside.png"
    outside.write_bytes(picture())
    for name in ("pipe.png", "link-out.png"):
        (stand.root / name).unlink(missing_ok=True)
    os.mkfifo(stand.root / "pipe.png")
    (stand.root / "link-out.png").symlink_to(outside)
    stored, store = record(key), stand.services.engine.store
    store.upsert([stored], store.vectors([stand.id("red.png")])[stand.id("red.png")][None])
    before = names(stand.root)

    image = f"/v1/images/{stored.id}"
    assert stand.client.get(image).get_json()["key"] == key
    assert stand.client.get(f"{image}/similar").status_code == 200
    for file in ("content", "thumbnail"):
        assert_problem(stand.client.get(f"{image}/{file}"), 404, "not-found")
    assert stand.client.patch(image, json={"metadata": {"seen": True}}).status_code == 200
    answer = stand.client.delete(f"{image}?wait=5")
    assert (answer.status_code, answer.get_json()["state"]) == (200, "removed")
    assert_problem(stand.client.get(image), 404, "not-found")
    assert outside.read_bytes() == picture()
    assert [name for name in before if name != "link-out.png"] == [name for name in names(stand.root) if name != "link-out.png"]


def test_a_deletion_that_nobody_has_followed_yet_is_queued(unconsumed):
    response = unconsumed.client.delete(f"/v1/images/{unconsumed.id('red.png')}")
    assert response.status_code == 202
    assert response.get_json()["state"] == "queued"
    assert not (unconsumed.root / "red.png").exists()


def test_an_upload_can_be_deleted_before_it_is_indexed(unconsumed):
    """It was answered 404, and the picture that somebody had taken back was found a moment later."""
    uploaded = put(unconsumed.client, "oops.png").get_json()
    assert uploaded["state"] == "queued"

    response = unconsumed.client.delete(f"/v1/images/{uploaded['id']}")

    assert (response.status_code, response.get_json()["key"]) == (202, "oops.png")
    assert not (unconsumed.root / "oops.png").exists()
    assert_problem(unconsumed.client.delete(f"/v1/images/{uploaded['id']}"), 404, "not-found")


def test_many_files_are_answered_one_by_one(stand):
    files = [
        ("many/a.png", picture(ORANGE)),
        ("sub/b.png", picture((1, 2, 3))),
        ("bad.png", b"no image"),
        ("../c.png", picture()),
        ("d.png", picture()),
    ]

    response = stand.client.post("/v1/images?wait=5", data=form(*files, metadata={"many/a.png": {"price": 3}, "d.png": 3}))

    assert response.status_code == 200
    results = response.get_json()["results"]
    assert [(result["key"], result["status"]) for result in results] == [
        ("many/a.png", 200),
        ("sub/b.png", 200),
        ("bad.png", 422),
        ("../c.png", 400),
        ("d.png", 400),
    ]
    codes = [result["problem"] and result["problem"]["code"] for result in results]
    assert codes == [None, None, "image-format", "invalid-key", "invalid-metadata"]
    assert results[1]["image"]["state"] == "searchable"
    assert stand.client.get(f"/v1/images/{stand.id('many/a.png')}").get_json()["metadata"] == {"price": 3}


def test_many_files_of_which_some_wait_are_answered_202(unconsumed):
    response = unconsumed.client.post("/v1/images", data=form(("a.png", picture()), ("bad.png", b"no image")))
    assert response.status_code == 202
    assert [result["status"] for result in response.get_json()["results"]] == [202, 422]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"file": (io.BytesIO(b"x"), "a.png")}, "missing-image"),
        (form(("a.png", b"x"), ("a.png", b"y")), "invalid-query"),
        (form(("a.png", b"x"), metadata={"b.png": {}}), "invalid-metadata"),
    ],
)
def test_a_form_of_many_that_makes_no_sense_is_refused(client, sent, code):
    assert_problem(client.post("/v1/images", data=sent, content_type="multipart/form-data"), 400, code)


@pytest.mark.parametrize("wait", ["-1", "601", "nan", "soon", ""])
def test_a_wait_is_a_number_of_seconds(client, wait):
    assert_problem(put(client, f"a.png?wait={wait}"), 400, "invalid-query")
