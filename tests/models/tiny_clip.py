"""A CLIP of a few thousand random weights, in the directory layout of the hub's sentence-transformers/clip-ViT-B-32."""

from pathlib import Path
from typing import Any

from tests.models.clip_tokenizer import write_json, write_tokenizer

EDGE_PX = 32
CONTEXT_TOKENS = 16
DIM = 24
_WORDS = ("a", "red", "blue", "cat", "dog", "photo", "of", "the", "two", "in", "snow")

_PROCESSOR = {
    # The old form, in which the published models still say it.
    "feature_extractor_type": "CLIPFeatureExtractor",
    "size": EDGE_PX,
    "crop_size": EDGE_PX,
    "resample": 3,
    "do_resize": True,
    "do_center_crop": True,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}


def build_tiny_clip(folder: Path, *, safetensors: bool = True) -> Path:
    """Write the model to `folder` and return it. The same weights at every call."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    module = folder / "0_CLIPModel"
    module.mkdir(parents=True)
    vocabulary = write_tokenizer(module, _WORDS, CONTEXT_TOKENS)
    generator_state = torch.random.get_rng_state()
    torch.manual_seed(7)
    model = CLIPModel(CLIPConfig(**_config(vocabulary)))
    torch.random.set_rng_state(generator_state)
    if safetensors:
        model.save_pretrained(module)
    else:
        model.config.save_pretrained(module)
        torch.save(model.state_dict(), module / "pytorch_model.bin")
    write_json(module / "preprocessor_config.json", _PROCESSOR)
    write_json(folder / "modules.json", [_module("0_CLIPModel", "sentence_transformers.models.CLIPModel")])
    write_json(folder / "config_sentence_transformers.json", {"__version__": {"sentence_transformers": "2.0.0"}})
    return folder


def _config(vocabulary: int) -> dict[str, Any]:
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return {
        "projection_dim": DIM,
        # As published: eos_token_id is 2 though the token's id is the vocabulary's last (transformers handles both).
        "text_config": layers
        | {"vocab_size": vocabulary, "max_position_embeddings": CONTEXT_TOKENS, "bos_token_id": 0, "eos_token_id": 2},
        "vision_config": layers | {"image_size": EDGE_PX, "patch_size": 8},
    }


def _module(path: str, type_: str) -> dict[str, Any]:
    return {"idx": 0, "name": "0", "path": path, "type": type_}
