"""CLIP through sentence-transformers and torch: for GPUs, and as the source of conversions to OpenVINO.

Importing this package does not import torch; loading a model does.
"""

from ml_api.embedding.clip.describing import preprocessor_of
from ml_api.embedding.clip.encoder import ClipEncoder
from ml_api.embedding.clip.loading import Device, device_for, memory

__all__ = ["ClipEncoder", "Device", "device_for", "memory", "preprocessor_of"]
