"""The garbage collector, which is kept from what is loaded, is back when the work begins."""

import gc

import pytest

from ml_api.collector import collect_as_usual, collect_seldom
from ml_api.embedding.pretrained import resolve
from ml_api.services.encoder import load_model
from ml_api.settings import Settings
from tests.e2e.server_process import MODEL
from tests.models.converted_models import share_converted_models


@pytest.fixture(autouse=True)
def usual():
    yield gc.get_threshold()
    collect_as_usual()


def test_from_when_the_model_is_loaded_it_collects_as_usual(usual, tmp_path):
    share_converted_models(tmp_path)
    settings = Settings(model=str(MODEL), device="cpu", data_dir=tmp_path)
    collect_seldom()
    assert gc.get_threshold() > usual
    _, encoder, _ = load_model(settings, resolve(settings.model))
    encoder.close()
    assert gc.get_threshold() == usual
