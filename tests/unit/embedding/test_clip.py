"""CLIP as served here equals CLIP as sentence-transformers computes it, minus the doors that user input could open."""

import copy
import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ml_api.embedding.base import Prepared
from ml_api.embedding.clip import ClipEncoder
from ml_api.embedding.clip.describing import describe
from ml_api.embedding.clip.encoder import CPU_OUT_OF_MEMORY
from ml_api.embedding.pretrained import PretrainedModel, resolve
from ml_api.errors import ConfigError, ModelOutOfMemory, ModelUnavailable, NonFiniteVector
from tests.models.tiny_clip import CONTEXT_TOKENS, DIM, EDGE_PX, build_tiny_clip
from tests.prepared import prepared_image

ROOT = Path(__file__).parents[3]
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    torch.set_num_threads(1)
    return resolve(str(build_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")))


@pytest.fixture(scope="module")
def encoder(pretrained):
    return ClipEncoder(pretrained, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def reference(pretrained):
    """The library itself, asked in the plain way: `preprocess`, `forward`, normalise."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(pretrained.path), device="cpu", local_files_only=True)

    def embed(inputs):
        with torch.inference_mode():
            vectors = model.forward(model.preprocess(inputs))["sentence_embedding"]
        return torch.nn.functional.normalize(vectors, dim=-1).numpy()

    return embed


@pytest.mark.parametrize(
    "texts",
    [["a red cat"], ["a red cat", "dog"], ["A RED\t Cat", "naïve café", "two dogs in the snow"], ["snow " * 40, "cat"]],
    ids=["one", "two", "case and spaces", "too long"],
)
def test_text_vectors_equal_those_of_the_library(encoder, reference, texts):
    ours = encoder.embed([encoder.preprocessor.prepare_text(text) for text in texts])

    np.testing.assert_allclose(ours, reference(texts), atol=TOLERANCE)


@pytest.mark.parametrize("size", [(32, 32), (100, 75), (75, 100), (33, 32), (127, 32), (640, 427), (20, 10), (1200, 301)])
def test_image_vectors_equal_those_of_the_library(encoder, reference, size):
    image = Image.effect_noise(size, 60).convert("RGB")

    ours = encoder.embed([prepared_image(encoder.preprocessor, image)])

    np.testing.assert_allclose(ours, reference([image]), atol=TOLERANCE)


def test_an_elongated_image_is_seen_by_its_middle(encoder):
    long = Image.new("RGB", (2000, 20), "blue")
    long.paste("red", (960, 0, 1040, 20))

    middle = prepared_image(encoder.preprocessor, long.crop((960, 0, 1040, 20)))
    assert np.allclose(prepared_image(encoder.preprocessor, long).features, middle.features)


def test_special_tokens_in_a_text_have_no_power(encoder):
    tokens = [
        encoder.preprocessor.prepare_text(text).features for text in ("<|endoftext|> cat", "<|endoftext|> dog", "<|startoftext|>")
    ]
    end = tokens[0][-1]

    assert all(np.count_nonzero(ids == end) == 1 for ids in tokens)
    vectors = encoder.embed([encoder.preprocessor.prepare_text(text) for text in ("<|endoftext|> cat", "<|endoftext|> dog")])
    assert not np.allclose(vectors[0], vectors[1])


def test_exactly_the_context_length_is_not_truncated(encoder):
    fits, exceeds = (encoder.preprocessor.prepare_text("cat " * number) for number in (CONTEXT_TOKENS - 2, CONTEXT_TOKENS - 1))

    assert (len(fits.features), fits.truncated) == (CONTEXT_TOKENS, False)
    assert (len(exceeds.features), exceeds.truncated) == (CONTEXT_TOKENS, True)
    np.testing.assert_array_equal(fits.features, exceeds.features)


def test_text_that_looks_like_an_address_or_a_path_is_never_followed(encoder, tmp_path):
    image = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(image)

    for text in (str(image), image.as_uri(), "http://127.0.0.1:9/x.png", "data:image/png;base64,AAAA"):
        assert encoder.preprocessor.prepare_text(text).modality == "text"


def test_it_says_what_it_runs_on(encoder):
    assert (encoder.model.device, encoder.model.precision, encoder.model.dim) == ("cpu", "fp32", DIM)
    assert encoder.preprocessor.fit.edge_px == EDGE_PX


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU whose absence is tested")
def test_a_gpu_that_is_not_there_is_a_configuration_error(pretrained):
    with pytest.raises(ConfigError, match="ML_API_DEVICE"):
        ClipEncoder(pretrained, device="cuda")


def test_weights_that_give_no_finite_vector_are_an_unavailable_model(pretrained):
    broken = ClipEncoder(pretrained, device="cpu")
    with torch.no_grad():
        broken.library[0].model.text_model.final_layer_norm.weight.fill_(float("nan"))

    with pytest.raises(NonFiniteVector, match="not finite"):
        broken.embed([broken.preprocessor.prepare_text("cat")])


def test_features_beyond_memory_are_told_apart_from_other_failures(encoder):
    more_than_there_are_addresses = np.broadcast_to(np.float32(0), (3, 2**24, 2**24))

    with pytest.raises(ModelOutOfMemory):
        encoder.embed([Prepared("image", more_than_there_are_addresses)])


def test_a_failing_forward_pass_is_an_unavailable_model(encoder):
    with pytest.raises(ModelUnavailable) as caught:
        encoder.embed([Prepared("text", np.array([2**40]))])
    assert caught.value.slug == "model-unavailable"


def test_torch_still_says_in_these_words_that_a_cpu_ran_out_of_memory():
    with pytest.raises(RuntimeError, match=CPU_OUT_OF_MEMORY):
        torch.empty(2**50)


def test_damaged_weights_are_a_configuration_error(tmp_path):
    folder = build_tiny_clip(tmp_path / "damaged")
    (folder / "0_CLIPModel" / "model.safetensors").write_bytes(b"not weights")

    with pytest.raises(ConfigError, match="damaged cannot be loaded"):
        ClipEncoder(resolve(str(folder)), device="cpu")


@pytest.fixture(params=[logging.WARNING, logging.ERROR, logging.CRITICAL], ids=logging.getLevelName)
def verbosity(request):
    """As TRANSFORMERS_VERBOSITY sets it when the library is imported."""
    from transformers.utils import logging as library

    before = library.get_verbosity()
    library.set_verbosity(request.param)
    yield request.param
    assert library.get_verbosity() == request.param, "it is left as it was"
    library.set_verbosity(before)


@pytest.mark.usefixtures("verbosity")
def test_weights_missing_from_the_file_are_not_made_up(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = build_tiny_clip(tmp_path / "holey")
    weights = folder / "0_CLIPModel" / "model.safetensors"
    tensors = load_file(weights)
    del tensors["text_projection.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})

    with pytest.raises(ConfigError, match="holey lacks some of its weights"):
        ClipEncoder(resolve(str(folder)), device="cpu")


def test_a_tokenizer_that_reads_all_texts_alike_is_refused(tmp_path):
    """As transformers makes one up where a directory has none; here, where it holds a vocabulary of one word."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = build_tiny_clip(tmp_path / "illiterate")
    empty = Tokenizer(models.WordLevel({"<|endoftext|>": 0}, unk_token="<|endoftext|>"))
    empty.pre_tokenizer = pre_tokenizers.Whitespace()
    empty.save(str(folder / "0_CLIPModel" / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 16, "pad_token": "<|endoftext|>"}
    (folder / "0_CLIPModel" / "tokenizer_config.json").write_text(json.dumps(config))
    for name in ("vocab.json", "merges.txt"):
        (folder / "0_CLIPModel" / name).unlink()

    with pytest.raises(ConfigError, match=r"reads all texts alike|cannot be loaded"):
        ClipEncoder(resolve(str(folder)), device="cpu")


@pytest.mark.parametrize(("edge", "words"), [([32, 48], "does not say of what edge"), (40, "does not see squares of 40 px")])
def test_a_model_that_does_not_see_squares_of_one_edge_is_refused(pretrained, edge, words):
    library = ClipEncoder(pretrained, device="cpu").library[0]
    config = copy.deepcopy(library.model.config)
    config.vision_config.image_size = edge

    with pytest.raises(ConfigError, match=f"^ML_API_MODEL: tiny {words}"):
        describe(pretrained, library.processor, config)


def test_a_model_without_eyes_is_not_a_clip(pretrained):
    with pytest.raises(ConfigError, match="is not a CLIP"):
        ClipEncoder(PretrainedModel("other", pretrained.path, "1", DIM + 1), device="cpu")


def test_nothing_but_the_encoder_itself_brings_torch_in():
    modules = "ml_api.images, ml_api.embedding.base, ml_api.embedding.batching, ml_api.embedding.fake, ml_api.embedding.pretrained"
    program = f"import sys, {modules}, ml_api.embedding.clip; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_an_image_processor_that_cannot_work_is_a_configuration_error(tmp_path):
    folder = build_tiny_clip(tmp_path / "odd")
    config = folder / "0_CLIPModel" / "preprocessor_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"image_mean": [0.5]}))

    with pytest.raises(ConfigError, match="odd cannot be loaded"):
        ClipEncoder(resolve(str(folder)), device="cpu", precision="fp32")
