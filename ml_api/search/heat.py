"""Heat maps: where in a picture a query is found. Windows of the picture are embedded one by one, and compared with the query.

Windows are overlapping squares of half the shorter side, which the model sees as it sees any picture. So every backend can do it:
class activation maps and MaskCLIP (Zhou et al., Extract Free Dense Labels from CLIP, ECCV 2022) need gradients or layers below the
last, each for one architecture and through PyTorch alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml_api.deadline import Deadline
from ml_api.embedding.base import Embedded, Embedder, Prepared, Preprocessor
from ml_api.images import RgbPixels

WINDOW: Final = 0.5
"""Side of a window, as a share of the picture's shorter side."""
ACROSS: Final = 5
"""Windows along the shorter side."""
MAX_ALONG: Final = 12
"""The most windows along the longer side."""
CELLS: Final = 8
"""Cells along the shorter side."""
MAX_CELLS: Final = 24
"""The most cells along the longer side."""
AT_ONCE: Final = 8
"""Windows that are given to the model together: searches come between such batches."""

Grid = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """`scores` (rows, columns) are cosine similarities to the query, from the top left on; `whole` is that of the whole picture."""

    scores: Grid
    whole: float


@dataclass(frozen=True, slots=True)
class Span:
    """The extent of a window along one side of the picture, in pixels."""

    start: int
    length: int

    def near(self, places: Grid) -> Grid:
        """How near each place is to the middle: 1 there, 0 at the ends and outside."""
        near: Grid = np.clip(1 - np.abs(places - (self.start + self.length / 2)) / (self.length / 2), 0, 1)
        return near


Window = tuple[Span, Span]
"""The spans along the height and the width."""


def heat_of(pixels: RgbPixels, query: Prepared, preprocessor: Preprocessor, embedder: Embedder, deadline: Deadline) -> Heat:
    """The heat map of a picture, whose shorter side is best twice the edge of what the model sees.

    Raises as embedding does: ModelUnavailable, NonFiniteVector, Overloaded, DeadlineExceeded.
    """
    height, width = pixels.shape[:2]
    windows = list(windows_of(height, width))
    parts_of_it = [pixels[y.start : y.start + y.length, x.start : x.start + x.length] for y, x in windows]
    looks = [preprocessor.prepare_image(preprocessor.fit.apply(Image.fromarray(part))) for part in (pixels, *parts_of_it)]
    [wanted] = _embedded([query], embedder, deadline)
    parts = [_embedded(looks[start : start + AT_ONCE], embedder, deadline) for start in range(0, len(looks), AT_ONCE)]
    scores = np.vstack(parts) @ wanted
    return Heat(_spread(scores[1:], windows, height, width), float(scores[0]))


def windows_of(height: int, width: int) -> Iterator[Window]:
    """Overlapping windows that cover the picture. Along a very long side they are longer, and the model sees their middle."""
    shorter = min(height, width)
    return product(_spans(height, shorter), _spans(width, shorter))


def _spans(length: int, shorter: int) -> list[Span]:
    span = max(1, round(WINDOW * shorter), ceil(2 * length / (MAX_ALONG + 1)))
    step = max(1.0, (1 - WINDOW) * shorter / (ACROSS - 1))
    number = min(MAX_ALONG, 1 + ceil((length - span) / step))
    return [Span(int(start), span) for start in np.round(np.linspace(0, length - span, number))]


def _spread(scores: npt.NDArray[np.float32], windows: Sequence[Window], height: int, width: int) -> Grid:
    """The score of each cell: the mean over the windows that it lies in, weighted by how near their middles are."""
    down, across = (_cells(length, min(height, width)) for length in (height, width))
    near = np.stack([np.outer(rows.near(down), columns.near(across)) for rows, columns in windows])
    spread: Grid = np.tensordot(scores, near, axes=1) / near.sum(axis=0)
    return spread


def _cells(length: int, shorter: int) -> Grid:
    """The middles of the cells along one side of the picture, in pixels."""
    number = max(1, min(MAX_CELLS, round(CELLS * length / shorter)))
    return (np.arange(number) + 0.5) * length / number


def _embedded(items: Sequence[Prepared], embedder: Embedder, deadline: Deadline) -> npt.NDArray[np.float32]:
    """The vectors (n, dim) of the items. Raises the first error among the answers."""
    answers = embedder.embed_all(items, deadline.left_s())
    for answer in answers:
        if not isinstance(answer, Embedded):
            raise answer
    return np.stack([answer.vector for answer in answers if isinstance(answer, Embedded)])
