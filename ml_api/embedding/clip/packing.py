"""Layers laid out as the processor's bfloat16 kernels run them best. Imports torch: import it when a model is loaded.

oneDNN brings a layer's weights into its own order for every product. They never change while a model serves, so here that is done
once, products of the same input become one, and an activation is applied while its product is still in the cache. torch's compiler
does the same to a frozen graph; these are the operators that it emits.
"""

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.activations import GELUActivation, QuickGELUActivation
from transformers.models.clip.modeling_clip import CLIPMLP, CLIPAttention

from ml_api.embedding.clip.precision import Hardware, Precision

_OPERATORS = torch.ops.mkldnn


@dataclass(frozen=True, slots=True)
class Activation:
    """One that oneDNN applies to a product itself: of the product times `scale`, and that many times what it should be."""

    name: str
    algorithm: str = ""
    scale: float = 1.0


_NONE: Final = Activation("none")
_ACTIVATIONS: Final = {
    QuickGELUActivation: Activation("swish", scale=1.702),  # quick_gelu(x) is swish(1.702 x) / 1.702
    GELUActivation: Activation("gelu", algorithm="none"),
}


def pays(precision: Precision, on: Hardware) -> bool:
    """Whether weights of this precision are worth packing here: bfloat16, on a processor that multiplies it by itself."""
    # The operators are not public: a torch that lacks them leaves the layers as they are.
    known = hasattr(_OPERATORS, "_reorder_linear_weight") and hasattr(_OPERATORS, "_linear_pointwise")
    return known and precision == "bf16" and on.device == "cpu" and on.native_bf16


def pack(model: torch.nn.Module) -> int:
    """Replace every layer below `model` that is known here by one with packed weights; how many. For inference only."""
    packed = 0
    for name, child in model.named_children():
        layer = _packed(child)
        if layer is None:
            packed += pack(child)
        else:
            setattr(model, name, layer)
            packed += 1
    return packed


def _packed(layer: torch.nn.Module) -> torch.nn.Module | None:
    if type(layer) is CLIPAttention:
        return PackedAttention(layer)
    if type(layer) is CLIPMLP and (activation := _ACTIVATIONS.get(type(layer.activation_fn))):
        return PackedMLP(layer, activation)
    return PackedLinear(layer.weight, layer.bias) if type(layer) is torch.nn.Linear else None


class PackedLinear(torch.nn.Module):
    """What `torch.nn.Linear` computes, from a packed copy of its weights, on inputs of shape (…, in_features)."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, activation: Activation = _NONE) -> None:
        super().__init__()
        self._weight: torch.Tensor = _OPERATORS._reorder_linear_weight(weight.detach(), None)  # noqa: SLF001 - see `pays`
        self._bias = None if bias is None else bias.detach()
        self._activation = activation

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        then = self._activation
        product: torch.Tensor = _OPERATORS._linear_pointwise(inputs, self._weight, self._bias, then.name, [], then.algorithm)  # noqa: SLF001
        return product


class PackedMLP(torch.nn.Module):
    """What transformers' CLIPMLP computes."""

    def __init__(self, mlp: CLIPMLP, activation: Activation) -> None:
        super().__init__()
        self._widen = PackedLinear(mlp.fc1.weight * activation.scale, mlp.fc1.bias * activation.scale, activation)
        self._narrow = PackedLinear(mlp.fc2.weight / activation.scale, mlp.fc2.bias)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        narrowed: torch.Tensor = self._narrow(self._widen(hidden_states))
        return narrowed


class PackedAttention(torch.nn.Module):
    """What transformers' CLIPAttention with `sdpa` computes: query, key and value of (n, tokens, width) in one product."""

    def __init__(self, attention: CLIPAttention) -> None:
        super().__init__()
        parts = attention.q_proj, attention.k_proj, attention.v_proj
        self._heads = attention.num_heads
        self._project = PackedLinear(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))
        self._out = PackedLinear(attention.out_proj.weight, attention.out_proj.bias)

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, *, is_causal: bool = False, **_: Any
    ) -> tuple[torch.Tensor, None]:
        projected = self._project(hidden_states).unflatten(-1, (3, self._heads, -1))
        queries, keys, values = projected.permute(2, 0, 3, 1, 4)
        # A mask that came is the causal one already.
        seen = scaled_dot_product_attention(
            queries, keys, values, attn_mask=attention_mask, is_causal=is_causal and attention_mask is None
        )
        return self._out(seen.transpose(1, 2).flatten(-2)), None
