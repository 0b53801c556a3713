"""What is done to text and images before the forward pass: tokenizers, Pillow and numpy, no torch and no weights."""

from ml_api.embedding.preprocessing.pixels import PixelRecipe, Pixels
from ml_api.embedding.preprocessing.preprocessor import Preprocessor
from ml_api.embedding.preprocessing.text import Tokenizer

__all__ = ["PixelRecipe", "Pixels", "Preprocessor", "Tokenizer"]
