"""What cameras note in their files, read as far as it makes sense, whatever the bytes are."""

import os
import struct
import sys

import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from ml_api.images import ImageLimits, InlineDecoder
from ml_api.images.exif import read_exif
from tests.files.hostile_images import encoded

BASE, GPS = ExifTags.Base, ExifTags.GPS


def photograph(tags=None, detail=None, gps=None, kind="JPEG", **options):
    exif = Image.Exif()
    for tag, value in (tags or {}).items():
        exif[tag] = value
    exif.get_ifd(ExifTags.IFD.Exif).update(detail or {})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    return encoded(Image.new("RGB", (8, 6), (200, 30, 30)), kind, exif=exif.tobytes(), **options)


def position(north, east, latitude=(48.0, 8.0, 15.0), longitude=(11.0, 34.0, 30.0)):
    return {GPS.GPSLatitudeRef: north, GPS.GPSLatitude: latitude, GPS.GPSLongitudeRef: east, GPS.GPSLongitude: longitude}


def test_date_camera_and_position_are_read():
    data = photograph(
        {BASE.Make: "Canon", BASE.Model: "Canon EOS R5", BASE.DateTime: "2026:11:27 10:00:00"},
        {BASE.DateTimeOriginal: "2026:11:26 09:30:15"},
        position("N", "E"),
    )
    assert read_exif(data) == {
        "exif_taken_at": "2026-11-26T09:30:15",
        "exif_camera": "Canon EOS R5",
        "exif_latitude": 48.1375,
        "exif_longitude": 11.575,
    }


@pytest.mark.parametrize("kind", ["PNG", "WebP", "TIFF", "AVIF", "HEIC", "JPEG XL"])
def test_every_format_that_cameras_and_programs_write_is_read(kind):
    data = photograph({BASE.Make: "Canon"}, {BASE.DateTimeOriginal: "2026:11:26 09:30:15"}, position("S", "E"), kind)
    assert read_exif(data) == {
        "exif_taken_at": "2026-11-26T09:30:15",
        "exif_camera": "Canon",
        "exif_latitude": -48.1375,
        "exif_longitude": 11.575,
    }
    assert read_exif(photograph(kind=kind)) == {}


def test_south_and_west_are_negative_and_a_maker_stands_before_the_model():
    data = photograph({BASE.Make: "Apple", BASE.Model: "iPhone 17"}, gps=position("S", "W"))
    assert read_exif(data) == {"exif_camera": "Apple iPhone 17", "exif_latitude": -48.1375, "exif_longitude": -11.575}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"no image",
        photograph(),
        photograph(detail={BASE.DateTimeOriginal: "0000:00:00 00:00:00"}),
        photograph(detail={BASE.DateTimeOriginal: "yesterday"}),
        photograph(gps=position("N", "E", latitude=(91.0, 0.0, 0.0))),
        photograph(gps=position("X", "E")),
        photograph(gps=position("N", "E", longitude=(11.0, 34.0))),
    ],
)
def test_what_makes_no_sense_is_left_out(data):
    assert read_exif(data) == {}


@pytest.mark.parametrize(
    ("detail", "gps"),
    [
        ({BASE.DateTimeOriginal: "2026:11:26 09:30:15"}, position("N", "E", latitude=(IFDRational(0, 0),) * 3)),  # no fix
        ({BASE.DateTimeOriginal: "2026:11:26 09:30:15"}, {GPS.GPSLatitudeRef: "N"}),
        ({BASE.DateTimeOriginal: "    :  :     :  :  "}, {}),
        ({BASE.DateTimeOriginal: "2026:00:00 00:00:00"}, {}),
        ({BASE.DateTimeOriginal: "2026:13:45 99:99:99"}, {}),
    ],
)
def test_what_is_wrong_with_one_part_takes_nothing_from_the_others(detail, gps):
    """A position of 0/0 degrees, as cameras write it that have found none, took date and camera with it."""
    original = detail[BASE.DateTimeOriginal] == "2026:11:26 09:30:15"
    data = photograph({BASE.Make: "Canon", BASE.DateTime: "2026:11:27 10:00:00"}, detail, gps)
    assert read_exif(data) == {
        "exif_camera": "Canon",
        "exif_taken_at": "2026-11-26T09:30:15" if original else "2026-11-27T10:00:00",
    }


def test_a_directory_that_lies_nowhere_takes_nothing_from_the_others():
    camera = struct.pack("<HHI4s", BASE.Make, 2, 4, b"abc\0")
    lost = struct.pack("<HHII", ExifTags.IFD.Exif, 4, 1, 2**31)
    beyond = struct.pack("<HHII", BASE.Model, 2, 60, 2**31)
    tiff = b"II*\0" + struct.pack("<IH", 8, 3) + camera + beyond + lost + bytes(4)
    assert read_exif(tiff) == {"exif_camera": "abc"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF", "AVIF", "HEIC", "JPEG XL"])
def test_no_bytes_make_it_fail(kind):
    data = photograph({BASE.Make: "Canon"}, {BASE.DateTimeOriginal: "2026:11:26 09:30:15"}, position("N", "E"), kind)
    for place in range(2, min(len(data), 900)):
        for bytes_ in (b"\xff", b"\x00", os.urandom(4)):
            read_exif(data[:place] + bytes_ + data[place + len(bytes_) :])
        read_exif(data[:place])


def test_a_segment_of_thousands_of_entries_takes_no_memory():
    entries = b"".join(struct.pack("<HHII", tag, 2, 60_000, 8) for tag in range(5000))
    tiff = b"II*\0" + struct.pack("<IH", 8, 5000) + entries
    segment = b"Exif\0\0" + tiff
    assert read_exif(b"\xff\xd8\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment) == {}


def test_items_of_very_many_parts_without_a_byte_are_not_counted_through():
    """400 KB of them took 2.4 s of the service's own processor time."""

    def box(kind, content):
        return struct.pack(">I4s", 8 + len(content), kind) + content

    entry = box(b"infe", b"\2\0\0\0" + struct.pack(">HH", 7, 0) + b"Exif\0")
    items = struct.pack(">HHH", 1, 0, 65_535) * 65_535
    places = box(b"iloc", bytes(6) + struct.pack(">H", 65_535) + items)
    data = box(b"ftyp", b"heic" + bytes(4)) + box(b"meta", bytes(4) + box(b"iinf", bytes(4) + b"\0\1" + entry) + places)
    lines = 0

    def count(_frame, event, _argument):
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        assert read_exif(data) == {}
    finally:
        sys.settrace(before)
    assert lines < 100_000


def test_nothing_is_read_unless_it_is_wanted():
    data = photograph({BASE.Model: "X100"})
    limits = ImageLimits(100_000, 1_000_000, 20)
    assert InlineDecoder(limits).exif_metadata(data) == {}
    assert InlineDecoder(limits, exif=True).exif_metadata(data) == {"exif_camera": "X100"}
