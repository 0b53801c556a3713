"""A text encoder beside the model: what is refused before it would embed wrongly, and which converted files belong to which."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ml_api.embedding.clip import ClipEncoder
from ml_api.embedding.openvino import ConvertedFiles, OpenVinoEncoder
from ml_api.embedding.pretrained import resolve
from ml_api.errors import ConfigError
from ml_api.metrics import Metrics
from ml_api.services import write_triton_repository
from ml_api.services.encoder import load_model
from ml_api.settings import Settings
from tests.text_encoders import TEXTS, build_distilbert, build_xlm_roberta
from tests.tiny_clip import build_tiny_clip

ROOT = Path(__file__).parents[3]
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
    return build_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture
def text_model(tmp_path):
    return build_distilbert(tmp_path / "multilingual")


@pytest.fixture(scope="module")
def converted(image_model, tmp_path_factory):
    """A pair, its files, and what it makes of texts."""
    folder = tmp_path_factory.mktemp("pair")
    pair = resolve(str(image_model), str(build_distilbert(folder / "multilingual")))
    files = ConvertedFiles(folder / "models")
    return pair, files, embed(OpenVinoEncoder(pair, files, precision="fp32"))


def embed(encoder):
    return encoder.embed([encoder.preprocessor.prepare_text(text) for text in TEXTS])


def load(image_model, text_model):
    return ClipEncoder(resolve(str(image_model), str(text_model)), device="cpu", precision="fp32")


def change_weights(file, change):
    from safetensors.torch import load_file, save_file

    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def test_weights_missing_from_its_transformer_are_not_made_up(image_model, text_model):
    change_weights(text_model / "model.safetensors", lambda tensors: dict(list(tensors.items())[1:]))

    with pytest.raises(ConfigError, match=r"^ML_API_TEXT_MODEL: multilingual lacks some of its weights"):
        load(image_model, text_model)


def test_weights_missing_from_its_projection_are_not_made_up(image_model, text_model):
    change_weights(text_model / "2_Dense" / "model.safetensors", lambda tensors: {"other": tensors["linear.weight"]})

    with pytest.raises(ConfigError, match=r"^ML_API_TEXT_MODEL: multilingual cannot be loaded (?s:.*)linear\.weight"):
        load(image_model, text_model)


def test_the_pooler_that_nothing_reads_may_be_missing(image_model, tmp_path):
    whole = build_xlm_roberta(tmp_path / "whole")
    bare = Path(shutil.copytree(whole, tmp_path / "bare"))
    change_weights(
        bare / "model.safetensors",
        lambda tensors: {name: tensor for name, tensor in tensors.items() if not name.startswith("pooler.")},
    )
    assert (bare / "model.safetensors").stat().st_size < (whole / "model.safetensors").stat().st_size

    np.testing.assert_array_equal(embed(load(image_model, bare)), embed(load(image_model, whole)))


def test_a_projection_of_another_width_than_its_configuration_says_is_refused(image_model, text_model):
    change_weights(text_model / "2_Dense" / "model.safetensors", lambda tensors: {"linear.weight": tensors["linear.weight"][:8]})

    with pytest.raises(ConfigError, match=r"^ML_API_TEXT_MODEL: multilingual cannot be loaded"):
        load(image_model, text_model)


def test_a_prompt_before_every_text_is_refused_rather_than_left_out(image_model, text_model):
    about = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
    (text_model / "config_sentence_transformers.json").write_text(json.dumps(about))

    with pytest.raises(ConfigError, match=r"^ML_API_TEXT_MODEL: multilingual puts a prompt of its own before every text"):
        load(image_model, text_model)


def test_a_tokenizer_that_reads_all_texts_alike_is_refused(image_model, text_model):
    (text_model / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")

    with pytest.raises(ConfigError, match=r"^ML_API_TEXT_MODEL: multilingual has a tokenizer that reads all texts alike"):
        load(image_model, text_model)


def test_lower_case_is_what_the_model_says(image_model, text_model):
    config = text_model / "sentence_bert_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"do_lower_case": True}))
    encoder = load(image_model, text_model)

    upper, lower = (encoder.preprocessor.prepare_text(text).features.tolist() for text in ("DOGS", "dogs"))
    assert upper == lower


def test_a_later_start_loads_neither_torch_nor_transformers(image_model, converted):
    pair, files, _ = converted
    command = [sys.executable, "-c", START, str(image_model), str(pair.text.path), str(files.folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert result.stdout == "[]\n", result.stderr


def test_images_are_embedded_by_the_files_of_the_model_alone(image_model, converted):
    pair, files, _ = converted
    both, alone = files.find(pair, "fp32"), files.find(resolve(str(image_model)), "fp32")

    assert sorted(path.name for path in both.iterdir()) == [
        "complete.json",
        "preprocessing.json",
        "text.bin",
        "text.xml",
        "tokenizer.json",
    ]
    assert (alone / "image.xml").is_file()
    assert {pair.revision, pair.text.revision} <= set(both.name.split("-"))
    assert sorted(path.name for path in files.folder.iterdir()) == sorted([both.name, alone.name, "lock"])


def test_another_text_encoder_converts_itself_alone(converted, image_model, tmp_path, caplog):
    _, files, before = converted
    caplog.set_level("INFO")
    other = resolve(str(image_model), str(build_distilbert(tmp_path / "other", seed=8)))
    after = embed(OpenVinoEncoder(other, files, precision="fp32"))

    assert not np.allclose(before, after)
    assert re.findall(r"converting (\S+) for OpenVINO", caplog.text) == ["other"]
    shutil.rmtree(files.find(other, "fp32"))


@pytest.mark.parametrize("name", ["text.bin", "tokenizer.json"])
def test_damaged_files_of_a_text_encoder_are_made_again(converted, tmp_path, name):
    pair, files, expected = converted
    for folder in files.folder.iterdir():
        if folder.is_dir():
            shutil.copytree(folder, tmp_path / folder.name)
    damaged = tmp_path / files.find(pair, "fp32").name / name
    damaged.write_bytes(damaged.read_bytes()[:-100])

    again = OpenVinoEncoder(pair, ConvertedFiles(tmp_path), precision="fp32")
    np.testing.assert_allclose(embed(again), expected, atol=1e-5)


def settings_for(folder, image_model, text_model, **others):
    both = {"model": str(image_model), "text_model": str(text_model)}
    return Settings(device="cpu", precision="fp32", data_dir=folder, **both, **others)


def test_where_it_cannot_be_converted_torch_computes_both(image_model, text_model, tmp_path, caplog):
    (tmp_path / "models").write_text("a file where a folder should be")
    pair, metrics = resolve(str(image_model), str(text_model)), Metrics()

    _, encoder = load_model(settings_for(tmp_path, image_model, text_model), pair, metrics)

    assert type(encoder).__name__ == "ClipEncoder"
    assert embed(encoder).shape == (len(TEXTS), pair.dim)
    told = {"model": "tiny", "text_model": pair.text.model_id}
    assert metrics.registry.get_sample_value("ml_api_model_info", told | labels(encoder.model)) == 1


def labels(model):
    return {"revision": model.revision, "dim": str(model.dim), "device": model.device, "dtype": model.precision}


def test_a_triton_server_does_not_take_it(image_model, text_model, tmp_path):
    settings = settings_for(tmp_path, image_model, text_model, embedding_url="triton://127.0.0.1:1/clip")
    pair = resolve(str(image_model), str(text_model))

    for start in (
        lambda: load_model(settings, pair, Metrics()),
        lambda: write_triton_repository(settings, tmp_path / "repository"),
    ):
        with pytest.raises(ConfigError, match=r"^ML_API_TEXT_MODEL: multilingual cannot run on a Triton server"):
            start()
