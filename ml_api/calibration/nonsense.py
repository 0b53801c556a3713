"""Queries that nothing matches: random letters, and pictures of random pixels."""

import random
from typing import Final

import numpy as np
from PIL import Image

from ml_api.images.fit import Fit, RgbPixels

EDGES_PX: Final = (1, 2, 3, 4, 8, 16, 32, 64, 128)
"""Edges of the squares of random pixels that are scaled up: from one colour, and two that run into each other, to fine grain."""
SMOOTH: Final = (Image.Resampling.NEAREST, Image.Resampling.BICUBIC)


def gibberish(chance: random.Random, count: int) -> list[str]:
    def word() -> str:
        return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9)))

    return [" ".join(word() for _ in range(chance.randint(1, 3))) for _ in range(count)]


def noise(chance: random.Random, count: int, fit: Fit) -> list[RgbPixels]:
    """As the model sees them: patches and gradients, fine and coarse, coloured and grey."""
    pictures = []
    for number in range(count):
        edge = EDGES_PX[number % len(EDGES_PX)]
        contrast = chance.uniform(0.2, 1.0)
        random_bytes = np.frombuffer(chance.randbytes(edge * edge * 3), dtype=np.uint8).reshape(edge, edge, 3)
        pixels = (128 + contrast * (random_bytes.astype(np.float32) - 128)).astype(np.uint8)
        if chance.random() < 0.2:
            pixels = np.repeat(pixels[:, :, :1], 3, axis=2)
        picture = Image.fromarray(pixels).resize((2 * fit.edge_px, 2 * fit.edge_px), chance.choice(SMOOTH))
        pictures.append(fit.apply(picture))
    return pictures
