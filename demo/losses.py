"""What the model is taught by: every true pair of a batch together and every false one apart, and plain questions on facts."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from demo.backdrops import SETTINGS
from demo.palette import PAINTS
from demo.relevance import Codes
from demo.scenes import MAX_COUNT
from demo.things import KINDS

if TYPE_CHECKING:
    from transformers import CLIPModel

FALSE_SCORE = -1e4
MIDDLE_WEIGHT = 4.0


def contrast(scores: Tensor, true: Tensor) -> Tensor:
    """Mean over true pairs of the loss against all false pairs of the same row, for a (rows, columns) table.

    Other true pairs are left out of the denominator: a picture of a dog is no mistake for "a dog" because there is another
    (the "out" form of Khosla et al., 2020, with the positives taken out of the normaliser).
    """
    false = scores.masked_fill(true, FALSE_SCORE).logsumexp(dim=1, keepdim=True)
    losses = functional.softplus(false - scores) * true
    rows = true.sum(dim=1).clamp(min=1)
    return (losses.sum(dim=1) / rows).mean()


class FactHeads(nn.Module):
    """Linear read-outs of the facts from an image vector; used in training only and never saved.

    They say at once what is in a picture, where the contrast only says which of two texts fits better, and so the image tower
    learns several times faster.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        kinds = len(KINDS)
        self._sizes = [kinds * len(PAINTS), kinds * MAX_COUNT, kinds + 1, len(SETTINGS)]
        self.read = nn.Linear(width, sum(self._sizes))

    def forward(self, vectors: Tensor, scenes: Codes) -> Tensor:
        """The mean loss over a batch: what is there (kind by colour, kind by count), what is above or beside, and where."""
        coloured, counted, place, setting = self.read(vectors).float().split(self._sizes, dim=1)
        presence = _presence(scenes, 1, len(PAINTS), 0), _presence(scenes, 2, MAX_COUNT, 1)
        loss = functional.cross_entropy(setting, torch.from_numpy(scenes[:, 6]))
        relation = torch.from_numpy(np.where(scenes[:, 7] < 0, -100, scenes[:, 7]))
        loss = loss + functional.cross_entropy(place, relation)
        for logits, wanted in zip((coloured, counted), presence, strict=True):
            loss = loss + functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum") / len(scenes)
        return loss


class PatchHeads(nn.Module):
    """Linear read-outs, from each patch, of what covers it; in training only and never saved.

    A drawn scene knows where its things are. Said patch by patch, that teaches shapes and colours from every picture some
    sixty times over, where a label for the whole picture teaches once.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self._sizes = [len(KINDS) + 1, len(PAINTS) + 1, 2]
        self.read = nn.Linear(width, sum(self._sizes))

    def forward(self, patches: Tensor, labels: Tensor) -> Tensor:
        """The mean loss for (batch, patches, width) states and (batch, 3, patches) labels; a rare middle counts as its share."""
        logits = self.read(patches).float().split(self._sizes, dim=-1)
        losses = [functional.cross_entropy(part.flatten(0, 1), labels[:, i].flatten()) for i, part in enumerate(logits)]
        return losses[0] + losses[1] + MIDDLE_WEIGHT * losses[2]


def _presence(scenes: Codes, column: int, values: int, lowest: int) -> Tensor:
    """A (scenes, kinds * values) table with a one for each group's kind and colour, or kind and count."""
    table = torch.zeros(len(scenes), len(KINDS) * values)
    for start in (0, 3):
        kind, value = scenes[:, start], scenes[:, start + column] - lowest
        rows = np.flatnonzero(kind >= 0)
        table[rows, torch.from_numpy(kind[rows] * values + value[rows])] = 1.0
    return table


def image_vectors(model: "CLIPModel", pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The states of the patches before the last layer, the pooled state, and the normalised embedding."""
    out = model.vision_model(pixel_values=pixels, output_hidden_states=True)
    embedding = functional.normalize(model.visual_projection(out.pooler_output).float(), dim=-1)
    return out.hidden_states[-2][:, 1:], out.pooler_output, embedding


def text_vectors(model: "CLIPModel", ids: Tensor, mask: Tensor) -> Tensor:
    """The normalised embeddings of tokenised texts."""
    pooled = model.text_model(input_ids=ids, attention_mask=mask).pooler_output
    return functional.normalize(model.text_projection(pooled).float(), dim=-1)
