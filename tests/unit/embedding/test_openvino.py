"""The converted model computes what the library does, is never half there, and where it cannot be had torch computes."""

import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ml_api.embedding.base import Prepared
from ml_api.embedding.openvino import ConvertedFiles, NotConverted, OpenVinoEncoder
from ml_api.embedding.openvino.conversion import convert
from ml_api.embedding.openvino.files import ConversionOutcome, ConversionRequest
from ml_api.embedding.pretrained import resolve
from ml_api.errors import ConfigError, ModelOutOfMemory, ModelUnavailable, NonFiniteVector
from ml_api.services.encoder import load_model
from ml_api.settings import Settings
from tests.models.converted_models import converted_here
from tests.models.tiny_clip import DIM, EDGE_PX, build_tiny_clip
from tests.prepared import prepared_image
from tests.unprivileged import NO_REPORT, open_folder, without_privileges

ROOT = Path(__file__).parents[3]
TOLERANCE = 1e-5
TEXTS = ["a red cat", "dog", "two dogs in the snow", "snow " * 40, "naïve café"]
SIZES = [(32, 32), (100, 75), (75, 100), (33, 32), (127, 32), (640, 427), (20, 10), (1200, 301)]
START = """
import sys
from pathlib import Path
from ml_api.embedding.openvino import ConvertedFiles, OpenVinoEncoder
from ml_api.embedding.pretrained import resolve
encoder = OpenVinoEncoder(resolve(sys.argv[1]), ConvertedFiles(Path(sys.argv[2])), precision="fp32")
encoder.embed([encoder.preprocessor.prepare_text("cat")])
print([name for name in ("torch", "transformers", "sentence_transformers") if name in sys.modules])
"""

TWO_AT_ONCE = """
import sys, threading
from pathlib import Path
from ml_api.embedding.openvino import ConvertedFiles, OpenVinoEncoder
from ml_api.embedding.pretrained import resolve
encoder = OpenVinoEncoder(resolve(sys.argv[1]), ConvertedFiles(Path(sys.argv[2])), precision="fp32")
item, start = encoder.preprocessor.prepare_text("cat"), threading.Barrier(4)
threads = [threading.Thread(target=lambda: (start.wait(), encoder.embed([item]))) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("done")
"""


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return resolve(str(build_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return ConvertedFiles(tmp_path_factory.mktemp("data") / "models")


@pytest.fixture(scope="module")
def encoder(pretrained, files):
    return OpenVinoEncoder(pretrained, files, precision="fp32")


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


def embed_texts(encoder, texts=TEXTS):
    return encoder.embed([encoder.preprocessor.prepare_text(text) for text in texts])


def test_text_vectors_equal_those_of_the_library(encoder, reference):
    np.testing.assert_allclose(embed_texts(encoder), reference(TEXTS), atol=TOLERANCE)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_image_vectors_equal_those_of_the_library(encoder, reference, size):
    image = Image.effect_noise(size, 60).convert("RGB")

    np.testing.assert_allclose(encoder.embed([prepared_image(encoder.preprocessor, image)]), reference([image]), atol=TOLERANCE)


def test_bfloat16_is_a_rounding_away(pretrained, tmp_path, reference):
    fast = OpenVinoEncoder(pretrained, converted_here(tmp_path), precision="bf16")

    assert fast.model.precision == "bf16"
    assert (embed_texts(fast) * reference(TEXTS)).sum(axis=1).min() > 0.999


def test_it_says_what_it_runs_on(encoder):
    assert (encoder.model.device, encoder.model.precision, encoder.model.dim) == ("cpu", "fp32", DIM)
    assert encoder.preprocessor.fit.edge_px == EDGE_PX


def test_a_later_start_loads_neither_torch_nor_transformers(pretrained, encoder, files):
    command = [sys.executable, "-c", START, str(pretrained.path), str(files.folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert result.stdout == "[]\n", result.stderr


@pytest.mark.timeout(200)
def test_two_threads_may_make_the_first_passes_at_once(pretrained, encoder, files):
    """In fresh processes: in one where OpenVINO has computed before, nothing is left to be made at the first call."""
    command = [sys.executable, "-c", TWO_AT_ONCE, str(pretrained.path), str(files.folder)]
    for _ in range(3):
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert result.stdout == "done\n", result.stderr


def test_nobody_else_may_read_the_converted_files(encoder, files):
    folders = [files.folder, *(path for path in files.folder.iterdir() if path.is_dir())]
    assert {folder.stat().st_mode & 0o077 for folder in folders} == {0}


def truncate(folder):
    with (folder / "text.bin").open("r+b") as file:
        file.truncate(100)


def forget(folder):
    (folder / "complete.json").unlink()


def scramble(folder):
    for path in folder.glob("*.xml"):
        path.write_bytes(b"?" * path.stat().st_size)


def flip_bits(folder):
    """Here and there: the vectors stay finite, or nearly all of them."""
    path = folder / "text.bin"
    weights = bytearray(path.read_bytes())
    weights[::997] = bytes(byte ^ 0x5A for byte in weights[::997])
    path.write_bytes(weights)


def list_instead(folder):
    (folder / "complete.json").write_text('["image.xml", "text.xml"]')


class Copying:
    """A conversion by copying what was converted before, and how often it was asked for."""

    def __init__(self, made):
        self._made = made
        self.asked = 0

    def __call__(self, request):
        self.asked += 1
        for path in self._made.iterdir():
            if path.name != "complete.json":
                shutil.copy(path, request.target)
        return ConversionOutcome()


@pytest.mark.parametrize("damage", [truncate, forget, scramble, flip_bits, list_instead])
def test_files_that_are_half_there_are_made_again(pretrained, files, encoder, tmp_path, damage):
    expected = embed_texts(encoder)
    made = files.find(pretrained, "fp32")
    first = Path(shutil.copytree(made, tmp_path / made.name))
    damage(first)
    (tmp_path / f"{first.name}.interrupted").mkdir()  # as a conversion that was killed leaves it

    copying = Copying(made)
    again = OpenVinoEncoder(pretrained, ConvertedFiles(tmp_path, copying), precision="fp32")

    assert copying.asked == 1
    np.testing.assert_allclose(embed_texts(again), expected, atol=TOLERANCE)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([first.name, "lock"])


def test_who_starts_together_converts_once(pretrained, files, tmp_path, caplog):
    caplog.set_level("INFO")
    copying, together = Copying(files.find(pretrained, "fp32")), threading.Barrier(2)
    caplog.clear()

    def start(_):
        together.wait()
        return ConvertedFiles(tmp_path, copying).find(pretrained, "fp32")

    with ThreadPoolExecutor(2) as starts:
        found = list(starts.map(start, range(2)))

    assert found[0] == found[1]
    assert copying.asked == 1
    assert [record.getMessage() for record in caplog.records if "this is done once" in record.getMessage()] == [
        "converting tiny for OpenVINO; this is done once, and may take a minute"
    ]


def test_a_conversion_that_computes_other_vectors_is_not_taken(pretrained, tmp_path):
    assert (
        "computes other vectors for text (cosine 1.0000)"
        in convert(ConversionRequest(pretrained, "fp32", tmp_path), least_cosine=1.1).reason
    )
    assert not (tmp_path / "preprocessing.json").exists(), "what makes a folder of converted files whole comes last"


def settings_for(folder, model):
    return Settings(model=str(model), device="cpu", precision="fp32", data_dir=folder)


def test_a_model_with_an_unknown_way_of_preparing_images_is_computed_by_torch(tmp_path, caplog):
    folder = build_tiny_clip(tmp_path / "odd")
    config = folder / "0_CLIPModel" / "preprocessor_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"do_normalize": False}))

    preprocessor, encoder, _ = load_model(settings_for(tmp_path / "data", folder), resolve(str(folder)))

    assert type(encoder).__name__ == "ClipEncoder"
    assert "is computed by torch" in caplog.text
    assert "image processor is of an unknown kind" in caplog.text
    assert encoder.embed([prepared_image(preprocessor, Image.new("RGB", (40, 40), "red"))]).shape == (1, DIM)


def test_where_nothing_can_be_kept_torch_computes(pretrained, tmp_path, caplog):
    (tmp_path / "models").write_text("a file where a folder should be")

    _, encoder, _ = load_model(settings_for(tmp_path, pretrained.path), pretrained)

    assert type(encoder).__name__ == "ClipEncoder"
    assert "cannot be written" in caplog.text


def test_a_full_disk_is_told(pretrained, tmp_path):
    """It said "basic_ios::clear: iostream error"."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        outcome = convert(ConversionRequest(pretrained, "fp32", tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "its files cannot be written" in outcome.reason
    assert "MiB are free on the disk" in outcome.reason


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
@pytest.mark.parametrize("left", ["models", "models/lock"])
def test_what_root_left_is_named_with_its_owner_and_the_way_out(pretrained, left):
    """It said "Permission denied", and no more."""
    with open_folder() as folder:
        models = folder / "models"
        models.mkdir()
        (models / "lock").touch()
        for path in (models, models / "lock"):
            os.chown(path, NO_REPORT, NO_REPORT)
        os.chown(folder / left, 0, 0)
        (folder / left).chmod(0o700)
        with without_privileges(), pytest.raises(NotConverted) as refused:
            ConvertedFiles(models).find(pretrained, "fp32")

    assert str(refused.value) == (
        f"{folder / left} belongs to root, and nobody may not read and write it: give all to nobody "
        f"(`sudo chown -R nobody {models}`), or run this as root. That folder, in ML_API_DATA_DIR, may be deleted: it is made anew"
    )


def test_weights_missing_from_the_file_are_not_made_up(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = build_tiny_clip(tmp_path / "holey")
    weights = folder / "0_CLIPModel" / "model.safetensors"
    tensors = load_file(weights)
    del tensors["text_projection.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})

    with pytest.raises(ConfigError, match="holey lacks some of its weights"):
        OpenVinoEncoder(resolve(str(folder)), converted_here(tmp_path / "models"), precision="fp32")


def test_weights_that_give_no_finite_vector_are_not_converted(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = build_tiny_clip(tmp_path / "broken")
    weights = folder / "0_CLIPModel" / "model.safetensors"
    tensors = load_file(weights) | {"text_projection.weight": torch.full((DIM, 16), float("nan"))}
    save_file(tensors, weights, metadata={"format": "pt"})

    with pytest.raises(NotConverted, match="not finite"):
        OpenVinoEncoder(resolve(str(folder)), converted_here(tmp_path / "models"), precision="fp32")


def test_an_input_without_a_finite_vector_is_told_apart(encoder):
    with pytest.raises(NonFiniteVector):
        encoder.embed([Prepared("image", np.full((3, EDGE_PX, EDGE_PX), np.nan, dtype=np.float32))])


def test_features_beyond_memory_are_told_apart_from_other_failures(encoder):
    more_than_there_are_addresses = np.broadcast_to(np.float32(0), (3, 2**24, 2**24))

    with pytest.raises(ModelOutOfMemory):
        encoder.embed([Prepared("image", more_than_there_are_addresses)])


@pytest.mark.parametrize(
    "item",
    [Prepared("text", np.array([2**40])), Prepared("text", np.array([-1])), Prepared("image", np.zeros((3, 8, 8), np.float32))],
)
def test_what_the_model_cannot_take_is_a_failure_of_it_alone(encoder, item):
    with pytest.raises(ModelUnavailable) as caught:
        encoder.embed([item])
    assert caught.value.slug == "model-unavailable"
    assert embed_texts(encoder).shape == (len(TEXTS), DIM)
