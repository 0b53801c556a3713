"""`python -m demo.confidence`: the judged queries, and texts of things that are never drawn, for `evaluate relevance`."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from demo.corpus import COUNT, SEED, plan
from demo.queries import judged_queries
from demo.relevance import claim_codes, scene_codes, truth

OUTSIDE = """
zebra; a zebra; giraffe; an elephant in the savanna; a laptop on a desk; the eiffel tower at night; a woman playing the violin
astronaut; penguin; a bowl of soup; skyscraper; a wedding dress; stock market chart; a pair of shoes; sushi; two giraffes
a lion in the grass; crocodile; microscope; a guitar; people dancing; man with a beard; portrait of an old woman
volcano erupting; subway station; x-ray of a hand; piano; a jar of honey; kangaroo; laboratory; a slice of cake; a map of europe
handwritten letter; traffic light; the mona lisa; a snowman; a helicopter; dinosaur; a castle on a hill; office meeting
asdf qwer; xkcdplgh; qwertyuiop; zzzzzz; blorp fnargle; asdkjh asdlkj qwe; lkjhgfdsa; 1234567; !!!???; aaaaaaa bbbbbb; vmwpqz
ghjkl ghjkl; foo bar baz; lorem ipsum dolor; wxyz; hgfjdk; 7f3a9c; xqzt wvu
"""
"""Nothing of it is drawn in any picture."""


def judgements() -> Iterator[dict[str, Any]]:
    """One object a query: its text, and the keys of all pictures that answer it."""
    pictures = plan(COUNT, SEED)
    scenes = [picture.scene for picture in pictures]
    queries = judged_queries(scenes)
    for query, true in zip(queries, truth(claim_codes([query.claim for query in queries]), scene_codes(scenes)), strict=True):
        yield {"text": query.text, "keys": [pictures[place].key for place in np.flatnonzero(true)]}
    for line in OUTSIDE.strip().splitlines():
        for text in line.split("; "):
            yield {"text": text, "keys": []}


def main() -> None:
    """Write them to standard output, as JSON lines."""
    for judgement in judgements():
        print(json.dumps(judgement))


if __name__ == "__main__":
    main()
