"""The forward pass on CPUs: OpenVINO's, one call that leaves Python's lock alone, on a model converted once and kept on disk."""

from ml_api.embedding.openvino.encoder import OpenVinoEncoder
from ml_api.embedding.openvino.files import ConvertedFiles, NotConverted

__all__ = ["ConvertedFiles", "NotConverted", "OpenVinoEncoder"]
