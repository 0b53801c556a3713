"""Every hostile name by every way in: nothing outside the corpus is read, written or deleted, and the honest are served on."""

import io
import os
import stat
import unicodedata
from urllib.parse import quote, quote_plus

import numpy as np
import pytest

from ml_api.embedding.batching import BulkEncoder
from ml_api.indexing.changes import Source
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.vectors.files.base import Row
from ml_api.vectors.files.intake import Intake
from tests.api.stand import LIMITS, build_stand, picture, write_corpus
from tests.stand_ins import InlineDecoder

SECRET = picture((1, 2, 3))
NFC = unicodedata.normalize("NFC", "caf\N{LATIN SMALL LETTER E WITH ACUTE}.png")
NAMES = {
    "parent": "../secret.png",
    "parent of a folder": "sub/../../secret.png",
    "absolute": "/{outside}/secret.png",
    "nul": "red\0.png",
    "nul behind an image": "red.png\0.txt",
    "newline": "a\nb.png",
    "4 KB": "x" * 4092 + ".png",
    "a part of 4 KB": "sub/" + "x" * 4092 + ".png",
    "empty": "",
    "slash": "/",
    "empty part": "sub//green.png",
    "dot": "./red.png",
    "hidden": ".hidden.png",
    "half character": "\ud800.png",
    "backslashes": "..\\..\\secret.png",
    "percent": "%2e%2e%2fsecret.png",
    "terminal": "\x1b[2J.png",
    "nfc": NFC,
    "nfd": unicodedata.normalize("NFD", NFC),
    "link out": "link.png",
    "link to itself": "loop.png",
    "through a linked folder": "linked/secret.png",
    "pipe": "pipe.png",
    "pipe as a sidecar": "pipe.json",
    "folder": "folder.png",
    "below a file": "red.png/a.png",
}
ALLOWED = {"corpus", "outside", "secret.png", "thumbnails"}
SOUND = ("newline", "percent", "terminal", "nfc", "nfd")
"""A folder may hold them, and they are what they are: names of files in it, each of its own."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A corpus with traps in it, and beside it what nobody may have."""
    folder = tmp_path_factory.mktemp("hostile")
    root, outside = write_corpus(folder / "corpus"), folder / "outside"
    outside.mkdir()
    (folder / "secret.png").write_bytes(SECRET)
    (outside / "secret.png").write_bytes(SECRET)
    (root / "link.png").symlink_to(outside / "secret.png")
    (root / "loop.png").symlink_to("loop.png")
    (root / "linked").symlink_to(outside)
    (root / "folder.png").mkdir()
    os.mkfifo(root / "pipe.png")
    (root / "pipe.jpg").write_bytes(picture(kind="JPEG"))
    os.mkfifo(root / "pipe.json")
    stand = build_stand(root, folder / "thumbnails")
    yield stand, folder
    stand.services.close()


def put(stand, key):
    return stand.client.put(f"/v1/images/by-key/{quote(key.encode(errors='surrogatepass'), safe='/')}", data=picture())


def post(stand, key):
    data = {"image": (io.BytesIO(picture()), key.encode(errors="replace").decode())}
    return stand.client.post("/v1/images", data=data)


def events(stand, key):
    named = quote_plus(f"{stand.root}/{key}".partition("/")[2].encode(errors="surrogatepass"))
    return stand.client.post("/v1/events", json={"Records": [{"s3": {"bucket": {"name": ""}, "object": {"key": named}}}]})


def watch(stand, key):
    stand.services.changes.note([key], Source.WATCH, gone=["gone.png"])


def gone(stand, key):
    stand.services.changes.note([], Source.WATCH, gone=[key])


def import_(stand, key):
    fields = {"id": "", "key": key, "digest": "", "version": "", "width": 1, "height": 1, "model_id": "m"}
    vector = np.ones(stand.services.engine.embedder.model.dim, np.float32)
    intake = Intake("m", len(vector), lambda _place, _reason: None)
    for records, vectors in intake.batches([Row("row 1", fields, vector)], 10):
        stand.services.engine.store.upsert(records, vectors)


def sync(stand, key):
    services = stand.services
    decoder = InlineDecoder(LIMITS)
    parts = (services.engine.preprocessor, BulkEncoder(services.engine.embedder))
    indexer = Indexer(services.corpus, services.engine.store, lambda: parts, decoder, Metrics())
    indexer.run(indexer.plan())


WAYS = {way.__name__.rstrip("_"): way for way in (put, post, events, watch, gone, import_, sync)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_it_reaches_nothing_outside_and_stops_nobody(place, name, way):
    stand, folder = place
    key = NAMES[name].replace("{outside}", str(folder / "outside").lstrip("/"))

    answer = WAYS[way](stand, key)

    if answer is not None:
        assert answer.status_code < 500, answer.get_data(as_text=True)
    assert {path.name for path in folder.iterdir() if path.suffix in {"", ".png", ".txt"}} <= ALLOWED
    assert [path.name for path in (folder / "outside").iterdir()] == ["secret.png"]
    assert (folder / "outside" / "secret.png").read_bytes() == (folder / "secret.png").read_bytes() == SECRET
    assert stat.S_ISFIFO((stand.root / "pipe.png").lstat().st_mode)
    assert (stand.root / "link.png").is_symlink()
    served = stand.client.get(f"/v1/images/{image_id(key)}/content") if name != "half character" else None
    assert served is None or served.get_data() != SECRET
    assert stand.client.get("/v1/search/text?q=red&limit=1").status_code == 200
    assert stand.services.changes.backlog().waiting <= len(NAMES), "what is gone waits for a second, and nothing else"


@pytest.mark.parametrize("way", ["sync", "watch", "events"])
def test_odd_names_of_files_are_names_like_others(place, way):
    stand, _ = place
    for number, name in enumerate(SOUND):
        (stand.root / NAMES[name]).write_bytes(picture((number, 200, 10 * len(way))))
    for name in SOUND:
        WAYS[way](stand, NAMES[name])
    listed = {image["key"] for image in stand.client.get("/v1/images?limit=1000").get_json()["images"]}
    assert {NAMES[name] for name in SOUND} <= listed
    for number, name in enumerate(SOUND):
        served = stand.client.get(f"/v1/images/{image_id(NAMES[name])}/content")
        assert served.get_data() == picture((number, 200, 10 * len(way)))
