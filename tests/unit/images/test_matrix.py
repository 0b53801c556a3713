"""Every mode x depth x layout x compression of a format shows the picture it was made from.

TIFF, PNG and WebP are decoded by libvips, so what they should show is computed from the source (PNG: read by Pillow). The other
formats are compared with libvips, which shares no code with Pillow beyond the codecs.
"""

import itertools
from io import BytesIO

import numpy as np
import pytest
import pyvips
from PIL import Image

from ml_api.errors import InvalidImage
from ml_api.images import ImageLimits, decode
from tests.files.hostile_images import encoded
from tests.files.tiff_files import planes, tiff

LIMITS = ImageLimits(max_bytes=2**24, max_pixels=10**6, max_aspect=20)
WIDTH, HEIGHT = 96, 48


def scene() -> np.ndarray:
    """Four bands from 0 to 1: three colours, and an opacity that is never 0."""
    across, down = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    return np.dstack([across, down, 1 - across * down, 0.25 + 0.75 * down])


def shown(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, LIMITS).image, dtype=int)


def differences(cells) -> list[str]:
    """What is wrong with each of `cells`: (name, file, expected 0 to 255, the difference that its depth allows)."""
    wrong = []
    for name, data, expected, tolerance in cells:
        try:
            picture = shown(data)
        except InvalidImage as exc:
            wrong.append(f"{name}: {exc}")
            continue
        if picture.shape != (HEIGHT, WIDTH, 3):
            wrong.append(f"{name}: {picture.shape}")
        elif (worst := np.abs(picture - expected).max()) > tolerance:
            wrong.append(f"{name}: {worst:.0f} off")
    return wrong


# TIFF. Bands, photometric interpretation, extra samples; the picture on white is computed from the bands as they are stored.
TIFF_MODES = {
    "grey": (1, "minisblack", []),
    "negative": (1, "miniswhite", []),
    "grey+alpha": (2, "minisblack", ["unassalpha"]),
    "grey+premultiplied": (2, "minisblack", ["assocalpha"]),
    "rgb": (3, "rgb", []),
    "rgb+alpha": (4, "rgb", ["unassalpha"]),
    "rgb+premultiplied": (4, "rgb", ["assocalpha"]),
    "rgb+other": (4, "rgb", ["unspecified"]),
    "rgb+other+alpha": (5, "rgb", ["unspecified", "unassalpha"]),
    "inks": (4, "separated", []),
    "inks+alpha": (5, "separated", ["unassalpha"]),
}
DEPTHS = ["u1", "u2", "u4", "i2", "f2", "f4", "f8"]
LAYOUTS = list(itertools.product(["contig", "separate"], [None, (16, 32)], [None, "zlib"], [("<", False), (">", True)]))


def stored_and_expected(mode: str) -> tuple[np.ndarray, np.ndarray]:
    count, _, extra = TIFF_MODES[mode]
    colours = count - len(extra)
    all_bands = scene()
    bands = all_bands[..., : min(colours, 3)]
    if colours == 4:
        bands = np.dstack([bands, 0.3 * all_bands[..., 0]])
    opacity = all_bands[..., 3:]
    stored = bands * opacity if "assocalpha" in extra else bands
    others = [opacity if kind.endswith("alpha") else all_bands[..., :1] for kind in extra]
    alpha = opacity if {"assocalpha", "unassalpha"} & set(extra) else np.ones_like(opacity)
    if colours == 4:
        inks = bands * alpha
        seen = (1 - inks[..., :3]) * (1 - inks[..., 3:])
    else:
        seen = (bands if mode != "negative" else 1 - bands) * alpha + 1 - alpha
    return np.concatenate([stored, *others], axis=-1), np.round(np.broadcast_to(seen, (HEIGHT, WIDTH, 3)) * 255)


@pytest.mark.parametrize(
    ("mode", "depth"), [(mode, depth) for mode in TIFF_MODES for depth in DEPTHS if depth != "i2" or mode in {"grey", "negative"}]
)
def test_tiff(mode, depth):
    stored, expected = stored_and_expected(mode)
    _, photometric, extra = TIFF_MODES[mode]
    full = np.iinfo(depth).max if depth[0] in "iu" else 1
    values = (np.round(stored * full) if depth[0] in "iu" else stored).astype(depth)

    def cells():
        for planar, tile, compression, (order, big) in LAYOUTS:
            if planar == "separate" and values.shape[-1] == 1:
                continue
            laid = planes(values) if planar == "separate" else values if values.shape[-1] > 1 else values[..., 0]
            options = {"planarconfig": planar} if values.shape[-1] > 1 else {}
            data = tiff(
                laid,
                photometric=photometric,
                extrasamples=extra,
                tile=tile,
                compression=compression,
                byteorder=order,
                bigtiff=big,
                **options,
            )
            # Dividing by a stored opacity of 8 bits costs up to 2 levels where that is a quarter; inks are rounded twice.
            yield (
                f"{planar} {tile} {compression} {order} big={big}",
                data,
                expected,
                3 if mode in {"grey+premultiplied", "rgb+premultiplied", "inks+alpha"} else 2,
            )

    assert differences(cells()) == []


COMPRESSIONS = [
    *itertools.product(
        ["packbits", "tiff_lzw", "tiff_adobe_deflate", "zstd"], ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "F"]
    ),
    *itertools.product(["jpeg"], ["L", "RGB", "CMYK"]),
    *itertools.product(["group3", "group4"], ["1"]),
]


@pytest.mark.parametrize(("compression", "mode"), COMPRESSIONS)
def test_compressed_tiff_is_as_it_is_uncompressed(mode, compression):
    image = _in_mode(mode)

    difference = np.abs(shown(encoded(image, "TIFF", compression=compression)) - shown(encoded(image, "TIFF")))

    assert difference.mean() <= (4 if compression == "jpeg" else 1)  # two decoders round alpha in two ways


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("tile", [False, True])
@pytest.mark.parametrize("compression", ["none", "lzw", "deflate", "packbits"])
@pytest.mark.parametrize("negative", [False, True])
def test_tiff_of_few_bits(bits, tile, compression, negative):
    grey = np.round(scene()[..., 0] * (2**bits - 1)) / (2**bits - 1) * 255
    image = pyvips.Image.new_from_array(grey.astype("u1"))

    data = image.tiffsave_buffer(
        bitdepth=bits, tile=tile, tile_width=16, tile_height=16, compression=compression, miniswhite=negative, predictor="none"
    )

    assert np.abs(shown(data) - grey[..., None]).max() <= 1


@pytest.mark.parametrize("compression", ["jpeg", "lzw", "deflate"])
@pytest.mark.parametrize("tile", [False, True])
@pytest.mark.parametrize("predictor", ["none", "horizontal"])
def test_tiff_by_libtiff(compression, tile, predictor):
    expected = np.round(scene()[..., :3] * 255)
    image = pyvips.Image.new_from_array(expected.astype("u1"))

    data = image.tiffsave_buffer(compression=compression, tile=tile, tile_width=16, tile_height=16, predictor=predictor, Q=95)

    assert np.abs(shown(data) - expected).mean() < 4


def _in_mode(mode: str) -> Image.Image:
    bands = np.round(scene() * 255).astype("u1")
    rgba = Image.fromarray(bands)
    if mode == "I;16":
        return Image.frombytes("I;16", (WIDTH, HEIGHT), (bands[..., 0].astype("<u2") * 257).tobytes())
    if mode == "LAB":
        return Image.frombytes("LAB", (WIDTH, HEIGHT), bands[..., :3].tobytes())
    if mode == "P":
        return rgba.convert("RGB").quantize(64)
    if mode == "F":
        return rgba.convert("L").convert("F")
    return rgba.convert(mode) if mode in {"RGBA", "LA"} else rgba.convert("RGB").convert(mode)


def by_pillow(data: bytes) -> np.ndarray:
    image = Image.open(BytesIO(data))
    if image.mode == "I;16":
        return np.round(np.dstack([np.asarray(image, dtype=float) / 257] * 3))
    rgba = image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), rgba).convert("RGB"), dtype=int)


def by_libvips(data: bytes) -> np.ndarray:
    image = pyvips.Image.new_from_buffer(data, "")
    if image.interpretation == "cmyk":
        inks = image.numpy()
        return np.asarray(Image.fromarray(inks, "CMYK").convert("RGB"), dtype=int)
    image = image.colourspace("srgb")
    return (image.flatten(background=255) if image.hasalpha() else image).numpy().astype(int)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_as_pillow_reads_it(mode):
    data = encoded(_in_mode(mode), "PNG")
    cells = [("plain", data, by_pillow(data), 1)]
    for interlace, bits in itertools.product([False, True], [1, 2, 4, 8, 16]):
        image = pyvips.Image.new_from_buffer(data, "")
        if bits == 16 and image.format == "uchar":
            image = image.colourspace("grey16" if image.bands < 3 else "rgb16")
        if bits < 8 and image.bands > 1:
            continue
        file = image.pngsave_buffer(interlace=interlace, **({"bitdepth": bits} if bits < 16 else {}))
        cells.append((f"interlaced={interlace} bits={bits}", file, by_pillow(file), 2))

    assert differences(cells) == []


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_as_libvips_reads_it(mode):
    cells = []
    for progressive, subsampling, quality in itertools.product([False, True], [0, 1, 2], [75, 95]):
        data = encoded(_in_mode(mode), "JPEG", progressive=progressive, subsampling=subsampling, quality=quality)
        cells.append((f"progressive={progressive} subsampling={subsampling} {quality}", data, by_libvips(data), 2))

    assert differences(cells) == []


@pytest.mark.parametrize("format_", ["GIF", "WebP", "AVIF"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_others_as_libvips_reads_them(format_, mode):
    options = {
        "WebP": [{"lossless": True}, {"quality": 90}],
        "AVIF": [{"quality": 95, "subsampling": kind} for kind in ("4:2:0", "4:4:4")],
    }
    cells = []
    for choice in options.get(format_, [{}]):
        data = encoded(_in_mode(mode), format_, **choice)
        cells.append(
            (str(choice), data, by_libvips(data), 10 if "4:2:0" in choice.values() else 4)
        )  # colours are spread in two ways

    assert differences(cells) == []


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("subsampling", ["on", "off"])
@pytest.mark.parametrize("alpha", [False, True])
def test_avif_of_more_bits_as_libvips_reads_it(bits, subsampling, alpha):
    image = pyvips.Image.new_from_array(np.round(scene()[..., : 4 if alpha else 3] * 255).astype("u1")).copy(interpretation="srgb")
    data = image.heifsave_buffer(compression="av1", bitdepth=bits, subsample_mode=subsampling, Q=95)

    assert differences([("", data, by_libvips(data), 10 if subsampling == "on" else 4)]) == []


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("options", [{}, {"irreversible": True, "quality_layers": [5]}, {"tile_size": (32, 32)}, {"no_jp2": True}])
def test_jpeg_2000_shows_its_source(mode, options):
    image = _in_mode(mode)
    expected = by_pillow(encoded(image, "PNG"))

    assert np.abs(shown(encoded(image, "JPEG 2000", **options)) - expected).mean() <= (6 if "irreversible" in options else 0)


@pytest.mark.parametrize(("format_", "mode"), [*itertools.product(["BMP", "ICO"], ["1", "L", "P", "RGB"]), ("ICO", "RGBA")])
def test_bitmaps_and_icons_show_their_source(format_, mode):
    image = _in_mode(mode)
    expected = by_pillow(encoded(image, "PNG"))

    for options in [{}] if format_ == "BMP" else [{}, {"bitmap_format": "bmp"}]:
        assert np.abs(shown(encoded(image, format_, **options)) - expected).max() <= 1
