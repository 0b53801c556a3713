"""CLIP through sentence-transformers: the only room that knows torch, which the first model loads, not the import of this."""

from ml_api.embedding.clip.encoder import ClipEncoder
from ml_api.embedding.clip.loading import Device
from ml_api.embedding.clip.memory import memory
from ml_api.embedding.clip.precision import Precision
from ml_api.embedding.clip.preparing import ClipPreparer

__all__ = ["ClipEncoder", "ClipPreparer", "Device", "Precision", "memory"]
