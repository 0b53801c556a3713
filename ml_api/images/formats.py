"""Which image formats are read, told from a file's first bytes; names and suffixes prove nothing.

The first bytes choose the one decoder that is tried, so that a file never reaches a decoder of a format outside this table.
"""

import codecs
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ml_api.errors import InvalidImage

MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "JPEG": "image/jpeg",
        "PNG": "image/png",
        "WebP": "image/webp",
        "GIF": "image/gif",
        "BMP": "image/bmp",
        "TIFF": "image/tiff",
        "AVIF": "image/avif",
        "HEIC": "image/heic",
    }
)
"""Every accepted format and its media type."""

_ACCEPTED = ", ".join(list(MEDIA_TYPES)[:-1]) + " and " + list(MEDIA_TYPES)[-1]

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
)
_BMP_HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})

_PEEK_BYTES: Final = 512
_FOREIGN = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript (EPS) file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript (EPS) file"),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"\x00\x00\x00\x00", "a file of zeros"),
)


def identify(data: bytes) -> str | None:
    """The accepted format that `data` (a whole file or its first 64 bytes) begins as, a key of MEDIA_TYPES; None if none."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    return _iso_media(data)


def require_format(data: bytes) -> str:
    """As `identify`. Raises InvalidImage that says what the file looks like instead, and what is accepted."""
    name = identify(data)
    if name is None:
        raise InvalidImage(f"The file looks like {_describe(data)}; accepted are {_ACCEPTED}.", code="image-format")
    return name


def webp_canvas(data: bytes) -> tuple[int, int] | None:
    """Width and height in a WebP file's header. libwebp allocates the whole canvas when it opens a file, so it is asked first.

    Source: RFC 9649, sections 2.5 to 2.7.
    """
    chunk = data[12:16]
    if chunk == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None


def _iso_media(data: bytes) -> str | None:
    """AVIF and HEIC are both ISO base media files; the brands in the first box tell them apart, and from video."""
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), 64)
    major, brands = data[8:12], {data[start : start + 4] for start in (8, *range(16, end, 4))}
    if major in _AVIF_BRANDS or (major not in _HEIC_BRANDS - {b"mif1", b"msf1"} and brands & _AVIF_BRANDS):
        return "AVIF"
    return "HEIC" if major in _HEIC_BRANDS else None


def _describe(data: bytes) -> str:
    for signature, description in _FOREIGN:
        if data.startswith(signature):
            return description
    if data[4:8] == b"ftyp":
        return "a video"
    try:  # incrementally, as the peek may end in the middle of a character
        text = codecs.getincrementaldecoder("utf-8")().decode(data[:_PEEK_BYTES]).lower()
    except UnicodeDecodeError:
        return "no image that we know"
    if "<svg" in text:
        return "an SVG drawing"
    if "<html" in text or "<!doctype html" in text:
        return "an HTML page"
    printable = all(character.isprintable() or character.isspace() for character in text)
    return "text" if printable else "no image that we know"
