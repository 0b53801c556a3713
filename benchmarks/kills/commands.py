"""Commands that are killed, and run again to their end."""

import json
import shutil
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.kills.ground import (
    Contents,
    Ground,
    Place,
    assert_same,
    ended,
    killed,
    of_file,
    of_store,
    settings_of,
)
from ml_api.embedding.pretrained import resolve
from ml_api.metrics import Metrics
from ml_api.services.parts import milvus_store
from tests.e2e.server_process import MODEL

WITHIN_A_PART_S: Final = 0.3


def extract(ground: Ground, count: int, name: str) -> int:
    """Of more images than others have, which make some parts: each kill comes when as many rows are written as chance wants."""
    ground = replace(ground, images=4 * ground.images)
    corpus, target = ground.corpus(), ground.folder / name
    place = {"model": MODEL, "data_dir": ground.fresh("extract-data")}
    wanted, running = _extracted(ground, place), 0
    assert len(wanted) == ground.images
    for _ in range(count):
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
        for latest in (ground.images // 2, ground.images):  # the second hits an extraction that goes on
            rows = ground.chance.randint(min(_rows(target) + 1, latest), latest)
            running += killed(["extract", target, corpus], place, partial(_reaches, target, rows), ground.chance, WITHIN_A_PART_S)
        if not target.exists():
            ended("extract", target, corpus, **place)
        assert_same(of_file(target), wanted)
    return running


def _reaches(target: Path, rows: int) -> bool:
    return target.exists() or _rows(target) >= rows


def _rows(target: Path) -> int:
    """How many are written of an extraction that goes on."""
    try:
        return int(json.loads(target.with_name(f"{target.name}.parts").joinpath("state.json").read_bytes())["rows"])
    except FileNotFoundError:
        return 0


def _extracted(ground: Ground, place: Place) -> Contents:
    whole = ground.folder / "whole.parquet"
    ended("extract", whole, ground.corpus(), **place)
    return of_file(whole)


def sync(ground: Ground, count: int) -> int:
    wanted, running = _extracted(ground, {"model": MODEL, "data_dir": ground.fresh("extract-data")}), 0
    for _ in range(count):
        place = ground.place("sync-data")
        running += killed(["sync"], place, lambda: ground.collections(place) > 0, ground.chance, 6.0)  # noqa: B023 - within this round
        ended("sync", **place)
        assert_same(of_store(place), wanted)
    return running


def import_(ground: Ground, count: int) -> int:
    file, running = _vectors_file(ground), 0
    wanted, command = of_file(file), ["import", file, "--model-id", resolve(str(MODEL)).model_id]
    for _ in range(count):
        place = ground.place("import-data")
        running += killed(command, place, lambda: ground.collections(place) > 0, ground.chance, 5.0)  # noqa: B023 - within this round
        ended(*command, **place)
        assert_same(of_store(place), wanted)
    return running


def _vectors_file(ground: Ground) -> Path:
    path = ground.folder / "vectors.jsonl"
    if not path.exists():
        dim, noise = resolve(str(MODEL)).dim, np.random.default_rng(1)
        with path.open("w") as file:
            for number in range(ground.rows):
                vector = noise.standard_normal(dim)
                vector /= np.linalg.norm(vector)
                file.write(json.dumps({"key": f"{number:06}.jpg", "vector": vector.tolist()}) + "\n")
    return path


def migrate(ground: Ground, count: int) -> int:
    """Without a service."""
    new, running = ground.tiny(), 0
    for _ in range(count):
        place = ground.indexed("migrate-data")
        changed = place | {"model": new}
        running += killed(["migrate"], changed, lambda: ground.collections(place) > 1, ground.chance, 4.0)  # noqa: B023 - within this round
        assert len(of_store(place)) == ground.images  # what is in use is whole at any moment
        ended("migrate", **changed)
        assert len(of_store(place)) == ground.images
        with closing(milvus_store(settings_of(changed), Metrics())) as store:
            assert store.open_current().model_id.startswith("tiny")
    return running
