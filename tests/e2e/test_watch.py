"""`serve --watch`: a real process follows a folder, whatever happens there, and whatever happens to the process."""

import hashlib
import json
import shutil
import threading
import urllib.request

import pytest

from ml_api.records import image_id
from monitoring.local.launcher import DIRECTLY
from tests.e2e.server_process import Server
from tests.files.costly_images import photograph
from tests.slow_line import SlowLine
from tests.waiting import wait_until

PAUSE_S = 0.2
"""Of a camera that writes slowly, between two parts; less than the time after which a file counts as complete."""


@pytest.fixture(scope="module")
def corpus(demo_corpus, tmp_path_factory):
    """Some drawn pictures; others, to come, lie beside it."""
    folder = tmp_path_factory.mktemp("watched") / "corpus"
    folder.mkdir()
    for picture in sorted(demo_corpus.rglob("*.jpg"))[:30]:
        shutil.copy(picture, folder)
    return folder


@pytest.fixture(scope="module")
def spare(demo_corpus):
    """Pictures that are not in the corpus at the start."""
    return iter([path.read_bytes() for path in sorted(demo_corpus.rglob("*.jpg"))[40:]])


@pytest.fixture(scope="module")
def server(corpus, tmp_path_factory):
    with Server(tmp_path_factory.mktemp("watching"), corpus, watch=True) as server:
        wait_until(
            lambda: stored_in(server) == len(list(corpus.iterdir())), otherwise="the sync at the start did not find everything"
        )
        yield server


def stored_in(server):
    return server.json("/v1/stats")["images"]


def digest_of(server, key):
    """Of what is indexed under this key; None if nothing is."""
    status, _, body = server.get(f"/v1/images/{image_id(key)}")
    return json.loads(body)["digest"] if status == 200 else None


def appears(server, key, data):
    wait_until(lambda: digest_of(server, key) == hashlib.sha256(data).hexdigest(), otherwise=f"{key} was not indexed")


def vanishes(server, key):
    wait_until(lambda: digest_of(server, key) is None, otherwise=f"{key} is still indexed")


def outcomes(server):
    """How many changes came to what."""
    with DIRECTLY.open(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return {line.split(" ")[0]: float(line.split(" ")[1]) for line in lines if line.startswith("ml_api_changes_total")}


def test_files_that_are_added_replaced_moved_and_removed_are_followed(server, corpus, spare):
    first, second = next(spare), next(spare)
    (corpus / "one.jpg").write_bytes(first)
    appears(server, "one.jpg", first)
    (corpus / "one.jpg").write_bytes(second)
    appears(server, "one.jpg", second)

    (corpus / "one.jpg").rename(corpus / "two.jpg")
    appears(server, "two.jpg", second)
    vanishes(server, "one.jpg")
    assert outcomes(server)['ml_api_changes_total{outcome="moved"}'] == 1

    (corpus / "two.jpg").unlink()
    vanishes(server, "two.jpg")


def test_folders_that_come_move_and_go_are_followed(server, corpus, spare, tmp_path):
    data = next(spare)
    outside = tmp_path / "trip"
    (outside / "day 1").mkdir(parents=True)
    (outside / "day 1" / "a.jpg").write_bytes(data)
    (outside / "day 1" / ".hidden.jpg").write_bytes(data)
    shutil.move(outside, corpus / "trip")
    appears(server, "trip/day 1/a.jpg", data)
    (corpus / "trip").rename(corpus / "journey")
    appears(server, "journey/day 1/a.jpg", data)
    vanishes(server, "trip/day 1/a.jpg")
    shutil.rmtree(corpus / "journey")
    vanishes(server, "journey/day 1/a.jpg")
    assert digest_of(server, "trip/day 1/.hidden.jpg") is None


def test_a_photograph_that_a_camera_writes_slowly_is_indexed_when_it_is_complete(server, corpus):
    data = photograph(6000, 4000, quality=96)
    assert len(data) > 3_000_000
    pause = threading.Event()
    with (corpus / "IMG_0001.JPG").open("wb", buffering=0) as camera:
        for start in range(0, len(data), len(data) // 8):
            camera.write(data[start : start + len(data) // 8])
            pause.wait(PAUSE_S)
            assert digest_of(server, "IMG_0001.JPG") is None
    appears(server, "IMG_0001.JPG", data)
    assert "IMG_0001" not in server.log()  # as a file that failed


def test_a_burst_is_indexed_and_metadata_that_change_are_followed(server, corpus, spare):
    burst = {f"burst/{number:03}.jpg": next(spare) for number in range(20)}
    (corpus / "burst").mkdir()
    for key, data in burst.items():
        (corpus / key).write_bytes(data)
    for key, data in burst.items():
        appears(server, key, data)
    (corpus / "metadata.csv").write_text("key,caption\nburst/001.jpg,the second\n")
    path = f"/v1/images/{image_id('burst/001.jpg')}"
    wait_until(lambda: server.json(path)["metadata"] == {"caption": "the second"}, otherwise="the metadata did not change")


@pytest.fixture(scope="module")
def camera():
    """Different photographs of 3 to 12 MB, as cameras and phones write them."""
    shapes = ((4032, 3024, 80), (4032, 3024, 88), (6000, 4000, 80), (6000, 4000, 88))
    photographs = [photograph(width, height, quality=quality, noise=40, seed=width + quality) for width, height, quality in shapes]
    assert all(3_000_000 < len(data) < 12_000_000 for data in photographs), [len(data) for data in photographs]
    return photographs


def form_of(*files, metadata=None, boundary="----form----"):
    """Body and content type."""
    named = [(f'name="image"; filename="{name}"', data) for name, data in files]
    named += [('name="metadata"', metadata.encode())] if metadata else []
    parts = [f"--{boundary}\r\nContent-Disposition: form-data; {names}\r\n\r\n".encode() + data for names, data in named]
    return b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def send(url, method, body, content_type):
    """Status and answer."""
    request = urllib.request.Request(url, body, {"Content-Type": content_type}, method=method)
    with DIRECTLY.open(request, timeout=60) as answer:
        return answer.status, json.load(answer)


def test_photographs_are_uploaded_in_every_way_and_over_a_slow_line_too(server, camera):
    raw, formed, *several = camera
    status, answer = send(f"{server.url}/v1/images/by-key/up/raw.jpg?wait=20", "PUT", raw, "image/jpeg")
    assert (status, answer["state"], answer["digest"]) == (200, "searchable", hashlib.sha256(raw).hexdigest())

    body, content_type = form_of(("any.jpg", formed), metadata='{"tag": "uploaded"}')
    with SlowLine(server.port) as line:
        line.delay_s = 0.01
        status, answer = send(f"http://127.0.0.1:{line.port}/v1/images/by-key/up/form.jpg?wait=20", "PUT", body, content_type)
    assert (status, answer["state"]) == (200, "searchable")

    body, content_type = form_of(("up/one.jpg", several[0]), ("up/two.jpg", several[1]), ("up/three.jpg", raw))
    status, answer = send(f"{server.url}/v1/images?wait=20", "POST", body, content_type)
    assert status == 200, answer
    assert [result["image"]["state"] for result in answer["results"]] == ["searchable"] * 3
    assert [result["image"]["duplicate_of"] for result in answer["results"]] == [None, None, "up/raw.jpg"]


def test_metadata_that_came_with_an_upload_survive_a_sync_and_a_look_at_the_watched_file(server, corpus):
    """The file is the one uploaded above."""
    path = f"/v1/images/{image_id('up/form.jpg')}"
    assert server.json(path)["metadata"] == {"tag": "uploaded"}
    (corpus / "up" / "form.jpg").touch()
    _, job = send(f"{server.url}/v1/sync", "POST", b"{}", "application/json")
    over = wait_until(lambda: (told := server.json(f"/v1/sync/{job['id']}"))["ended_at"] and told)
    assert over["state"] == "succeeded"
    wait_until(lambda: server.json("/v1/sync")["active"] is None)
    assert server.json(path)["metadata"] == {"tag": "uploaded"}


def test_a_killed_service_loses_nothing_that_happened_before_and_after(server, corpus, spare):
    before, after = next(spare), next(spare)
    (corpus / "before.jpg").write_bytes(before)
    server.process.kill()
    server.process.wait()
    (corpus / "after.jpg").write_bytes(after)
    removed = min(path.name for path in corpus.iterdir() if path.name not in {"before.jpg", "after.jpg", "metadata.csv", "burst"})
    (corpus / removed).unlink()
    server.start()
    appears(server, "before.jpg", before)
    appears(server, "after.jpg", after)
    vanishes(server, removed)
