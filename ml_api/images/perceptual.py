"""Computes and compares perceptual hashes, for duplicates and grouping: the signs of a picture's lowest frequencies, 63 bits that
hardly change when it is recompressed, resized or made grey.

Like pHash (Zauner, 2010) it uses the discrete cosine transform of a small grey picture; but each bit says whether a coefficient is
above 0, not above the median. So the hashes of the picture mirrored and rotated by quarters follow from the hash itself: mirroring
changes the signs of the odd frequencies along an axis, rotating swaps the axes (PDQ does the same with its coefficients). Two
pictures are compared in all eight positions, and only one hash of the whole is stored.

The hashes of the picture's middles are appended. Pictures are the same only where the middles agree, too; and as a crop has other
frequencies than the whole, it is compared with the middles of another picture.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

HASH_CHARS: Final = 16
"""Hex digits of the hash of one picture."""
MIDDLES: Final = (0.9, 0.8)
"""The middles that are hashed, as shares of each side. Crops of sizes between and near them differ in few bits."""
STORED_CHARS: Final = HASH_CHARS * (1 + len(MIDDLES))
"""Earlier versions stored the hash of the whole alone."""
HASH_BITS: Final = 63
"""The mean brightness, the first of the 64 coefficients, does not count."""
FLAT: Final = "0" * HASH_CHARS
"""The hash of a picture of one colour, whichever that is."""
_EDGE_PX: Final = 32
_SIDE: Final = 8
_NOISE: Final = 1.0
"""Coefficients up to this count as 0: compression leaves such ones in a picture of one colour."""

Bits = npt.NDArray[np.bool_]
"""Shape (..., 8, 8): whether the coefficient of the vertical frequency (row) and the horizontal one (column) is positive."""


class Turn(StrEnum):
    """How one picture has to be turned to look like the other."""

    NONE = "none"
    MIRRORED = "mirrored"
    UPSIDE_DOWN = "upside-down"
    """Mirrored top to bottom."""
    ROTATED_180 = "rotated-180"
    TRANSPOSED = "transposed"
    """Mirrored at the diagonal from the top left."""
    ROTATED_90 = "rotated-90"
    """All rotations are counterclockwise."""
    ROTATED_270 = "rotated-270"
    TRANSVERSED = "transversed"
    """Mirrored at the other diagonal."""


def perceptual_hash(image: Image.Image) -> str:
    """The hash of an upright RGB image: STORED_CHARS hex digits, for the whole and for its middles."""
    return "".join(_hash(image, share) for share in (1.0, *MIDDLES))


def _hash(image: Image.Image, share: float) -> str:
    width, height = image.size
    out = (1 - share) / 2
    box = (width * out, height * out, width * (1 - out), height * (1 - out))
    small = image.resize((_EDGE_PX, _EDGE_PX), Image.Resampling.BOX, box=box, reducing_gap=2.0)
    grey = np.asarray(small.convert("L"), dtype=np.float32)
    lowest = _COSINES @ grey @ _COSINES.T
    lowest[0, 0] = 0
    return _text(lowest > _NOISE)


@lru_cache(maxsize=3 * 4096)
def turned(phash: str) -> tuple[tuple[Turn, int], ...]:
    """The hash of the picture in each of its eight positions, as a number."""
    upright = _bits(phash)
    return tuple((turn, int(_text(turn_bits(upright)), 16)) for turn, turn_bits in _TURNS.items())


def distance(first: str, second: str) -> tuple[int, Turn]:
    """Return in how many of HASH_BITS bits two pictures differ at least, and in which position of `first`: 0 bits for pictures that
    look the same, some 28 for unrelated ones.

    What counts is the worst of the whole and its middles: two photographs of one kind often agree in one of them by chance. As a
    crop, upright, each picture is compared with the other one's middles, too.
    """
    parts, others = _parts(first), _parts(second)
    cropped = min(_bits_of_crop(parts, others), _bits_of_crop(others, parts))
    hashed = [[number for _, number in turned(part)] for part in parts]
    numbers = [int(other, 16) for other in others]
    turns = (
        (max((part[place] ^ number).bit_count() for part, number in zip(hashed, numbers, strict=False)), turn)
        for place, turn in enumerate(_TURNS)
    )
    return min((cropped, Turn.NONE), *turns)


def _parts(phash: str) -> list[str]:
    """The hashes of the whole and of the middles, as far as there are any."""
    return [phash[start : start + HASH_CHARS] for start in range(0, len(phash), HASH_CHARS)]


def _bits_of_crop(parts: Sequence[str], crop: Sequence[str]) -> int:
    """The fewest bits in which a `crop` differs from a middle of a picture, and its own middles from smaller ones: shares multiply.
    Middles of one colour are skipped."""
    return min(
        (
            max((int(part, 16) ^ int(inner, 16)).bit_count() for part, inner in zip(parts[at:], crop, strict=False))
            for at in range(1, len(parts))
            if parts[at] != FLAT
        ),
        default=HASH_BITS + 1,
    )


def is_comparable(phash: str) -> bool:
    """Whether pictures with this hash look alike: False for an unknown hash ("") and for that of a picture of one colour."""
    return phash[:HASH_CHARS] not in {"", FLAT}


def distances(firsts: Sequence[str], seconds: Sequence[str]) -> npt.NDArray[np.uint8]:
    """The bits in which each of `firsts` differs at least from each of `seconds`, as in `distance`, crops aside: shape (firsts,
    seconds)."""
    rows, columns = _stacked(firsts), _stacked(seconds)
    fewest = np.full((len(firsts), len(seconds)), HASH_BITS + 1, dtype=np.uint8)
    for turn_bits in _TURNS.values():
        most = np.zeros_like(fewest)
        for (has, upright), (others_have, others) in zip(rows, columns, strict=True):
            bits = np.bitwise_count(_numbers(turn_bits(upright))[:, None] ^ _numbers(others))
            np.maximum(most, bits, out=most, where=has[:, None] & others_have)
        np.minimum(fewest, most, out=fewest)
    return fewest


def _stacked(phashes: Sequence[str]) -> list[tuple[npt.NDArray[np.bool_], Bits]]:
    """For the whole and each middle: which have it (n,), and their bits (n, 8, 8)."""
    padded = bytearray.fromhex("".join(phash.ljust(STORED_CHARS, "0") for phash in phashes))
    bits = np.unpackbits(np.array(padded, np.uint8)).reshape(-1, STORED_CHARS // HASH_CHARS, _SIDE, _SIDE).astype(bool)
    sizes = np.array([len(phash) for phash in phashes])
    return [(sizes > start, bits[:, place]) for place, start in enumerate(range(0, STORED_CHARS, HASH_CHARS))]


def _numbers(bits: Bits) -> npt.NDArray[np.uint64]:
    """Hashes (n, 8, 8) as numbers (n,)."""
    return np.packbits(bits.reshape(-1, _SIDE * _SIDE), axis=1).view(np.uint64)[:, 0]


def _cosines() -> npt.NDArray[np.float32]:
    """The rows of the orthonormal DCT-II of _EDGE_PX values for the _SIDE lowest frequencies."""
    frequency, position = np.arange(_SIDE)[:, None], np.arange(_EDGE_PX)[None, :]
    rows = np.cos(np.pi * (2 * position + 1) * frequency / (2 * _EDGE_PX)) * np.sqrt(2 / _EDGE_PX)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows, dtype=np.float32)


def _text(bits: Bits) -> str:
    return np.packbits(bits).tobytes().hex()


def _bits(phash: str) -> Bits:
    return np.unpackbits(np.frombuffer(bytes.fromhex(phash), np.uint8)).reshape(_SIDE, _SIDE).astype(bool)


_COSINES: Final = _cosines()
_ODD_COLUMNS: Final = np.tile(np.arange(_SIDE) % 2 == 1, (_SIDE, 1))
_ODD_ROWS: Final = _ODD_COLUMNS.T
_TURNS: Final[dict[Turn, Callable[[Bits], Bits]]] = {
    Turn.NONE: lambda bits: bits,
    Turn.MIRRORED: lambda bits: bits ^ _ODD_COLUMNS,
    Turn.UPSIDE_DOWN: lambda bits: bits ^ _ODD_ROWS,
    Turn.ROTATED_180: lambda bits: bits ^ _ODD_ROWS ^ _ODD_COLUMNS,
    Turn.TRANSPOSED: lambda bits: bits.swapaxes(-1, -2),
    Turn.ROTATED_90: lambda bits: bits.swapaxes(-1, -2) ^ _ODD_ROWS,
    Turn.ROTATED_270: lambda bits: bits.swapaxes(-1, -2) ^ _ODD_COLUMNS,
    Turn.TRANSVERSED: lambda bits: bits.swapaxes(-1, -2) ^ _ODD_ROWS ^ _ODD_COLUMNS,
}
"""What each turn does to the sign bits. The mean brightness is in an even row and column, so that its bit stays 0."""
