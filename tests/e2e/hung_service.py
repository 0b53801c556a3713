"""`serve` over stand-ins, with real decoding processes, and a model that hangs once somebody has searched for HANG."""

import threading
from collections.abc import Sequence

from ml_api import logs
from ml_api.embedding.base import Prepared
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.images import ImageLimits
from ml_api.images.processes import Bounds, ProcessDecoder
from ml_api.metrics import Metrics
from ml_api.records import Vectors
from ml_api.services import Services
from ml_api.serving import Server, end
from ml_api.settings import Settings, load_settings
from tests.stand_ins import stand_in_services

HANG = "hang"


class HangingEncoder(FakeEncoder):
    _first_of_hang = FakePreprocessor().prepare_text(HANG).features[0]

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        if any(item.features.flat[0] == self._first_of_hang for item in items):
            threading.Event().wait()
        return super().embed(items)


def build(settings: Settings) -> Services:
    assert settings.corpus is not None
    limits, metrics = ImageLimits(settings.max_upload_bytes, settings.max_image_pixels, settings.max_image_aspect), Metrics()
    decoder = ProcessDecoder(limits, Bounds(2, 2**30, 20), metrics.decoding)
    return stand_in_services(
        settings.corpus, settings.data_dir / "thumbnails", limits, HangingEncoder(), metrics=metrics, decoder=decoder
    )


if __name__ == "__main__":
    settings = load_settings()
    logs.configure(settings.log_level, settings.environment)
    end(Server(settings, build).run())
