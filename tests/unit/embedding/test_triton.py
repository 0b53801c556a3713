"""Triton from this side: what goes over the wire, what goes wrong there, and what is written for it.

The failures come from a real server with models that misbehave when told to by their first token.
"""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from ml_api.embedding.base import Prepared
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.embedding.splitting import embed_apart
from ml_api.embedding.triton import wire
from ml_api.embedding.triton.connection import Endpoint, translated
from ml_api.embedding.triton.encoder import TritonEncoder
from ml_api.embedding.triton.repository import CODE, PACKAGE, SERVING, Served, config, write_repository
from ml_api.errors import ConfigError, ModelUnavailable, Overloaded
from ml_api.vocabulary import MODALITIES
from tests.models.tiny_clip import build_tiny_clip
from tests.servers.triton import TritonServer, skip_without_triton

EDGE_PX = FakePreprocessor.fit.edge_px
ODD = PretrainedModel("odd", Path("nowhere"), "1", dim=4)
MISBEHAVING = Path(__file__).parent / "triton_misbehaving.py"
GOOD, NOT_A_NUMBER, LONG, TOO_MANY, NO_MEMORY, RAISES = range(100, 106)
PATIENCE_S = 60


def token(number, length=3):
    return Prepared("text", np.full(length, number, dtype=np.int64))


@pytest.fixture(scope="module")
def odd_server(tmp_path_factory):
    """Models that say to be `odd`, and one that says nothing."""
    skip_without_triton()
    folder = tmp_path_factory.mktemp("odd")
    for name in ("odd", "silent"):
        for modality in MODALITIES:
            version = folder / "models" / wire.model_name(name, modality) / "1"
            version.mkdir(parents=True)
            (version / "model.py").write_text(MISBEHAVING.read_text())
            written = config(modality, ODD, EDGE_PX, Served(name, "KIND_CPU", "fp32"))
            written = written.replace("max_batch_size: 64", "max_batch_size: 3")
            if name == "silent":
                written = written.replace('"model_id"', '"another_key"')
            (version.parent / "config.pbtxt").write_text(written)
    server = TritonServer(folder / "models", folder / "triton.log")
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def connect(odd_server):
    made = []

    def make(name="odd", pretrained=ODD, address=odd_server.address, **options):
        made.append(TritonEncoder(Endpoint(address, name), pretrained, FakePreprocessor(), **options))
        return made[-1]

    yield make
    for encoder in made:
        encoder.close()


def test_a_good_answer_is_taken(connect):
    assert connect().embed([token(GOOD)]).tolist() == [[1, 0, 0, 0]]


def test_more_than_the_server_takes_at_once_goes_in_parts(connect):
    items = [token(GOOD, length) for length in range(2, 10)]
    assert connect().embed(items).shape == (8, 4)


@pytest.mark.parametrize(
    ("number", "words", "code"),
    [
        (NOT_A_NUMBER, "length one", "model-unavailable"),
        (LONG, "length one", "model-unavailable"),
        (TOO_MANY, "1 x 4", "model-unavailable"),
        (NO_MEMORY, "out of memory", "model-out-of-memory"),
        (RAISES, "failed with gRPC status", "model-unavailable"),
    ],
)
def test_a_bad_answer_is_refused(connect, number, words, code):
    with pytest.raises(ModelUnavailable, match=words) as raised:
        connect().embed([token(number)])
    assert raised.value.slug == code


def test_a_server_that_hangs_is_given_up_and_used_again_when_it_comes_back(connect, odd_server):
    encoder = connect(timeout_s=0.5)
    odd_server.pause()
    try:
        with pytest.raises(ModelUnavailable, match=r"did not answer within 0\.5 s"):
            encoder.embed([token(GOOD)])
    finally:
        odd_server.resume()
    assert eventually_embeds(encoder)


def test_a_server_that_dies_is_noticed_at_once_and_used_again_when_it_comes_back(connect, odd_server):
    encoder = connect()
    odd_server.kill()
    try:
        started = time.monotonic()
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            encoder.embed([token(GOOD)])
        assert time.monotonic() - started < wire.TIMEOUT_S / 2
    finally:
        odd_server.start()
    assert eventually_embeds(encoder)


def eventually_embeds(encoder):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            return encoder.embed([token(GOOD)]).shape == (1, 4)
        except ModelUnavailable:
            time.sleep(0.05)
    return False


def test_a_closed_encoder_says_so(connect):
    encoder = connect()
    encoder.close()
    encoder.close()
    with pytest.raises(ModelUnavailable, match="closed"):
        encoder.embed([token(GOOD)])


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"address": "127.0.0.1:1"}, "127.0.0.1:1 cannot be reached"),
        ({"name": "nothing"}, "does not have the model"),
        ({"name": "silent"}, "does not say what it is"),
        ({"pretrained": PretrainedModel("odd", Path("nowhere"), "2", dim=4)}, "is odd@1, but ML_API_MODEL is odd@2"),
        ({"pretrained": PretrainedModel("odd", Path("nowhere"), "1", dim=5)}, "1 x 5"),
    ],
    ids=["nobody there", "no such model", "not ours", "another model", "another width"],
)
def test_a_server_that_cannot_serve_this_is_refused_at_the_start(connect, choice, words):
    with pytest.raises(ConfigError, match=words) as raised:
        connect(**choice)
    assert "ML_API_EMBEDDING_URL" in raised.value.detail


def test_a_full_queue_is_overload():
    said = InferenceServerException("Exceeds maximum queue size", "StatusCode.UNAVAILABLE")
    with pytest.raises(Overloaded, match="too many requests"), translated("host:1", 1):
        raise said


@pytest.mark.parametrize("items", [[token(1, 2), token(2, 5)], [Prepared("image", np.ones((3, 4, 4), dtype=np.float32))] * 2])
def test_what_is_sent_is_what_arrives(items):
    arrived = wire.to_items(wire.to_arrays(items))
    assert [item.modality for item in arrived] == [item.modality for item in items]
    for one, other in zip(items, arrived, strict=True):
        np.testing.assert_array_equal(one.features, other.features)


class Picky(FakeEncoder):
    """Fails a whole pass over one bad token."""

    def embed(self, items):
        if any(item.features[0] == RAISES for item in items):
            raise ModelUnavailable("no")
        return super().embed(items)


@pytest.mark.parametrize("bad", [set(), {0}, {3}, {1, 2, 4}, {0, 1, 2, 3, 4}])
def test_only_the_callers_who_sent_what_fails_get_an_error(bad):
    batches = [[token(RAISES if number in bad else number + 1, length=number + 1)] * (number + 1) for number in range(5)]
    outcomes = embed_apart(Picky(), batches)
    for number, (batch, outcome) in enumerate(zip(batches, outcomes, strict=True)):
        if number in bad:
            assert isinstance(outcome, ModelUnavailable)
        else:
            np.testing.assert_array_equal(outcome, FakeEncoder().embed(batch))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    from ml_api.embedding.pretrained import resolve

    folder = tmp_path_factory.mktemp("repository")
    pretrained = resolve(str(build_tiny_clip(folder / "tiny")))
    return write_repository(folder / "models", pretrained, 32, Served("tiny", "KIND_GPU", "auto")), pretrained


def test_a_repository_holds_all_that_the_server_needs(written):
    models, pretrained = written
    assert [model.name for model in models] == ["tiny_text", "tiny_image"]
    for model in models:
        assert (model / "1/model.py").read_bytes() == SERVING.read_bytes()
        assert any((model / "1/clip").rglob("*.safetensors"))
        text = (model / "config.pbtxt").read_text()
        assert json.dumps(pretrained.model_id) in text
        assert "kind: KIND_GPU" in text
        assert not [path for path in model.rglob("*") if path.is_symlink() or path.name == "__pycache__"]


def test_a_repository_is_not_overwritten(written):
    models, pretrained = written
    with pytest.raises(ConfigError, match="tiny_text exists"):
        write_repository(models[0].parent, pretrained, 32, Served("tiny", "KIND_GPU", "auto"))


def test_the_code_in_a_repository_imports_nothing_that_is_not_there():
    import ast

    there = [path for name in CODE for path in ((PACKAGE / name).rglob("*.py") if (PACKAGE / name).is_dir() else [PACKAGE / name])]
    modules = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__") for path in there}
    for path in (*there, SERVING):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("ml_api"):
                for alias in node.names:
                    assert {node.module, f"{node.module}.{alias.name}"} & modules, f"{path} imports {node.module}"
