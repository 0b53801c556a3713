"""What is refused or given up is counted once, by its reason."""

from typing import get_args

import pytest

from ml_api.errors import DeadlineExceeded, ModelUnavailable, Overload, Overloaded
from ml_api.vectors.memory import MemoryStore
from tests.api.stand import picture

REASONS = ("too_large", "bad_image", "queue_full", "memory_full", "decoding", "busy", "deadline")


class RefusingStore(MemoryStore):
    """Raises `error` at every search once there is one."""

    error = None

    def search(self, *args, **kwargs):
        if self.error is not None:
            raise self.error
        return super().search(*args, **kwargs)


def counts(stand):
    sample = stand.services.metrics.registry.get_sample_value
    return {reason: sample("ml_api_rejected_total", {"reason": reason}) or 0 for reason in REASONS}


def post(stand, data, content_type="image/png", headers=None):
    return stand.client.post("/v1/search/image", data=data, content_type=content_type, headers=headers)


CAUSES = {
    "an image over the limit": (lambda stand: post(stand, b"x" * 210_000), 413, "too_large"),
    "a body over the limit": (lambda stand: post(stand, b"x" * 1_000_000), 413, "too_large"),
    "no image": (lambda stand: post(stand, b"just text"), 422, "bad_image"),
    "an image of too many pixels": (lambda stand: post(stand, picture(size=(2000, 1000))), 422, "bad_image"),
    "a deadline": (lambda stand: post(stand, picture(), headers={"X-Request-Timeout": "1e-9"}), 504, "deadline"),
}


@pytest.mark.parametrize(("cause", "status", "reason"), CAUSES.values(), ids=CAUSES.keys())
def test_each_rejection_is_counted_once(stand, cause, status, reason):
    for _ in range(3):
        assert cause(stand).status_code == status
    assert counts(stand) == dict.fromkeys(REASONS, 0) | {reason: 3}


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        *((Overloaded("too much", reason=reason), 503, reason) for reason in get_args(Overload)),
        (DeadlineExceeded("late"), 504, "deadline"),
    ],
)
def test_what_the_store_refuses_is_counted_at_the_edge(make_stand, error, status, reason):
    stand = make_stand(store=(store := RefusingStore()))
    store.error = error
    for _ in range(2):
        assert stand.client.get("/v1/search/text?q=red").status_code == status
    assert counts(stand) == dict.fromkeys(REASONS, 0) | {reason: 2}


def test_what_is_answered_or_simply_wrong_is_not_counted(make_stand):
    stand = make_stand(store=(store := RefusingStore()))
    for url in ("/v1/search/text?q=red", "/v1/search/text", f"/v1/images/{'0' * 32}", "/nowhere"):
        stand.client.get(url)
    stand.client.post("/v1/search/text", data="red", content_type="text/plain")
    store.error = ModelUnavailable("broken")
    assert stand.client.get("/v1/search/text?q=red").status_code == 503
    assert counts(stand) == dict.fromkeys(REASONS, 0)
