"""JPEGs as heavy as ImageNet's, about 110 KB at 500 x 375: a gradient, some shapes and as much noise as makes the size."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.float64]

FOLDER = Path(__file__).parents[1] / ".cache" / "benchmarks" / "photographs"
WIDTH, HEIGHT = 500, 375
TARGET_BYTES = 110_000
QUALITY = 90
COUNT = 64


def photographs() -> list[bytes]:
    """COUNT different ones, the same at every call; drawn at the first, which takes seconds."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = []
    for seed in range(COUNT):
        path = FOLDER / f"{seed:03}.jpg"
        if not path.exists():
            path.write_bytes(_photograph(seed))
        found.append(path.read_bytes())
    return found


def write_corpus(folder: Path, count: int) -> None:
    """`count` files of different bytes: what follows a JPEG's end mark is no part of the picture."""
    folder.mkdir(parents=True)
    pictures = photographs()
    for index in range(count):
        (folder / f"{index:06}.jpg").write_bytes(pictures[index % COUNT] + index.to_bytes(8, "big"))


def _photograph(seed: int) -> bytes:
    """Noise is grown or shrunk until the file has its size, within 3 %."""
    generator = np.random.default_rng(seed)
    scene = _scene(generator)
    noise = generator.standard_normal(scene.shape)
    least, most = 0.0, 60.0
    for _ in range(20):
        strength = (least + most) / 2
        data = _jpeg(scene + strength * noise)
        if abs(len(data) - TARGET_BYTES) < 0.03 * TARGET_BYTES:
            break
        least, most = (strength, most) if len(data) < TARGET_BYTES else (least, strength)
    return data


def _scene(generator: np.random.Generator) -> Pixels:
    """Smooth colour from corner to corner, and a dozen discs."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    corners = generator.uniform(30, 225, (3, 3))
    scene: Pixels = (
        corners[0] + (x / WIDTH)[..., None] * (corners[1] - corners[0]) + (y / HEIGHT)[..., None] * (corners[2] - corners[0])
    )
    for _ in range(12):
        centre_x, centre_y, radius = generator.uniform(0, WIDTH), generator.uniform(0, HEIGHT), generator.uniform(10, 80)
        scene[(x - centre_x) ** 2 + (y - centre_y) ** 2 < radius**2] = generator.uniform(0, 255, 3)
    return scene


def _jpeg(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
