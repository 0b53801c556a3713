"""`python -m demo.verdicts`: what people's verdicts on hits add to a calibration on captions, over the demo's pictures.

Of some texts the five best hits are called relevant or irrelevant, by the facts or against them. Other texts, half of all, tell
what comes of it: each is searched for with its matches and without, beside texts that nothing matches. The table of
docs/decisions/0078-relevance.md is what this prints.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import numpy as np

from demo.captions import HELD_OUT, word
from demo.confidence import OUTSIDE
from demo.corpus import COUNT, SEED, plan
from demo.judging import Vectors, asked, drawn, embed
from demo.queries import judged_queries
from demo.relevance import Claim, Mention, claim_codes, scene_codes, truth
from demo.scenes import Scene, Stream, imagine
from ml_api.calibration import IndexedCorpus, calibrate
from ml_api.calibration.measuring import Measures, measures_by
from ml_api.calibration.pairs import pairs_of
from ml_api.calibration.verdicts import IRRELEVANT, RELEVANT, Grades
from ml_api.records import ImageRecord, ModelInfo, image_id
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.memory import MemoryStore

SPLITS: Final = 5
LOOKED_AT: Final = 5
NUMBER: Final = 100
"""Texts that are judged."""
Judge = Callable[[bool, Random], bool]
"""What somebody says of a hit that is right, or is not."""


class Text(NamedTuple):
    text: str
    right: frozenset[str]


@dataclass(frozen=True)
class Texts:
    """A model and its preprocessor, as far as calibrations ask for them: for the vectors of texts, and often for the same."""

    model_dir: Path
    known: dict[str, Vectors]
    model: ModelInfo

    def prepare_text(self, text: str) -> str:
        return text

    def embed(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in texts if text not in self.known]
        if new:
            self.known.update(zip(new, embed(self.model_dir, new, [])[0], strict=True))
        return np.stack([self.known[text] for text in texts])


JUDGES: Final[dict[str, Judge]] = {
    "by the facts": lambda right, _: right,
    "one of ten wrong": lambda right, random: right != (random.random() < 0.1),
    "three of ten wrong": lambda right, random: right != (random.random() < 0.3),
    "at random": lambda _, random: random.random() < 0.5,
    "all wrong": lambda right, _: not right,
    "all called relevant": lambda _right, _: True,
    "all called irrelevant": lambda _right, _: False,
}


def texts_of(keys: Sequence[str], scenes: list[Scene]) -> list[Text]:
    """The judged queries, things that are never drawn, and as many that no picture happens to show."""
    random, codes, queries = Random(SEED), scene_codes(scenes), judged_queries(scenes)
    rights = truth(claim_codes([query.claim for query in queries]), codes)
    outside = [text for line in OUTSIDE.strip().splitlines() for text in line.split("; ")]
    nowhere = dict[str, None]()
    while len(nowhere) < len(outside):
        scene = imagine(random, Stream.TRAINING)
        claim = Claim((Mention(scene.groups[0].kind, scene.groups[0].colour),), scene.setting)
        if not truth(claim_codes([claim]), codes).any():
            nowhere[word(claim, random, HELD_OUT)] = None
    found = [
        Text(query.text, frozenset(image_id(keys[place]) for place in np.flatnonzero(right).tolist()))
        for query, right in zip(queries, rights, strict=True)
    ]
    return [*found, *(Text(text, frozenset()) for text in (*outside, *nowhere))]


def verdicts(texts: Sequence[Text], store: MemoryStore, model: Any, judge: Judge, random: Random) -> dict[str, Grades]:
    """Of the five best hits of each text."""
    hits = store.search(model.embed([text.text for text in texts]), SearchOptions(LOOKED_AT))
    return {
        text.text: {hit.record.id: RELEVANT if judge(hit.record.id in text.right, random) else IRRELEVANT for hit in best}
        for text, best in zip(texts, hits, strict=True)
    }


@dataclass(slots=True)
class Trial:
    """A calibration on captions and on the verdicts of one judge, over several halves."""

    measures: list[Measures] = field(default_factory=list)
    used: int = 0

    def line(self, name: str, number: int | None) -> str:
        auc, error = (np.mean([getattr(one, what) for one in self.measures]) for what in ("auc", "calibration_error"))
        worst = min(one.auc for one in self.measures)
        shown = "" if number is None else f"{number}"
        used = "" if number is None else f"{self.used} of {SPLITS}"
        return f"| {name} | {shown} | {used} | {auc:.4f} | {worst:.4f} | {error:.3f} |"


def judge_all(store: MemoryStore, model: Any, texts: Sequence[Text]) -> Iterator[str]:
    """The table."""
    yield "| verdicts | texts | used | area under the ROC curve | lowest | calibration error |"
    yield "|---|---:|---:|---:|---:|---:|"
    kinds: list[tuple[str, int | None]] = [("none", None), *((name, NUMBER) for name in JUDGES)]
    for name, number in kinds:
        trial = Trial()
        for split in range(SPLITS):
            random = Random(split)
            order = random.sample(texts, len(texts))
            judged, others = order[: number or 0], order[len(texts) // 2 :]
            given = verdicts(judged, store, model, JUDGES[name], random) if number else {}
            made = calibrate(IndexedCorpus(store, "COSINE", model, model), verdicts=given)
            assert made is not None
            trial.used += bool(made.used_texts)
            vectors = model.embed([text.text for text in others])
            pairs = pairs_of(store, "COSINE", made.calibration.reference, vectors, [text.right for text in others])
            trial.measures.append(measures_by(made.calibration, pairs))
        yield trial.line(name, number)


def judge(model_dir: Path, corpus: Path) -> Iterator[str]:
    """Line by line."""
    scenes, pictures = drawn(corpus)
    plans = plan(COUNT, SEED)
    _, images = embed(model_dir, ["a dog"], pictures)
    model: Any = Texts(model_dir, {}, ModelInfo("demo", "1", images.shape[1], "cpu", "fp32"))
    store = MemoryStore()
    store.ensure(model.model.model_id, model.model.dim)
    records = [
        ImageRecord(image_id(one.key), one.key, "1", "0" * 64, width=1, height=1, indexed_at=0, metadata={"caption": one.caption})
        for one in plans
    ]
    store.upsert(records, images)
    yield from judge_all(store, model, texts_of([one.key for one in plans], scenes))


def main() -> None:
    """Judge, print."""
    with asked("verdicts", "Judge calibration on verdicts.") as options:
        for line in judge(options.model, options.corpus):
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
