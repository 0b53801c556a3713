"""The two halves of a model as modules that a converter can trace: named tensors in, vectors out."""

from typing import TYPE_CHECKING, Any

from ml_api.embedding.base import Modality, Prepared
from ml_api.embedding.preprocessing import stack

if TYPE_CHECKING:
    import torch

    from ml_api.embedding.clip.encoder import ClipEncoder


def towers(
    encoder: "ClipEncoder", probes: dict[Modality, list[Prepared]]
) -> "dict[Modality, tuple[torch.nn.Module, dict[str, torch.Tensor]]]":
    """Of each modality: its forward pass without normalisation, and `probes` as its inputs."""
    import torch

    class Text(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any:
            masked = {} if attention_mask is None else {"attention_mask": attention_mask}
            return self.model.forward({"input_ids": input_ids, **masked, "modality": "text"})["sentence_embedding"]

    class Image(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: torch.Tensor) -> Any:
            return self.model.forward({"pixel_values": pixel_values, "modality": "image"})["sentence_embedding"]

    arrays: dict[Modality, Any] = {"text": encoder.preprocessor.tokenizer.pad(probes["text"]), "image": stack(probes["image"])}
    examples = {modality: {name: torch.from_numpy(array) for name, array in named.items()} for modality, named in arrays.items()}
    return {"text": (Text(encoder.tower("text")), examples["text"]), "image": (Image(encoder.tower("image")), examples["image"])}
