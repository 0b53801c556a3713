"""Random CLIP models in the layout of sentence-transformers, made once: speed depends on shapes, not on what was learned.

The tokenizer knows the words of WORDS whole, so that a query costs as many tokens as it would with the published vocabulary.
"""

import shutil
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from tests.models.clip_tokenizer import write_json, write_tokenizer

FOLDER = Path(__file__).parents[1] / ".cache" / "benchmarks" / "models"
MODULE = "0_CLIPModel"
SEED = 7

COUNTS = ("one", "two", "three", "four", "several", "many")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "grey", "white")
THINGS = ("dogs", "cats", "horses", "boats", "trains", "houses", "flowers", "trees", "birds", "bicycles", "chairs", "children")
PLACES = ("snow", "garden", "street", "forest", "harbour", "kitchen", "meadow", "desert", "night", "rain", "morning", "mountains")
WORDS = ("a", "photo", "of", "in", "the", *COUNTS, *COLOURS, *THINGS, *PLACES)


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that tell one CLIP from another, named as transformers does."""

    name: str
    dim: int
    image_size: int
    patch_size: int
    vision: dict[str, int]
    text: dict[str, int]
    vocabulary: int = 49_408
    context: int = 77


def _tower(width: int, layers: int, heads: int) -> dict[str, int]:
    return {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers, "num_attention_heads": heads}


VIT_B_32 = Shape("random-ViT-B-32", 512, 224, 32, _tower(768, 12, 12), _tower(512, 12, 8))
VIT_L_14 = Shape("random-ViT-L-14", 768, 224, 14, _tower(1024, 24, 16), _tower(768, 12, 12))
TINY = Shape("random-tiny", 32, 32, 16, _tower(32, 2, 2), _tower(32, 2, 2), vocabulary=2048)


def texts() -> list[str]:
    """9,504 different queries of 11 tokens, in an order that mixes them."""
    every = [f"a photo of {' '.join(words[:3])} in the {words[3]}" for words in product(COUNTS, COLOURS, THINGS, PLACES)]
    return [every[(index * 7919) % len(every)] for index in range(len(every))]


def random_clip(shape: Shape) -> Path:
    """The model's directory; made at the first call, which takes seconds."""
    folder = FOLDER / shape.name
    if not (folder / "modules.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _make(shape, folder)
    return folder


def _make(shape: Shape, folder: Path) -> None:
    import torch
    from transformers import CLIPConfig, CLIPModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    module = folder / MODULE
    module.mkdir(parents=True)
    write_tokenizer(module, WORDS, shape.context)
    torch.manual_seed(SEED)
    # eos_token_id is 2 in the published models too: it makes transformers look for the largest id, which is the end's.
    text = shape.text | {
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.context,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    vision = shape.vision | {"image_size": shape.image_size, "patch_size": shape.patch_size}
    CLIPModel(
        CLIPConfig(
            projection_dim=shape.dim,
            text_config=text | {"projection_dim": shape.dim},
            vision_config=vision | {"projection_dim": shape.dim},
        )
    ).save_pretrained(module)
    write_json(module / "preprocessor_config.json", _processor(shape.image_size))
    write_json(folder / "config_sentence_transformers.json", {"__version__": {"sentence_transformers": "2.0.0"}})
    # Last: the mark of a complete model.
    write_json(folder / "modules.json", [{"idx": 0, "name": "0", "path": MODULE, "type": "sentence_transformers.models.CLIPModel"}])


def _processor(edge_px: int) -> dict[str, Any]:
    return {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "CLIPProcessor",
        "size": {"shortest_edge": edge_px},
        "crop_size": {"height": edge_px, "width": edge_px},
        "resample": 3,
        "do_resize": True,
        "do_center_crop": True,
        "do_rescale": True,
        "do_normalize": True,
        "do_convert_rgb": True,
        "rescale_factor": 1 / 255,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
