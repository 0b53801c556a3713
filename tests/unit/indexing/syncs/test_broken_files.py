"""Files that cannot be decoded, and models that make nothing of them: each is reported and stops no other."""

import pytest

from ml_api.errors import InsufficientStorage, ModelOutOfMemory, Overloaded
from ml_api.images import InlineDecoder
from ml_api.vocabulary import SyncOutcome
from tests.unit.indexing.stand_ins import DECODER, RecordingEncoder
from tests.unit.indexing.syncs.world import Dazzled


@pytest.mark.parametrize("error", [Overloaded, InsufficientStorage])
def test_a_file_that_cannot_be_decoded_now_is_told_and_tried_again(world, error):
    """The whole sync failed where the system's limit for the size of files kept an image from the process that decodes it."""
    world.draw("a.png")
    big = world.draw("big.png", (1, 2, 3), (400, 300))

    class Full(InlineDecoder):
        def decode(self, data, *rest):
            if data == big.read_bytes():
                raise error("no room")
            return super().decode(data, *rest)

    world.decoder = Full(DECODER.limits)
    assert world.outcomes() == {"added": 1, "failed": 1}
    assert [file.code for file in world.files if file.outcome is SyncOutcome.FAILED] == [error.code]
    world.decoder = DECODER
    assert world.outcomes() == {"added": 1, "unchanged": 1}


def test_a_broken_file_is_reported_and_stops_nothing(world):
    world.draw("a.png")
    (world.root / "broken.jpg").write_bytes(b"not an image")
    (world.root / "empty.png").write_bytes(b"")
    (world.root / "huge.png").write_bytes(b"x" * 100_001)
    report = world.sync()
    assert report.outcomes == {SyncOutcome.ADDED: 1, SyncOutcome.FAILED: 3}
    reasons = world.failures()
    assert set(reasons) == {"broken.jpg", "empty.png", "huge.png"}
    assert "100000" in reasons["huge.png"].replace(",", "")


def test_a_file_that_broke_no_longer_shows_what_it_was(world):
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3))
    world.sync()
    (world.root / "a.png").write_bytes(b"broken now")
    assert world.outcomes() == {"failed": 1, "unchanged": 1}
    assert set(world.stored()) == {"b.png"}


class SmallMemory(RecordingEncoder):
    """Has room for `fits` images at once."""

    def __init__(self, fits):
        super().__init__()
        self._fits = fits

    def embed(self, items):
        vectors = super().embed(items)
        if len(items) > self._fits:
            raise ModelOutOfMemory
        return vectors


def test_a_batch_that_does_not_fit_into_memory_is_embedded_in_parts(world):
    world.encoder = SmallMemory(fits=2)
    for number in range(7):
        world.draw(f"{number}.png", (200, 10 * number, 30))

    assert world.outcomes() == {"added": 7}
    assert world.encoder.batches == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_a_model_without_memory_for_a_single_image_ends_the_sync(world):
    world.encoder = SmallMemory(fits=0)
    world.draw("a.png")

    with pytest.raises(ModelOutOfMemory):
        world.sync()


def test_an_image_that_the_model_makes_nothing_of_is_reported_and_stops_nothing(world):
    world.encoder = Dazzled()
    for number in range(5):
        world.draw(f"{number}.png", (200, 10 * number, 30))
    world.sync()
    world.draw("1.png", (255, 255, 255))
    world.draw("new.png", (30, 30, 200))

    world.sync()

    assert [key for key, reason in world.failures().items() if "not finite" in reason] == ["1.png"]
    assert sorted(world.stored()) == ["0.png", "2.png", "3.png", "4.png", "new.png"]
