"""What the perceptual hash and the embedding find of transformed photographs, and which of the untouched ones they take for copies.

`python -m benchmarks.duplicates FOLDER` takes a folder of photographs of one's own, no two of which are the same. Thresholds are
chosen on one half of them and judged on the other. The model is the demo's, which knows drawn scenes, so that its thresholds say
little about CLIP's. Nothing here is a speed.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from benchmarks import machine, results
from ml_api.duplicates import NEAR_SIMILARITY
from ml_api.images import SUFFIXES, ImageLimits, InlineDecoder
from ml_api.images.perceptual import HASH_BITS, distance
from ml_api.services.encoder import load_model
from ml_api.settings import load_settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ml_api.records import Vectors

MODEL = Path(__file__).parents[1] / "demo" / "model"
DATA = Path(__file__).parents[1] / ".cache" / "benchmarks"
LIMITS = ImageLimits(64 * 2**20, 200_000_000, 50)
BATCH = 64
PRECISION = 0.99
"""The least, over all pairs of the half that thresholds are chosen on."""
BITS = range(HASH_BITS + 1)
SIMILARITIES = [number / 200 for number in range(100, 201)]


def _cropped(image: Image.Image, share: float, place: float = 0.5) -> Image.Image:
    """`place` 0 is the corner at the top left, 0.5 the middle."""
    width, height = image.size
    out = (1 - share) * place
    edges = (out, out, out + share, out + share)
    left, top, right, bottom = (round(edge * side) for edge, side in zip(edges, (width, height, width, height), strict=True))
    return image.crop((left, top, right, bottom))


TRANSFORMS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": lambda image: image,
    "resized to a half": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS),
    "cropped to 80 % of the area": lambda image: _cropped(image, 0.8**0.5),
    "cropped to 80 % of each side": lambda image: _cropped(image, 0.8),
    "80 % of each side, half out of the middle": lambda image: _cropped(image, 0.8, 0.25),
    "80 % of each side, at a corner": lambda image: _cropped(image, 0.8, 0.0),
    "mirrored": ImageOps.mirror,
    "grey": lambda image: image.convert("L").convert("RGB"),
    "rotated by 90": lambda image: image.transpose(Image.Transpose.ROTATE_90),
}
QUALITY = {"recompressed": 40}
"""Of the JPEG; of all others 85."""

Similarities = npt.NDArray[np.float32]
Distances = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Half:
    """By transform, each original (row) with each transformed picture (column): cosines, and bits that differ."""

    hashes: list[str]
    vectors: "Vectors"
    cosines: dict[str, Similarities]
    bits: dict[str, Distances]

    def rates(self, name: str, told: Callable[[Similarities, Distances], npt.NDArray[np.bool_]]) -> tuple[int, int, int]:
        """Right, wrong and all originals."""
        pairs = told(self.cosines[name], self.bits[name])
        right = int(np.diag(pairs).sum())
        return right, int(pairs.sum()) - right, len(pairs)


@dataclass(frozen=True, slots=True)
class Row:
    transform: str
    hash_recall: float
    hash_precision: float
    embedding_recall: float
    embedding_precision: float
    near_recall: float
    near_precision: float
    either_recall: float


@dataclass(frozen=True, slots=True)
class Wrong:
    """Pairs of untouched photographs that are told as near."""

    near_bits: int
    pairs: int


def main() -> None:
    folder = Path(sys.argv[1])
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    halves = [_measured([path for path in files if sha256(path.name.encode()).digest()[0] % 2 == half]) for half in (0, 1)]
    chosen, judged = halves
    bits = _best(chosen, [(lambda _cosines, bits, most=most: bits <= most, most) for most in BITS])
    cosine = _best(chosen, [(lambda cosines, _bits, least=least: cosines >= least, least) for least in SIMILARITIES])
    near = _best(
        chosen,
        [
            (lambda cosines, bits, most=most, least=least: (bits <= most) & (cosines >= least), (most, least))
            for most in range(4, 25)
            for least in SIMILARITIES
        ],
    )
    print(f"chosen on {_size(chosen)} photographs: hash <= {bits} bits; embedding >= {cosine}; near <= {near[0]} and >= {near[1]}")
    rows = [_row(judged, name, int(bits), float(cosine), near) for name in TRANSFORMS]
    results.table(f"judged on {_size(judged)} others, {_size(judged) ** 2 - _size(judged):,} wrong pairs a transform", rows)

    untouched = _untouched(halves)
    results.table(f"pairs of the {_size(chosen) + _size(judged)} untouched photographs that are told as near, all wrong", untouched)

    def draw(axis: "Axes") -> None:
        series = {"hash": [row.hash_recall for row in rows], "embedding": [row.embedding_recall for row in rows]}
        results.bars(axis, "recall", "", [row.transform for row in rows], series)

    results.save(
        "duplicates",
        machine.describe(),
        {"bits": bits, "cosine": cosine, "near": near, "rows": rows, "untouched": untouched},
        [draw],
    )


def _size(half: Half) -> int:
    return len(next(iter(half.bits.values())))


def _untouched(halves: list[Half]) -> list[Wrong]:
    hashes, vectors = [phash for half in halves for phash in half.hashes], np.concatenate([half.vectors for half in halves])
    differing = [
        distance(hashes[one], hashes[other])[0]
        for one, other in combinations(range(len(hashes)), 2)
        if vectors[one] @ vectors[other] >= NEAR_SIMILARITY
    ]
    return [Wrong(bits, sum(differ <= bits for differ in differing)) for bits in range(4, 13)]


def _row(half: Half, name: str, bits: int, cosine: float, near: tuple[int, float]) -> Row:
    by_hash = half.rates(name, lambda _cosines, found: found <= bits)
    by_embedding = half.rates(name, lambda cosines, _found: cosines >= cosine)
    together = half.rates(name, lambda cosines, found: (found <= near[0]) & (cosines >= near[1]))
    either = half.rates(name, lambda cosines, found: ((found <= near[0]) & (cosines >= near[1])) | (cosines >= cosine))
    (hash_recall, hash_precision), (embedding_recall, embedding_precision), (near_recall, near_precision) = (
        (right / total, _precision(right, wrong)) for right, wrong, total in (by_hash, by_embedding, together)
    )
    return Row(
        transform=name,
        hash_recall=hash_recall,
        hash_precision=hash_precision,
        embedding_recall=embedding_recall,
        embedding_precision=embedding_precision,
        near_recall=near_recall,
        near_precision=near_precision,
        either_recall=either[0] / either[2],
    )


def _precision(right: int, wrong: int) -> float:
    return right / (right + wrong) if right + wrong else 1.0


def _best(half: Half, rules):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - thresholds of three kinds, each with its rule
    """The thresholds that find most at PRECISION."""
    judged = []
    for rule, thresholds in rules:
        rates = [half.rates(name, rule) for name in TRANSFORMS]
        right, wrong = sum(rate[0] for rate in rates), sum(rate[1] for rate in rates)
        if _precision(right, wrong) >= PRECISION:
            judged.append((right, -wrong, thresholds))
    return max(judged, key=lambda found: found[:2])[2]


def _measured(files: list[Path]) -> Half:
    originals = [Image.open(path).convert("RGB") for path in files]
    settings = load_settings({"ML_API_MODEL": str(MODEL), "ML_API_DATA_DIR": str(DATA)})
    from ml_api.embedding.pretrained import resolve

    preprocessor, encoder, _ = load_model(settings, resolve(settings.model, ""))
    decoder = InlineDecoder(LIMITS)

    def seen(datas: Iterator[bytes]) -> "tuple[list[str], Vectors]":
        decoded = [decoder.decode(data, preprocessor.fit) for data in datas]
        prepared = [preprocessor.prepare_image(one.pixels) for one in decoded]
        parts = [encoder.embed(prepared[start : start + BATCH]) for start in range(0, len(prepared), BATCH)]
        return [one.phash for one in decoded], np.concatenate(parts)

    with closing(encoder):
        hashes, vectors = seen(path.read_bytes() for path in files)
        cosines, bits = {}, {}
        for name, transform in TRANSFORMS.items():
            others, found = seen(_jpeg(transform(image), QUALITY.get(name, 85)) for image in originals)
            cosines[name] = vectors @ found.T
            bits[name] = np.array([[distance(one, other)[0] for other in others] for one in hashes], dtype=np.int16)
    return Half(hashes, vectors, cosines, bits)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


if __name__ == "__main__":
    main()
