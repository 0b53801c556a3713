"""Rights that count: root is asked for none, so tests of what a person may not read borrow the rights of nobody."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

NO_REPORT = 65534

AS_A_PERSON = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
"""Before a command: root then has the rights of an owner only. Not another user, who may not enter where Python is installed."""


@contextmanager
def without_privileges():
    """This process, all its threads, acts as nobody; for anybody but root, as itself."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NO_REPORT)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def open_folder():
    """A temporary folder that anybody can reach and nobody owns: pytest's own are below one that only their owner enters."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(folder, NO_REPORT, NO_REPORT)
    try:
        yield folder
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", str(folder)], check=True)
        shutil.rmtree(folder)
