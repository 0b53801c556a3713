"""Every kind of dual encoder that the library loads gives the library's own vectors, by torch and by OpenVINO."""

import numpy as np
import pytest
import torch
from PIL import Image

from ml_api.embedding.clip import ClipEncoder
from ml_api.embedding.openvino import OpenVinoEncoder
from ml_api.embedding.pretrained import resolve
from ml_api.errors import InvalidQuery
from tests.models.converted_models import converted_here
from tests.models.dual_encoders import EDGE_PX, KINDS
from tests.prepared import prepared_image

TOLERANCE = 1e-5
TEXTS = ["a red cat", "dog", "two dogs in the snow", "A Photo of the blue dog"]
SIZES = [(32, 32), (100, 75), (75, 100), (640, 427)]


@pytest.fixture(scope="module", params=list(KINDS), ids=str)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def pretrained(kind, tmp_path_factory):
    return resolve(str(KINDS[kind](tmp_path_factory.mktemp("model") / "tiny")))


@pytest.fixture(scope="module", params=["torch", "OpenVINO"])
def encoder(request, pretrained, tmp_path_factory):
    if request.param == "torch":
        return ClipEncoder(pretrained, device="cpu", precision="fp32")
    return OpenVinoEncoder(pretrained, converted_here(tmp_path_factory.mktemp("converted")), precision="fp32")


@pytest.fixture(scope="module")
def reference(kind, pretrained):
    """The library itself; SigLIP's texts are padded as its authors say that they have to be."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(pretrained.path), device="cpu", local_files_only=True).eval()

    def embed(inputs):
        features = model.preprocess(inputs)
        if kind.startswith("SigLIP") and isinstance(inputs[0], str):
            tokens = model[0].processor.tokenizer(inputs, padding="max_length", max_length=64, truncation=True, return_tensors="pt")
            features["input_ids"] = tokens["input_ids"]
        with torch.inference_mode():
            vectors = model.forward(features)["sentence_embedding"]
        return torch.nn.functional.normalize(vectors, dim=-1).numpy()

    return embed


def test_texts_are_the_librarys(encoder, reference):
    np.testing.assert_allclose(
        encoder.embed([encoder.preprocessor.prepare_text(text) for text in TEXTS]), reference(TEXTS), atol=TOLERANCE
    )


def test_images_are_the_librarys(encoder, reference):
    images = [Image.effect_noise(size, 60).convert("RGB") for size in SIZES]

    ours = encoder.embed([prepared_image(encoder.preprocessor, image) for image in images])
    np.testing.assert_allclose(ours, np.concatenate([reference([image]) for image in images]), atol=TOLERANCE)


def test_a_vector_does_not_depend_on_its_company(encoder):
    items = [encoder.preprocessor.prepare_text(text) for text in TEXTS]

    np.testing.assert_allclose(encoder.embed(items), np.concatenate([encoder.embed([item]) for item in items]), atol=TOLERANCE)


def test_what_is_too_long_is_cut_and_what_is_empty_refused(encoder):
    assert encoder.preprocessor.prepare_text("red cat " * 80).truncated
    assert not encoder.preprocessor.prepare_text("red cat").truncated
    with pytest.raises(InvalidQuery, match="empty"):
        encoder.preprocessor.prepare_text(" ")


def test_images_are_as_large_as_it_says(encoder):
    assert prepared_image(encoder.preprocessor, Image.new("RGB", (90, 50))).features.shape == (3, EDGE_PX, EDGE_PX)
    assert encoder.preprocessor.fit.edge_px == EDGE_PX
