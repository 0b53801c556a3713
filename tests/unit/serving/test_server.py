"""What the server does around the application."""

import gc
import subprocess
import sys
from contextlib import closing

from ml_api.images import ImageLimits
from ml_api.serving.server import Server
from ml_api.settings import load_settings
from monitoring.local.launcher import free_port
from tests.stand_ins import stand_in_services


def test_the_garbage_collector_passes_over_what_is_there_when_serving_begins(tmp_path):
    """Else it stops everything for a tenth of a second and more, time and again."""
    services = stand_in_services(tmp_path, tmp_path / "thumbnails", ImageLimits(30_000, 1_000_000, 20))
    settings = load_settings({"ML_API_METRICS_PORT": str(free_port())})
    gc.unfreeze()  # tests/conftest.py has done the same
    with closing(services):
        try:
            Server(settings, lambda _settings: services)._build()
            assert gc.get_freeze_count() > 10_000
        finally:
            gc.unfreeze()


def test_the_exit_code_does_not_depend_on_whether_the_log_can_be_written():
    code = "import sys; from ml_api.serving import end; sys.stdout = open('/dev/full', 'w'); print('a line'); end(0)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
