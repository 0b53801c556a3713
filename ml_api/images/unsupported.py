"""Names the formats that are not accepted, recognised by a file's first bytes, for error messages."""

import codecs
from typing import Final

_PEEK_BYTES: Final = 512
_SIGNATURES = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript (EPS) file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript (EPS) file"),
    (b"8BPS", "a large Photoshop document (PSB)"),
    (b"gimp xcf", "a GIMP document (XCF)"),
    (b"II\xbc\x01", "a JPEG XR image"),
    (b"II*\x00", "a Canon raw photograph (CR2)"),
    (b"IIU\x00", "a Panasonic raw photograph (RW2)"),
    (b"IIRO", "an Olympus raw photograph (ORF)"),
    (b"IIRS", "an Olympus raw photograph (ORF)"),
    (b"MMOR", "an Olympus raw photograph (ORF)"),
    (b"FUJIFILMCCD-RAW", "a Fujifilm raw photograph (RAF)"),
    (b"FOVb", "a Sigma raw photograph (X3F)"),
    (b"v/1\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"#?RGBE", "a Radiance HDR image"),
    (b"DDS ", "a DirectDraw surface (DDS)"),
    (b"qoif", "a QOI image"),
    (b"BPG\xfb", "a BPG image"),
    (b"SIMPLE  =", "a FITS image"),
    (b"icns", "an Apple icon (ICNS)"),
    (b"\x00\x00\x02\x00", "a cursor"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile (WMF)"),
    (b"AT&TFORM", "a DjVu document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"\x00\x00\x01\xba", "a video"),
    (b"\x00\x00\x01\xb3", "a video"),
    (b"FLV\x01", "a video"),
    (b"OggS", "a video or a sound"),
    (b"ID3", "a sound"),
    (b"\x00\x00\x00\x00", "a file of zeros"),
)
_WITHIN = (
    (4, b"ftypcrx ", "a Canon raw photograph (CR3)"),
    (4, b"ftypM4A ", "a sound"),
    (4, b"ftyp", "a video"),
    (8, b"AVI ", "a video"),
    (8, b"WAVE", "a sound"),
    (128, b"DICM", "a DICOM image"),
)
"""Signatures that are not at the beginning, with their offsets."""


def describe(data: bytes) -> str:
    """The format with its article: "a PDF document"."""
    for offset, signature, description in (*_WITHIN, *((0, *signature) for signature in _SIGNATURES)):
        if data.startswith(signature, offset):
            return description
    return _describe_text(data)


def _describe_text(data: bytes) -> str:
    try:  # incrementally, because the first bytes may end within a character
        text = codecs.getincrementaldecoder("utf-8")().decode(data[:_PEEK_BYTES]).lower()
    except UnicodeDecodeError:
        return "no image that we know"
    if "<svg" in text:
        return "an SVG drawing"
    if "<html" in text or "<!doctype html" in text:
        return "an HTML page"
    printable = all(character.isprintable() or character.isspace() for character in text)
    return "text" if printable else "no image that we know"
