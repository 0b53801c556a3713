"""Finds the Exif block of an image file, for `exif`: a segment of JPEG, a chunk of PNG or WebP, an item of HEIC or AVIF, a box of
JPEG XL; a TIFF file is such a block itself.

The file is untrusted: only lengths and offsets are read, and at most a fixed number of them.
"""

import struct
from collections.abc import Iterator
from typing import Final

_HEADER: Final = b"Exif\0\0"
_TIFF: Final = (b"II*\0", b"MM\0*")
_SEGMENTS: Final = 64
"""Segments of a JPEG that are looked at for Exif; cameras write it first."""
_CHUNKS: Final = 20_000
"""Chunks of a PNG that are looked at, which may have Exif behind its pixels: 160 MB in chunks of 8 KiB."""
_BOXES: Final = 2_000
_BLOCK_BYTES: Final = 2**20
"""A longer Exif block is cut off here."""
_APP1, _SCAN = 0xE1, 0xDA

Box = tuple[bytes, int, int]
"""The kind of a box, and the offsets at which its content begins and ends."""


def exif_in(data: bytes) -> bytes:
    """Return the Exif block of a file, which begins as a TIFF file does. Raises ValueError or struct.error if there is none."""
    if data.startswith(b"\xff\xd8"):
        return _in_jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _in_png(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _in_webp(data)
    if data.startswith(_TIFF):
        return data
    if data[4:8] == b"ftyp":
        return _in_heif(data)
    if data[4:8] == b"JXL ":
        return _behind_offset(data, *_box(_boxes(data, 0, len(data)), b"Exif"))
    raise ValueError


def _in_jpeg(data: bytes) -> bytes:
    place = 2
    for _ in range(_SEGMENTS):
        marker, kind, size = struct.unpack_from(">BBH", data, place)
        if marker != 0xFF or kind == _SCAN:
            break
        segment = data[place + 4 : place + 2 + size]
        if kind == _APP1 and segment.startswith(_HEADER):
            return segment[len(_HEADER) :]
        place += 2 + size
    raise ValueError


def _in_png(data: bytes) -> bytes:
    place = 8
    for _ in range(_CHUNKS):
        size, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"eXIf":
            return data[place + 8 : place + 8 + min(size, _BLOCK_BYTES)]
        place += 12 + size
    raise ValueError


def _in_webp(data: bytes) -> bytes:
    place = 12
    for _ in range(_BOXES):
        kind, size = struct.unpack_from("<4sI", data, place)
        if kind == b"EXIF":
            return data[place + 8 : place + 8 + min(size, _BLOCK_BYTES)].removeprefix(_HEADER)
        place += 8 + size + size % 2
    raise ValueError


def _in_heif(data: bytes) -> bytes:
    """The content of the item of type Exif, which the box `iloc` locates (ISO/IEC 23008-12)."""
    begin, end = _box(_boxes(data, 0, len(data)), b"meta")
    boxes = list(_boxes(data, begin + 4, end))
    item = _exif_item(data, *_box(iter(boxes), b"iinf"))
    in_box, place, size = _location(data, _box(iter(boxes), b"iloc")[0], item)
    if in_box:
        place += _box(iter(boxes), b"idat")[0]
    return _behind_offset(data, place, place + size)


def _boxes(data: bytes, place: int, end: int) -> Iterator[Box]:
    for _ in range(_BOXES):
        if place + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, place)
        begin = place + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, begin)
            begin += 8
        after = place + size if size else end
        if after < begin:
            return
        yield kind, begin, min(after, end)
        place = after


def _box(boxes: Iterator[Box], wanted: bytes) -> tuple[int, int]:
    """The offsets at which the content of the first box of the kind `wanted` begins and ends. Raises ValueError without one."""
    content = next(((begin, end) for kind, begin, end in boxes if kind == wanted), None)
    if content is None:
        raise ValueError
    return content


def _exif_item(data: bytes, begin: int, end: int) -> int:
    """The number of the item of type Exif, as listed in the box `iinf`."""
    entries = begin + 4 + (2 if data[begin] == 0 else 4)
    for kind, at, _ in _boxes(data, entries, end):
        number = {2: ">H", 3: ">I"}.get(data[at])
        if kind == b"infe" and number and data[(type_ := at + 6 + struct.calcsize(number)) : type_ + 4] == b"Exif":
            return int(struct.unpack_from(number, data, at + 4)[0])
    raise ValueError


def _location(data: bytes, begin: int, wanted: int) -> tuple[bool, int, int]:
    """Read the box `iloc` for an item: whether it lies in the box `idat`, the offset of its first part, and that part's size."""
    version = data[begin]
    sizes, more = data[begin + 4], data[begin + 5]
    offset, length, base_, index = sizes >> 4, sizes & 15, more >> 4, more & 15 if version else 0
    reader = _Reader(data, begin + 6)
    wide = 4 if version == 2 else 2
    for _ in range(min(reader.number(wide), _BOXES)):
        item = reader.number(wide)
        method = reader.number(2) & 15 if version else 0
        reader.number(2)
        base, parts = reader.number(base_), reader.number(2)
        if item == wanted and parts and method <= 1:
            reader.number(index)
            return method == 1, base + reader.number(offset), reader.number(length)
        reader.skip(parts * (index + offset + length))  # 65,535 parts of no bytes each are a second of processor time
    raise ValueError


class _Reader:
    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self._place = place

    def number(self, size: int) -> int:
        """The next number, of `size` bytes, big-endian; 0 if `size` is 0."""
        self._place += size
        if self._place > len(self._data):
            raise ValueError
        return int.from_bytes(self._data[self._place - size : self._place])

    def skip(self, size: int) -> None:
        self._place += size


def _behind_offset(data: bytes, begin: int, end: int) -> bytes:
    """The block in data that begins with its offset, as in HEIF and JPEG XL; some programs omit the offset."""
    if data.startswith(_TIFF, begin):
        return data[begin : min(end, begin + _BLOCK_BYTES)]
    (offset,) = struct.unpack_from(">I", data, begin)
    start = begin + 4 + offset
    return data[start : min(end, start + _BLOCK_BYTES)]
