"""Translates a processor of transformers to a `PretrainedPreprocessor`, which needs neither transformers nor torch.

The translation is compared with the processor on probes, so that a processor of another kind is refused, or called itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from PIL import Image

from ml_api.embedding.clip.loading import load
from ml_api.embedding.preprocessing import Normalisation, Pixels, PretrainedPreprocessor, Tokenizer
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.errors import ConfigError
from ml_api.images.fit import Fit, Reduced, RgbPixels, Square

if TYPE_CHECKING:
    from collections.abc import Callable

    Normalise = Callable[[RgbPixels], Pixels]

TOLERANCE: Final = 1e-3
"""Largest difference between normalised pixels; one step of 255 is 0.015."""
_PADDED: Final = ("siglip", "siglip2")
"""Kinds of models that were trained on texts padded to their full context, without a mask."""
_WORDS: Final = ("cat", "dog", "кот", "пёс", "قطة", "كلب", "猫", "犬")
_TEXTS: Final = ("dog", "Two dogs, playing in the snow!", "two dogs playing in the snow " * 400)
"""Texts on which a text encoder's tokenizer is compared with the library's result; the last is longer than any context."""
_MAX_TOKENS: Final = 4096
"""The context length, in tokens, of a text encoder that states none; no text that a client may send has as many."""
_PROBES: Final = ((480, 360), (300, 400))
"""Sizes of the pictures on which the translation is compared with the processor."""


def preprocessor_of(pretrained: PretrainedModel) -> PretrainedPreprocessor:
    """Return the preprocessor of a model, without loading its weights. A text encoder beside it is loaded as a whole, as only that
    tells how it prepares texts.

    Raises ConfigError for a model whose files cannot be read.
    """
    from transformers import AutoConfig, AutoProcessor

    folder, processors = str(pretrained.transformer), cast("Any", AutoProcessor)  # transformers ships it untyped
    with _refusing(pretrained):
        processor = processors.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        reader = tokenizer_of(load(pretrained.text, "cpu", "fp32"), pretrained.text) if pretrained.text else None
        return describe(pretrained, processor, config, reader)


@contextmanager
def _refusing(pretrained: PretrainedModel) -> Iterator[None]:
    """Turn every error that transformers and tokenizers raise for a model's files into ConfigError: each has errors of its own."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as exc:
        raise pretrained.refused(f"cannot be loaded ({type(exc).__name__}): {exc}") from exc


def tokenizer_of(library: Any, pretrained: PretrainedModel) -> Tokenizer:
    """Return the tokenizer of a text encoder that sentence-transformers has loaded, `library`.

    Raises ConfigError for a text encoder that does more to texts than tokenise them.
    """
    tokenizer, config = library[0].tokenizer, library[0].model.config
    text = _tokenizer(pretrained, tokenizer, config.vocab_size, min(tokenizer.model_max_length, _MAX_TOKENS))
    for probe in _TEXTS:
        if library.preprocess([probe])["input_ids"][0].tolist() != text.prepare(probe).features.tolist():
            raise pretrained.refused("prepares texts in a way of its own, which is not supported")
    return text


def _tokenizer(
    pretrained: PretrainedModel, tokenizer: Any, vocabulary: int, max_tokens: int, *, is_padded: bool = False
) -> Tokenizer:
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise pretrained.refused("has a tokenizer that is not of the fast kind; save it with a tokenizer.json")
    if tokenizer.pad_token_id is None:
        raise pretrained.refused("has a tokenizer without a token for padding, so texts cannot share a pass")
    text = Tokenizer(
        tokenizer.backend_tokenizer.to_str(),
        max_tokens=max_tokens,
        vocabulary=int(vocabulary),
        pad_id=int(tokenizer.pad_token_id),
        pad_to=max_tokens if is_padded else None,
    )
    if len({text.prepare(word).features.tobytes() for word in _WORDS}) == 1:
        raise pretrained.refused("has a tokenizer that reads all texts alike: its vocabulary is missing or empty")
    return text


def describe(pretrained: PretrainedModel, processor: Any, config: Any, reader: Tokenizer | None = None) -> PretrainedPreprocessor:
    """Return a preprocessor equivalent to transformers' `processor` (a tokenizer and an image processor) for the model of `config`.

    `reader` is the tokenizer of the text encoder beside the model, used instead of the model's own. Raises ConfigError.
    """
    with _refusing(pretrained):
        return _describe(pretrained, processor, config, reader)


def _describe(pretrained: PretrainedModel, processor: Any, config: Any, reader: Tokenizer | None) -> PretrainedPreprocessor:
    tokenizer, images = processor.tokenizer, processor.image_processor
    max_tokens = min(tokenizer.model_max_length, config.text_config.max_position_embeddings)
    is_padded = config.model_type in _PADDED
    text = reader or _tokenizer(pretrained, tokenizer, config.text_config.vocab_size, max_tokens, is_padded=is_padded)
    edge = getattr(config.vision_config, "image_size", None)
    if not isinstance(edge, int):
        raise pretrained.refused("does not say of what edge the squares are that it sees; others are not served")
    fit, normalise = pixels_of(images, edge)
    if normalise(fit.apply(Image.new("RGB", _PROBES[0]))).shape != (3, edge, edge):
        raise pretrained.refused(f"does not see squares of {edge} px; models of variable resolution are not served")
    return PretrainedPreprocessor(text, fit, normalise)


def pixels_of(images: Any, edge_px: int) -> "tuple[Fit, Normalise]":
    """Return the scaling and the normalisation of an image processor, for a model that sees squares of `edge_px`.

    They are values (`Square`, `Normalisation`) if these produce the processor's pixels; otherwise the normalisation calls the
    processor itself.
    """
    described = _described(images)
    if described and all(_same(*described, images, size) for size in _PROBES):
        return described
    return Reduced(edge_px), _by_the_library(images)


def _described(images: Any) -> tuple[Square, Normalisation] | None:
    """The processor's parameters; None if it takes other steps than CLIP's or SigLIP's processor."""
    size, crop = getattr(images, "size", None) or {}, getattr(images, "crop_size", None) or {}
    crops = bool(getattr(images, "do_center_crop", False))
    shortest, edge = size.get("shortest_edge"), crop.get("height") if crops else size.get("height")
    square = crop.get("width") == edge if crops else size.get("width") == edge
    if not (images.do_resize and images.do_rescale and images.do_normalize) or edge is None or not square:
        return None
    if crops and not (shortest and edge <= shortest):
        return None
    fit = Square(int(edge), int(shortest) if crops and shortest else None, int(images.resample))
    mean, std = (tuple(map(float, values)) for values in (images.image_mean, images.image_std))
    return fit, Normalisation(float(images.rescale_factor), mean, std)


def _same(fit: Square, normalise: Normalisation, images: Any, size: tuple[int, int]) -> bool:
    noise = np.random.default_rng(7).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    translated, expected = normalise(fit.apply(Image.fromarray(noise))), _by_the_library(images)(noise)
    return translated.shape == expected.shape and bool(np.abs(translated - expected).max() <= TOLERANCE)


def _by_the_library(images: Any) -> "Normalise":
    def normalise(pixels: RgbPixels) -> Pixels:
        processed = images(images=Image.fromarray(pixels), return_tensors="np")
        return np.ascontiguousarray(processed["pixel_values"][0], dtype=np.float32)

    return normalise
