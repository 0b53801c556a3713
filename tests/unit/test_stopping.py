"""Processes of ours do not outlive who started them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import wait_until

CHILD = "from ml_api.stopping import end_with_parent; end_with_parent(); print('ready', flush=True); import time; time.sleep(120)"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


def test_a_process_whose_parent_has_ended_already_ends_too():
    alone = "import os; from ml_api.stopping import end_with_parent; end_with_parent(os.getppid() + 1); print('goes on')"
    ran = subprocess.run([sys.executable, "-c", alone], stdout=subprocess.PIPE, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
def test_a_process_ends_when_its_parent_is_killed():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        parent.kill()
    wait_until(lambda: not Path(f"/proc/{child}").exists(), otherwise="the child is still there")
