"""A picture as it comes to a model: fitted as in a decoding process, then prepared."""

from PIL import Image

from ml_api.embedding.base import Prepared, Preprocessor


def prepared_image(preprocessor: Preprocessor, image: Image.Image) -> Prepared:
    return preprocessor.prepare_image(preprocessor.fit.apply(image))
