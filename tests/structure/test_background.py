"""The tests, run in the background: a shell has SIGINT ignored there, and whatever a program starts inherits that."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAME = "test_a_program_that_a_test_starts_takes_ctrl_c"
IGNORING = 'trap "" INT; exec "$@"'
INTERRUPTED = "import signal; signal.raise_signal(signal.SIGINT)"


def test_a_program_that_a_test_starts_takes_ctrl_c():
    ran = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert "KeyboardInterrupt" in ran.stderr


def test_it_does_so_in_a_run_that_ignores_ctrl_c():
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{Path(__file__).relative_to(ROOT)}::{NAME}"]
    ran = subprocess.run(["sh", "-c", IGNORING, "sh", *run], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
