"""What CLIP wants done to its inputs. Known from its small files alone, so that the weights may be elsewhere."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, cast

from PIL import Image

from ml_api.embedding.base import Prepared
from ml_api.embedding.clip.pixels import Preprocessor
from ml_api.embedding.clip.text import Tokenizer
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.errors import ConfigError

if TYPE_CHECKING:
    import torch


class ClipPreparer:
    """A `Preparer` for one CLIP."""

    def __init__(self, processor: Any, config: Any) -> None:
        """As transformers have them: a processor (a tokenizer and an image processor) and the model's configuration."""
        self._tokenizer = Tokenizer(processor.tokenizer, config.text_config.max_position_embeddings)
        self._preprocess = Preprocessor(processor.image_processor)
        self._image_edge_px = int(config.vision_config.image_size)

    @classmethod
    def of(cls, pretrained: PretrainedModel) -> Self:
        """Without loading the weights. Raises ConfigError for a model that is not a CLIP."""
        from transformers import AutoConfig, AutoProcessor

        folder, processors = str(pretrained.transformer), cast("Any", AutoProcessor)  # transformers ships it untyped
        try:
            processor = processors.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            return cls(processor, AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False))
        except Exception as exc:  # transformers and tokenizers read the model's files, and each raises errors of its own
            raise ConfigError(f"ML_API_MODEL: {pretrained.name} cannot be loaded ({type(exc).__name__}): {exc}") from exc

    @property
    def image_edge_px(self) -> int:
        return self._image_edge_px

    def prepare_text(self, text: str) -> Prepared:
        """Raises InvalidQuery for text without content or that is not Unicode."""
        return self._tokenizer.prepare(text)

    def prepare_image(self, image: Image.Image) -> Prepared:
        return Prepared("image", self._preprocess(image))

    def pad(self, items: Sequence[Prepared]) -> "dict[str, torch.Tensor]":
        """Texts as the model takes them; see `Tokenizer.pad`."""
        return self._tokenizer.pad(items)
