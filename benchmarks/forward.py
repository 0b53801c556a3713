"""The bare forward pass: the same weights, precision and batch as the server's, inputs ready in memory, and nothing else around it.

No service over this model can be faster for long; how near ours comes is the figure that counts.
"""

from pathlib import Path
from typing import Any, Literal

from benchmarks.measuring import rate_of
from benchmarks.weights import MODULE, texts
from ml_api.embedding.clip.loading import dtype
from ml_api.embedding.precision import Precision

Modality = Literal["text", "image"]


class BareModel:
    """transformers' own CLIPModel. Texts are tokenised and images are pixels already; vectors stay where they are made."""

    def __init__(self, model: Path, precision: Precision, device: str = "cpu") -> None:
        import torch
        from transformers import AutoTokenizer, CLIPModel
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self._torch: Any = torch
        self._device = device
        self._dtype = dtype(precision)
        loaded: Any = CLIPModel.from_pretrained(model / MODULE, dtype=self._dtype)
        self._model = loaded.to(device).eval()
        tokenizer: Any = AutoTokenizer.from_pretrained(model / MODULE)
        self._ids = tokenizer(texts()[:1024], return_tensors="pt", padding=True)["input_ids"].to(device)

    def rate(self, modality: Modality, batch: int, seconds: float) -> float:
        """Inputs a second in batches of `batch`, after one pass to warm up."""
        inputs = self._inputs(modality, batch)
        self.forward(modality, inputs)
        return rate_of(lambda: self.forward(modality, inputs), seconds)

    def forward(self, modality: Modality, inputs: Any) -> int:
        with self._torch.inference_mode():
            if modality == "text":
                self._model.get_text_features(input_ids=inputs)
            else:
                self._model.get_image_features(pixel_values=inputs)
        if self._device != "cpu":
            self._torch.cuda.synchronize()
        return len(inputs)

    def flops(self, batch: int) -> int:
        """Floating-point operations of one forward pass over `batch` images, counted by torch."""
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            self.forward("image", self._inputs("image", batch))
        return int(counter.get_total_flops())

    def _inputs(self, modality: Modality, batch: int) -> Any:
        if modality == "text":
            return self._ids[:batch]
        edge = self._model.config.vision_config.image_size
        return self._torch.randn(batch, 3, edge, edge, dtype=self._dtype, device=self._device)
