"""A start that fails leaves nothing open and nobody at work."""

import pytest

from ml_api.errors import ConfigError
from ml_api.services import build_services
from ml_api.settings import load_settings
from tests.models.tiny_clip import build_tiny_clip


def test_a_model_that_cannot_be_loaded_leaves_the_database_closed(tmp_path):
    model, corpus, data = build_tiny_clip(tmp_path / "model"), tmp_path / "corpus", tmp_path / "data"
    corpus.mkdir()
    weights = model / "0_CLIPModel" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    given = {"ML_API_CORPUS": str(corpus), "ML_API_DATA_DIR": str(data), "ML_API_MODEL": str(model), "ML_API_DEVICE": "cpu"}
    with pytest.raises(ConfigError, match="cannot be loaded"):
        build_services(load_settings(given))
    assert sorted(data.glob("*.sqlite3*")) == [data / "ml_api.sqlite3"]
