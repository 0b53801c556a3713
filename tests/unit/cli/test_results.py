"""What a command did is told to whoever reads; what it does is done all the same."""

import os
from contextlib import redirect_stdout

from ml_api.cli.results import tell
from ml_api.services.migration import drop_others
from ml_api.vectors.base import Generation


class Kept:
    """Vectors of two models that are not in use."""

    def __init__(self):
        self.left = [Generation(name, f"{name}@1", 2) for name in ("old", "older")]

    def others(self):
        return self.left[:]

    def drop(self, generation):
        self.left.remove(generation)


def test_who_reads_no_further_ends_nothing():
    kept = Kept()
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as output, redirect_stdout(output):
        drop_others(kept, tell)
        tell("what follows is no error either")
    assert kept.left == []
