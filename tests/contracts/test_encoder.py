"""What every Encoder promises, asked of each of them. The Embedders over them are asked through many threads at once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from ml_api.embedding.base import Embedder, Encoder, Prepared
from ml_api.embedding.batching import BatchingEncoder, FittingEncoder
from ml_api.embedding.caching import CachingEmbedder
from ml_api.embedding.fake import FakeEncoder
from ml_api.embedding.openvino import ConvertedFiles, OpenVinoEncoder
from ml_api.embedding.triton.connection import Endpoint
from ml_api.embedding.triton.encoder import TritonEncoder
from ml_api.embedding.triton.repository import Served, write_repository
from ml_api.embedding.wrapper import Wrapper
from ml_api.errors import InvalidQuery, ModelUnavailable
from ml_api.metrics import Metrics
from ml_api.records import Vectors
from tests.tiny_clip import build_tiny_clip
from tests.triton_server import TritonServer, skip_without_triton

TEXTS = ["a red cat", "dog", "two dogs in the snow", "photo of the blue cat"]
TOLERANCE = 1e-5
"""Rounding differs with the shape of a batch; it must stay far below any difference between neighbours."""


class OneByOne:
    """An Embedder with the face of an Encoder: every item of a batch comes from a thread of its own."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.model = embedder.model
        self.image_edge_px = embedder.image_edge_px
        self.prepare_text = embedder.prepare_text
        self.prepare_image = embedder.prepare_image
        self.close = embedder.close

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        with ThreadPoolExecutor(len(items)) as pool:
            return np.stack([embedded.vector for embedded in pool.map(lambda item: self._embedder.embed_one(item, 60), items)])


class KeptOpen(Wrapper[Encoder]):
    """One encoder for many tests, each of which closes what it made over it."""

    @property
    def concurrency(self) -> int:
        return self._inner.concurrency

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        return self._inner.embed(items)

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
    return OpenVinoEncoder(pretrained, ConvertedFiles(tmp_path_factory.mktemp("converted")), precision="fp32")


@pytest.fixture(scope="module")
def triton(pretrained, tmp_path_factory):
    """The same model as `clip`, on a real Triton server."""
    skip_without_triton()
    from ml_api.embedding.clip import preprocessor_of

    folder = tmp_path_factory.mktemp("triton")
    preparer = preprocessor_of(pretrained)
    write_repository(folder / "models", pretrained, preparer.image_edge_px, Served("tiny", "KIND_AUTO", "fp32"))
    server = TritonServer(folder / "models", folder / "triton.log")
    try:
        server.start()
        encoder = TritonEncoder(Endpoint(server.address, "tiny"), pretrained, preparer)
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
        "fitting over fake",
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
        yield FittingEncoder(inner) if "fitting" in request.param else inner
        return
    embedder: Embedder = BatchingEncoder(KeptOpen(inner), Metrics(), max_batch=3)
    if "caching" in request.param:
        embedder = CachingEmbedder(embedder, Metrics(), entries=3)
    one_by_one = OneByOne(embedder)
    yield one_by_one
    one_by_one.close()


@pytest.fixture(params=["text", "image"])
def items(request, encoder):
    if request.param == "text":
        return [encoder.prepare_text(text) for text in TEXTS]
    shapes = [(40, 40), (64, 33), (20, 90), (300, 200)]
    colours = ["red", "blue", "white", "green"]
    return [encoder.prepare_image(Image.new("RGB", shape, colour)) for shape, colour in zip(shapes, colours, strict=True)]


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


def test_the_same_input_has_the_same_vector_every_time(encoder):
    first, again = (encoder.embed([encoder.prepare_text("a red cat")]) for _ in range(2))

    np.testing.assert_allclose(first, again, atol=TOLERANCE)


def test_different_texts_have_different_vectors(encoder):
    vectors = encoder.embed([encoder.prepare_text(text) for text in TEXTS])

    similarity = vectors @ vectors.T
    assert (similarity[~np.eye(len(TEXTS), dtype=bool)] < 0.9999).all()


def test_prepared_text_is_a_row_of_token_ids(encoder):
    prepared = encoder.prepare_text("a red cat")

    assert prepared.modality == "text"
    assert prepared.features.dtype == np.int64
    assert prepared.features.ndim == 1
    assert not prepared.truncated


def test_a_prepared_image_is_a_square_of_float_pixels(encoder):
    prepared = encoder.prepare_image(Image.new("RGB", (90, 50), "red"))
    edge = encoder.image_edge_px

    assert prepared.modality == "image"
    assert prepared.features.dtype == np.float32
    assert prepared.features.shape == (3, edge, edge)


def test_text_beyond_the_context_says_that_it_was_cut(encoder):
    assert encoder.prepare_text("red cat " * 60).truncated


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u3000"])
def test_blank_text_is_refused(encoder, text):
    with pytest.raises(InvalidQuery, match="empty"):
        encoder.prepare_text(text)


@pytest.mark.parametrize("text", ["\ud83d", "cat \udc00 dog"])
def test_half_a_character_is_refused(encoder, text):
    with pytest.raises(InvalidQuery, match="Unicode"):
        encoder.prepare_text(text)


@pytest.mark.parametrize(
    "text", ["<|endoftext|> cat", "日本の猫", "🐈", "\x00", "!?", "/etc/passwd", "http://127.0.0.1:9/x.png", "a" * 3000]
)
def test_any_other_text_is_only_text(encoder, text):
    assert np.isfinite(encoder.embed([encoder.prepare_text(text)])).all()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("size", [(30_000, 1), (1, 30_000), (1, 1), (5000, 4000)])
def test_no_shape_of_image_is_expensive(encoder, size):
    prepared = encoder.prepare_image(Image.new("RGB", size, "red"))

    assert prepared.features.shape == (3, encoder.image_edge_px, encoder.image_edge_px)


def test_many_threads_may_use_it_at_once(encoder):
    expected = encoder.embed([encoder.prepare_text(text) for text in TEXTS])

    def embed(number: int) -> Vectors:
        return encoder.embed([encoder.prepare_text(TEXTS[number % len(TEXTS)])])[0]

    with ThreadPoolExecutor(8) as pool:
        vectors = list(pool.map(embed, range(80)))

    np.testing.assert_allclose(vectors, np.tile(expected, (20, 1)), atol=TOLERANCE)


def test_the_model_is_named_for_comparison(encoder):
    assert encoder.model.model_id == f"{encoder.model.name}@{encoder.model.revision}"


@pytest.mark.parametrize("where", ["openvino", "triton"])
def test_vectors_from_elsewhere_are_those_that_torch_computes_in_process(clip, where, request):
    there = request.getfixturevalue(where)
    items = [clip.prepare_text(text) for text in TEXTS]
    image = Image.new("RGB", (90, 50), "red")

    np.testing.assert_allclose(there.embed(items), clip.embed(items), atol=TOLERANCE)
    np.testing.assert_allclose(there.embed([there.prepare_image(image)]), clip.embed([clip.prepare_image(image)]), atol=TOLERANCE)


def test_what_triton_computes_with_is_told(triton):
    assert (triton.model.device, triton.model.precision) == ("cpu", "fp32")


def test_poison_in_triton_costs_only_its_sender_an_answer(clip, triton):
    good = clip.prepare_text("a red cat")
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
        triton._connection.infer([clip.prepare_text("cat")], "other@1", "embedding")
