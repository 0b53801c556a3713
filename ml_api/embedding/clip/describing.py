"""From the library's processor to ours: what it does to text and images, said in a form that needs neither it nor torch."""

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from PIL import Image

from ml_api.embedding.preprocessing import PixelRecipe, Pixels, Preprocessor, Tokenizer
from ml_api.embedding.preprocessing.pixels import middle
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

TOLERANCE: Final = 1e-3
"""Of a normalised pixel; one step of 255 is 0.015."""
_PADDED: Final = ("siglip", "siglip2")
"""Kinds of models that were trained on texts padded to their full context, without a mask."""
_WORDS: Final = ("cat", "dog")
_PROBES: Final = ((480, 360), (300, 400))
"""Sizes of the pictures on which a recipe is compared with the processor it stands for."""


def preprocessor_of(pretrained: PretrainedModel) -> Preprocessor:
    """Without loading the weights. Raises ConfigError for a model whose files cannot be read."""
    from transformers import AutoConfig, AutoProcessor

    folder, processors = str(pretrained.transformer), cast("Any", AutoProcessor)  # transformers ships it untyped
    try:
        processor = processors.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return describe(processor, config)
    except ConfigError:
        raise
    except Exception as exc:  # transformers and tokenizers read the model's files, and each raises errors of its own
        raise ConfigError(f"ML_API_MODEL: {pretrained.name} cannot be loaded ({type(exc).__name__}): {exc}") from exc


def describe(processor: Any, config: Any) -> Preprocessor:
    """Of a processor (a tokenizer and an image processor) and the model's configuration, as transformers has them."""
    tokenizer, images = processor.tokenizer, processor.image_processor
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise ConfigError("ML_API_MODEL: the model's tokenizer is not of the fast kind; save it with a tokenizer.json")
    max_tokens = min(tokenizer.model_max_length, config.text_config.max_position_embeddings)
    text = Tokenizer(
        tokenizer.backend_tokenizer.to_str(),
        max_tokens=max_tokens,
        vocabulary=int(config.text_config.vocab_size),
        pad_id=int(tokenizer.pad_token_id),
        pad_to=max_tokens if config.model_type in _PADDED else None,
    )
    if len({text.prepare(word).features.tobytes() for word in _WORDS}) == 1:
        raise ConfigError("ML_API_MODEL: the model's tokenizer reads all texts alike: its vocabulary is missing or empty")
    pixels, edge = pixels_of(images), int(config.vision_config.image_size)
    if pixels(Image.new("RGB", _PROBES[0])).shape != (3, edge, edge):
        raise ConfigError(
            f"ML_API_MODEL: the model does not see squares of {edge} px; models of variable resolution are not served"
        )
    return Preprocessor(text, pixels, edge)


def pixels_of(images: Any) -> "Callable[[Image.Image], Pixels]":
    """A PixelRecipe if one was found that makes the same pixels as the image processor, else what asks the processor itself."""
    recipe = _recipe(images)
    return recipe if recipe and all(_same(recipe, images, size) for size in _PROBES) else _by_the_library(images)


def _recipe(images: Any) -> PixelRecipe | None:
    """None where it does anything else than CLIP's or SigLIP's processor does."""
    size, crop = getattr(images, "size", None) or {}, getattr(images, "crop_size", None) or {}
    crops = bool(getattr(images, "do_center_crop", False))
    shortest, edge = size.get("shortest_edge"), crop.get("height") if crops else size.get("height")
    square = crop.get("width") == edge if crops else size.get("width") == edge
    if not (images.do_resize and images.do_rescale and images.do_normalize) or edge is None or not square:
        return None
    if crops and not (shortest and edge <= shortest):
        return None
    return PixelRecipe(
        edge_px=int(edge),
        shortest_px=int(shortest) if crops and shortest else None,
        resample=int(images.resample),
        rescale=float(images.rescale_factor),
        mean=tuple(map(float, images.image_mean)),
        std=tuple(map(float, images.image_std)),
    )


def _same(recipe: PixelRecipe, images: Any, size: tuple[int, int]) -> bool:
    noise = np.random.default_rng(7).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    ours, theirs = recipe(Image.fromarray(noise)), _by_the_library(images)(Image.fromarray(noise))
    return ours.shape == theirs.shape and bool(np.abs(ours - theirs).max() <= TOLERANCE)


def _by_the_library(images: Any) -> "Callable[[Image.Image], Pixels]":
    def pixels(image: Image.Image) -> Pixels:
        processed = images(images=middle(image), return_tensors="np")
        return np.ascontiguousarray(processed["pixel_values"][0], dtype=np.float32)

    return pixels
