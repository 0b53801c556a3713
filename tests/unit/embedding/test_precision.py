"""Which numbers the model computes in, and that fewer bits find the same pictures."""

import numpy as np
import pytest
import torch

from demo.clip import MODEL_DIR
from demo.corpus import SEED, plan
from demo.queries import judged_queries
from demo.scenes import draw
from ml_api.embedding.clip import ClipEncoder
from ml_api.embedding.clip.loading import hardware
from ml_api.embedding.openvino import OpenVinoEncoder
from ml_api.embedding.precision import Hardware, choose
from ml_api.embedding.pretrained import resolve
from ml_api.errors import ConfigError
from tests.models.converted_models import SHARED
from tests.models.tiny_clip import build_tiny_clip
from tests.prepared import prepared_image

CPU, CPU_BF16 = Hardware("cpu", native_bf16=False), Hardware("cpu", native_bf16=True)
GPU, GPU_BF16 = Hardware("cuda", native_bf16=False), Hardware("cuda", native_bf16=True)
PICTURES = 1000
BATCH = 32


@pytest.mark.parametrize(("on", "chosen"), [(CPU, "fp32"), (CPU_BF16, "bf16"), (GPU, "fp16"), (GPU_BF16, "bf16")])
def test_auto_takes_what_the_hardware_multiplies(on, chosen):
    assert choose("auto", on) == chosen


@pytest.mark.parametrize("on", [CPU, CPU_BF16, GPU, GPU_BF16])
@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_what_is_asked_for_is_what_is_chosen(wanted, on):
    assert choose(wanted, on) == wanted


def test_emulated_bfloat16_is_warned_of(caplog):
    choose("bf16", CPU_BF16)
    assert not caplog.records
    choose("bf16", CPU)
    assert "no bfloat16 instructions" in caplog.text


@pytest.mark.parametrize("on", [CPU, CPU_BF16])
def test_half_precision_on_a_cpu_is_refused_with_what_works(on):
    with pytest.raises(ConfigError, match=r"ML_API_PRECISION.*auto, fp32 or bf16"):
        choose("fp16", on)


def test_the_processor_is_asked_what_it_can():
    told = torch.cpu.get_capabilities()

    assert hardware("cpu") == Hardware("cpu", native_bf16=bool(told.get("avx512_bf16") or told.get("amx_bf16")))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return resolve(str(build_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")))


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_weights_are_held_in_the_chosen_precision_and_attention_is_fused(tiny, precision, dtype):
    encoder = ClipEncoder(tiny, device="cpu", precision=precision)
    clip = encoder.library[0].model

    assert {parameter.dtype for parameter in clip.parameters()} == {dtype}
    assert clip.text_model.config._attn_implementation == clip.vision_model.config._attn_implementation == "sdpa"
    assert encoder.model.precision == precision


def test_precision_is_no_part_of_the_models_identity(tiny):
    one, other = (ClipEncoder(tiny, device="cpu", precision=precision).model for precision in ("fp32", "bf16"))

    assert one.model_id == other.model_id


def test_vectors_of_any_precision_are_float32_of_length_one(tiny):
    encoder = ClipEncoder(tiny, device="cpu", precision="bf16")
    vectors = encoder.embed([encoder.preprocessor.prepare_text(text) for text in ("cat", "two dogs", "a red cat in the snow")])

    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_company_hardly_moves_a_vector_of_fewer_bits(tiny):
    encoder = ClipEncoder(tiny, device="cpu", precision="bf16")
    items = [
        encoder.preprocessor.prepare_text(text) for text in ("cat", "two dogs in the snow", "a red cat", "photo of the blue dog")
    ]

    together = encoder.embed(items)
    alone = np.concatenate([encoder.embed([item]) for item in items])
    assert (together * alone).sum(axis=1).min() > 0.9995


def test_bfloat16_finds_the_pictures_that_float32_finds():
    scenes = [picture.scene for picture in plan(PICTURES, SEED)]
    pictures = [draw(scene, 128) for scene in scenes]
    texts = [query.text for query in judged_queries(scenes)]
    exact, fast = (_embed(texts, pictures, precision) for precision in ("fp32", "bf16"))

    for ours, theirs in zip(exact, fast, strict=True):
        assert (ours * theirs).sum(axis=1).min() > 0.9995
    assert len(texts) > 200
    assert _overlap(_top_10(*exact), _top_10(*fast)) >= 0.985
    # A corpus that was embedded in one precision is searched in another.
    assert _overlap(_top_10(*exact), _top_10(fast[0], exact[1])) >= 0.985


def _embed(texts, pictures, precision):
    encoder = OpenVinoEncoder(resolve(str(MODEL_DIR)), SHARED, precision=precision)
    texts, images = (
        [encoder.preprocessor.prepare_text(text) for text in texts],
        [prepared_image(encoder.preprocessor, picture) for picture in pictures],
    )
    return [
        np.concatenate([encoder.embed(items[start : start + BATCH]) for start in range(0, len(items), BATCH)])
        for items in (texts, images)
    ]


def _top_10(texts, images):
    return np.argsort(-texts @ images.T, axis=1, kind="stable")[:, :10]


def _overlap(expected, found):
    return np.mean([len(set(row) & set(other)) / len(row) for row, other in zip(expected.tolist(), found.tolist(), strict=True)])
