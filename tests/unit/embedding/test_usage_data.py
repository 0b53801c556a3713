"""OpenVINO reports each import to Google Analytics, under an id that it keeps in the home folder. Nobody here has agreed to it."""

import subprocess
import sys

LOOK = """
import ml_api.embedding.openvino.encoder
from openvino.tools.ovc.telemetry_utils import init_ovc_telemetry
print(type(init_ovc_telemetry()).__module__)
"""


def test_nothing_is_reported_and_nothing_is_left_in_the_home_folder(tmp_path):
    environment = {"HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    looked = subprocess.run([sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert looked.stdout == "openvino.tools.ovc.telemetry_stub\n", "which sends nothing"
    assert list(tmp_path.iterdir()) == []
