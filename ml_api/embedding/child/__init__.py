"""The model in a process of its own, so that its passes and the requests of this one do not wait for each other's Python."""

from ml_api.embedding.child.encoder import ChildEncoder
from ml_api.embedding.child.messages import Load

__all__ = ["ChildEncoder", "Load"]
