"""Pillow, and pillow-heif for HEIC: the decoder of most formats."""

import warnings
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from typing import Final

from PIL import Image, ImageFile

from ml_api.images import pixels
from ml_api.images.decoders.base import Opened, reduced, reduction

_ORIENTATION_TAG: Final = 0x0112
_PLUGINS: Final = {"HEIC": "HEIF", "JPEG 2000": "JPEG2000"}
"""Pillow's names of formats where they differ."""
_START_OF_SCAN: Final = b"\xff\xda"
_CODEC_BYTES: Final = {"HEIC": 16, "JPEG 2000": 32}
"""Bytes a pixel takes while these formats are decoded, including the codec's own copies."""
_AV1_CONFIGURATION: Final = b"av1C"
_AVIF_HEADER_BYTES: Final = 4096
_ALPHA: Final = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"
_TILED: Final = b"grid"


def open_with_pillow(name: str, data: bytes, edge_px: int | None, *, scaled: bool = True) -> Opened:
    """The first frame. `scaled` allows decoding a JPEG at a reduced size. Raises many unrelated types, as Pillow does."""
    image = image_of(name, data)
    width, height = image.size
    scaled = scaled and name == "JPEG"
    if scaled and (factor := reduction(width, height, edge_px)) > 1:
        # Decoding at a reduced size: 49 megapixels take 0.2 s instead of 0.5 s.
        image.draft(None, (width // factor, height // factor))

    def rgb() -> Image.Image:
        drawn = _frame(image) if name == "GIF" else None
        image.load()
        whole = pixels.to_rgb(image) if drawn is None else pixels.placed(pixels.to_rgb(image), drawn)
        return whole if scaled else reduced(whole, edge_px)

    return Opened(width, height, rgb, lambda: orientation_of(image), _memory_bytes(name, image, data, width * height))


def _memory_bytes(name: str, image: Image.Image, data: bytes, whole: int) -> int:
    """Estimate the peak memory. `image` may be reduced; `whole` is the full number of pixels. Pillow keeps each colour pixel in
    four bytes."""
    count = image.width * image.height
    if name == "AVIF":
        return int(count * _avif_bytes(data))
    if name in _CODEC_BYTES:
        return count * _CODEC_BYTES[name]
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return count * 24  # as it is, as float32 twice, as 8 bits, as RGB
    coefficients = whole * 2 * len(image.getbands()) if name == "JPEG" and _has_scans(image, data) else 0
    copies = 3 if image.has_transparency_data else 1 if (name, image.mode) == ("JPEG", "RGB") else 2
    return count * 4 * copies + coefficients


def _avif_bytes(data: bytes) -> float:
    """Bytes a pixel of an AVIF takes while it is decoded: its planes, its colours (libavif's and Pillow's copy of them), its alpha.

    The AV1 configurations tell the size of the planes (AV1-ISOBMFF, 2.3.3): with it, 98 megapixels in 4:2:0 fit into 1 GiB. A file
    that lies about it meets the memory limit of the decoding process.
    """
    header = data[:_AVIF_HEADER_BYTES]
    positions = _positions(header, _AV1_CONFIGURATION)
    planes = max((_av1_planes(header[at + 6]) for at in positions if at + 6 < len(header)), default=6.0)
    copies = 2 if _TILED in header else 1
    alpha = 4 if _ALPHA in header else 0
    return 8 + planes * copies + alpha


def _av1_planes(flags: int) -> float:
    """Bytes of all planes for each pixel. `flags` are tier, high bit depth, twelve bits, monochrome, chroma halved across and
    down."""
    deep, grey, across, down = (bool(flags & bit) for bit in (0x40, 0x10, 0x08, 0x04))
    chroma = 0.0 if grey else 2.0 / ((1 + across) * (1 + down))
    return (1 + chroma) * (1 + deep)


def _positions(data: bytes, wanted: bytes) -> Iterator[int]:
    at = data.find(wanted)
    while at >= 0:
        yield at
        at = data.find(wanted, at + 1)


def _has_scans(image: Image.Image, data: bytes) -> bool:
    """Whether libjpeg keeps all coefficients of a JPEG in memory: it is progressive or has a scan for each component."""
    if image.info.get("progressive"):
        return True
    at = 2
    while (marker := data[at : at + 2]) != _START_OF_SCAN:
        if len(marker) < 2:
            return False
        # Bytes that are no segment are skipped one by one, as libjpeg does: 0xFF fill bytes and bytes between segments.
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big") if _is_segment(marker) else 1
    return data[at + 4 : at + 5] != bytes([len(image.getbands())])


def _is_segment(marker: bytes) -> bool:
    """Whether the marker has a length field (ITU T.81, B.1.1.4)."""
    return marker[0] == 0xFF and marker[1] not in {0x00, 0x01, 0xFF} and not 0xD0 <= marker[1] <= 0xD9


def image_of(name: str, data: bytes) -> Image.Image:
    """The lazy image, its header read. Raises what Pillow raises."""
    _prepare()
    return Image.open(BytesIO(data), formats=(_PLUGINS.get(name, name),))


def _frame(image: Image.Image) -> tuple[int, int, int, int] | None:
    """The box of a GIF's first frame on its canvas; None if the frame covers the canvas. Pillow makes the transparent rest
    black."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile or image.tile[0].extents is None:
        return None
    extents = image.tile[0].extents
    return None if extents == (0, 0, *image.size) else extents


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation; 1 (upright) if the metadata is damaged, which says nothing about the pixels."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - the parser of this untrusted block raises as freely as the decoders
        return 1


@cache
def _prepare() -> None:
    """Set up Pillow for the process at the first image, not at import.

    Its own limit on pixels is switched off, as it only warns below twice its value; ImageLimits is checked instead.
    """
    import pillow_heif

    Image.MAX_IMAGE_PIXELS = None
    Image.init()
    pillow_heif.register_heif_opener(thumbnails=False)
    # Damaged metadata in a valid image is not worth a warning.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
