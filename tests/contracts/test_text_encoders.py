"""A text encoder beside an image model: each modality's vectors are those that the library computes with that modality's model."""

import numpy as np
import pytest
from PIL import Image

from ml_api.embedding.clip import ClipEncoder
from ml_api.embedding.openvino import ConvertedFiles, OpenVinoEncoder
from ml_api.embedding.pretrained import resolve
from ml_api.errors import InvalidQuery
from tests.prepared import prepared_image
from tests.text_encoders import KINDS, MAX_TOKENS, TEXTS
from tests.tiny_clip import DIM, build_tiny_clip

TOLERANCE = 1e-5
SIZES = [(32, 32), (100, 75), (640, 427)]


@pytest.fixture(scope="module")
def image_model(tmp_path_factory):
    return build_tiny_clip(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Shared by all kinds: the image model is converted once."""
    return ConvertedFiles(tmp_path_factory.mktemp("converted"))


@pytest.fixture(scope="module", params=list(KINDS), ids=str)
def pretrained(request, image_model, tmp_path_factory):
    return resolve(str(image_model), str(KINDS[request.param](tmp_path_factory.mktemp("text") / "tiny-text")))


@pytest.fixture(scope="module", params=["torch", "OpenVINO"])
def encoder(request, pretrained, files):
    if request.param == "torch":
        return ClipEncoder(pretrained, device="cpu", precision="fp32")
    return OpenVinoEncoder(pretrained, files, precision="fp32")


def library(path):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(path), device="cpu", local_files_only=True)


def embed_texts(encoder):
    return encoder.embed([encoder.preprocessor.prepare_text(text) for text in TEXTS])


def test_texts_are_those_of_the_text_encoder(encoder, pretrained):
    expected = library(pretrained.text.path).encode(TEXTS, normalize_embeddings=True)

    np.testing.assert_allclose(embed_texts(encoder), expected, atol=TOLERANCE)


def test_images_are_those_of_the_image_model(encoder, image_model):
    images = [Image.effect_noise(size, 60).convert("RGB") for size in SIZES]

    ours = encoder.embed([prepared_image(encoder.preprocessor, image) for image in images])
    np.testing.assert_allclose(ours, library(image_model).encode(images, normalize_embeddings=True), atol=TOLERANCE)


def test_a_vector_does_not_depend_on_its_company(encoder):
    alone = np.concatenate([encoder.embed([encoder.preprocessor.prepare_text(text)]) for text in TEXTS])

    np.testing.assert_allclose(embed_texts(encoder), alone, atol=TOLERANCE)


def test_texts_are_cut_where_the_text_encoder_ends(encoder):
    cut, whole = encoder.preprocessor.prepare_text(TEXTS[-1]), encoder.preprocessor.prepare_text("dogs")

    assert (len(cut.features), cut.truncated, whole.truncated) == (MAX_TOKENS, True, False)
    with pytest.raises(InvalidQuery, match="empty"):
        encoder.preprocessor.prepare_text(" ")


def test_the_text_encoder_is_told_and_no_part_of_what_a_collection_is_compared_with(encoder, image_model, pretrained):
    assert encoder.model.text_model == f"tiny-text@{pretrained.text.revision}"
    assert encoder.model.model_id == resolve(str(image_model)).model_id
    assert encoder.model.dim == DIM
