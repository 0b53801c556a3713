"""Files that cost their decoder more than there is: the real service answers them, and everybody else meanwhile."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.server_process import Server, children, run
from tests.files import costly_images

MIB = 2**20
SLOW = {
    "empty scans": costly_images.empty_scans,
    "EXIF segments": costly_images.exif_segments,
    "ends of lines": costly_images.bmp_ends_of_line,
}
"""Each would keep its decoder busy for 10 s to 150 s, so each costs the tests as many seconds of a core as it is allowed."""
SOUND = {
    "strips": costly_images.tiff_strips,
    "profiles": costly_images.png_profiles,
    "PNG": lambda: costly_images.big_png(6000, 6000),
}
"""Libraries that stream have made short work of these."""


@pytest.fixture(scope="module")
def impatient_server(tmp_path_factory):
    """Allows an image 1 s in place of 4 s."""
    folder = tmp_path_factory.mktemp("costly")
    corpus = folder / "corpus"
    corpus.mkdir()
    (corpus / "photograph.jpg").write_bytes(costly_images.photograph(640, 480))
    server = Server(folder, corpus, decode_timeout_s=1)
    server.index()
    with server:
        yield server


def resident(pid):
    """Bytes that a process and all below it hold, what they share counted once for each."""
    pages = 0
    for each in [pid, *children(pid)]:
        with suppress(FileNotFoundError, ProcessLookupError):  # a decoding process may end meanwhile
            pages += int(Path(f"/proc/{each}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def answer_at_last(server, file):
    """On a busy machine a file hardly has a core at first, and whoever sent it is asked to come again."""
    status, give_up_at = 503, time.monotonic() + 240
    while status == 503 and time.monotonic() < give_up_at:
        status, _, body = server.post("/v1/search/image", file, "application/octet-stream")
    return status, body


@pytest.mark.parametrize("name", SLOW)
def test_a_file_that_costs_too_much_is_told_so(impatient_server, name):
    status, body = answer_at_last(impatient_server, SLOW[name]())
    assert status == 422, body
    assert b"image-too-costly" in body
    assert b"more than 1 s" in body


@pytest.mark.parametrize("name", SOUND)
def test_a_file_that_only_looks_costly_is_searched_with(server, name):
    assert answer_at_last(server, SOUND[name]())[0] == 200


def test_eight_at_once_hold_up_no_text_search(impatient_server):
    with ThreadPoolExecutor(8) as senders:
        files = [*SLOW.values(), *SLOW.values(), *list(SOUND.values())[:2]]
        sent = [senders.submit(impatient_server.post, "/v1/search/image", file(), "application/octet-stream") for file in files]
        texts = 0
        while not all(answer.done() for answer in sent):
            assert impatient_server.get("/v1/search/text?q=red")[0] == 200
            assert resident(impatient_server.process.pid) < 2.5 * 2**30
            texts += 1
    assert texts > 8
    assert {answer.result()[0] for answer in sent} <= {200, 422, 503}
    assert answer_at_last(impatient_server, costly_images.photograph(4000, 3000))[0] == 200


def test_a_sync_names_the_file_and_goes_on(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "a-costly.jpg").write_bytes(costly_images.empty_scans())
    (corpus / "b-sound.jpg").write_bytes(costly_images.photograph(640, 480))
    server = Server(tmp_path, corpus, decode_timeout_s=1)

    done = run("sync", **server.settings)

    told = done.stdout + done.stderr
    assert "a-costly.jpg" in told
    assert "takes more than 1 s" in told
    assert "1 added" in told, told
