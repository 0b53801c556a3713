"""Requests while another model takes the place of the one in use."""

from types import SimpleNamespace

from ml_api.api import services
from ml_api.embedding.fake import FakeEncoder


def model(stand):
    return stand.client.get("/v1/model").get_json()["name"]


def test_a_request_ends_with_the_model_that_it_began_with_and_the_next_one_begins_with_the_other(make_stand):
    switch = SimpleNamespace(engine=None)
    stand, other = make_stand(switch=switch), make_stand(encoder=FakeEncoder(name="other"))
    switch.engine = before = stand.services.engine
    assert model(stand) == "fake"
    with stand.app.app_context():
        assert services().engine is before
        switch.engine = other.services.engine
        assert services().engine is before
        assert (before.requests.number, other.services.engine.requests.number) == (1, 0)
    assert before.requests.number == 0
    assert model(stand) == "other"
    switch.engine = before


class SwitchedMeanwhile:
    """Another engine takes over just after somebody has looked which one is in use."""

    def __init__(self, *engines):
        self._engines = list(engines)

    @property
    def engine(self):
        return self._engines.pop(0) if len(self._engines) > 1 else self._engines[0]


def test_a_request_does_not_hold_a_model_that_was_replaced_while_it_began(make_stand):
    stand, other = make_stand(), make_stand(encoder=FakeEncoder(name="other"))
    before, after = stand.services.engine, other.services.engine
    switched = make_stand(switch=SwitchedMeanwhile(before, after))
    with switched.app.app_context():
        assert services().engine is after
        assert (before.requests.number, after.requests.number) == (0, 1)


def examples(stand):
    parameters = stand.client.get("/openapi.json").get_json()["components"]["parameters"]
    return {name: parameters[name].get("example") for name in ("model_id", "image_id")}


def test_the_examples_of_the_document_are_the_model_in_use_and_an_image_that_is_stored(make_stand):
    switch = SimpleNamespace(engine=None)
    stand, other = make_stand(switch=switch), make_stand(encoder=FakeEncoder(name="other"))
    switch.engine = before = stand.services.engine
    first = examples(stand)
    assert first["model_id"] == "fake"
    before.store.delete([first["image_id"]])
    second = examples(stand)
    assert second["image_id"] not in {first["image_id"], None}
    switch.engine = other.services.engine
    assert examples(stand)["model_id"] == "other"
    switch.engine = before
    before.store.close()
    assert examples(stand) == {"model_id": "fake", "image_id": None}
