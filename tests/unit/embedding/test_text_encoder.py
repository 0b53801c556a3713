"""A text encoder beside the model: what is refused before it would embed wrongly, and who computes it elsewhere."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ml_api.embedding.clip import ClipEncoder
from ml_api.embedding.pretrained import resolve
from ml_api.errors import ConfigError
from ml_api.services import write_triton_repository
from ml_api.services.encoder import load_model
from ml_api.settings import Settings
from tests.models.text_encoders import TEXTS, build_distilbert, build_xlm_roberta
from tests.models.tiny_clip import build_tiny_clip


@pytest.fixture(scope="module")
def image_model(tmp_path_factory):
    return build_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture
def text_model(tmp_path):
    return build_distilbert(tmp_path / "multilingual")


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


def settings_for(folder, image_model, text_model, **others):
    both = {"model": str(image_model), "text_model": str(text_model)}
    return Settings(device="cpu", precision="fp32", data_dir=folder, **both, **others)


def test_where_it_cannot_be_converted_torch_computes_both(image_model, text_model, tmp_path, caplog):
    (tmp_path / "models").write_text("a file where a folder should be")
    pair = resolve(str(image_model), str(text_model))

    _, encoder, _ = load_model(settings_for(tmp_path, image_model, text_model), pair)

    assert type(encoder).__name__ == "ClipEncoder"
    assert embed(encoder).shape == (len(TEXTS), pair.dim)
    assert (encoder.model.name, encoder.model.text_model) == ("tiny", pair.text.model_id)


def test_a_triton_repository_holds_it_where_texts_are_embedded(image_model, text_model, tmp_path):
    texts, images = write_triton_repository(settings_for(tmp_path, image_model, text_model), tmp_path / "repository")
    pair = resolve(str(image_model), str(text_model))

    assert {path.name for path in (texts / "1").iterdir() if path.is_dir()} == {"clip", "ml_api", "text"}
    assert {path.name for path in (images / "1").iterdir() if path.is_dir()} == {"clip", "ml_api"}
    assert f'"{pair.text.model_id}"' in (texts / "config.pbtxt").read_text()
    assert f'"{pair.model_id}"' in (images / "config.pbtxt").read_text()
