"""Image files that should be refused, and odd ones that should not: built here, so that no binary lies in the repository."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image

SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="10" height="10"/></svg>'
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) (r) file\nshowpage\n"
TEXT = b"This is not an image at all, whatever its name says.\n"

PLUGIN_NAMES = {"WebP": "WEBP", "HEIC": "HEIF", "JPEG 2000": "JPEG2000", "JPEG XL": "JXL"}


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    """`image` as a file of `format_`, a key of `ml_api.images.MEDIA_TYPES`."""
    if format_ == "HEIC":
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False)
    if format_ == "JPEG XL":
        import pillow_jxl  # noqa: F401 - registers itself
    if format_ == "PSD":
        return psd(image)
    buffer = BytesIO()
    if format_ == "ICO":
        options = {"sizes": [image.size], **options}
    image.save(buffer, PLUGIN_NAMES.get(format_, format_), **options)
    return buffer.getvalue()


def png(width: int, height: int, *, bits: int = 1, colour_type: int = 0, rows: Iterator[bytes] | None = None) -> bytes:
    """A valid PNG, black unless `rows` are given; rows are compressed one by one, so that a bomb costs its builder nothing."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type]
    black = bytes((width * bits * channels + 7) // 8)
    compressor, body = zlib.compressobj(), b""
    for row in rows or (black for _ in range(height)):
        body += compressor.compress(b"\0" + row)
    body += compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


PSD_MODES = {"L": 1, "RGB": 3, "RGBA": 3, "CMYK": 4, "LAB": 9}


@dataclass(frozen=True, slots=True)
class Photoshop:
    """A Photoshop document; a negative number of `layers` makes its last channel transparency."""

    mode: int
    bits: int = 8
    layers: int = 0
    resources: bytes = b""

    def file(self, planes: list[bytes], width: int, height: int) -> bytes:
        """`planes` as the format has them: big-endian, inks inverted."""
        header = struct.pack(">4sH6xHIIHHI", b"8BPS", 1, len(planes), height, width, self.bits, self.mode, 0)
        layer_info = struct.pack(">IIh2x", 8, 4, self.layers)
        return (
            header + struct.pack(">I", len(self.resources)) + self.resources + layer_info + struct.pack(">H", 0) + b"".join(planes)
        )


def psd(image: Image.Image) -> bytes:
    """A Photoshop document whose flattened picture is `image`."""
    inverted = image.mode == "CMYK"
    planes = [bytes(255 - value for value in band.tobytes()) if inverted else band.tobytes() for band in image.split()]
    return Photoshop(PSD_MODES[image.mode]).file(planes, *image.size)


def webp_bomb() -> bytes:
    """30 bytes that claim a canvas of 16,384 x 16,384."""
    edge = (16_383).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + edge + edge


def gif_bomb() -> bytes:
    """A small frame placed so far to the lower right that the canvas grows to 65,535 x 65,535."""
    data = encoded(Image.new("L", (2, 2)), "GIF")
    frame = data.index(b",")
    return data[: frame + 1] + struct.pack("<HH", 65_533, 65_533) + data[frame + 5 :]


def bmp_bomb() -> bytes:
    data = encoded(Image.new("L", (2, 2)), "BMP")
    return data[:18] + struct.pack("<ii", 40_000, 40_000) + data[26:]


def tiff_bomb() -> bytes:
    """Width and length are the first two tags that Pillow writes; their values are made 50,000."""
    data = encoded(Image.new("L", (301, 302)), "TIFF")
    for tag, value in ((256, 301), (257, 302)):
        for field_type, form in ((3, "<HHIHH"), (4, "<HHII")):
            old = struct.pack(form, tag, field_type, 1, value, *([0] if field_type == 3 else []))
            data = data.replace(old, struct.pack("<HHII", tag, 4, 1, 50_000))
    return data


def psd_bomb() -> bytes:
    data = psd(Image.new("RGB", (64, 64)))
    return data[:14] + struct.pack(">II", 30_000, 30_000) + data[22:]


def jpeg_2000_bomb() -> bytes:
    """Both headers, of the file and of the codestream, claim 60,000 x 60,000."""
    data = encoded(Image.new("RGB", (64, 64)), "JPEG 2000")
    return data.replace(struct.pack(">II", 64, 64), struct.pack(">II", 60_000, 60_000))


def jxl_bomb() -> bytes:
    """42 bytes of codestream whose header claims 60,000 x 60,000: not small, 18 bits of height, ratio 1."""
    return b"\xff\x0a" + (0 | 2 << 1 | 59_999 << 3 | 1 << 21).to_bytes(4, "little") + bytes(38)


def icon(picture: bytes, edge: int, bits: int = 32) -> bytes:
    """`picture`, a PNG or the bitmap that icons hold, as the only one of an icon that says it is `edge` pixels wide and high."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, edge % 256, edge % 256, 0, 0, 1, bits, len(picture), 22) + picture


def icon_bomb(kind: str) -> bytes:
    """An icon of 16 x 16 whose picture has 20,000 x 20,000."""
    if kind == "png":
        return icon(png(20_000, 20_000), 16)
    return icon(struct.pack("<IiiHHIIiiII", 40, 20_000, 40_000, 1, 1, 0, 0, 0, 0, 0, 0) + bytes(1000), 16)


def iso_bomb(format_: str) -> bytes:
    """AVIF or HEIC whose property `ispe` claims 60,000 x 60,000."""
    data = encoded(Image.new("RGB", (64, 64)), format_)
    return data.replace(b"ispe" + struct.pack(">III", 0, 64, 64), b"ispe" + struct.pack(">III", 0, 60_000, 60_000))
