"""CLIP through sentence-transformers: the only room that knows torch, which the first model loads, not the import of this."""

from ml_api.embedding.clip.describing import preprocessor_of
from ml_api.embedding.clip.encoder import ClipEncoder
from ml_api.embedding.clip.loading import Device, device_for, memory

__all__ = ["ClipEncoder", "Device", "device_for", "memory", "preprocessor_of"]
