"""Semantic image search: CLIP embeds, Milvus finds, Flask answers."""

__version__ = "0.1.0"
