"""A rolling pool of freshly drawn training scenes: a second process draws while the first one trains, in a fixed order."""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.queues import Queue
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.palette import PAINTS
from demo.scenes import Scene, Stream, draw, imagine, layout
from demo.things import KINDS

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]
Chunk = tuple[list[Scene], Pixels, Labels]
CHUNK_SCENES = 256
PATCHES = 8


def draw_chunk(seed: int, index: int, pixels: int) -> Chunk:
    """The `index`-th chunk of the training stream: scenes, and their pictures as (n, pixels, pixels, 3)."""
    random = Random(f"training {seed} {index}")
    scenes = [imagine(random, Stream.TRAINING) for _ in range(CHUNK_SCENES)]
    # Twice the size and then bicubic, as the image processor does to a picture of the corpus.
    small = (draw(scene, 2 * pixels, 1).resize((pixels, pixels), Image.Resampling.BICUBIC) for scene in scenes)
    return scenes, np.stack([np.asarray(picture) for picture in small]), np.stack([patch_labels(scene) for scene in scenes])


def patch_labels(scene: Scene) -> Labels:
    """(3, PATCHES, PATCHES): the kind and the colour of what covers each patch, 0 for backdrop, and 1 where a thing's middle is."""
    labels = np.zeros((3, PATCHES, PATCHES), dtype=np.int64)
    across, down = np.meshgrid(*[(np.arange(PATCHES) + 0.5) / PATCHES] * 2)
    for spot in layout(scene):
        covered = (across - spot.x) ** 2 + (down - spot.y) ** 2 < (0.4 * spot.size) ** 2
        labels[0, covered] = _KIND[spot.group.kind]
        labels[1, covered] = _COLOUR[spot.group.colour]
        labels[2, min(int(spot.y * PATCHES), PATCHES - 1), min(int(spot.x * PATCHES), PATCHES - 1)] = 1
    return labels


_KIND = {name: code for code, name in enumerate(KINDS, start=1)}
_COLOUR = {name: code for code, name in enumerate(PAINTS, start=1)}


def _draw_forever(queue: "Queue[Chunk]", seed: int, pixels: int) -> None:
    index = 0
    while True:
        queue.put(draw_chunk(seed, index, pixels))
        index += 1


@contextmanager
def _chunks(seed: int, pixels: int) -> Iterator["Queue[Chunk]"]:
    context = get_context("spawn")
    queue: Queue[Chunk] = context.Queue(maxsize=4)
    artist = context.Process(target=_draw_forever, args=(queue, seed, pixels), daemon=True)
    artist.start()
    try:
        yield queue
    finally:
        artist.terminate()


class ScenePool:
    """The latest `size` scenes. It changes only in `refresh`, so a run depends on its seed and not on who is faster."""

    def __init__(self, queue: "Queue[Chunk]", size: int) -> None:
        self._queue = queue
        first = [queue.get() for _ in range(size // CHUNK_SCENES)]
        self.scenes: list[Scene] = [scene for scenes, _, _ in first for scene in scenes]
        self.pictures: Pixels = np.concatenate([pictures for _, pictures, _ in first])
        self.labels: Labels = np.concatenate([labels for _, _, labels in first])
        self._oldest = 0

    def refresh(self) -> None:
        """Replace the oldest chunk by the next one."""
        at = slice(self._oldest, self._oldest + CHUNK_SCENES)
        self.scenes[at], self.pictures[at], self.labels[at] = self._queue.get()
        self._oldest = at.stop % len(self.scenes)


@contextmanager
def open_pool(seed: int, size: int, pixels: int) -> Iterator[ScenePool]:
    """A filled pool and the process that keeps drawing for it."""
    with _chunks(seed, pixels) as queue:
        yield ScenePool(queue, size)
