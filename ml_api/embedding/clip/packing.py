"""Weights laid out as the processor's bfloat16 kernels read them. Imports torch: import it when a model is loaded.

oneDNN brings a layer's weights into its own order for every product. They never change while a model serves, so here that is done
once. torch's compiler does the same to a frozen graph; these are the operators that it emits.
"""

import torch

from ml_api.embedding.clip.precision import Hardware, Precision

_OPERATORS = torch.ops.mkldnn


def pays(precision: Precision, on: Hardware) -> bool:
    """Whether weights of this precision are worth packing here: bfloat16, on a processor that multiplies it by itself."""
    # The operators are not public: a torch that lacks them leaves the layers as they are.
    known = hasattr(_OPERATORS, "_reorder_linear_weight") and hasattr(_OPERATORS, "_linear_pointwise")
    return known and precision == "bf16" and on.device == "cpu" and on.native_bf16


def pack(model: torch.nn.Module) -> int:
    """Replace every linear layer below `model` by one with packed weights; how many those were. For inference only."""
    packed = 0
    for name, child in model.named_children():
        if type(child) is torch.nn.Linear:
            setattr(model, name, PackedLinear(child))
            packed += 1
        else:
            packed += pack(child)
    return packed


class PackedLinear(torch.nn.Module):
    """What `linear` computes, from a packed copy of its weights, on inputs of shape (…, in_features)."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self._weight: torch.Tensor = _OPERATORS._reorder_linear_weight(linear.weight.detach(), None)  # noqa: SLF001 - see `pays`
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = _OPERATORS._linear_pointwise(inputs, self._weight, self._bias, "none", [], "")  # noqa: SLF001
        return product
