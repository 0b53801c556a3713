"""Commands that run in the tests' own process leave it as it was."""

import logging
import os

import pytest

from ml_api.logs import OUR_LOGGERS


@pytest.fixture(autouse=True)
def _process_as_it_was():
    """A command sets the process's umask and where its log goes, for good."""
    umask = os.umask(0o022)
    os.umask(umask)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in (*OUR_LOGGERS, "grpc._server", "milvus_lite")}
    yield
    os.umask(umask)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, one in levels.items():
        logging.getLogger(name).setLevel(one)
    logging.captureWarnings(capture=False)
