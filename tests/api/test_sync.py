"""Syncs over HTTP: started, followed, read, cancelled, and seen by searches."""

import threading
import time

import pytest

from ml_api.embedding.fake import FakeEncoder
from ml_api.errors import StoreUnavailable
from ml_api.indexing.jobs.execution import TELL_EVERY_S
from ml_api.vectors.memory import MemoryStore
from tests.api.stand import assert_problem, picture
from tests.waiting import wait_until


def ended(stand, job):
    """The job once it is over."""
    wait_until(lambda: stand.client.get(job["links"]["self"]).get_json()["state"] not in {"queued", "running"})
    return stand.client.get(job["links"]["self"]).get_json()


def started(stand, **options):
    answer = stand.client.post("/v1/sync", json=options) if options else stand.client.post("/v1/sync")
    assert answer.status_code == 202, answer.get_data(as_text=True)
    job = answer.get_json()
    assert answer.headers["Location"] == job["links"]["self"] == f"/v1/sync/{job['id']}"
    return job


class GatedEncoder(FakeEncoder):
    """Images wait in the model until the gate is open."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def embed(self, items):
        if items[0].modality == "image":
            self.entered.set()
            assert self.gate.wait(20)
        return super().embed(items)


@pytest.fixture
def gated(make_stand):
    encoder = GatedEncoder()
    stand = make_stand(encoder=encoder)
    encoder.entered.clear()
    encoder.gate.clear()
    yield stand, encoder
    encoder.gate.set()


def test_what_a_sync_added_is_found_at_once(stand):
    (stand.root / "yellow.png").write_bytes(picture((245, 230, 40)))
    job = ended(stand, started(stand))
    assert (job["state"], job["done"], job["total"], job["error"]) == ("succeeded", 5, 5, "")
    assert job["report"]["outcomes"]["added"] == 1
    hits = stand.client.get("/v1/search/text?q=yellow&limit=1").get_json()["hits"]
    assert hits[0]["key"] == "yellow.png"
    assert stand.client.get("/v1/stats").get_json()["images"] == 5


def test_the_overview_shows_the_active_one_and_the_last(stand):
    first = ended(stand, started(stand))
    second = ended(stand, started(stand, retry_failed=True))
    assert second["options"]["retry_failed"]
    assert stand.client.get("/v1/sync").get_json() == {"active": None, "last": [second, first]}


def test_files_that_failed_are_listed_in_pages(stand):
    for number in range(5):
        (stand.root / f"{number}.png").write_bytes(b"broken")
    job = ended(stand, started(stand))
    assert job["report"]["outcomes"]["failed"] == 5
    files = job["links"]["files"]
    page = stand.client.get(f"{files}?outcome=failed&limit=3").get_json()
    assert [file["key"] for file in page["files"]] == ["0.png", "1.png", "2.png"]
    assert all(file["reason"] for file in page["files"])
    rest = stand.client.get(f"{files}?outcome=failed&limit=3&cursor={page['next']}").get_json()
    assert ([file["key"] for file in rest["files"]], rest["next"]) == (["3.png", "4.png"], None)
    assert stand.client.get(f"{files}?outcome=moved").get_json() == {"files": [], "next": None}
    refused = assert_problem(stand.client.get(f"{files}?outcome=gone"), 400, "invalid-query")
    assert refused["detail"].startswith("outcome: must be 'added', 'replaced', ")


def test_while_one_runs_everybody_gets_that_one_and_searches_go_on(gated):
    stand, encoder = gated
    (stand.root / "yellow.png").write_bytes(picture((245, 230, 40)))
    first = started(stand)
    assert encoder.entered.wait(20)
    assert started(stand, allow_empty=True)["id"] == first["id"]
    assert_problem(stand.client.post("/v1/sync", json={"dry_run": True}), 409, "sync-refused")
    active = stand.client.get("/v1/sync").get_json()["active"]
    assert (active["id"], active["state"], active["total"]) == (first["id"], "running", 5)
    encoder.gate.set()
    assert ended(stand, first)["state"] == "succeeded"


def test_a_sync_that_is_cancelled_stops_and_says_so(gated):
    stand, encoder = gated
    for number in range(100):
        (stand.root / f"{number}.png").write_bytes(picture((number, 0, 0), (8, 8)))
    job = started(stand)
    assert encoder.entered.wait(20)
    cancelled = stand.client.delete(job["links"]["self"])
    assert (cancelled.status_code, cancelled.get_json()["cancelled"]) == (202, True)
    asked_at = time.monotonic()
    wait_until(lambda: time.monotonic() > asked_at + TELL_EVERY_S)  # the sync looks that often, and the model holds it until then
    encoder.gate.set()
    over = ended(stand, job)
    assert (over["state"], over["error"]) == ("stopped", "cancelled")
    assert over["report"]["summary"]
    assert stand.client.delete(job["links"]["self"]).get_json() == over


def test_an_accident_is_refused_with_the_plan_in_words(stand):
    for path in stand.root.rglob("*.png"):
        path.unlink()
    job = ended(stand, started(stand))
    assert job["state"] == "refused"
    assert "holds no images, but 4 are indexed" in job["error"]
    assert ended(stand, started(stand, allow_empty=True))["state"] == "succeeded"
    assert stand.client.get("/v1/stats").get_json()["images"] == 0


def test_a_dry_run_shows_the_plan_and_changes_nothing(stand):
    (stand.root / "yellow.png").write_bytes(picture((245, 230, 40)))
    (stand.root / "red.png").unlink()
    job = ended(stand, started(stand, dry_run=True))
    assert (job["state"], job["report"]) == ("succeeded", None)
    assert (job["plan"]["counts"]["added"], job["plan"]["examples"]["removed"]) == (1, ["red.png"])
    assert stand.client.get("/v1/stats").get_json()["images"] == 4
    assert ended(stand, started(stand))["plan"] is None


class FullStore(MemoryStore):
    full = False

    def upsert(self, records, vectors):
        if self.full:
            raise StoreUnavailable("the store is full")
        super().upsert(records, vectors)


def test_a_store_that_fails_fails_the_sync_and_the_next_one_completes_it(make_stand):
    store = FullStore()
    stand = make_stand(store=store)
    (stand.root / "yellow.png").write_bytes(picture((245, 230, 40)))
    store.full = True
    job = ended(stand, started(stand))
    assert (job["state"], job["error"]) == ("failed", "the store is full")
    store.full = False
    assert ended(stand, started(stand))["report"]["outcomes"]["added"] == 1


def test_what_a_stopped_service_leaves_is_stopped_and_says_so(gated):
    stand, encoder = gated
    (stand.root / "yellow.png").write_bytes(picture((245, 230, 40)))
    job = started(stand)
    assert encoder.entered.wait(20)
    closing = threading.Thread(target=stand.services.syncs.close)
    closing.start()
    encoder.gate.set()
    closing.join(20)
    over = stand.client.get(job["links"]["self"]).get_json()
    assert (over["state"], over["error"]) == ("stopped", "its process was stopped")


@pytest.mark.parametrize(
    ("body", "says"),
    [({"replce": True}, "replce: is not a parameter"), ({"replace": "yes"}, "replace: must be"), ([], "not an object")],
)
def test_a_wrong_body_is_named(client, body, says):
    answer = client.post("/v1/sync", json=body)
    assert answer.status_code == 400
    assert says in answer.get_json()["detail"]


def test_an_unknown_sync_is_not_found(client):
    for path in ("/v1/sync/77", "/v1/sync/77/files", f"/v1/sync/{2**65}"):
        assert_problem(client.get(path), 404, "not-found")
    assert_problem(client.delete("/v1/sync/77"), 404, "not-found")
