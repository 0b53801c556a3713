"""`python -m demo.evaluate`: how well the model finds pictures for wordings it never saw; exit 1 below target."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from demo.judging import Vectors, asked, drawn, embed
from demo.queries import SHOWCASE, SHOWCASE_CLAIM, SORTS, Query, judged_queries
from demo.relevance import claim_codes, scene_codes, truth
from demo.scenes import Scene

TARGETS: dict[str, float] = {
    "object": 0.95,
    "colour + object": 0.85,
    "object + setting": 0.85,
    "count + object": 0.75,
    SHOWCASE: 0.8,
}
Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class Figure:
    """The quality of one sort of query. `recall_at_10` counts against the at most ten pictures that could have been there."""

    sort: str
    queries: int
    precision_at_5: float
    recall_at_10: float
    target: float

    @property
    def met(self) -> bool:
        """Whether precision@5 reaches its target."""
        return self.precision_at_5 >= self.target


def judge(queries: Sequence[Query], scenes: Sequence[Scene], scores: Vectors) -> list[Figure]:
    """The figures for a (queries, scenes) table of similarities, one a sort."""
    true: Truth = truth(claim_codes([query.claim for query in queries]), scene_codes(scenes))
    ranked = np.take_along_axis(true, np.argsort(-scores, axis=1, kind="stable")[:, :10], axis=1)
    precision = ranked[:, :5].mean(axis=1)
    recall = ranked.sum(axis=1) / np.minimum(10, true.sum(axis=1))
    figures = []
    for sort, target in TARGETS.items():
        rows = [i for i, query in enumerate(queries) if query.sort == sort]
        figures.append(Figure(sort, len(rows), float(precision[rows].mean()), float(recall[rows].mean()), target))
    return figures


def evaluate(model_dir: Path, corpus: Path) -> list[Figure]:
    """Draw the corpus if it is not there, embed it and the queries, and judge."""
    scenes, pictures = drawn(corpus)
    queries = [*judged_queries(scenes), Query(SHOWCASE, SHOWCASE, SHOWCASE_CLAIM)]
    texts, images = embed(model_dir, [query.text for query in queries], pictures)
    return judge(queries, scenes, texts @ images.T)


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| query | number | precision@5 | target | recall@10 | |", "|---|---:|---:|---:|---:|---|"]
    for f in figures:
        verdict = "met" if f.met else "MISSED"
        lines.append(f"| {f.sort} | {f.queries} | {f.precision_at_5:.3f} | {f.target:.2f} | {f.recall_at_10:.3f} | {verdict} |")
    return "\n".join(lines)


def main() -> None:
    """Judge, print, and fail below target."""
    with asked("evaluate", f"Judge the model on {sum(SORTS.values())} queries.", json="print JSON instead of a table") as options:
        figures = evaluate(options.model, options.corpus)
    print(json.dumps([{**asdict(f), "met": f.met} for f in figures], indent=2) if options.json else table(figures))
    sys.exit(0 if all(f.met for f in figures) else 1)


if __name__ == "__main__":
    main()
