"""The only door for image bytes: what passes `decode` is a small, safe RGB image; everything else is an InvalidInput."""

from ml_api.images.decoding import DecodedImage, ImageLimits, decode
from ml_api.images.formats import MEDIA_TYPES, identify
from ml_api.images.thumbnails import THUMBNAIL_MEDIA_TYPE, thumbnail

__all__ = ["MEDIA_TYPES", "THUMBNAIL_MEDIA_TYPE", "DecodedImage", "ImageLimits", "decode", "identify", "thumbnail"]
