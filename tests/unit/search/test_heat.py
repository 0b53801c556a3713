"""Where in a picture a text is found, whatever the model: parts of the picture are embedded."""

from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import COLOURS, FakeEncoder, FakePreprocessor
from ml_api.errors import DeadlineExceeded, ModelUnavailable
from ml_api.images import Whole
from ml_api.metrics import Metrics
from ml_api.search.heat import MAX_ALONG, heat_of, windows_of


@pytest.fixture
def embedder():
    with closing(BatchingEncoder(FakeEncoder(), Metrics())) as embedder:
        yield embedder


def picture(width, height, **spots):
    """White, with squares of 10 pixels in the named colours at (left, top)."""
    image = Image.new("RGB", (width, height), COLOURS["white"])
    for colour, place in spots.items():
        image.paste(COLOURS[colour], (*place, place[0] + 10, place[1] + 10))
    return Whole(64).apply(image)


def heat(pixels, text, embedder, deadline=None):
    preprocessor = FakePreprocessor()
    return heat_of(pixels, preprocessor.prepare_text(text), preprocessor, embedder, deadline or Deadline.within(30))


@pytest.mark.parametrize(("width", "height"), [(40, 40), (60, 40), (40, 120)])
@pytest.mark.parametrize("corner", ["top left", "bottom right"])
def test_the_hottest_place_is_where_the_thing_is_on_pictures_of_every_shape(embedder, width, height, corner):
    places = {"top left": (2, 2), "bottom right": (width - 12, height - 12)}
    other = places["bottom right" if corner == "top left" else "top left"]
    found = heat(picture(width, height, red=places[corner], blue=other), "red", embedder).scores
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert (row < found.shape[0] / 2, column < found.shape[1] / 2) == ((True, True) if corner == "top left" else (False, False))
    assert found.shape[1] / found.shape[0] == pytest.approx(width / height, rel=0.1)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 85), (64, 1280), (1280, 64), (1, 1), (7, 9)])
def test_windows_cover_every_picture_and_are_not_too_many(height, width):
    covered = np.zeros((height, width), dtype=bool)
    windows = list(windows_of(height, width))
    for down, across in windows:
        covered[down.start : down.start + down.length, across.start : across.start + across.length] = True
        assert down.start + down.length <= height
        assert across.start + across.length <= width
    assert covered.all()
    assert len(windows) <= MAX_ALONG**2 / 2


def test_a_score_is_comparable_with_that_of_the_whole_picture(embedder):
    found = heat(picture(40, 40), "white", embedder)
    assert found.scores == pytest.approx(found.whole, abs=1e-5)


def test_a_deadline_that_has_passed_ends_it(embedder):
    with pytest.raises(DeadlineExceeded):
        heat(picture(40, 40), "red", embedder, Deadline.within(0.0))


def test_a_model_that_is_gone_is_said(embedder):
    embedder.close()
    with pytest.raises(ModelUnavailable):
        heat(picture(40, 40), "red", embedder)
