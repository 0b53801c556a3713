"""How well the calibration predicts whether a search has a match, and how often it predicts one where there is none.

`python -m benchmarks.relevance` asks about the demo's pictures, and about parts of them drawn at random. With `--corpus FOLDER`,
`--model NAME` and `--queries FILE` (judged texts, as `evaluate relevance` takes them) it asks about pictures of one's own. Nothing
in the corpus matches the queries without keys, and the pictures in the folder `--elsewhere`. Nothing here is a speed.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import mean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks import machine, results
from demo.confidence import judgements
from demo.corpus import write_corpus
from ml_api.calibration import Calibrated, IndexedCorpus, calibrate_all
from ml_api.calibration.evaluating import LabelledQuery, evaluate, read_labelled
from ml_api.calibration.nonsense import gibberish, noise
from ml_api.images import SUFFIXES, ImageLimits, InlineDecoder
from ml_api.images.fit import Fit, RgbPixels
from ml_api.records import ImageRecord, Vectors
from ml_api.search.relevance import CONFIDENT, TOP_K, Calibrations
from ml_api.services.calibration import open_calibration
from ml_api.settings import load_settings
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.memory import MemoryStore
from ml_api.vocabulary import QUERY_KINDS, QueryKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MODEL = Path(__file__).parents[1] / "demo" / "model"
PARTS = (100, 150, 300, 600, 1000)
"""Images of the demo that make a corpus of their own, beside all of them."""
DRAWS = 3
SEED = 100
"""Another one than calibrating has: what is asked here, it has not seen."""
ASKED = 200
"""Texts of random letters, pictures of noise, pictures of no thing and pictures from elsewhere, of each."""
LIMITS = ImageLimits(64 * 2**20, 200_000_000, 50)


@dataclass(frozen=True, slots=True)
class Told:
    """Of `searches` of the corpus's own, cross-validated as `calibrate` does it, or of the judged queries. NaN: not calibrated."""

    images: int
    by: str
    searches: float
    auc_raw: float
    auc: float
    calibration_error: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """Of what is `asked`, the share whose answer is `confident`. NaN: null, as it is not told, or no better than by guessing."""

    images: int
    by: str
    asked: int
    confident: float


@dataclass(frozen=True, slots=True)
class Asked:
    """What all corpora are asked: judged texts, and by name the vectors of what nothing matches."""

    queries: Sequence[LabelledQuery]
    texts: Vectors
    unmatched: dict[tuple[QueryKind, str], Vectors]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.relevance", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, help="a folder of pictures (default: the demo's, and parts of them)")
    parser.add_argument("--model", default=str(MODEL), help="default: the demo's")
    parser.add_argument("--queries", type=Path, help="judged texts (default: the demo's)")
    parser.add_argument("--elsewhere", type=Path, help="a folder of pictures of other things")
    options = parser.parse_args()
    if (options.corpus is None) != (options.queries is None):
        parser.error("--corpus and --queries belong together")
    with TemporaryDirectory() as folder:
        corpus, queries = options.corpus, options.queries
        if corpus is None:
            corpus, queries = Path(folder) / "demo", Path(folder) / "queries.jsonl"
            write_corpus(corpus)
            queries.write_text("".join(json.dumps(one) + "\n" for one in judgements()))
        environment = {"ML_API_MODEL": options.model, "ML_API_CORPUS": str(corpus), "ML_API_DATA_DIR": folder}
        subprocess.run([sys.executable, "-m", "ml_api", "sync"], env=os.environ | environment, check=True)
        with open_calibration(load_settings(environment)) as parts:
            told, claimed = _measured(
                parts.corpus, read_labelled(queries), options.elsewhere, PARTS if options.corpus is None else ()
            )
    results.table("is there a match", told)
    results.table("how often what is asked is called a match", claimed)
    results.save("relevance", machine.describe(), {"told": told, "claimed": claimed}, [_drawing(claimed)])


def _measured(
    whole: IndexedCorpus, queries: list[LabelledQuery], elsewhere: Path | None, parts: Sequence[int]
) -> tuple[list[Told], list[Claimed]]:
    images = [(record, vector) for records, vectors in whole.store.scan() for record, vector in zip(records, vectors, strict=True)]
    asked = _asked(whole, queries, elsewhere)
    told, claimed = list[Told](), list[Claimed]()
    for size in (*parts, len(images)):
        draws = [_judged(_part(whole, images, size, draw), asked) for draw in range(DRAWS if size < len(images) else 1)]
        told += [_mean_told(rows) for rows in zip(*(one for one, _ in draws), strict=True)]
        claimed += [
            Claimed(size, rows[0].by, rows[0].asked, _mean([row.confident for row in rows]))
            for rows in zip(*(one for _, one in draws), strict=True)
        ]
    return told, claimed


def _asked(corpus: IndexedCorpus, queries: list[LabelledQuery], elsewhere: Path | None) -> Asked:
    chance, fit = Random(SEED), corpus.preprocessor.fit  # noqa: S311 - no secret
    unmatched: dict[tuple[QueryKind, str], Vectors] = {
        ("text", "texts that nothing matches"): corpus.embedded([query.text for query in queries if not query.matches]),
        ("text", "random letters"): corpus.embedded(gibberish(chance, ASKED)),
        ("image", "noise"): corpus.pictured(noise(chance, ASKED, fit)),
        ("image", "plain, striped and cloudy pictures"): corpus.pictured(list(_of_nothing(fit))),
    }
    if elsewhere is not None:
        unmatched["image", "pictures from elsewhere"] = corpus.pictured(list(_pictures(elsewhere, fit)))
    return Asked(queries, corpus.embedded([query.text for query in queries]), unmatched)


def _part(
    whole: IndexedCorpus, images: Sequence[tuple[ImageRecord, npt.NDArray[np.float32]]], size: int, draw: int
) -> IndexedCorpus:
    model, store = whole.encoder.model, MemoryStore()
    store.ensure(model.model_id, model.dim)
    some = Random(SEED + draw).sample(images, size)  # noqa: S311 - no secret
    store.upsert([record for record, _ in some], np.stack([vector for _, vector in some]))
    return IndexedCorpus(store, whole.metric, whole.preprocessor, whole.encoder)


def _judged(corpus: IndexedCorpus, asked: Asked) -> tuple[list[Told], list[Claimed]]:
    made, size = calibrate_all(corpus), corpus.store.count()
    told = [_own(size, kind, made.get(kind)) for kind in QUERY_KINDS]
    by_text = made.get("text")
    found = evaluate(asked.queries, corpus, by_text.calibration if by_text and by_text.measures.tells else None)
    measures = found.as_calibrated
    figures = (measures.auc, measures.calibration_error) if measures else (np.nan, np.nan)
    told.append(Told(size, "judged texts", found.searches, found.fitted.raw_auc, *figures))
    stored = corpus.store.get(sorted({image for query in asked.queries for image in query.matches}))
    matched = asked.texts[[bool(query.matches & stored.keys()) for query in asked.queries]]
    claimed = [_claimed(corpus, "text", "judged texts with a match", matched, made)]
    claimed += [_claimed(corpus, kind, name, vectors, made) for (kind, name), vectors in asked.unmatched.items()]
    return told, claimed


def _own(size: int, kind: QueryKind, made: Calibrated | None) -> Told:
    name = {"text": "a text", "image": "an image", "mixed": "an image and texts"}[kind]
    if made is None:
        return Told(size, name, np.nan, np.nan, np.nan, np.nan)
    measures = made.measures
    name += "" if measures.tells else " (null)"
    return Told(size, name, measures.queries, measures.raw_auc, measures.auc, measures.calibration_error)


def _claimed(
    corpus: IndexedCorpus, kind: QueryKind, name: str, vectors: Vectors, made: dict[QueryKind, Calibrated | None]
) -> Claimed:
    calibrations, calibrated = Calibrations(corpus.metric), made.get(kind)
    if calibrated is None or not calibrated.measures.tells or not len(vectors):
        return Claimed(corpus.store.count(), name, len(vectors), np.nan)
    calibrations.use(kind, calibrated.calibration)
    confident = 0
    for vector, best in zip(vectors, corpus.store.search(vectors, SearchOptions(TOP_K)), strict=True):
        estimator = calibrations.estimator(kind, vector, best, vector if kind == "image" else None)
        confident += estimator is not None and estimator.any_match(best) >= CONFIDENT
    return Claimed(corpus.store.count(), name, len(vectors), confident / len(vectors))


def _of_nothing(fit: Fit) -> Iterator[RgbPixels]:
    """Of other sorts than `noise` has: of one colour, striped, or of as much contrast at every scale as photographs have."""
    generator, edge = np.random.default_rng(SEED), 2 * fit.edge_px
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(edge), np.fft.fftfreq(edge)))
    frequencies[0, 0] = 1 / edge
    for number in range(ASKED):
        pixels = np.tile(generator.uniform(0, 255, 3), (edge, edge, 1))
        if number % 3 == 1:
            pixels[:, np.arange(edge) // generator.integers(2, edge // 4) % 2 == 0] = generator.uniform(0, 255, 3)
        elif number % 3 == 2:
            clouds = [np.fft.ifft2(np.fft.fft2(generator.standard_normal((edge, edge))) / frequencies).real for _ in range(3)]
            pixels = pixels + 50 * np.stack([one / one.std() for one in clouds], axis=-1)
        yield fit.apply(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))


def _pictures(folder: Path, fit: Fit) -> Iterator[RgbPixels]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    decoder = InlineDecoder(LIMITS)
    for path in Random(SEED).sample(files, min(ASKED, len(files))):  # noqa: S311 - no secret
        yield decoder.decode(path.read_bytes(), fit).pixels


def _mean_told(rows: Sequence[Told]) -> Told:
    names = ("searches", "auc_raw", "auc", "calibration_error")
    return Told(rows[0].images, rows[0].by, *(_mean([getattr(row, name) for row in rows]) for name in names))


def _mean(values: Sequence[float]) -> float:
    """Of those that there are."""
    some = [value for value in values if not np.isnan(value)]
    return mean(some) if some else np.nan


def _drawing(claimed: Sequence[Claimed]) -> "Callable[[Axes], None]":
    def draw(axis: "Axes") -> None:
        sizes, names = sorted({row.images for row in claimed}), list(dict.fromkeys(row.by for row in claimed))
        series = {name: [row.confident for row in claimed if row.by == name] for name in names}
        results.bars(axis, "confident", "share", [f"{size:,}" for size in sizes], series)

    return draw


if __name__ == "__main__":
    main()
