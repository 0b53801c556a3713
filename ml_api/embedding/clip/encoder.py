"""CLIP computed by torch, as an `Encoder`: on GPUs, and on CPUs where a model cannot be converted for OpenVINO."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from ml_api.embedding.base import Prepared
from ml_api.embedding.clip.describing import describe, tokenizer_of
from ml_api.embedding.clip.loading import Device, device_for, hardware, load
from ml_api.embedding.precision import Precision, choose
from ml_api.embedding.preprocessing import stack
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.errors import ModelOutOfMemory, ModelUnavailable, NonFiniteVector
from ml_api.records import ModelInfo, Vectors
from ml_api.vocabulary import Modality

if TYPE_CHECKING:
    import torch

CPU_OUT_OF_MEMORY: Final = "can't allocate memory"
"""Part of the message of the RuntimeError that torch's CPU allocator raises."""


class ClipEncoder:
    """An `Encoder` over any CLIP that sentence-transformers loads, optionally with a text encoder trained for its space."""

    concurrency = 1

    def __init__(self, pretrained: PretrainedModel, *, device: Device = "auto", precision: Precision = "auto") -> None:
        """Load the weights. Raises ConfigError if the device is missing or lacks the precision, or the model is not a CLIP."""
        self._device = device_for(device)
        chosen = choose(precision, hardware(self._device))
        self.library = load(pretrained, self._device, chosen)
        self._info = pretrained.info(str(self.library.device), chosen)
        reader = None
        self._texts = self.library
        if pretrained.text is not None:
            self._texts = load(pretrained.text, self._device, chosen)
            reader = tokenizer_of(self._texts, pretrained.text)
        self.preprocessor = describe(pretrained, self.library[0].processor, self.library[0].model.config, reader)

    @property
    def model(self) -> ModelInfo:
        return self._info

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        """Raises ModelOutOfMemory, NonFiniteVector, ModelUnavailable."""
        import torch

        try:
            with torch.inference_mode():
                return self._forward(items)
        except (torch.OutOfMemoryError, MemoryError) as exc:
            raise ModelOutOfMemory from exc
        except (RuntimeError, ValueError, LookupError) as exc:  # what torch and transformers raise for inputs they cannot take
            if CPU_OUT_OF_MEMORY in str(exc):
                raise ModelOutOfMemory from exc
            raise ModelUnavailable("The model failed.") from exc

    def _forward(self, items: Sequence[Prepared]) -> Vectors:
        import torch

        modality = items[0].modality
        features = self.preprocessor.tokenizer.pad(items) if modality == "text" else stack(items)
        on_device = {name: self._moved(torch.from_numpy(array)) for name, array in features.items()}
        # Normalised in float32: a norm in half precision is off in the third digit, and with it every score.
        vectors = self.tower(modality).forward({**on_device, "modality": modality})["sentence_embedding"].float()
        norms = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
        if not bool(torch.isfinite(norms).all() & (norms > 0).all()):
            raise NonFiniteVector
        return cast("Vectors", (vectors / norms).cpu().numpy())

    def tower(self, modality: Modality) -> Any:
        """The `SentenceTransformer` that embeds `modality`."""
        return self._texts if modality == "text" else self.library

    def close(self) -> None:
        pass  # the weights are freed with the last reference to them

    def _moved(self, tensor: "torch.Tensor") -> "torch.Tensor":
        """The tensor on the model's device; copied to a GPU from pinned memory, so that computation goes on during the copy."""
        if self._device == "cpu":
            return tensor
        return tensor.pin_memory().to(self._device, non_blocking=True)


def towers(
    encoder: ClipEncoder, probes: dict[Modality, list[Prepared]]
) -> "dict[Modality, tuple[torch.nn.Module, dict[str, torch.Tensor]]]":
    """Return the text and image towers of a model as modules that a converter can trace, without normalisation, each with `probes`
    as example inputs."""
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
