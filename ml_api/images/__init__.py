"""Every image file is decoded here: `decode` returns a small RGB image, or raises InvalidImage for a file that it cannot accept."""

from ml_api.images.base import Decoder, FittedImage, InlineDecoder
from ml_api.images.cropping import Crop
from ml_api.images.decoders import versions
from ml_api.images.decoding import DecodedImage, ImageLimits, decode
from ml_api.images.fit import THUMBNAIL_MEDIA_TYPE, Fit, Reduced, RgbPixels, Square, Whole, thumbnail
from ml_api.images.formats import ACCEPTED, MEDIA_TYPES, SUFFIXES, identify

__all__ = [
    "ACCEPTED",
    "MEDIA_TYPES",
    "SUFFIXES",
    "THUMBNAIL_MEDIA_TYPE",
    "Crop",
    "DecodedImage",
    "Decoder",
    "Fit",
    "FittedImage",
    "ImageLimits",
    "InlineDecoder",
    "Reduced",
    "RgbPixels",
    "Square",
    "Whole",
    "decode",
    "identify",
    "thumbnail",
    "versions",
]
