"""Which files a model name means, and what the operator is told when it means none."""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ml_api.embedding.pretrained import resolve
from ml_api.embedding.pretrained.folder import content_hash
from ml_api.errors import ConfigError
from tests.models.fake_hub import COMMIT, FakeHub
from tests.models.text_encoders import build_distilbert
from tests.models.tiny_clip import DIM, build_tiny_clip

ROOT = Path(__file__).parents[3]
REPOSITORY = "sentence-transformers/tiny-clip"


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory):
    return build_tiny_clip(tmp_path_factory.mktemp("models") / "tiny clip")


@pytest.fixture
def copy(tiny_clip, tmp_path):
    return Path(shutil.copytree(tiny_clip, tmp_path / "copy"))


def resolve_elsewhere(
    model: str, home: Path, endpoint: str, root: Path = ROOT, *, text_model: str = ""
) -> subprocess.CompletedProcess[str]:
    """`resolve` in a process of its own, as huggingface_hub reads its environment once."""
    program = (
        "import sys; from ml_api.embedding.pretrained import resolve; from ml_api.errors import ConfigError\n"
        "try: found = resolve(sys.argv[1], sys.argv[2], hub_timeout_s=1)\n"
        "except ConfigError as exc: sys.exit('ConfigError: ' + str(exc))\n"
        "print(found.name, found.revision, found.dim, 'torch' in sys.modules, *([found.text.model_id] if found.text else []))"
    )
    environment = {"HF_HOME": str(home), "HF_ENDPOINT": endpoint, "PYTHONPATH": str(root), "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-W", "error", "-c", program, model, text_model]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_directory_is_called_by_its_name_and_known_by_its_content(tiny_clip):
    found = resolve(str(tiny_clip))

    assert (found.name, found.path, found.dim) == ("tiny clip", tiny_clip, DIM)
    assert found.model_id == f"tiny clip@{found.revision}"
    assert found.info("cpu", "bf16").model_id == found.model_id


def test_a_directory_may_say_what_it_is_called(copy):
    before = resolve(str(copy))
    (copy / "training.json").write_text(json.dumps({"name": "demo model", "progress": {"minutes": 3}}))
    after = resolve(str(copy))

    assert after.name == "demo model"
    assert after.revision == before.revision


def test_a_copy_in_another_place_has_the_same_revision(tiny_clip, copy):
    (copy / "README.md").write_text("notes do not change vectors")

    assert resolve(str(copy)).revision == resolve(str(tiny_clip)).revision


def test_the_revision_of_the_same_files_is_the_same_in_every_version(tmp_path):
    """Collections remember it: if it changed, each operator of a local model would have to embed all images again."""
    for name in ("config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"):
        (tmp_path / name).write_text(name)
    assert content_hash(tmp_path) == "9f2c155687ae"


@pytest.mark.parametrize("name", ["model.safetensors", "preprocessor_config.json", "merges.txt"])
def test_whatever_changes_vectors_changes_the_revision(tiny_clip, copy, name):
    with (copy / "0_CLIPModel" / name).open("ab") as file:
        file.write(b"\n")

    assert resolve(str(copy)).revision != resolve(str(tiny_clip)).revision


def test_what_is_not_loaded_is_no_part_of_the_revision(tiny_clip, copy):
    (copy / "notes.txt").write_text("shopping")
    (copy / "figures.json").write_text("[]")
    (copy / "0_CLIPModel" / "onnx").mkdir()
    (copy / "0_CLIPModel" / "onnx" / "config.json").write_text("{}")
    (copy / "0_CLIPModel" / "backup.safetensors").write_bytes(b"old weights")
    (copy / "model.safetensors").write_bytes(b"weights that no module names")

    assert resolve(str(copy)).revision == resolve(str(tiny_clip)).revision


@pytest.mark.parametrize("linked", ["0_CLIPModel", "0_CLIPModel/model.safetensors"])
def test_what_is_loaded_through_a_link_is_part_of_the_revision(tiny_clip, copy, tmp_path, linked):
    elsewhere = (copy / linked).rename(tmp_path / "elsewhere")
    (copy / linked).symlink_to(elsewhere)
    assert resolve(str(copy)).revision == resolve(str(tiny_clip)).revision

    with (copy / "0_CLIPModel" / "model.safetensors").open("ab") as file:
        file.write(b"\n")
    assert resolve(str(copy)).revision != resolve(str(tiny_clip)).revision


def test_weights_in_parts_are_those_that_their_index_names(copy):
    module = copy / "0_CLIPModel"
    (module / "model.safetensors").rename(module / "model-00001-of-00001.safetensors")
    index = {"weight_map": {"text_projection.weight": "model-00001-of-00001.safetensors"}}
    (module / "model.safetensors.index.json").write_text(json.dumps(index))
    before = resolve(str(copy)).revision
    (module / "model-00002-of-00002.safetensors").write_bytes(b"of another model")
    assert resolve(str(copy)).revision == before

    with (module / "model-00001-of-00001.safetensors").open("ab") as file:
        file.write(b"\n")
    assert resolve(str(copy)).revision != before


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt"])
def test_a_model_without_its_tokenizer_is_refused(copy, name):
    (copy / "0_CLIPModel" / name).unlink()

    with pytest.raises(ConfigError, match=r"has no tokenizer \(tokenizer\.json, or vocab\.json and merges\.txt\)"):
        resolve(str(copy))


def test_a_model_with_its_files_at_the_top_is_found_too(tiny_clip, tmp_path):
    flat = Path(shutil.copytree(tiny_clip / "0_CLIPModel", tmp_path / "flat"))

    assert resolve(str(flat)).dim == DIM


def test_pickled_weights_are_not_loaded(tmp_path):
    pickled = build_tiny_clip(tmp_path / "pickled", safetensors=False)

    with pytest.raises(ConfigError, match="no safetensors weights"):
        resolve(str(pickled))


def test_a_text_only_model_is_not_a_clip(copy):
    (copy / "0_CLIPModel" / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 384}))

    with pytest.raises(ConfigError, match="is not a CLIP"):
        resolve(str(copy))


def test_a_model_that_sees_images_in_their_own_resolution_is_refused_before_it_is_loaded(copy):
    config = {"model_type": "siglip2", "text_config": {"hidden_size": 24}, "vision_config": {"num_patches": 256}}
    (copy / "0_CLIPModel" / "config.json").write_text(json.dumps(config))

    with pytest.raises(ConfigError, match=r"sees images in their own resolution \(NaFlex\), which is not supported"):
        resolve(str(copy))


def test_a_damaged_configuration_is_named(copy):
    (copy / "modules.json").write_text("{")

    with pytest.raises(ConfigError, match=r"modules\.json is not valid JSON"):
        resolve(str(copy))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("modules.json", "[1]", r"cannot be read: .*modules\.json is not a list of modules"),
        ("0_CLIPModel/model.safetensors.index.json", "[]", "has no safetensors weights in .*0_CLIPModel"),
        ("0_CLIPModel/model.safetensors.index.json", '{"weight_map": [1]}', "has no safetensors weights in .*0_CLIPModel"),
        ("0_CLIPModel/model.safetensors.index.json", "{}", "has no safetensors weights in .*0_CLIPModel"),
    ],
)
def test_a_configuration_of_another_form_is_named(copy, name, content, words):
    (copy / "0_CLIPModel" / "model.safetensors").unlink()
    (copy / name).write_text(content)

    with pytest.raises(ConfigError, match=rf"^ML_API_MODEL: {copy} {words}"):
        resolve(str(copy))


def test_a_configuration_that_cannot_be_opened_is_named(copy):
    (copy / "modules.json").unlink()
    (copy / "modules.json").mkdir()

    with pytest.raises(ConfigError, match=r"^ML_API_MODEL: .* cannot be read: .*modules\.json: Is a directory"):
        resolve(str(copy))


@pytest.mark.parametrize("path", ["/nowhere/model", "./nowhere", "~/nowhere", "a/b/c"])
def test_a_path_that_does_not_exist_is_not_looked_up_on_the_hub(path):
    with pytest.raises(ConfigError, match="there is no directory"):
        resolve(path)


def test_a_missing_directory_beside_existing_ones_is_not_taken_for_a_hub_name(tmp_path, monkeypatch):
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match="there is no directory demo/model"):
        resolve("demo/model")


def test_a_name_that_cannot_be_one_is_refused():
    with pytest.raises(ConfigError, match="neither a directory nor a name"):
        resolve("clip ViT?")


def test_a_bare_name_is_downloaded_once_and_then_works_offline(tiny_clip, tmp_path):
    published = Path(shutil.copytree(tiny_clip, tmp_path / "published"))
    (published / "0_CLIPModel" / "pytorch_model.bin").write_bytes(b"a pickle")
    with FakeHub(published, REPOSITORY) as hub:
        first = resolve_elsewhere("tiny-clip", tmp_path / "home", hub.url)
    again = resolve_elsewhere("tiny-clip", tmp_path / "home", hub.url)

    assert first.stdout == f"tiny-clip {COMMIT[:12]} {DIM} False\n", first.stderr
    assert again.stdout == first.stdout, again.stderr
    assert "0_CLIPModel/model.safetensors" in hub.fetched
    assert "0_CLIPModel/pytorch_model.bin" not in hub.fetched


def test_a_model_without_its_image_processor_is_refused(copy):
    (copy / "0_CLIPModel" / "preprocessor_config.json").unlink()

    with pytest.raises(ConfigError, match=r"has no image processor \(preprocessor_config\.json\)"):
        resolve(str(copy))


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.json", "preprocessor_config.json"])
def test_an_incomplete_cache_is_completed(tiny_clip, tmp_path, name):
    with FakeHub(tiny_clip, REPOSITORY) as hub:
        resolve_elsewhere("tiny-clip", tmp_path / "home", hub.url)
        [missing] = (tmp_path / "home").rglob(f"snapshots/*/0_CLIPModel/{name}")
        missing.unlink()
        again = resolve_elsewhere("tiny-clip", tmp_path / "home", hub.url)

    assert again.returncode == 0, again.stderr
    assert missing.is_file()


def test_a_hub_without_safetensors_downloads_nothing(tmp_path):
    pickled = build_tiny_clip(tmp_path / "pickled", safetensors=False)
    with FakeHub(pickled, REPOSITORY) as hub:
        answer = resolve_elsewhere("tiny-clip", tmp_path / "home", hub.url)

    assert "no safetensors weights on the hub" in answer.stderr
    assert hub.fetched == []


def test_an_unknown_name_is_told_apart_from_a_hub_that_is_away(tiny_clip, tmp_path):
    with FakeHub(tiny_clip, REPOSITORY) as hub:
        answer = resolve_elsewhere("clip-ViT-B-99", tmp_path / "home", hub.url)

    assert "no such model, or it needs a login" in answer.stderr


def test_an_installed_package_does_not_advise_a_model_that_is_not_there(tmp_path):
    (tmp_path / "ml_api").symlink_to(ROOT / "ml_api")
    answer = resolve_elsewhere("clip-ViT-B-32", tmp_path, "http://127.0.0.1:9", tmp_path)
    assert answer.stderr.startswith("ConfigError: ML_API_MODEL: clip-ViT-B-32 is not a local directory")
    assert "demo/model" not in answer.stderr


def test_the_demo_model_from_another_folder_is_not_looked_up_on_the_hub(tmp_path, monkeypatch):
    """Where no folder `demo` is: it is no name of an organisation's."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        resolve("demo/model")
    assert refused.value.detail == "ML_API_MODEL: there is no directory demo/model"


@pytest.mark.parametrize("hub", ["refuses connections", "never answers"])
def test_without_a_hub_the_ways_out_are_named_within_seconds(tmp_path, hub):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if hub == "never answers":
            listener.listen()
        started = time.monotonic()
        answer = resolve_elsewhere("clip-ViT-B-32", tmp_path, f"http://127.0.0.1:{listener.getsockname()[1]}")

    assert answer.stderr.startswith("ConfigError: ML_API_MODEL: clip-ViT-B-32 is not a local directory")
    for way_out in (
        "path of a model directory",
        "hf download sentence-transformers/clip-ViT-B-32",
        f"ML_API_MODEL={ROOT / 'demo' / 'model'}",
    ):
        assert way_out in answer.stderr
    assert "Traceback" not in answer.stderr
    assert time.monotonic() - started < 30


@pytest.fixture
def text_encoder(tmp_path):
    return build_distilbert(tmp_path / "multilingual")


def test_a_text_encoder_beside_a_model_changes_how_texts_are_read_and_not_what_is_stored(tiny_clip, text_encoder):
    pair = resolve(str(tiny_clip), str(text_encoder))

    assert (pair.text.name, pair.text.path, pair.text.dim) == ("multilingual", text_encoder, DIM)
    assert pair.model_id == resolve(str(tiny_clip)).model_id
    assert pair.info("cpu", "fp32").text_model == f"multilingual@{pair.text.revision}"


@pytest.mark.parametrize("name", ["model.safetensors", "2_Dense/model.safetensors", "1_Pooling/config.json", "vocab.txt"])
def test_whatever_changes_a_text_encoders_vectors_changes_its_revision(tiny_clip, text_encoder, tmp_path, name):
    before = resolve(str(tiny_clip), str(text_encoder)).text.revision
    changed = (text_encoder / name).rename(tmp_path / "elsewhere")  # and is reached through a link
    (text_encoder / name).symlink_to(changed)
    assert resolve(str(tiny_clip), str(text_encoder)).text.revision == before

    with changed.open("ab") as file:
        file.write(b"\n")
    assert resolve(str(tiny_clip), str(text_encoder)).text.revision != before


def remove_projection(folder):
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")


def remove_vocabulary(folder):
    (folder / "vocab.txt").unlink()


def remove_weights(folder):
    (folder / "model.safetensors").unlink()


def remove_modules(folder):
    (folder / "modules.json").unlink()


def change_activation(folder):
    config = folder / "2_Dense" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"activation_function": "their.own.Swish"}))


def list_modules(folder, *kinds):
    listed = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([module for module in listed if module["type"].endswith(kinds)]))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove_projection, "has no safetensors weights in .*2_Dense; other formats are not loaded"),
        (remove_weights, "has no safetensors weights in .*; other formats are not loaded"),
        (remove_vocabulary, "has no tokenizer"),
        (remove_modules, r"is no model of sentence-transformers: no modules\.json"),
        (lambda folder: list_modules(folder, "Transformer"), "does not pool its tokens into one vector"),
        (lambda folder: list_modules(folder, "Dense"), "begins with Dense"),
        (change_activation, r"asks for the activation their\.own\.Swish in 2_Dense"),
    ],
    ids=["pickled projection", "no weights", "no tokenizer", "no modules", "no pooling", "no transformer", "foreign code"],
)
def test_a_text_encoder_that_is_not_whole_is_refused_by_the_name_of_its_setting(tiny_clip, text_encoder, damage, words):
    damage(text_encoder)

    with pytest.raises(ConfigError, match=rf"^ML_API_TEXT_MODEL: {text_encoder} {words}"):
        resolve(str(tiny_clip), str(text_encoder))


def test_a_text_encoder_of_another_width_is_refused(tiny_clip, tmp_path):
    wide = build_distilbert(tmp_path / "wide", dim=32)

    with pytest.raises(ConfigError) as refused:
        resolve(str(tiny_clip), str(wide))
    assert refused.value.detail == (
        f"ML_API_TEXT_MODEL: wide makes vectors of 32 numbers, and tiny clip, the model in ML_API_MODEL, of {DIM}: "
        "a text encoder has to be one that was trained for that model's space"
    )


def test_each_model_is_told_where_it_belongs(tiny_clip, text_encoder):
    with pytest.raises(ConfigError, match=r"^ML_API_TEXT_MODEL: .* embeds images, too; such a model goes into ML_API_MODEL"):
        resolve(str(tiny_clip), str(tiny_clip))
    with pytest.raises(ConfigError, match=r"^ML_API_MODEL: .* is not a CLIP.* A text encoder goes into ML_API_TEXT_MODEL"):
        resolve(str(text_encoder))


@pytest.mark.parametrize(
    ("pooling", "width"),
    [
        ({"word_embedding_dimension": 16, "pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, 32),
        ({"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}, 16),
        ({"embedding_dimension": 16, "pooling_mode": "cls"}, 16),
        ({"embedding_dimension": 16, "pooling_mode": ["cls", "mean", "max"]}, 48),
    ],
)
def test_how_wide_pooled_vectors_are_is_read_in_every_form_of_its_configuration(tiny_clip, text_encoder, pooling, width):
    list_modules(text_encoder, "Transformer", "Pooling")
    (text_encoder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))

    with pytest.raises(ConfigError, match=f"makes vectors of {width} numbers"):
        resolve(str(tiny_clip), str(text_encoder))


@pytest.mark.parametrize("width", ["256", None, 0])
def test_a_width_that_is_no_number_is_told(tiny_clip, text_encoder, width):
    list_modules(text_encoder, "Transformer", "Pooling")
    (text_encoder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": width}))

    with pytest.raises(ConfigError, match="does not say how wide its vectors are: the configuration of its Pooling has"):
        resolve(str(tiny_clip), str(text_encoder))


def test_a_text_encoder_is_downloaded_once_and_then_works_offline(tiny_clip, text_encoder, tmp_path):
    (text_encoder / "2_Dense" / "pytorch_model.bin").write_bytes(b"a pickle")
    with FakeHub(text_encoder, "sentence-transformers/multilingual") as hub:
        first = resolve_elsewhere(str(tiny_clip), tmp_path / "home", hub.url, text_model="multilingual")
    again = resolve_elsewhere(str(tiny_clip), tmp_path / "home", hub.url, text_model="multilingual")

    assert first.stdout == f"tiny clip {resolve(str(tiny_clip)).revision} {DIM} False multilingual@{COMMIT[:12]}\n", first.stderr
    assert again.stdout == first.stdout, again.stderr
    assert "2_Dense/model.safetensors" in hub.fetched
    assert "2_Dense/pytorch_model.bin" not in hub.fetched


def test_a_cached_text_encoder_without_its_projection_is_completed(tiny_clip, text_encoder, tmp_path):
    with FakeHub(text_encoder, "sentence-transformers/multilingual") as hub:
        resolve_elsewhere(str(tiny_clip), tmp_path / "home", hub.url, text_model="multilingual")
        [missing] = (tmp_path / "home").rglob("snapshots/*/2_Dense/model.safetensors")
        missing.unlink()
        again = resolve_elsewhere(str(tiny_clip), tmp_path / "home", hub.url, text_model="multilingual")

    assert again.returncode == 0, again.stderr
    assert missing.is_file()


def test_without_a_hub_a_text_encoders_ways_out_are_named(tiny_clip, tmp_path):
    answer = resolve_elsewhere(str(tiny_clip), tmp_path, "http://127.0.0.1:9", text_model="clip-ViT-B-32-multilingual-v1")

    assert answer.stderr.startswith("ConfigError: ML_API_TEXT_MODEL: clip-ViT-B-32-multilingual-v1 is not a local directory")
    assert "hf download sentence-transformers/clip-ViT-B-32-multilingual-v1" in answer.stderr
    assert "demo" not in answer.stderr
