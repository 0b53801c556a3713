"""Which files a model name means, and what they are: known without loading them. Imports no torch."""

from ml_api.embedding.pretrained.finding import resolve
from ml_api.embedding.pretrained.model import Kind, PretrainedModel

__all__ = ["Kind", "PretrainedModel", "resolve"]
