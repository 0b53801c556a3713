"""What the service says of its data at the start."""

import logging

import pytest

from ml_api.services.service import log_index_size
from ml_api.settings import load_settings


@pytest.fixture
def told(caplog, tmp_path):
    caplog.set_level(logging.INFO, "ml_api")

    def told(images, **variables):
        caplog.clear()
        log_index_size(
            load_settings({"ML_API_CORPUS": str(tmp_path), "ML_API_DATA_DIR": "/srv/kept"} | variables), str(tmp_path), images
        )
        return [(record.levelname, record.getMessage()) for record in caplog.records]

    return told


def test_the_folder_is_told_from_the_root_with_the_number_of_images(told, tmp_path):
    assert told(1500) == [("INFO", f"data         /srv/kept, 1500 images of {tmp_path}")]


def test_no_images_are_a_warning_with_the_next_step(told):
    _, (level, message) = told(0)
    assert level == "WARNING"
    assert message.endswith("run `python -m ml_api sync` with the same settings, beside this service")
