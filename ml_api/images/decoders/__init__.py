"""The decoder of each format, and a second one for formats whose first decoder refuses some valid files.

Pillow decodes most formats. libvips decodes those that Pillow decodes wrongly (TIFF) or only as a whole in memory (PNG, WebP).
"""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Final

from ml_api.images.decoders import bitmap, icon, jxl, psd, tiff
from ml_api.images.decoders.base import Opened
from ml_api.images.decoders.pillow import open_with_pillow
from ml_api.images.decoders.vips import complete, open_with_vips

Open = Callable[[], Opened]

_STREAMED: Final = frozenset({"PNG", "WebP"})
_END_OF_IMAGE: Final = b"\xff\xd9"
_AVIF_HEADER_BYTES: Final = 4096
_PACKAGES: Final = ("pillow", "pillow-heif", "pillow-jxl-plugin", "pyvips-binary", "tifffile")


def attempts(name: str, data: bytes, edge_px: int | None) -> Iterator[Open]:
    """Ways to open `data`, a file of the format `name` (a key of MEDIA_TYPES), to be tried in order."""
    if name == "TIFF":
        yield lambda: tiff.open_tiff(data, edge_px)
    elif name == "ICO":
        yield lambda: icon.open_icon(data, edge_px)
    elif name == "JPEG XL":
        yield lambda: jxl.open_jxl(data, edge_px)
    elif name == "PSD":
        yield lambda: psd.open_psd(data, edge_px)
    elif name in _STREAMED or (name == "AVIF" and b"clap" in data[:_AVIF_HEADER_BYTES]):  # Pillow ignores the crop
        yield lambda: open_with_vips(name, data, edge_px)
    else:
        yield lambda: open_with_pillow(name, data, edge_px)
    if name == "AVIF":  # libavif, in Pillow, requires a size property of the alpha image that older encoders omit
        yield lambda: open_with_vips(name, data, edge_px)
    elif name == "BMP":
        yield lambda: bitmap.open_masked(data, edge_px)
    elif name == "JPEG" and not data.endswith(_END_OF_IMAGE):
        # Valid except for its last two bytes? libvips warns if pixels before them are missing.
        yield lambda: open_with_pillow(name, complete(name, data + _END_OF_IMAGE), edge_px)
    elif name == "JPEG" and edge_px is not None:  # lossless JPEGs cannot be decoded at a reduced size
        yield lambda: open_with_pillow(name, data, edge_px, scaled=False)


def versions() -> str:
    """The decoding packages with their versions: another version may read a file that one could not."""
    return ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
