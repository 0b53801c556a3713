"""What the settings name, and the parts that are made of them."""

import pytest

from ml_api.errors import ConfigError
from ml_api.services.parts import corpus_of, location_of
from ml_api.settings import Settings


def test_a_location_is_known_without_the_corpus(tmp_path):
    """`search` and `migrate` ask for no more, and opened the folder or bucket for it."""
    (tmp_path / "images").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "images")
    folder, bucket = Settings(corpus=tmp_path / "linked"), Settings(corpus="memory://images/of/mine/")

    assert corpus_of(folder).location == location_of(folder) == str(tmp_path / "images")
    assert corpus_of(bucket).location == location_of(bucket) == "memory://images/of/mine"
    assert location_of(Settings()) == ""
    (tmp_path / "images").rmdir()
    with pytest.raises(ConfigError, match="is not a folder"):
        corpus_of(folder)
    assert location_of(folder) == str(tmp_path / "images")
