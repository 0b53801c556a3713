"""`python -m demo.heat`: how often the hottest place of a picture is where the thing was drawn that is asked for, against chance.

Pictures with two kinds of things, of which one is asked for in plain words. The figures of docs/decisions/0086-heat-maps.md.
"""

from collections.abc import Iterable
from random import Random
from typing import Final

import numpy as np
from numpy.typing import NDArray

from demo.captions import word
from demo.judging import asked, drawn
from demo.relevance import Claim, Mention
from demo.scenes import Group, Scene, layout
from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.clip import ClipEncoder
from ml_api.embedding.pretrained import resolve
from ml_api.images import Whole
from ml_api.metrics import Metrics
from ml_api.search.heat import heat_of

PICTURES: Final = 100
SEED: Final = 4
PATIENCE_S: Final = 600.0


def place_of(scene: Scene, group: Group, rows: int, columns: int) -> NDArray[np.bool_]:
    """The cells (rows, columns) whose middles lie in a thing of this group."""
    down, across = ((np.arange(number) + 0.5) / number for number in (rows, columns))
    there = np.zeros((rows, columns), dtype=np.bool_)
    for spot in layout(scene):
        if spot.group == group:
            there |= np.outer(np.abs(down - spot.y) < spot.size / 2, np.abs(across - spot.x) < spot.size / 2)
    return there


def table(found: Iterable[tuple[bool, float, float]]) -> str:
    """Of each picture whether the hottest place is right, the chance of that, and the greatest less the least score."""
    hits, chances, spans = np.array(list(found)).T
    return (
        f"{len(hits)} pictures: the hottest place is where the thing is in {hits.mean():.2f}, by chance in {chances.mean():.2f}; "
        f"the greatest score is {spans.mean():.2f} above the least"
    )


def main() -> None:
    """Draw the corpus if it is not there, look, and judge."""
    random, found = Random(SEED), list[tuple[bool, float, float]]()
    with asked("heat", f"Look for one of two kinds of things in {PICTURES} pictures.") as options:
        encoder = ClipEncoder(resolve(str(options.model), ""), device="cpu", precision="fp32")
        embedder, whole = BatchingEncoder(encoder, Metrics()), Whole(2 * encoder.preprocessor.fit.edge_px)
        both = [pair for pair in zip(*drawn(options.corpus), strict=True) if len(pair[0].groups) > 1]
        for scene, picture in random.sample(both, PICTURES):
            group = random.choice(scene.groups)
            text = word(Claim((Mention(group.kind, group.colour),)), random)
            query, deadline = encoder.preprocessor.prepare_text(text), Deadline.within(PATIENCE_S)
            heat = heat_of(whole.apply(picture), query, encoder.preprocessor, embedder, deadline).scores
            there = place_of(scene, group, *heat.shape)
            found.append((bool(there.flat[heat.argmax()]), float(there.mean()), float(np.ptp(heat))))
        embedder.close()
    print(table(found))


if __name__ == "__main__":
    main()
