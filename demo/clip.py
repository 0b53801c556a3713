"""The small CLIP itself: its sizes, and its folder in the layout that sentence-transformers loads as `clip-ViT-B-32`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.captions import HELD_OUT, TRAINING, vocabulary
from demo.tokens import CONTEXT_TOKENS, build_tokenizer

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

MODEL_DIR = Path(__file__).parent / "model"
MODEL_NAME = "demo model (small CLIP trained on drawn scenes)"
IMAGE_PIXELS = 64
EMBEDDING_DIM = 256
MEAN = STD = 0.5
VISION_WIDTH = 160
_VISION = {"hidden_size": VISION_WIDTH, "intermediate_size": 640, "num_hidden_layers": 4, "num_attention_heads": 5}
_TEXT = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4}


def new_tokenizer() -> "CLIPTokenizer":
    """The tokenizer over every word that captions know; both wordings share their words."""
    return build_tokenizer(vocabulary(TRAINING) | vocabulary(HELD_OUT))


def new_model(tokenizer: "CLIPTokenizer") -> "CLIPModel":
    """An untrained model; seed torch first."""
    from transformers import CLIPConfig, CLIPModel

    text: dict[str, Any] = {
        **_TEXT,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": CONTEXT_TOKENS,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "hidden_act": "gelu",
    }
    vision: dict[str, Any] = {**_VISION, "image_size": IMAGE_PIXELS, "patch_size": 8, "hidden_act": "gelu"}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=EMBEDDING_DIM, logit_scale_init_value=2.3)
    return CLIPModel(config)


def new_image_processor() -> "CLIPImageProcessorPil":
    """Resize the short edge to 64 by bicubic, cut the middle, scale to -1..1."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    return CLIPImageProcessorPil(
        size={"shortest_edge": IMAGE_PIXELS},
        crop_size={"height": IMAGE_PIXELS, "width": IMAGE_PIXELS},
        image_mean=[MEAN] * 3,
        image_std=[STD] * 3,
    )


def save(model: "CLIPModel", tokenizer: "CLIPTokenizer", folder: Path) -> None:
    """Write the layout of the hub's `clip-ViT-B-32`: a list of modules, and CLIP with its processor in `0_CLIPModel`."""
    inner = folder / "0_CLIPModel"
    inner.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(inner, safe_serialization=True)
    tokenizer.save_pretrained(inner)
    new_image_processor().save_pretrained(inner)
    modules = [{"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}]
    (folder / "modules.json").write_text(json.dumps(modules, indent=2) + "\n")
