"""The forward pass on CPUs, by OpenVINO: one call that releases Python's lock, on a model that is converted once and kept on
disk."""

from ml_api.embedding.openvino.encoder import OpenVinoEncoder
from ml_api.embedding.openvino.files import ConvertedFiles, NotConverted

__all__ = ["ConvertedFiles", "NotConverted", "OpenVinoEncoder"]
