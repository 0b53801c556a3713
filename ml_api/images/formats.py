"""The accepted image formats, recognised by a file's first bytes; file names are not trusted.

The first bytes select the decoder, so that no file reaches a decoder of a format outside this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ml_api.errors import InvalidImage
from ml_api.images.unsupported import describe


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    media_type: str
    suffixes: str
    """File name extensions, lower case, without the dot."""


_FORMATS = (
    _Format("JPEG", "image/jpeg", "jpg jpeg jpe jfif jif mpo"),
    _Format("PNG", "image/png", "png apng"),
    _Format("WebP", "image/webp", "webp"),
    _Format("GIF", "image/gif", "gif"),
    _Format("BMP", "image/bmp", "bmp dib"),
    _Format("TIFF", "image/tiff", "tif tiff"),
    _Format("AVIF", "image/avif", "avif avifs"),
    _Format("HEIC", "image/heic", "heic heics heif heifs hif"),
    _Format("JPEG 2000", "image/jp2", "jp2 j2k j2c jpc jpf jpx jpm"),
    _Format("JPEG XL", "image/jxl", "jxl"),
    _Format("PSD", "image/vnd.adobe.photoshop", "psd"),
    _Format("ICO", "image/vnd.microsoft.icon", "ico"),
)
MEDIA_TYPES: Mapping[str, str] = MappingProxyType({format_.name: format_.media_type for format_ in _FORMATS})
"""Every accepted format and its media type."""
SUFFIXES: Mapping[str, str] = MappingProxyType(
    {f".{suffix}": format_.name for format_ in _FORMATS for suffix in format_.suffixes.split()}
)
"""The format for each file name extension (".jpg"). Used to select files, never to decode one."""
ACCEPTED: Final = ", ".join(list(MEDIA_TYPES)[:-1]) + " and " + list(MEDIA_TYPES)[-1]

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"8BPS\x00\x01", "PSD"),
)
_CANON_RAW: Final = b"CR\x02"
_BMP_HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})


def identify(data: bytes) -> str | None:
    """The accepted format of `data` (a whole file or its first 64 bytes), a key of MEDIA_TYPES; None for others."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return None if name == "TIFF" and data[8:11] == _CANON_RAW else name
    if data[:4] == b"\x00\x00\x01\x00" and data[4:6] != b"\x00\x00" and data[9:10] == b"\x00":
        return "ICO"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    return _iso_media(data)


def require_format(data: bytes) -> str:
    """As `identify`. Raises InvalidImage, which says what the file looks like and what is accepted."""
    name = identify(data)
    if name is None:
        raise not_read(describe(data))
    return name


def not_read(looks_like: str) -> InvalidImage:
    return InvalidImage(f"The file looks like {looks_like}; accepted are {ACCEPTED}.", code="image-format")


def webp_canvas(data: bytes) -> tuple[int, int] | None:
    """Width and height in a WebP file's header, read first because libwebp allocates the whole canvas when it opens a file.

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
    """AVIF and HEIC are both ISO base media files; the brands in the first box distinguish them from each other and from video."""
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), 64)
    major, brands = data[8:12], {data[start : start + 4] for start in (8, *range(16, end, 4))}
    if major in _AVIF_BRANDS or (major not in _HEIC_BRANDS - {b"mif1", b"msf1"} and brands & _AVIF_BRANDS):
        return "AVIF"
    return "HEIC" if major in _HEIC_BRANDS else None
