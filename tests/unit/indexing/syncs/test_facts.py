"""What a sync stores beside the vector: metadata of every source, what was edited over the API, perceptual hashes."""

import io
import json
import os
import shutil
import unicodedata
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_api.corpus.metadata import Catalogue
from ml_api.deadline import Deadline
from ml_api.images.perceptual import STORED_CHARS
from ml_api.indexing.edits import patch_metadata
from ml_api.indexing.guard import Consent
from ml_api.records import image_id
from ml_api.vocabulary import SyncOutcome
from tests.unprivileged import without_privileges


def test_new_metadata_replaces_the_record_and_keeps_the_vector(world):
    world.draw("a.png")
    world.sync()
    (world.root / "metadata.jsonl").write_text('{"key": "a.png", "caption": "new"}\n')
    assert world.outcomes() == {"replaced": 1}
    assert world.encoder.batches == [1]
    assert world.store.get([image_id("a.png")])[image_id("a.png")].metadata == {"caption": "new"}


def parquet(rows):
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("metadata.csv", lambda price: f"key,price\na.png,{price}\n".encode()),
        ("metadata.jsonl", lambda price: f'{{"key": "a.png", "price": {price}}}\n'.encode()),
        ("metadata.parquet", lambda price: parquet([{"key": "a.png", "price": price}])),
        ("../catalogue.csv", lambda price: f"key;price\na;{price}\n".encode("utf-16")),
    ],
)
def test_changed_metadata_of_every_source_reach_the_record_and_cost_no_embedding(world, name, written):
    world.catalogue = Catalogue(str(world.root / "../catalogue.csv")) if name == "../catalogue.csv" else None
    world.draw("a.png")
    (world.root / name).write_bytes(written(5))
    world.sync()
    vector = world.store.vectors([image_id("a.png")])[image_id("a.png")]
    assert world.outcomes() == {"unchanged": 1}
    (world.root / name).write_bytes(written(7))
    assert world.outcomes() == {"replaced": 1}
    assert world.store.get([image_id("a.png")])[image_id("a.png")].metadata == {"price": 7}
    assert world.encoder.batches == [1]
    np.testing.assert_array_equal(world.store.vectors([image_id("a.png")])[image_id("a.png")], vector)


def edit(world, key, patch):
    return patch_metadata(world.store, image_id(key), patch, Deadline.within(60))


def test_edited_metadata_outlive_syncs_until_the_catalogue_says_something_new(world):
    path = world.draw("a.png")
    rows = world.root / "metadata.csv"
    rows.write_text("key,price,name\na.png,10,shoe\n")
    world.sync()
    edit(world, "a.png", {"price": 12, "tag": "sale"})
    assert world.outcomes() == {"unchanged": 1}
    assert world.preview().to_read == 0, "an edit makes no work for the next sync"
    os.utime(path, ns=(1, 1))
    assert world.outcomes() == {"unchanged": 1}
    assert world.metadata("a.png") == {"price": 12, "tag": "sale", "name": "shoe"}
    world.draw("a.png", (1, 2, 3))
    assert world.outcomes() == {"replaced": 1}
    assert world.metadata("a.png") == {"price": 12, "tag": "sale", "name": "shoe"}
    rows.write_text("key,price,name\na.png,11,shoe\n")
    assert world.outcomes() == {"replaced": 1}
    assert world.metadata("a.png") == {"price": 11, "tag": "sale", "name": "shoe"}
    assert world.encoder.batches == [1, 1]


def test_a_moved_image_keeps_its_edits_and_a_copy_has_none(world):
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3))
    world.sync()
    edit(world, "a.png", {"tag": "sale"})
    shutil.copy(world.root / "a.png", world.root / "copy.png")
    assert world.outcomes() == {"duplicate": 1, "unchanged": 2}
    assert world.metadata("copy.png") == {}
    (world.root / "copy.png").unlink()
    assert world.outcomes() == {"removed": 1, "unchanged": 2}
    shutil.move(world.root / "a.png", world.root / "moved.png")
    assert world.outcomes() == {"moved": 1, "unchanged": 1}
    assert world.metadata("moved.png") == {"tag": "sale"}


def test_a_catalogue_that_is_away_for_a_while_changes_nothing(world):
    export = world.root / "../catalogue.csv"
    world.catalogue = Catalogue(str(export))
    world.draw("a.png")
    (world.root / "metadata.csv").write_text("key,n\na.png,1\n")
    export.write_text("id,price\na,5\n")
    world.sync()
    export.unlink()
    assert world.outcomes() == {"unchanged": 1}
    assert world.store.get([image_id("a.png")])[image_id("a.png")].metadata == {"n": 1, "id": "a", "price": 5}


@pytest.mark.parametrize("value", ["NaN", "99999999999999999999", f'"{"x" * 70_000}"'], ids=["NaN", "too large", "too long"])
def test_metadata_that_cannot_be_stored_are_reported_and_the_image_is_indexed(world, value):
    world.draw("a.png")
    (world.root / "metadata.jsonl").write_text(f'{{"key": "a.png", "value": {value}}}\n')
    report = world.sync()
    assert report.outcomes == {SyncOutcome.ADDED: 1}
    [problem] = report.problems
    assert "a.png" in problem
    assert world.store.get([image_id("a.png")])[image_id("a.png")].metadata == {}


def test_a_picture_of_an_earlier_version_gets_its_perceptual_hash_when_its_file_is_read_again(world):
    path = world.draw("a.png")
    world.sync()
    [hashed] = world.store.entries()
    assert len(hashed.phash) == STORED_CHARS
    record = replace(world.store.get([hashed.id])[hashed.id], phash="")
    world.store.upsert([record], world.store.vectors([hashed.id])[hashed.id][None])
    world.encoder.batches.clear()
    os.utime(path, (1, 1))
    world.sync()
    [again] = world.store.entries()
    assert again.phash == hashed.phash
    assert world.encoder.batches == []


@pytest.mark.parametrize("phash", ["", "0123456789abcdef"])
def test_images_of_an_earlier_version_get_their_hashes_when_that_is_asked_for_and_are_not_embedded(world, phash):
    for number in range(3):
        world.draw(f"{number}.png", (number, 90, 90))
    world.sync()
    hashed = {entry.key: entry.phash for entry in world.store.entries()}
    old = world.store.get([image_id("0.png")])[image_id("0.png")]
    world.store.upsert([replace(old, phash=phash)], world.store.vectors([old.id])[old.id][None])
    world.encoder.batches.clear()
    assert world.preview().to_read == 0
    assert world.indexer(rehash=True).preview(Consent()).to_read == 1

    assert world.outcomes(rehash=True) == {"unchanged": 3}

    assert {entry.key: entry.phash for entry in world.store.entries()} == hashed
    assert world.encoder.batches == []
    assert world.indexer(rehash=True).preview(Consent()).to_read == 0


def test_images_whose_metadata_cannot_be_stored_are_named_up_to_twenty_and_then_counted(world):
    rows = []
    for number in range(23):
        world.draw(f"{number:02}.png", (number, 30, 30))
        rows.append(json.dumps({"key": f"{number:02}.png", "text": "x" * 70_000}) + "\n")
    (world.root / "metadata.jsonl").write_text("".join(rows))
    problems = world.preview().problems
    assert len(problems) == 21
    assert problems[-1] == "of 3 more images the metadata cannot be stored"


def test_an_unreadable_metadata_file_takes_no_metadata_away(shared_world):
    world = shared_world
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3))
    (world.root / "metadata.csv").write_text("key,caption\na.png,kept\n")
    world.sync()
    (world.root / "metadata.csv").chmod(0)
    with without_privileges():
        report = world.sync()
    assert report.outcomes == {SyncOutcome.UNCHANGED: 2}
    assert len(report.problems) == 1
    assert world.store.get([image_id("a.png")])[image_id("a.png")].metadata == {"caption": "kept"}
    (world.root / "metadata.csv").unlink()
    assert world.outcomes() == {"replaced": 1, "unchanged": 1}


def test_keys_of_metadata_match_in_whatever_form_the_file_system_has_them(world):
    for form in ("NFC", "NFD"):
        world.draw(f"{form}/{unicodedata.normalize(form, 'café')}.png", (len(form), 2, 3))
    (world.root / "metadata.jsonl").write_text(
        "".join(json.dumps({"key": f"{form}/café.png", "form": form}) + "\n" for form in ("NFC", "NFD"))
    )
    assert world.sync().problems == ()
    records = world.store.get([entry.id for entry in world.store.entries()]).values()
    assert sorted(record.metadata["form"] for record in records) == ["NFC", "NFD"]


def test_keys_of_no_image_are_one_problem(world):
    world.draw("a.png")
    rows = "".join(f"{number}.png,x\n" for number in range(300))
    (world.root / "metadata.csv").write_text(f"key,caption\na.png,x\n{rows}")
    [problem] = world.sync().problems
    told, rule = problem.split("; ")
    assert told == "300 of 301 keys are of no image here, such as '0.png', '1.png', '10.png'"
    assert rule == (
        "a row names its image by its key, the name of its file without the ending, or the name of its folder, "
        "in the first that it has of the fields key, id, product_id, sku"
    )
