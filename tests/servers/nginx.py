"""A real nginx as people put it in front: Debian's, in a folder and on a port of its own."""

import os
import shutil
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from monitoring.local.launcher import ServerProcess, listens

CONFIGURATION = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 30m;
        {locations}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, port: int, locations: str):
    """Serves `locations`, in nginx's own words, on a port; gone afterwards."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.fail("these tests need the program nginx (Debian package: nginx-light)", pytrace=False)
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port, locations=locations))
    log = folder / "error.log"
    with ServerProcess([program, "-c", configuration, "-p", folder, "-e", log], partial(listens, port), log=log):
        yield
