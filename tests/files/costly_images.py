"""Files that cost their decoder far more than their size tells, each valid or nearly so: what a stranger may send.

Built here, so that no binary lies in the repository. `kilobytes` and `count` make a smaller one of the same kind.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from io import BytesIO
from itertools import product

import numpy as np
from PIL import Image

from tests.files.hostile_images import encoded, png

MIB = 2**20


@cache
def empty_scans(width: int = 4000, height: int = 30_000, kilobytes: int = 1024) -> bytes:
    """A progressive JPEG with thousands of scans that hold nothing; each makes the decoder go over all coefficients again."""
    data = bytearray(encoded(Image.new("L", (16, 16)), "JPEG", progressive=True, quality=50))
    frame = data.index(b"\xff\xc2")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    scan = data.index(b"\xff\xda")
    tables = b"".join(_segments(bytes(data[scan:]), b"\xff\xc4"))
    # One component, coefficients 1 to 63, first bit 0: no data follows, so every block is an early end.
    empty = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 63, 0)
    return bytes(data[:scan]) + tables + empty * (kilobytes * 1024 // len(empty)) + b"\xff\xd9"


def _segments(data: bytes, marker: bytes) -> list[bytes]:
    starts = [at for at in range(len(data)) if data[at : at + 2] == marker]
    return [data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")] for at in starts]


@cache
def exif_segments(kilobytes: int = 20 * 1024) -> bytes:
    """A JPEG with thousands of EXIF segments, which Pillow joins one by one, copying all before."""
    data = encoded(Image.new("RGB", (64, 64), "red"), "JPEG")
    body = b"Exif\0\0" + bytes(1000)
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    return data[:2] + segment * (kilobytes * 1024 // len(segment)) + data[2:]


@cache
def separate_scans(width: int = 8000, height: int = 6000) -> bytes:
    """A sequential JPEG of one colour with a scan for each component, as some scanners and editors write them: sound, 4 MB."""
    dc = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, *bytes(7), *range(12)])
    ac = bytes([0, 1, *bytes(14), 0])  # one code, of an early end
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"".join(bytes([component, 0x11, 0]) for component in (1, 2, 3))
    bits = 4 * -(-width // 8) * -(-height // 8)
    scans = [_segment(0xDA, bytes([1, component, 0, 0, 63, 0])) + bytes(-(-bits // 8)) for component in (1, 2, 3)]
    tables = (
        _segment(0xDB, b"\0" + b"\x10" * 64) + _segment(0xC0, frame) + _segment(0xC4, b"\0" + dc) + _segment(0xC4, b"\x10" + ac)
    )
    return b"\xff\xd8" + tables + b"".join(scans) + b"\xff\xd9"


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@cache
def png_profiles(kilobytes: int = 20 * 1024) -> bytes:
    """A PNG with thousands of colour profiles, each of which unpacks to a thousand times its size."""
    return _png_with(_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(MIB - 1024), 9)), kilobytes)


@cache
def png_texts(kilobytes: int = 20 * 1024) -> bytes:
    """A PNG with a million texts."""
    return _png_with(_chunk(b"tEXt", b"key\0value"), kilobytes)


def _png_with(chunk: bytes, kilobytes: int) -> bytes:
    data = png(64, 64)
    return data[:33] + chunk * (kilobytes * 1024 // len(chunk)) + data[33:]


@cache
def tiff_strips(count: int = 1_000_000) -> bytes:
    """A TIFF with a million strips of one row, all of the same bytes and most of them below the picture."""
    width, height = 64, 1000
    pixels, offsets = bytes(width), 8 + width
    counts = offsets + 4 * count
    directory = counts + 4 * count
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, count, offsets),
        (277, 3, 1, 1),
        (278, 4, 1, 1),
        (279, 4, count, counts),
    ]
    tags = b"".join(struct.pack("<HHI", tag, kind, number) + struct.pack("<I", value) for tag, kind, number, value in entries)
    return (
        struct.pack("<2sHI", b"II", 42, directory)
        + pixels
        + struct.pack("<I", 8) * count
        + struct.pack("<I", width) * count
        + struct.pack("<H", len(entries))
        + tags
        + bytes(4)
    )


@cache
def bmp_ends_of_line(width: int = 9_000, height: int = 11_000, count: int = 10_000) -> bytes:
    """A BMP, run-length encoded, of nothing but ends of lines, each of which Pillow fills up by copying all before."""
    palette = bytes(4 * 256)
    body = b"\x01\x00\x00\x00" * count + b"\x00\x01"
    start = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 2835, 2835, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + header + palette + body


@cache
def big_png(width: int = 10_000, height: int = 10_000) -> bytes:
    """One colour and alpha: 400 KB that hold 100 megapixels."""
    return png(width, height, bits=8, colour_type=6)


@cache
def interlaced_png(width: int = 10_000, height: int = 10_000) -> bytes:
    """A header that promises 100 megapixels of 16 bits, interlaced: they would have to be held at once. Under 200 bytes."""
    header = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(100))) + _chunk(b"IEND", b"")


def big_avif(width: int = 9_900, height: int = 9_900) -> bytes:
    """4 KB that hold 98 megapixels."""
    return encoded(Image.new("L", (width, height), 128).convert("RGB"), "AVIF", speed=10, quality=1)


@cache
def big_tiff(mode: str, width: int = 10_000, height: int = 10_000) -> bytes:
    """Grey of 32 bits (mode I or F), packed."""
    buffer = BytesIO()
    Image.fromarray(np.full((height, width), 7, np.int32 if mode == "I" else np.float32)).save(
        buffer, "TIFF", compression="tiff_adobe_deflate"
    )
    return buffer.getvalue()


@cache
def photograph(width: int, height: int, *, quality: int = 90, noise: int = 24, seed: int = 0) -> bytes:
    """A JPEG as a camera makes it: soft shapes with grain, which does not compress. One tile of it, repeated."""
    random = np.random.default_rng(seed)
    edge = min(1024, width, height)
    coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
    soft = np.asarray(coarse.resize((edge, edge), Image.Resampling.BICUBIC)) // 2
    tile = Image.fromarray(soft + random.integers(0, noise, (edge, edge, 1), np.uint8))
    whole = Image.new("RGB", (width, height))
    for corner in product(range(0, width, edge), range(0, height, edge)):
        whole.paste(tile, corner)
    return encoded(whole, "JPEG", quality=quality)


COSTLY: Mapping[str, Callable[[], bytes]] = {
    "progressive JPEG, thousands of empty scans": empty_scans,
    "JPEG, thousands of EXIF segments": exif_segments,
    "PNG, thousands of colour profiles": png_profiles,
    "PNG, a million texts": png_texts,
    "TIFF, a million strips": tiff_strips,
    "BMP, 10,000 ends of lines": bmp_ends_of_line,
    "PNG, 100 megapixels": big_png,
    "AVIF, 98 megapixels": big_avif,
    "TIFF, 100 megapixels of int32": lambda: big_tiff("I"),
    "TIFF, 100 megapixels of float": lambda: big_tiff("F"),
    "TIFF, 16 megapixels of float": lambda: big_tiff("F", 4000, 4000),
}
"""By name: what builds it. Some take seconds to build."""
