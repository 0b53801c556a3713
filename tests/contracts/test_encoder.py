"""What every Encoder and its Preprocessor promise, asked of each of them. Embedders are asked through many threads at once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from ml_api.embedding.base import Embedder, Encoder, Prepared, Preprocessor
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.caching import CachingEmbedder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.embedding.openvino import OpenVinoEncoder
from ml_api.embedding.triton.connection import Endpoint
from ml_api.embedding.triton.encoder import TritonEncoder
from ml_api.embedding.triton.repository import Served, write_repository
from ml_api.errors import InvalidQuery, ModelUnavailable
from ml_api.metrics import Metrics
from ml_api.records import Vectors
from tests.models.converted_models import converted_here
from tests.models.tiny_clip import build_tiny_clip
from tests.prepared import prepared_image
from tests.servers.triton import TritonServer, skip_without_triton

TEXTS = ["a red cat", "dog", "two dogs in the snow", "photo of the blue cat"]
TOLERANCE = 1e-5
"""Rounding differs with the shape of a batch; it must stay far below any difference between neighbours."""


class OneByOne:
    """An Embedder with the face of an Encoder: every item of a batch comes from a thread of its own."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.model = embedder.model
        self.close = embedder.close

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        with ThreadPoolExecutor(len(items)) as pool:
            return np.stack([embedded.vector for embedded in pool.map(lambda item: self._embedder.embed_one(item, 60), items)])


class KeptOpen:
    """One encoder for many tests, each of which closes what it made over it."""

    def __init__(self, encoder: Encoder) -> None:
        self.model = encoder.model
        self.concurrency = encoder.concurrency
        self.embed = encoder.embed

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    from ml_api.embedding.pretrained import resolve

    return resolve(str(build_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")))


@pytest.fixture(scope="module")
def clip(pretrained):
    import torch

    from ml_api.embedding.clip import ClipEncoder

    torch.set_num_threads(1)
    return ClipEncoder(pretrained, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def openvino(pretrained, tmp_path_factory):
    """The same model as `clip`, converted."""
    return OpenVinoEncoder(pretrained, converted_here(tmp_path_factory.mktemp("converted")), precision="fp32")


@pytest.fixture(scope="module")
def triton(pretrained, tmp_path_factory):
    """The same model as `clip`, on a real Triton server."""
    skip_without_triton()
    from ml_api.embedding.clip import preprocessor_of

    folder = tmp_path_factory.mktemp("triton")
    preprocessor = preprocessor_of(pretrained)
    write_repository(folder / "models", pretrained, preprocessor.fit.edge_px, Served("tiny", "KIND_AUTO", "fp32"))
    server = TritonServer(folder / "models", folder / "triton.log")
    try:
        server.start()
        encoder = TritonEncoder(Endpoint(server.address, "tiny"), pretrained, preprocessor)
        yield encoder
        encoder.close()
    finally:
        server.kill()


@pytest.fixture(
    params=[
        "fake",
        "clip",
        "openvino",
        "triton",
        "batching over fake",
        "batching over clip",
        "batching over openvino",
        "batching over triton",
        "caching over fake",
        "caching over clip",
    ]
)
def encoder(request):
    inner = FakeEncoder() if "fake" in request.param else request.getfixturevalue(request.param.split()[-1])
    if "batching" not in request.param and "caching" not in request.param:
        yield inner
        return
    embedder: Embedder = BatchingEncoder(KeptOpen(inner), Metrics(), max_batch=3)
    if "caching" in request.param:
        embedder = CachingEmbedder(embedder, Metrics(), entries=3)
    one_by_one = OneByOne(embedder)
    yield one_by_one
    one_by_one.close()


@pytest.fixture
def preprocessor(request, encoder) -> Preprocessor:
    """The one that belongs to `encoder`: that of the tiny CLIP, wherever it is computed, or the stand-in's."""
    if "fake" in request.node.callspec.params["encoder"]:
        return FakePreprocessor()
    return request.getfixturevalue("openvino" if "openvino" in request.node.callspec.params["encoder"] else "clip").preprocessor


@pytest.fixture(params=["text", "image"])
def items(request, preprocessor):
    if request.param == "text":
        return [preprocessor.prepare_text(text) for text in TEXTS]
    shapes = [(40, 40), (64, 33), (20, 90), (300, 200)]
    colours = ["red", "blue", "white", "green"]
    return [prepared_image(preprocessor, Image.new("RGB", shape, colour)) for shape, colour in zip(shapes, colours, strict=True)]


def test_vectors_are_float32_of_the_promised_width_and_of_length_one(encoder, items):
    vectors = encoder.embed(items)

    assert vectors.shape == (len(items), encoder.model.dim)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=TOLERANCE)


def test_an_item_has_the_same_vector_alone_and_in_a_batch(encoder, items):
    together = encoder.embed(items)
    alone = np.concatenate([encoder.embed([item]) for item in items])

    np.testing.assert_allclose(together, alone, atol=TOLERANCE)


def test_vectors_come_back_in_the_order_of_the_items(encoder, items):
    np.testing.assert_allclose(encoder.embed(items)[::-1], encoder.embed(items[::-1]), atol=TOLERANCE)


def test_the_same_input_has_the_same_vector_every_time(encoder, preprocessor):
    first, again = (encoder.embed([preprocessor.prepare_text("a red cat")]) for _ in range(2))

    np.testing.assert_allclose(first, again, atol=TOLERANCE)


def test_different_texts_have_different_vectors(encoder, preprocessor):
    vectors = encoder.embed([preprocessor.prepare_text(text) for text in TEXTS])

    similarity = vectors @ vectors.T
    assert (similarity[~np.eye(len(TEXTS), dtype=bool)] < 0.9999).all()


def test_prepared_text_is_a_row_of_token_ids(preprocessor):
    prepared = preprocessor.prepare_text("a red cat")

    assert prepared.modality == "text"
    assert prepared.features.dtype == np.int64
    assert prepared.features.ndim == 1
    assert not prepared.truncated


def test_a_prepared_image_is_a_square_of_float_pixels(preprocessor):
    prepared = prepared_image(preprocessor, Image.new("RGB", (90, 50), "red"))
    edge = preprocessor.fit.edge_px

    assert prepared.modality == "image"
    assert prepared.features.dtype == np.float32
    assert prepared.features.shape == (3, edge, edge)


def test_text_beyond_the_context_says_that_it_was_cut(preprocessor):
    assert preprocessor.prepare_text("red cat " * 60).truncated


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u3000"])
def test_blank_text_is_refused(preprocessor, text):
    with pytest.raises(InvalidQuery, match="empty"):
        preprocessor.prepare_text(text)


@pytest.mark.parametrize("text", ["\ud83d", "cat \udc00 dog"])
def test_half_a_character_is_refused(preprocessor, text):
    with pytest.raises(InvalidQuery, match="Unicode"):
        preprocessor.prepare_text(text)


@pytest.mark.parametrize(
    "text", ["<|endoftext|> cat", "日本の猫", "🐈", "\x00", "!?", "/etc/passwd", "http://127.0.0.1:9/x.png", "a" * 3000]
)
def test_any_other_text_is_only_text(encoder, preprocessor, text):
    assert np.isfinite(encoder.embed([preprocessor.prepare_text(text)])).all()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("size", [(30_000, 1), (1, 30_000), (1, 1), (5000, 4000)])
def test_no_shape_of_image_is_expensive(preprocessor, size):
    prepared = prepared_image(preprocessor, Image.new("RGB", size, "red"))

    assert prepared.features.shape == (3, preprocessor.fit.edge_px, preprocessor.fit.edge_px)


def test_many_threads_may_use_it_at_once(encoder, preprocessor):
    expected = encoder.embed([preprocessor.prepare_text(text) for text in TEXTS])

    def embed(number: int) -> Vectors:
        return encoder.embed([preprocessor.prepare_text(TEXTS[number % len(TEXTS)])])[0]

    with ThreadPoolExecutor(8) as pool:
        vectors = list(pool.map(embed, range(80)))

    np.testing.assert_allclose(vectors, np.tile(expected, (20, 1)), atol=TOLERANCE)


def test_the_model_is_named_for_comparison(encoder):
    assert encoder.model.model_id == f"{encoder.model.name}@{encoder.model.revision}"


@pytest.mark.parametrize("where", ["openvino", "triton"])
def test_vectors_from_elsewhere_are_those_that_torch_computes_in_process(clip, where, request):
    there = request.getfixturevalue(where)
    items = [clip.preprocessor.prepare_text(text) for text in TEXTS]
    image = prepared_image(clip.preprocessor, Image.new("RGB", (90, 50), "red"))

    np.testing.assert_allclose(there.embed(items), clip.embed(items), atol=TOLERANCE)
    np.testing.assert_allclose(there.embed([image]), clip.embed([image]), atol=TOLERANCE)


def test_what_triton_computes_with_is_told(triton):
    assert (triton.model.device, triton.model.precision) == ("cpu", "fp32")


def test_poison_in_triton_costs_only_its_sender_an_answer(clip, triton):
    good = clip.preprocessor.prepare_text("a red cat")
    poison = Prepared("text", np.array([0, 10**6, 1]))

    def embed(item: Prepared) -> Vectors | str:
        try:
            return triton.embed([item])[0]
        except ModelUnavailable as exc:
            return exc.detail

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(embed, [good, good, good, poison] * 4))

    assert all("failed" in answer for answer in answers[3::4])
    for kept in (answers[0::4], answers[1::4], answers[2::4]):
        np.testing.assert_allclose(kept, np.tile(clip.embed([good]), (4, 1)), atol=TOLERANCE)


def test_triton_refuses_to_answer_for_another_model(clip, triton):
    """As it would be asked if the server came back with other weights while this process goes on."""
    with pytest.raises(ModelUnavailable, match="not other@1"):
        triton._connection.infer([clip.preprocessor.prepare_text("cat")], "other@1", "embedding")
