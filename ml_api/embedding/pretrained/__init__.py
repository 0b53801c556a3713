"""Finds the files of a model by its name, and reads its properties without loading it. Imports no torch."""

from ml_api.embedding.pretrained.finding import resolve
from ml_api.embedding.pretrained.model import Kind, PretrainedModel

__all__ = ["Kind", "PretrainedModel", "resolve"]
