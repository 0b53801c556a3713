"""`serve` over stand-ins that are there once a file says so: as a model that takes long to load."""

import logging
import time

from ml_api import logs
from ml_api.cli.exits import Exit
from ml_api.errors import ConfigError
from ml_api.images import ImageLimits
from ml_api.services import Services
from ml_api.serving import Server, end
from ml_api.settings import Settings, load_settings
from tests.stand_ins import stand_in_services

LOADED = "loaded"
"""The file, in the data folder."""


def build(settings: Settings) -> Services:
    assert settings.corpus is not None
    while not (settings.data_dir / LOADED).exists():
        time.sleep(0.05)
    limits = ImageLimits(settings.max_upload_bytes, settings.max_image_pixels, settings.max_image_aspect)
    return stand_in_services(settings.corpus, settings.data_dir / "thumbnails", limits)


if __name__ == "__main__":
    settings = load_settings()
    logs.configure(settings.log_level, settings.environment)
    try:
        code = Server(settings, build).run()
    except ConfigError as exc:  # which the command line prints
        logging.getLogger(__name__).critical(exc.detail)
        code = Exit.MISCONFIGURED
    end(code)
