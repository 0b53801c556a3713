"""Metadata of sidecars, uploads, tables and cameras, and which of them count more."""

import pytest
from PIL import Image

from ml_api.images import InlineDecoder
from ml_api.indexing.changes import Source
from tests.unit.indexing.stand_ins import DECODER


def test_a_sidecar_counts_more_than_the_catalogue_and_less_than_what_came_with_an_upload(world):
    (world.root / "metadata.jsonl").write_text('{"key": "a.png", "caption": "told", "price": 3, "tag": "told"}\n')
    world.draw("a.png")
    (world.root / "a.json").write_text('{"caption": "beside", "tag": "beside", "sizes": [1, 2]}')
    world.sync()
    said = {"caption": "beside", "price": 3, "tag": "beside", "sizes": [1, 2]}
    assert world.record("a.png").metadata == said
    world.note("a.png", source=Source.UPLOAD, facts={"tag": "uploaded"})
    world.consumer.run()
    assert world.record("a.png").metadata == said | {"tag": "uploaded"}
    assert world.sync().outcomes.keys() == {"unchanged"}


@pytest.mark.parametrize("by", ["sync", "notice"])
def test_a_changed_sidecar_changes_the_metadata_and_embeds_nothing(world, by):
    world.draw("a.png")
    world.sync()
    world.encoder.batches.clear()
    for text, expected in (('{"caption": "Rex"}', {"caption": "Rex"}), ('{"caption": "Max"}\n', {"caption": "Max"}), (None, {})):
        (world.root / "a.json").unlink(missing_ok=True)
        if text is not None:
            (world.root / "a.json").write_text(text)
        if by == "sync":
            world.sync()
        else:
            world.note("a.png")
            world.consumer.run()
        assert world.record("a.png").metadata == expected
        assert world.sync().outcomes.keys() == {"unchanged"}
    assert world.encoder.batches == []


def test_a_notice_of_a_sidecar_changes_the_metadata_of_its_images_and_embeds_nothing(world):
    """As buckets send it, which say nothing of the image then."""
    world.draw("dogs/a.png")
    world.draw("dogs/a.b.png", (1, 2, 3))
    world.sync()
    world.encoder.batches.clear()
    sidecar = world.root / "dogs" / "a.json"
    for text, expected in (('{"caption": "Rex"}', {"caption": "Rex"}), ('{"caption": "Max"}\n', {"caption": "Max"}), (None, {})):
        sidecar.unlink() if text is None else sidecar.write_text(text)
        world.note("dogs/a.json", "dogs/none.json", source=Source.EVENT)
        world.consumer.run()
        assert world.record("dogs/a.png").metadata == expected
        assert world.record("dogs/a.b.png").metadata == {}
        assert world.rows() == {}
    assert world.encoder.batches == []


@pytest.mark.parametrize(
    ("sidecar", "reason"),
    [
        (b"[1]", "not an object"),
        (b'{"a": 1,\n}', "not valid JSON, from line 2, column 1 on"),
        (b"\xff{}", "not UTF-8"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"a": NaN}', "not plain JSON"),
        (b'{"a": "' + b"x" * 70_000 + b'"}', "more than 65,536 bytes"),
    ],
    ids=["list", "syntax", "utf-8", "depth", "nan", "size"],
)
def test_a_bad_sidecar_is_named_with_its_reason_and_its_image_and_all_others_are_taken(world, caplog, sidecar, reason):
    world.draw("dogs/a.png")
    world.draw("dogs/b.png", (1, 2, 3))
    (world.root / "dogs" / "a.json").write_bytes(sidecar)
    (world.root / "dogs" / "b.json").write_text('{"caption": "Max"}')
    world.sync()
    assert set(world.stored()) == {"dogs/a.png", "dogs/b.png"}
    assert world.record("dogs/b.png").metadata == {"caption": "Max"}
    [record] = [record for record in caplog.records if "left out" in record.getMessage()]
    assert record.getMessage().startswith("dogs/a.json is left out")
    assert reason in record.getMessage()


def test_what_the_camera_noted_counts_less_than_what_people_say_and_stays_when_that_changes(world):
    exif = Image.Exif()
    exif[0x0110], exif[0x0132] = "X100", "2026:11:26 09:30:15"
    Image.new("RGB", (40, 30)).save(world.root / "a.jpg", exif=exif)
    world.decoder = InlineDecoder(DECODER.limits, exif=True)
    (world.root / "metadata.jsonl").write_text('{"key": "a.jpg", "exif_camera": "my camera"}')
    world.sync()
    assert world.record("a.jpg").metadata == {"exif_taken_at": "2026-11-26T09:30:15", "exif_camera": "my camera"}
    assert world.sync().outcomes.keys() == {"unchanged"}
    (world.root / "metadata.jsonl").write_text('{"key": "a.jpg", "tag": 1}')
    world.encoder.batches.clear()
    world.sync()
    assert world.record("a.jpg").metadata == {"exif_taken_at": "2026-11-26T09:30:15", "exif_camera": "X100", "tag": 1}
    assert world.encoder.batches == []
