"""A corpus in a bucket, from the command line to the browser: a real server of the S3 protocol, real processes of ours."""

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from ml_api.records import image_id
from tests.e2e.server_process import MODEL, Server, run
from tests.servers.s3 import S3Server, found_by

BUCKET, URL = "served-photos", "s3://served-photos/shop 1"  # moto keeps the buckets of all servers of a process


def picture(seed, size=(96, 64), orientation=1):
    """Noise, which no format makes small."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize(size, Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88, exif=exif)
    return file.getvalue()


def photograph(seed):
    """As a camera writes it: 12 megapixels, some 7 MB, taken upright."""
    return picture(seed, (4000, 3000), orientation=6)


@pytest.fixture(scope="module")
def s3():
    server = S3Server()
    server.make_bucket(BUCKET)
    with found_by(server.environment):
        yield server
    server.close()


@pytest.fixture(scope="module")
def pictures():
    """Image files by their keys: some small ones, and two as cameras write them."""
    small = {f"small/{number:04}.jpg": picture(number) for number in range(20)}
    return small | {"DCIM/IMG 1.JPG": photograph(101), "DCIM/IMG+2.JPG": photograph(102)}


@pytest.fixture(scope="module")
def stored(s3, pictures):
    for key, data in pictures.items():
        s3.kept.put_object(BUCKET, f"shop 1/{key}", data)
    for number in range(1_100):  # a listing of two pages
        s3.kept.put_object(BUCKET, f"shop 1/a/{number:04}.txt", b"no image")
    s3.kept.put_object(BUCKET, "shop 1/metadata.csv", b"key,caption\nDCIM/IMG 1.JPG,noise\n")
    s3.kept.put_object(BUCKET, "elsewhere/a.jpg", b"not of this corpus")
    return s3


def report(result):
    assert result.returncode == 0, result.stdout + result.stderr
    [line] = [line for line in map(json.loads, result.stderr.splitlines()) if line.get("event.action") == "sync"]
    return {name.rpartition(".")[2]: value for name, value in line.items() if name.startswith("ml_api.sync.") and value}


@pytest.fixture(scope="module")
def indexed(stored, tmp_path_factory):
    data = tmp_path_factory.mktemp("bucket")
    first = report(run("sync", URL, model=MODEL, data_dir=data))
    stored.kept.delete_object(BUCKET, "shop 1/small/0000.jpg")
    stored.kept.put_object(BUCKET, "shop 1/small/new.jpg", stored.kept.get_object(BUCKET, "shop 1/small/0001.jpg").value)
    return data, first, report(run("sync", URL, model=MODEL, data_dir=data))


@pytest.fixture(scope="module")
def serving(indexed):
    with Server(indexed[0], URL) as server:
        yield server


def test_every_object_below_the_prefix_is_indexed(indexed, pictures):
    _, first, _ = indexed
    assert first["added"] == len(pictures)


def test_a_second_sync_reads_what_has_changed(indexed, pictures):
    _, _, second = indexed
    assert {name: number for name, number in second.items() if name != "seconds"} == {
        "unchanged": len(pictures) - 1,
        "duplicate": 1,
        "removed": 1,
    }


def test_its_files_are_served_with_ranges_and_caching(serving, pictures):
    for key in ("DCIM/IMG 1.JPG", "DCIM/IMG+2.JPG", "small/0007.jpg"):
        stored = serving.json(f"/v1/images/{image_id(key)}")
        assert stored["key"] == key
        status, headers, body = serving.get(stored["links"]["content"])
        assert (status, headers["Content-Type"]) == (200, "image/jpeg")
        assert hashlib.sha256(body).hexdigest() == stored["digest"] == hashlib.sha256(pictures[key]).hexdigest()
        assert "immutable" in headers["Cache-Control"]
        status, headers, part = serving.get(stored["links"]["content"], headers={"Range": "bytes=100-299"})
        assert (status, part) == (206, body[100:300])
        status, _, _ = serving.get(stored["links"]["content"], headers={"If-None-Match": headers["ETag"]})
        assert status == 304
        status, headers, body = serving.get(stored["links"]["thumbnail"])
        assert (status, headers["Content-Type"]) == (200, "image/webp")
        assert max(Image.open(io.BytesIO(body)).size) <= 512
    assert serving.json(f"/v1/images/{image_id('DCIM/IMG 1.JPG')}")["metadata"] == {"caption": "noise"}


def test_a_search_finds_what_lies_there(serving, pictures):
    status, _, body = serving.post("/v1/search/image", pictures["DCIM/IMG+2.JPG"], "image/jpeg")
    assert status == 200
    assert json.loads(body)["hits"][0]["key"] == "DCIM/IMG+2.JPG"
