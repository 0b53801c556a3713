"""What is done to text and images before the forward pass: tokenizers, Pillow and numpy, no torch and no weights."""

from ml_api.embedding.preprocessing.pixels import Normalisation, Pixels, stack
from ml_api.embedding.preprocessing.preprocessor import PretrainedPreprocessor
from ml_api.embedding.preprocessing.text import Tokenizer, pad

__all__ = ["Normalisation", "Pixels", "PretrainedPreprocessor", "Tokenizer", "pad", "stack"]
