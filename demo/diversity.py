"""`python -m demo.diversity`: what maximal marginal relevance gains in variety over the demo's pictures, and costs in precision.

The table of docs/decisions/0080-groups.md is what this prints.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from demo.judging import asked, drawn, embed
from demo.queries import judged_queries
from demo.relevance import claim_codes, scene_codes, truth
from demo.scenes import Scene
from ml_api.search.diversity import POOL, diversified

AT: Final = 10
DIVERSITIES: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
FEWEST_TRUE: Final = 20
"""Pictures that a query must have: where fewer are right, other ones are wrong."""


def judge(model_dir: Path, corpus: Path) -> str:
    """The table: precision and variety of the AT best, by diversity."""
    scenes, pictures = drawn(corpus)
    queries = judged_queries(scenes)
    true = truth(claim_codes([query.claim for query in queries]), scene_codes(scenes))
    wanted = np.flatnonzero(true.sum(axis=1) >= FEWEST_TRUE)
    texts, images = embed(model_dir, [queries[i].text for i in wanted], pictures)
    head = f"| diversity | precision@{AT} | mean cosine between the {AT} | settings | kinds and colours |"
    lines = [head, "|---:|---:|---:|---:|---:|"]
    for diversity in DIVERSITIES:
        rows = []
        for vector, right in zip(texts, true[wanted], strict=True):
            scores = images @ vector
            pool = np.argsort(-scores, kind="stable")[:POOL]
            best = pool[diversified(scores[pool], images[pool], diversity)[:AT]]
            alike = images[best] @ images[best].T
            some = [scenes[i] for i in best]
            rows.append((right[best].mean(), alike[np.triu_indices(AT, 1)].mean(), *_variety(some)))
        means = np.mean(rows, axis=0)
        lines.append(f"| {diversity:g} | {means[0]:.3f} | {means[1]:.3f} | {means[2]:.1f} | {means[3]:.1f} |")
    return f"{len(wanted)} queries\n\n" + "\n".join(lines)


def _variety(scenes: Sequence[Scene]) -> tuple[int, int]:
    """How many settings, and combinations of kinds and colours, there are."""
    return len({scene.setting for scene in scenes}), len(
        {tuple((group.kind, group.colour) for group in scene.groups) for scene in scenes}
    )


def main() -> None:
    with asked("diversity", "What diversity gains and costs.") as options:
        sys.stdout.write(judge(options.model, options.corpus) + "\n")


if __name__ == "__main__":
    main()
