"""Which numbers the model computes in, and that fewer bits find the same pictures."""

import copy

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

from demo.clip import MODEL_DIR
from demo.corpus import SEED, plan
from demo.queries import judged_queries
from demo.scenes import draw
from ml_api.embedding.clip import ClipEncoder
from ml_api.embedding.clip.packing import pack, pays
from ml_api.embedding.clip.precision import Hardware, choose, hardware
from ml_api.embedding.pretrained import resolve
from ml_api.errors import ConfigError
from tests.tiny_clip import build_tiny_clip

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
    clip = encoder._model[0].model

    assert {parameter.dtype for parameter in clip.parameters()} == {dtype}
    assert clip.text_model.config._attn_implementation == clip.vision_model.config._attn_implementation == "sdpa"
    assert encoder.model.precision == precision


def test_precision_is_no_part_of_the_models_identity(tiny):
    one, other = (ClipEncoder(tiny, device="cpu", precision=precision).model for precision in ("fp32", "bf16"))

    assert one.model_id == other.model_id


def test_vectors_of_any_precision_are_float32_of_length_one(tiny):
    encoder = ClipEncoder(tiny, device="cpu", precision="bf16")
    vectors = encoder.embed([encoder.prepare_text(text) for text in ("cat", "two dogs", "a red cat in the snow")])

    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_company_hardly_moves_a_vector_of_fewer_bits(tiny):
    encoder = ClipEncoder(tiny, device="cpu", precision="bf16")
    items = [encoder.prepare_text(text) for text in ("cat", "two dogs in the snow", "a red cat", "photo of the blue dog")]

    together = encoder.embed(items)
    alone = np.concatenate([encoder.embed([item]) for item in items])
    assert (together * alone).sum(axis=1).min() > 0.9995


def test_packed_weights_compute_what_plain_ones_do():
    torch.manual_seed(5)
    plain = torch.nn.Sequential(torch.nn.Linear(48, 96), torch.nn.Sequential(torch.nn.Linear(96, 24, bias=False))).to(
        torch.bfloat16
    )
    packed = copy.deepcopy(plain)
    assert pack(packed) == 2

    for shape in ((1, 48), (3, 7, 48), (5, 1, 48)):
        inputs = torch.randn(shape, dtype=torch.bfloat16)
        with torch.inference_mode():
            torch.testing.assert_close(packed(inputs), plain(inputs), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu", "relu"])
def test_a_packed_clip_computes_what_the_plain_one_does(activation):
    torch.manual_seed(5)
    tower = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4} | {
        "hidden_act": activation
    }
    text = CLIPTextConfig(**tower, vocab_size=99, eos_token_id=98, max_position_embeddings=16)
    vision = CLIPVisionConfig(**tower, image_size=32, patch_size=8)
    plain = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, attn_implementation="sdpa")).to(torch.bfloat16).eval()
    packed = copy.deepcopy(plain)
    # Two towers of two layers: attention and two more linear layers in each; with an activation that is known, those are one.
    assert pack(packed) == 2 + 2 * 2 * (3 if activation == "relu" else 2)

    ids = torch.tensor([[97, 3, 4, 5, 98, 98], [97, 6, 98, 98, 98, 98]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]])
    pixels = torch.randn(2, 3, 32, 32, dtype=torch.bfloat16)
    for inputs in ({"input_ids": ids, "attention_mask": mask}, {"input_ids": ids}, {"pixel_values": pixels}):
        with torch.inference_mode():
            ours, theirs = (_features(model, inputs) for model in (packed, plain))
        assert torch.nn.functional.cosine_similarity(ours, theirs).min() > 0.9999


def _features(model, inputs):
    of = model.get_image_features if "pixel_values" in inputs else model.get_text_features
    return of(**inputs).pooler_output.float()


@pytest.mark.parametrize(
    ("precision", "on", "expected"),
    [("bf16", CPU_BF16, True), ("bf16", CPU, False), ("fp32", CPU_BF16, False), ("bf16", GPU_BF16, False)],
)
def test_weights_are_packed_only_for_processors_that_multiply_bfloat16(precision, on, expected):
    assert pays(precision, on) == expected


def test_bfloat16_finds_the_pictures_that_float32_finds():
    torch.set_num_threads(1)
    scenes = [picture.scene for picture in plan(PICTURES, SEED)]
    pictures = [draw(scene, 128) for scene in scenes]
    texts = [query.text for query in judged_queries(scenes)]
    exact, fast = (_embed(texts, pictures, precision) for precision in ("fp32", "bf16"))

    for ours, theirs in zip(exact, fast, strict=True):
        assert (ours * theirs).sum(axis=1).min() > 0.9995
    assert len(texts) > 200
    assert _overlap(_top_10(*exact), _top_10(*fast)) >= 0.99
    # A corpus that was embedded in one precision is searched in another.
    assert _overlap(_top_10(*exact), _top_10(fast[0], exact[1])) >= 0.99


def _embed(texts, pictures, precision):
    encoder = ClipEncoder(resolve(str(MODEL_DIR)), device="cpu", precision=precision)
    texts, images = [encoder.prepare_text(text) for text in texts], [encoder.prepare_image(picture) for picture in pictures]
    return [
        np.concatenate([encoder.embed(items[start : start + BATCH]) for start in range(0, len(items), BATCH)])
        for items in (texts, images)
    ]


def _top_10(texts, images):
    return np.argsort(-texts @ images.T, axis=1, kind="stable")[:, :10]


def _overlap(expected, found):
    return np.mean([len(set(row) & set(other)) / len(row) for row, other in zip(expected.tolist(), found.tolist(), strict=True)])
