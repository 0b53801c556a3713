"""The forward pass on CPUs, by OpenVINO: one call that releases Python's lock, on a model that is converted once and kept on
disk."""

import sys

# OpenVINO reports every import and conversion to Google Analytics, under an id in the home folder, unless this package is missing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None makes its import fail

from ml_api.embedding.openvino.encoder import OpenVinoEncoder  # noqa: E402
from ml_api.embedding.openvino.files import ConvertedFiles, NotConverted  # noqa: E402

__all__ = ["ConvertedFiles", "NotConverted", "OpenVinoEncoder"]
