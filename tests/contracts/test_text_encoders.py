"""A text encoder beside an image model: each modality's vectors are those that the library computes with that modality's model.

What is told of its converted files stands here, too, as they take seconds to make.
"""

import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml_api.embedding.clip import ClipEncoder, preprocessor_of
from ml_api.embedding.openvino import OpenVinoEncoder
from ml_api.embedding.pretrained import resolve
from ml_api.embedding.triton.connection import Endpoint
from ml_api.embedding.triton.encoder import TritonEncoder
from ml_api.embedding.triton.repository import Served, write_repository
from ml_api.errors import ConfigError, InvalidQuery
from tests.models.converted_models import converted_here
from tests.models.text_encoders import KINDS, MAX_TOKENS, TEXTS
from tests.models.tiny_clip import DIM, build_tiny_clip
from tests.prepared import prepared_image
from tests.servers.triton import TritonServer, skip_without_triton

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-5
SIZES = [(32, 32), (100, 75), (640, 427)]
START = """
import sys
from pathlib import Path
from ml_api.embedding.openvino import ConvertedFiles, OpenVinoEncoder
from ml_api.embedding.pretrained import resolve
encoder = OpenVinoEncoder(resolve(sys.argv[1], sys.argv[2]), ConvertedFiles(Path(sys.argv[3])), precision="fp32")
encoder.embed([encoder.preprocessor.prepare_text("雪の中の犬")])
print([name for name in ("torch", "transformers", "sentence_transformers") if name in sys.modules])
"""


@pytest.fixture(scope="module")
def image_model(tmp_path_factory):
    return build_tiny_clip(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Shared by all kinds: the image model is converted once."""
    return converted_here(tmp_path_factory.mktemp("converted"))


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


@pytest.fixture(scope="module")
def pair(image_model, tmp_path_factory):
    return resolve(str(image_model), str(KINDS["DistilBERT, mean"](tmp_path_factory.mktemp("text") / "tiny-text")))


def test_a_later_start_loads_neither_torch_nor_transformers(pair, files):
    files.find(pair, "fp32")
    command = [sys.executable, "-c", START, str(pair.path), str(pair.text.path), str(files.folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert result.stdout == "[]\n", result.stderr


def test_images_are_embedded_by_the_files_of_the_image_model_alone(pair, image_model, files):
    both, alone = files.find(pair, "fp32"), files.find(resolve(str(image_model)), "fp32")

    held = {"complete.json", "preprocessing.json", "text.bin", "text.xml", "tokenizer.json"}
    assert {path.name for path in both.iterdir()} == held
    assert {path.name for path in alone.iterdir()} == held | {"image.bin", "image.xml"}
    assert {pair.revision, pair.text.revision} <= set(both.name.split("-"))


def test_damaged_files_of_a_text_encoder_are_made_again_and_no_others(pair, image_model, files, tmp_path, caplog):
    caplog.set_level("INFO")
    both, alone = files.find(pair, "fp32"), files.find(resolve(str(image_model)), "fp32")
    copied, _ = (Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in (both, alone))
    (copied / "text.bin").write_bytes((copied / "text.bin").read_bytes()[:-100])
    caplog.clear()

    again = OpenVinoEncoder(pair, converted_here(tmp_path), precision="fp32")
    np.testing.assert_allclose(embed_texts(again), embed_texts(OpenVinoEncoder(pair, files, precision="fp32")), atol=TOLERANCE)
    assert re.findall(r"converting (\S+) for OpenVINO", caplog.text) == ["tiny-text"]


def test_a_triton_server_computes_the_same(pair, image_model, files, tmp_path):
    skip_without_triton()
    preprocessor = preprocessor_of(pair)
    write_repository(tmp_path / "models", pair, preprocessor.fit.edge_px, Served("pair", "KIND_AUTO", "fp32"))
    server = TritonServer(tmp_path / "models", tmp_path / "triton.log")
    try:
        server.start()
        with closing(TritonEncoder(Endpoint(server.address, "pair"), pair, preprocessor)) as encoder:
            items = [preprocessor.prepare_text(text) for text in TEXTS]
            image = prepared_image(preprocessor, Image.effect_noise((100, 75), 60).convert("RGB"))
            ours = OpenVinoEncoder(pair, files, precision="fp32")
            np.testing.assert_allclose(encoder.embed(items), ours.embed(items), atol=TOLERANCE)
            np.testing.assert_allclose(encoder.embed([image]), ours.embed([image]), atol=TOLERANCE)
            assert encoder.model.text_model == pair.text.model_id
        with pytest.raises(ConfigError, match=f"is {pair.text.model_id}, but ML_API_MODEL is {pair.model_id}"):
            TritonEncoder(Endpoint(server.address, "pair"), resolve(str(image_model)), preprocessor)
    finally:
        server.kill()
